package api

import (
	"encoding/json"
	"strings"
	"testing"

	"carom/edge/ref"
	"carom/pipeline/event"
)

func TestRegisterAndAsk(t *testing.T) {
	w := newWorld(t, nil)
	a := w.post("/v1/messages", `{"account":"acme","sender":"alice","sequence":"q4","contact":"bob@example.com","message":" <m-1@mail.example.com> ",
		"links":["https://example.com/?a=1&b=<2>","http://example.com/#x"],"sent_at":"2026-11-21T12:04:59+00:00","transactional":true}`)
	var links struct {
		ref.Links
		Send *bool `json:"send"`
	}
	a.ok(t, &links)
	if links.Message != "m-1@mail.example.com" || links.Send == nil || !*links.Send || len(links.ClickURLs) != 2 ||
		!strings.HasPrefix(links.OpenURL, "https://track.example.com/o/") || links.HoneypotURL == "" || links.UnsubscribeURL == "" ||
		!strings.HasPrefix(links.ReturnPath, "b-") || !strings.HasPrefix(links.ReplyTo, "r-") ||
		links.Headers.Ref == "" || links.Headers.ListUnsubscribePost != "List-Unsubscribe=One-Click" {
		t.Errorf("answer %s", a.body)
	}
	if !strings.HasPrefix(string(a.body), `{"message":"m-1@mail.example.com","send":true,"open_url":"`) || !strings.Contains(string(a.body), `"List-Unsubscribe":"<https://`) {
		t.Errorf("answer %s", a.body)
	}
	// What was minted says who it is.
	keys := testKeys(t)
	token := strings.TrimSuffix(strings.TrimPrefix(links.OpenURL, "https://track.example.com/o/"), ".gif")
	var opened ref.Opened
	if err := keys.Open(ref.OpenPixel, []byte(token), &opened); err != nil {
		t.Fatal(err)
	}
	if opened.Ref.Account != "acme" || opened.Ref.Sender != "alice" || opened.Ref.Sequence != "q4" || opened.Ref.Contact != "bob@example.com" ||
		opened.Ref.Message != "m-1@mail.example.com" || opened.Ref.Flags != event.Transactional {
		t.Errorf("token of %+v", opened.Ref)
	}

	events := w.allEvents(1)
	if e := events[0]; e["kind"] != "sent" || e["time"] != "2026-11-21T12:04:59.000Z" || e["message"] != "m-1@mail.example.com" || e["account"] != "acme" || e["transactional"] != true {
		t.Errorf("event %v", e)
	}
	// The path takes the id with its brackets, percent-encoded.
	var m messageAnswer
	w.get("/v1/messages/%3Cm-1%40mail.example.com%3E?account=acme").ok(t, &m)
	if m.Status != "sent" || m.Sender != "alice" || m.Contact != "bob@example.com" || m.Recipient != "bob@example.com" || !m.Registered ||
		!m.Transactional || m.SentAt != "2026-11-21T12:04:59.000Z" || len(m.Events) != 1 {
		t.Errorf("message %+v", m)
	}
	w.get("/v1/messages/m-1@mail.example.com").problem(t, 404) // of another account
}

func TestRegisterDefaults(t *testing.T) {
	for _, c := range []struct{ name, in, contact, recipient string }{
		{"address", `"contact":"bob@example.com"`, "bob@example.com", "bob@example.com"},
		{"id", `"contact":"c-1"`, "c-1", ""},
		{"recipient", `"recipient":"bob@example.com"`, "bob@example.com", "bob@example.com"},
		{"both", `"contact":"c-1","recipient":"bob@example.com"`, "c-1", "bob@example.com"},
		{"neither", `"contact":null,"links":null,"sent_at":null,"shared":null`, "", ""},
	} {
		var e event.Event
		s := registrar(t)
		dst, p := s.readRegistration(`{"sender":"alice","message":"m-1",`+c.in+`}`, 1000, &e, []byte("kept"))
		if p != nil {
			t.Fatalf("%s: %+v", c.name, p)
		}
		want := event.Event{
			Kind: event.Sent, Time: 1000, Key: event.KeyOf("default", "m-1"), KnownBy: event.ByRef, Recipient: c.recipient,
			Ref: event.Ref{Account: "default", Sender: "alice", Contact: c.contact, Message: "m-1", SentAt: 1000},
		}
		e.Links = nil
		if string(e.AppendBinary(nil)) != string(want.AppendBinary(nil)) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, e, want)
		}
		if !strings.HasPrefix(string(dst), "kept{") || !json.Valid(dst[4:]) {
			t.Errorf("%s: answer %q", c.name, dst)
		}
	}
}

func registrar(t testing.TB) *Server {
	t.Helper()
	m, err := ref.NewMinter(testKeys(t), ref.MinterOptions{
		TrackBaseURL: "https://track.example.com", BounceDomain: "bounce.example.com", ReplyDomain: "reply.example.com",
	})
	must(t, err)
	s, err := New(Default(), Dependencies{Minter: m})
	must(t, err)
	return s
}

