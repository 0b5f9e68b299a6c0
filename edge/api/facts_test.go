package api

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"carom/pipeline/event"
)

// tell reads one fact as POST /v1/events does, and returns the event and the id.
func tell(t *testing.T, s *Server, body string) (event.Event, string, *problem) {
	t.Helper()
	var e event.Event
	dst, p := s.readFact(body, event.FromTime(testNow), &e, nil)
	if p != nil {
		return e, "", p
	}
	var out struct{ ID string }
	must(t, json.Unmarshal(dst, &out))
	return e, out.ID, nil
}

func TestFactsBecomeEvents(t *testing.T) {
	s := registrar(t)
	now := event.FromTime(testNow)
	message := event.Ref{Account: "acme", Message: "m-1"}
	const of = `"account":"acme","message":"<m-1>"`
	enrolled := event.Ref{
		Account: "default", Sender: "alice", Sequence: "q4", Contact: "c-1",
		Message: event.EnrollmentID("default", "alice", "q4", "c-1"),
	}
	bounce := event.Diagnosis{
		Hard: true, Category: "invalid_recipient", Status: "5.1.1", ReplyCode: "550", Action: "failed",
		RemoteMTA: "mx.example.com", Diagnostic: "no such user", Provider: "google",
	}
	for _, c := range []struct {
		name, body string
		want       event.Event
	}{
		{"completed", `{"kind":"completed",` + of + `}`, event.Event{Kind: event.Completed, Ref: message}},
		{
			"enrollment", `{"kind":"completed","sender":"alice","sequence":"q4","contact":"c-1"}`,
			event.Event{Kind: event.Completed, Ref: enrolled, KnownBy: event.ByRef},
		},
		{
			"time", `{"kind":"dropped","time":"2026-11-21T13:04:59.5+01:00",` + of + `}`,
			event.Event{Kind: event.Dropped, Ref: message, Time: now + 299_500},
		},
		{"unsubscribe", `{"kind":"unsubscribe",` + of + `}`, event.Event{Kind: event.Unsubscribe, Ref: message}},
		{
			"complaint", `{"kind":"complaint",` + of + `,"report_id":"<r-1@example.net>"}`,
			event.Event{Kind: event.Complaint, Ref: message, Mail: event.Mail{ID: "r-1@example.net", FeedbackType: "abuse"}},
		},
		{
			"not spam", `{"kind":"complaint",` + of + `,"report_id":"r","feedback_type":"Not-Spam"}`,
			event.Event{Kind: event.Complaint, Ref: message, Mail: event.Mail{ID: "r", FeedbackType: "not-spam"}},
		},
		{
			"reply", `{"kind":"reply",` + of + `,"from":"bob@example.com"}`,
			event.Event{
				Kind: event.Reply, Ref: message, Actor: event.Actor{Verdict: event.Human},
				Mail: event.Mail{ID: "told", From: "bob@example.com", References: true},
			},
		},
		{
			"doubtful reply", `{"kind":"reply",` + of + `,"verdict":"unknown","report_id":"r"}`,
			event.Event{Kind: event.Reply, Ref: message, Actor: event.Actor{Verdict: event.Unknown}, Mail: event.Mail{ID: "r", References: true}},
		},
		{
			"auto-reply", `{"kind":"auto_reply",` + of + `,"report_id":"r"}`,
			event.Event{Kind: event.AutoReply, Ref: message, Mail: event.Mail{ID: "r", References: true}},
		},
		{
			"delivered", `{"kind":"delivered",` + of + `,"recipient":"bob@example.com"}`,
			event.Event{Kind: event.Delivered, Ref: message, Recipient: "bob@example.com"},
		},
		{
			"delivered with reply", `{"kind":"delivered",` + of + `,"reply":"250 2.0.0 OK"}`,
			event.Event{Kind: event.Delivered, Ref: message, Bounce: event.Diagnosis{
				Category: "delivered", Status: "2.0.0", ReplyCode: "250",
				Action: "delivered", Diagnostic: "250 2.0.0 OK",
			}},
		},
		{
			"bounce object", `{"kind":"bounce",` + of + `,"bounce":{"hard":true,"category":"invalid_recipient","status":"5.1.1","reply_code":"550",
			"action":"failed","recipient":"bob@example.com","remote_mta":"mx.example.com","diagnostic":"no such\r\n user","provider":"google"}}`,
			event.Event{Kind: event.Bounce, Ref: message, Recipient: "bob@example.com", Bounce: bounce},
		},
		{
			"hard follows", `{"kind":"bounce",` + of + `,"bounce":{"category":"bad_domain"}}`,
			event.Event{Kind: event.Bounce, Ref: message, Bounce: event.Diagnosis{Hard: true, Category: "bad_domain", Action: "failed"}},
		},
		{
			"inactive for now", `{"kind":"bounce",` + of + `,"bounce":{"category":"inactive","status":"4.2.1"}}`,
			event.Event{Kind: event.Bounce, Ref: message, Bounce: event.Diagnosis{Category: "inactive", Status: "4.2.1", Action: "failed"}},
		},
		{
			"soft as told", `{"kind":"bounce",` + of + `,"bounce":{"hard":false,"category":"invalid_recipient"}}`,
			event.Event{Kind: event.Bounce, Ref: message, Bounce: event.Diagnosis{Category: "invalid_recipient", Action: "failed"}},
		},
		{
			"category follows", `{"kind":"bounce",` + of + `,"bounce":{"status":"5.1.1"}}`,
			event.Event{Kind: event.Bounce, Ref: message, Bounce: event.Diagnosis{Hard: true, Category: "invalid_recipient", Status: "5.1.1", Action: "failed", Rule: "status:X.1.1"}},
		},
		{
			"reply", `{"kind":"bounce",` + of + `,"reply":"550 5.1.1 <bob@example.com>: user unknown","recipient":"bob@example.com"}`,
			event.Event{Kind: event.Bounce, Ref: message, Recipient: "bob@example.com", Bounce: event.Diagnosis{
				Hard: true, Category: "invalid_recipient", Status: "5.1.1", ReplyCode: "550", Action: "failed",
				Diagnostic: "550 5.1.1 <bob@example.com>: user unknown", Rule: "text:unknown",
			}},
		},
		{
			"reply inside", `{"kind":"bounce",` + of + `,"bounce":{"reply":"552-5.2.2 mailbox\r\n552 5.2.2 full","recipient":"bob@example.com"}}`,
			event.Event{Kind: event.Bounce, Ref: message, Recipient: "bob@example.com", Bounce: event.Diagnosis{
				Category: "mailbox_full", Status: "5.2.2", ReplyCode: "552", Action: "failed", Diagnostic: "552-5.2.2 mailbox 552 5.2.2 full", Rule: "text:full",
			}},
		},
		{
			"reply of a host", `{"kind":"bounce",` + of + `,"reply":"550 Mailbox unavailable or access denied","bounce":{"remote_mta":"MX3.qq.com[192.0.2.1]"}}`,
			event.Event{Kind: event.Bounce, Ref: message, Bounce: event.Diagnosis{
				Category: "rate_limited", ReplyCode: "550", Action: "failed", Diagnostic: "550 Mailbox unavailable or access denied",
				RemoteMTA: "mx3.qq.com", Provider: "tencent", Rule: "provider:tencent-rate",
			}},
		},
		{
			"reply inside, of a host about somebody",
			`{"kind":"bounce",` + of + `,"bounce":{"remote_mta":"mx.example.net","reply":"553 example.net does not exist","recipient":"bob@example.net"}}`,
			event.Event{Kind: event.Bounce, Ref: message, Recipient: "bob@example.net", Bounce: event.Diagnosis{
				Hard: true, Category: "bad_domain", ReplyCode: "553", Action: "failed", Diagnostic: "553 example.net does not exist",
				RemoteMTA: "mx.example.net", Rule: "text:no-domain",
			}},
		},
		{
			"category follows from the host, too", `{"kind":"bounce",` + of + `,"bounce":{"reply_code":"550","diagnostic":"Mailbox unavailable or access denied","remote_mta":"mx3.qq.com"}}`,
			event.Event{Kind: event.Bounce, Ref: message, Bounce: event.Diagnosis{
				Category: "rate_limited", ReplyCode: "550", Action: "failed", Diagnostic: "Mailbox unavailable or access denied",
				RemoteMTA: "mx3.qq.com", Provider: "tencent", Rule: "provider:tencent-rate",
			}},
		},
		{
			"given up", `{"kind":"bounce",` + of + `,"reply":"450 4.2.2 mailbox full"}`,
			event.Event{Kind: event.Bounce, Ref: message, Bounce: event.Diagnosis{
				Category: "mailbox_full", Status: "4.2.2", ReplyCode: "450", Action: "failed", Diagnostic: "450 4.2.2 mailbox full", Rule: "text:full",
			}},
		},
		{
			"delay", `{"kind":"delay",` + of + `,"reply":"450 4.2.2 mailbox full","report_id":"r"}`,
			event.Event{Kind: event.Delay, Ref: message, Mail: event.Mail{ID: "r"}, Bounce: event.Diagnosis{
				Category: "mailbox_full", Status: "4.2.2", ReplyCode: "450", Action: "delayed", Diagnostic: "450 4.2.2 mailbox full", Rule: "text:full",
			}},
		},
		{
			"bare delay", `{"kind":"delay",` + of + `}`,
			event.Event{Kind: event.Delay, Ref: message, Mail: event.Mail{ID: "told"}},
		},
	} {
		if c.want.Time == 0 {
			c.want.Time = now
		}
		if c.want.KnownBy == 0 {
			c.want.KnownBy = event.ByKey
		}
		c.want.Key = event.KeyOf(c.want.Account, c.want.Message)
		got, id, p := tell(t, s, c.body)
		if p != nil {
			t.Errorf("%s: %+v", c.name, p)
			continue
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
		if want, _ := event.IdentityOf(&c.want); id != want.String() {
			t.Errorf("%s: id %s, want %s", c.name, id, want)
		}
	}
}

func TestFactsRefused(t *testing.T) {
	s := registrar(t)
	const of = `"message":"m-1"`
	for _, c := range []struct {
		body        string
		status      int
		kind, field string
	}{
		{`{` + of + `}`, 400, "missing-field", "kind"},
		{`{"kind":"open",` + of + `}`, 400, "bad-field", "kind"},
		{`{"kind":"sent",` + of + `}`, 400, "bad-field", "kind"},
		{`{"kind":"tick",` + of + `}`, 400, "bad-field", "kind"},
		{`{"kind":"nope",` + of + `}`, 400, "bad-field", "kind"},
		{`{"kind":"delivered delay",` + of + `}`, 400, "bad-field", "kind"},
		{`{"kind":"completed"}`, 400, "missing-field", "message"},
		{`{"kind":"completed","message":"<>"}`, 400, "bad-field", "message"},
		{`{"kind":"completed","sequence":"q4","contact":"c"}`, 400, "missing-field", "sender"},
		{`{"kind":"completed","sender":"alice"}`, 400, "missing-field", "contact"},
		{`{"kind":"completed","sender":"alice",` + of + `}`, 400, "bad-field", "message"},
		{`{"kind":"completed","message":"enrollment\u0000a\u0000b\u0000c\u0000d"}`, 400, "bad-field", "message"},
		{`{"kind":"completed",` + of + `,"time":"2026-11-21T12:05:01Z"}`, 422, "bad-time", "time"},
		{`{"kind":"completed",` + of + `,"links":[]}`, 400, "unknown-field", "links"},
		{`{"kind":"completed",` + of + `,"bounce":{}}`, 400, "bad-field", "bounce"},
		{`{"kind":"reply",` + of + `,"reply":"550 no"}`, 400, "bad-field", "reply"},
		{`{"kind":"reply",` + of + `,"verdict":"scanner"}`, 400, "bad-field", "verdict"},
		{`{"kind":"bounce",` + of + `,"verdict":"human","reply":"550 no"}`, 400, "bad-field", "verdict"},
		{`{"kind":"reply",` + of + `,"feedback_type":"abuse"}`, 400, "bad-field", "feedback_type"},
		{`{"kind":"complaint",` + of + `,"feedback_type":"a b"}`, 400, "bad-field", "feedback_type"},
		{`{"kind":"complaint",` + of + `,"report_id":"a\nb"}`, 400, "bad-field", "report_id"},
		{`{"kind":"bounce",` + of + `}`, 400, "missing-field", "bounce"},
		{`{"kind":"bounce",` + of + `,"bounce":{"recipient":"bob@example.com"}}`, 400, "missing-field", "bounce"},
		{`{"kind":"bounce",` + of + `,"bounce":"550"}`, 400, "bad-field", "bounce"},
		{`{"kind":"bounce",` + of + `,"bounce":{"hrad":true}}`, 400, "unknown-field", "bounce.hrad"},
		{`{"kind":"bounce",` + of + `,"bounce":{"hard":1}}`, 400, "bad-field", "bounce.hard"},
		{`{"kind":"bounce",` + of + `,"bounce":{"hard":true,"hard":true}}`, 400, "bad-field", "bounce.hard"},
		{`{"kind":"bounce",` + of + `,"bounce":{"category":"bad"}}`, 400, "bad-field", "bounce.category"},
		{`{"kind":"bounce",` + of + `,"bounce":{"status":"5.1"}}`, 400, "bad-field", "bounce.status"},
		{`{"kind":"bounce",` + of + `,"bounce":{"status":"3.1.1"}}`, 400, "bad-field", "bounce.status"},
		{`{"kind":"bounce",` + of + `,"bounce":{"reply_code":"55"}}`, 400, "bad-field", "bounce.reply_code"},
		{`{"kind":"bounce",` + of + `,"bounce":{"action":"lost"}}`, 400, "bad-field", "bounce.action"},
		{`{"kind":"bounce",` + of + `,"bounce":{"hard":true,"remote_mta":"a\u0001"}}`, 400, "bad-field", "bounce.remote_mta"},
		{`{"kind":"bounce",` + of + `,"bounce":{"hard":true,"diagnostic":"` + strings.Repeat("a", 4097) + `"}}`, 400, "bad-field", "bounce.diagnostic"},
		{`{"kind":"bounce",` + of + `,"bounce":{"hard":true},"reply":"550 no"}`, 400, "bad-field", "reply"},
		{`{"kind":"bounce",` + of + `,"bounce":{"hard":true,"reply":"550 no"}}`, 400, "bad-field", "bounce.reply"},
		{`{"kind":"bounce",` + of + `,"bounce":{"provider":"google","reply":"550 no"}}`, 400, "bad-field", "bounce.reply"},
		{`{"kind":"bounce",` + of + `,"bounce":{"reply":"550 no"},"reply":"550 no"}`, 400, "bad-field", "reply"},
		{`{"kind":"bounce",` + of + `,"bounce":{"remote_mta":"a\u0001","reply":"550 no"}}`, 400, "bad-field", "bounce.remote_mta"},
		{`{"kind":"bounce",` + of + `,"bounce":{"hard":true,"recipient":"eve@example.com"},"recipient":"bob@example.com"}`, 400, "bad-field", "bounce.recipient"},
		{`{"kind":"bounce",` + of + `,"reply":"250 2.0.0 OK"}`, 400, "bad-field", "reply"},
		{`{"kind":"bounce",` + of + `,"reply":"354 go on"}`, 400, "bad-field", "reply"},
		{`{"kind":"bounce",` + of + `,"reply":"no such user"}`, 400, "bad-field", "reply"},
		{`{"kind":"bounce",` + of + `,"reply":"550 ` + strings.Repeat("a", maxReply) + `"}`, 400, "bad-field", "reply"},
		{`{"kind":"delay",` + of + `,"reply":"550 5.1.1 no"}`, 400, "bad-field", "reply"},
		{`{"kind":"delivered",` + of + `,"reply":"450 4.1.1 no"}`, 400, "bad-field", "reply"},
	} {
		_, _, p := tell(t, s, c.body)
		if p == nil || p.Status != c.status || p.Type != problemType+c.kind || p.Field != c.field || p.Detail == "" {
			t.Errorf("%s: %+v, want %d %s %s", c.body, p, c.status, c.kind, c.field)
		}
	}
}

// The id that a fact gets here is the one that it has when refine releases it, told once or twice.
func TestFactIDsAreThoseOfRefine(t *testing.T) {
	w := newWorld(t, nil)
	w.post("/v1/messages", `{"sender":"alice","sequence":"q4","contact":"bob@example.com","message":"m-1"}`).ok(t, nil)
	bodies := []string{
		`{"kind":"delivered","message":"m-1","recipient":"bob@EXAMPLE.com"}`,
		`{"kind":"delay","message":"m-1","recipient":"bob@example.com","reply":"450 4.2.1 later"}`,
		`{"kind":"bounce","message":"m-1","recipient":"bob@example.com","reply":"550 5.1.1 no"}`,
		`{"kind":"bounce","message":"m-1","bounce":{"status":"5.2.2","recipient":"bob@example.com"}}`,
		`{"kind":"bounce","message":"m-1","reply":"554 5.7.1 no"}`, // of the registered recipient, whom this does not name
		`{"kind":"dropped","message":"m-1"}`,
		`{"kind":"reply","message":"m-1","report_id":"r-1"}`,
		`{"kind":"auto_reply","message":"m-1","report_id":"r-1"}`,
		`{"kind":"complaint","message":"m-1"}`,
		`{"kind":"unsubscribe","message":"m-1"}`,
		`{"kind":"completed","message":"m-1"}`,
		`{"kind":"completed","sender":"alice","sequence":"q4","contact":"eve@example.com"}`,
	}
	want := make(map[string]string)
	begin := time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)
	for range 2 {
		for i, body := range bodies {
			// Of one time, another bounce might be the first, which would be news.
			at := begin.Add(time.Duration(i) * time.Minute).Format(time.RFC3339)
			var out struct{ ID string }
			w.post("/v1/events", strings.Replace(body, "{", `{"time":"`+at+`",`, 1)).ok(t, &out)
			want[out.ID] = body
		}
	}
	if len(want) != len(bodies) {
		t.Fatalf("%d facts have %d ids", len(bodies), len(want))
	}
	got := make(map[string]bool)
	for _, e := range w.allEvents(len(bodies) + 2) { // with the sent event and the open that the reply implies
		id := e["id"].(string)
		if got[id] {
			t.Errorf("twice: %v", e)
		}
		if got[id] = true; want[id] == "" && e["kind"] != "sent" && e["inferred"] != true {
			t.Errorf("nobody told %v", e)
		}
	}
	for id, body := range want {
		if !got[id] {
			t.Errorf("%s was answered for %s and released for nothing", id, body)
		}
	}
}