func TestRegisterRefuses(t *testing.T) {
	const ids = `"sender":"alice","message":"m-1"`
	many := strings.Repeat(`"https://example.com/",`, maxLinks) + `"https://example.com/"`
	w := newWorld(t, nil)
	for _, c := range []struct {
		name, body  string
		status      int
		kind, field string
	}{
		{"empty", ``, 400, "bad-json", ""},
		{"no object", `[]`, 400, "bad-json", ""},
		{"cut", `{` + ids, 400, "bad-json", ""},
		{"trailing garbage", `{` + ids + `} {}`, 400, "bad-json", ""},
		{"not UTF-8", "{" + ids + ",\"contact\":\"\xff\"}", 400, "bad-json", ""},
		{"NUL byte", "{" + ids + ",\"contact\":\"\x00\"}", 400, "bad-json", ""},
		{"a form", "sender=alice&message=m-1", 400, "bad-json", ""},
		{"escaped NUL", `{` + ids + `,"contact":"\u0000"}`, 400, "bad-field", "contact"},
		{"line break", `{"sender":"alice","message":"m\r\n1"}`, 400, "bad-field", "message"},
		{"unknown field", `{` + ids + `,"recipent":"x"}`, 400, "unknown-field", "recipent"},
		{"other case", `{"Sender":"alice","message":"m-1"}`, 400, "unknown-field", "Sender"},
		{"twice", `{` + ids + `,"sender":"bob"}`, 400, "bad-field", "sender"},
		{"number as text", `{"sender":7,"message":"m-1"}`, 400, "bad-field", "sender"},
		{"text as flag", `{` + ids + `,"shared":"yes"}`, 400, "bad-field", "shared"},
		{"no sender", `{"message":"m-1"}`, 400, "missing-field", "sender"},
		{"empty sender", `{"sender":"","message":"m-1"}`, 400, "missing-field", "sender"},
		{"null", `null`, 400, "missing-field", "sender"},
		{"no message", `{"sender":"alice"}`, 400, "missing-field", "message"},
		{"empty message", `{"sender":"alice","message":" <> "}`, 400, "bad-field", "message"},
		{"long sender", `{"sender":"` + strings.Repeat("a", 513) + `","message":"m-1"}`, 400, "bad-field", "sender"},
		{"long together", `{"sender":"` + strings.Repeat("a", 300) + `","message":"` + strings.Repeat("b", 300) + `"}`, 400, "bad-field", ""},
		{"long recipient", `{` + ids + `,"recipient":"` + strings.Repeat("a", 320) + `@example.com"}`, 400, "bad-field", "recipient"},
		{"links no list", `{` + ids + `,"links":"https://example.com/"}`, 400, "bad-field", "links"},
		{"link no text", `{` + ids + `,"links":[{}]}`, 400, "bad-field", "links"},
		{"too many links", `{` + ids + `,"links":[` + many + `]}`, 400, "bad-field", "links"},
		{"script", `{` + ids + `,"links":["https://example.com/","javascript:alert(1)"]}`, 400, "bad-field", "links[1]"},
		{"split", `{` + ids + `,"links":["https://example.com/\r\nSet-Cookie: a=b"]}`, 400, "bad-field", "links[0]"},
		{"long link", `{` + ids + `,"links":["https://example.com/` + strings.Repeat("a", 8<<10) + `"]}`, 400, "bad-field", "links[0]"},
		{"no time", `{` + ids + `,"sent_at":"yesterday"}`, 400, "bad-field", "sent_at"},
		{"no zone", `{` + ids + `,"sent_at":"2026-11-21T12:00:00"}`, 400, "bad-field", "sent_at"},
		{"time as number", `{` + ids + `,"sent_at":1795283103}`, 400, "bad-field", "sent_at"},
		{"ahead", `{` + ids + `,"sent_at":"2026-11-21T12:05:00.001Z"}`, 422, "bad-time", "sent_at"},
		{"1970", `{` + ids + `,"sent_at":"1970-01-01T00:00:00Z"}`, 422, "bad-time", "sent_at"},
	} {
		p := w.post("/v1/messages", c.body).problem(t, c.status)
		if p.Type != problemType+c.kind || p.Field != c.field || p.Detail == "" || p.Line != 0 {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
	if calls, _ := w.sink.count(); calls != 0 {
		t.Errorf("%d of what was refused went to the sink", calls)
	}
}

func TestSinkFails(t *testing.T) {
	w := newWorld(t, nil)
	w.sink.set(errTest, nil)
	a := w.post("/v1/messages", `{"sender":"alice","message":"m-1"}`)
	if p := a.problem(t, 503); p.Type != problemType+"unavailable" || a.Header.Get("Retry-After") != "5" {
		t.Errorf("%+v, Retry-After %q", p, a.Header.Get("Retry-After"))
	}
	if strings.Contains(string(a.body), errTest.Error()) {
		t.Error("the answer tells of the inside")
	}
	w.sink.set(nil, nil)
	w.post("/v1/messages", `{"sender":"alice","message":"m-1"}`).ok(t, nil)
}
