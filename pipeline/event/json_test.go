package event

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// at is 2026-11-21T17:45:03.120Z.
const at Millis = 1795283103120

func fullRefined() Refined {
	return Refined{
		ID: ID{1, 2, 3}, Revision: 1, Kind: Click, Time: at,
		Ref: Ref{
			Account: "acme", Sender: "alice", Sequence: "q4", Contact: "c-9812", Message: "m-77123",
			Link: 2, URL: "https://example.com/a?b&c=<d>", SentAt: at - 1000, Flags: Transactional | Anonymous | Shared | Honeypot,
		},
		First: true, Inferred: true,
		Actor:  Actor{Verdict: Human, Reasons: []string{"fast", "no_html"}, Via: "gmail"},
		Client: Client{IP: netip.MustParseAddr("203.0.113.0"), UserAgent: `Mozilla/5.0 "x"`},
		Origin: Origin{Node: "edge-1", Partition: 3, Offset: 12345, N: 1},
	}
}

func fullBounce() Refined {
	r := fullRefined()
	r.Kind, r.Link, r.URL, r.Actor, r.Client, r.Flags = Bounce, 0, "", Actor{}, Client{}, 0
	r.Recipient = "bob@example.com"
	r.Bounce = Diagnosis{
		Hard: true, Category: "invalid_recipient", Status: "5.1.1", ReplyCode: "550", Action: "failed",
		RemoteMTA: "mx.example.com", Diagnostic: "no such user\r\n", Provider: "google", Rule: "google-5.1.1",
	}
	return r
}

func fullAlert() Refined {
	return Refined{
		ID: AlertID("acme", "alice", "bounce_rate", "1"), Kind: Alert, Time: at, Ref: Ref{Account: "acme", Sender: "alice"},
		Alert: []byte(`{"rule":"bounce_rate","value":0.05}`),
	}
}

func TestAppendJSON(t *testing.T) {
	click := fullRefined()
	click.Revision, click.Flags, click.Inferred, click.SentAt, click.Actor.Reasons = 0, 0, false, 0, nil
	sent := Refined{Kind: Sent, Time: at, Ref: Ref{Account: "a", Sender: "s", Message: "m", SentAt: at}, Provider: "google"}
	bounce := fullBounce()
	complaint := Refined{Kind: Complaint, Time: at, FeedbackType: "abuse"}
	delivered := Refined{Kind: Delivered, Time: at, Recipient: "bob@example.com"}
	const id = `"id":"aebagaaaaaaaaaaaaaaaaaaaaa"`
	const none = `"id":"aaaaaaaaaaaaaaaaaaaaaaaaaa","revision":0`
	const when = `"time":"2026-11-21T17:45:03.120Z"`
	const nobody = `"account":"","sender":"","sequence":"","contact":"","message":"","first":false`
	const nowhere = `"origin":{"node":"","partition":0,"offset":0,"n":0}}`
	for _, c := range []struct {
		r    Refined
		want string
	}{
		{click, `{` + id + `,"revision":0,"kind":"click",` + when + `,` +
			`"account":"acme","sender":"alice","sequence":"q4","contact":"c-9812","message":"m-77123","first":true,` +
			`"link":{"index":2,"url":"https://example.com/a?b&c=<d>"},` +
			`"actor":{"verdict":"human","reasons":[],"via":"gmail"},` +
			`"client":{"ip":"203.0.113.0","user_agent":"Mozilla/5.0 \"x\""},` +
			`"origin":{"node":"edge-1","partition":3,"offset":12345,"n":1}}`},
		{sent, `{` + none + `,"kind":"sent",` + when +
			`,"account":"a","sender":"s","sequence":"","contact":"","message":"m","first":false,"provider":"google",` + nowhere},
		{
			fullAlert(),
			`{"id":"` + fullAlert().ID.String() + `","revision":0,"kind":"alert",` + when + `,"account":"acme","sender":"alice",` +
				`"sequence":"","contact":"","message":"","first":false,"alert":{"rule":"bounce_rate","value":0.05},` + nowhere,
		},
		{bounce, `{` + id + `,"revision":1,"kind":"bounce",` + when + `,` +
			`"account":"acme","sender":"alice","sequence":"q4","contact":"c-9812","message":"m-77123","first":true,` +
			`"inferred":true,"sent_at":"2026-11-21T17:45:02.120Z",` +
			`"bounce":{"hard":true,"category":"invalid_recipient","status":"5.1.1","reply_code":"550","action":"failed",` +
			`"recipient":"bob@example.com","remote_mta":"mx.example.com","diagnostic":"no such user\r\n","provider":"google","rule":"google-5.1.1"},` +
			`"origin":{"node":"edge-1","partition":3,"offset":12345,"n":1}}`},
		{complaint, `{` + none + `,"kind":"complaint",` + when + `,` + nobody + `,"feedback_type":"abuse",` + nowhere},
		{delivered, `{` + none + `,"kind":"delivered",` + when + `,` + nobody +
			`,"bounce":{"hard":false,"recipient":"bob@example.com"},` + nowhere},
	} {
		got := c.r.AppendJSON(nil)
		if string(got) != c.want {
			t.Errorf("%v:\n got %s\nwant %s", c.r.Kind, got, c.want)
		}
		if !json.Valid(got) {
			t.Errorf("%v: no JSON", c.r.Kind)
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	full, bounce := fullRefined(), fullBounce()
	agentOnly, ipOnly := full, full
	agentOnly.Client.IP = netip.Addr{}
	ipOnly.Client = Client{IP: netip.MustParseAddr("2001:db8::")}
	enrollment := Refined{Kind: Completed, Ref: Ref{Message: EnrollmentID("a", "s", "q", "c")}}
	for name, want := range map[string]Refined{
		"full": full, "bounce": bounce, "alert": fullAlert(), "agent only": agentOnly, "ip only": ipOnly, "enrollment": enrollment,
		"sent":      {Kind: Sent, Time: at, Ref: Ref{SentAt: at}},
		"complaint": {Kind: Complaint, FeedbackType: "not-spam"},
		"unicode":   {Kind: Reply, Ref: Ref{Contact: "é \u2028 😀 \\ \" \x00 \x7f \ufffd"}},
		"edges":     {Kind: Reply, Time: maxMillis, Origin: Origin{Offset: -1 << 63, Partition: 1<<31 - 1, N: 1<<31 - 1}, Revision: 1<<32 - 1},
		"old":       {Kind: Reply, Time: minMillis},
	} {
		got := fullRefined() // all of it must be replaced
		src := want.AppendJSON(nil)
		if err := got.DecodeJSON(src); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, src)
		}
		clear(src) // and none of it may lean on the bytes
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}
}

func TestJSONTime(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		m := minMillis + Millis(rng.Int64N(int64(maxMillis-minMillis)))
		want := time.UnixMilli(int64(m)).UTC().Format(`"2006-01-02T15:04:05.000Z"`)
		if got := string(appendTime(nil, m)); got != want {
			t.Fatalf("%d: got %s, want %s", m, got, want)
		}
	}
	if got := string(appendTime(nil, maxMillis+1)); got != `"9999-12-31T23:59:59.999Z"` {
		t.Errorf("beyond RFC 3339: %s", got)
	}
	if got := string(appendTime(nil, -1<<63)); got != `"0000-01-01T00:00:00.000Z"` {
		t.Errorf("before RFC 3339: %s", got)
	}
}

func TestAppendStringEscapesAsEncodingJSON(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	cases := []string{"", "a\"b\\c/<>&", "\x00\x01\b\f\n\r\t\x1f\x7f", "é😀\u2028\u2029\ufffd", "\xff\xc3\x28\xed\xa0\x80", "tail\xc3"}
	for range 500 {
		b := make([]byte, rng.IntN(20))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		cases = append(cases, string(b))
	}
	for _, s := range cases {
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(s); err != nil {
			t.Fatal(err)
		}
		if got := string(appendString(nil, s)) + "\n"; got != want.String() {
			t.Errorf("%q: got %s want %s", s, got, want.String())
		}
	}
}

func TestDecodeJSONPassesOverUnknownMembers(t *testing.T) {
	var r Refined
	src := ` { "new" : {"a":[1,-2.5e+3,{"b":[]},[[]],null,true,false,"\u00e9"],"c":{}} , "kind":"open", "actor":{"verdict":"proxy","reasons":null,"x":1},
		"cursor":"abc", "via":null, "first":null, "client":null }` + "\n"
	if err := r.DecodeJSON([]byte(src)); err != nil {
		t.Fatal(err)
	}
	if want := (Refined{Kind: Open, Actor: Actor{Verdict: Proxy}}); !reflect.DeepEqual(r, want) {
		t.Errorf("got %+v", r)
	}
}

func TestDecodeJSONRefuses(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{``, "byte 0: want an object"},
		{`[]`, "byte 0: want an object"},
		{`{"kind":"open"`, "byte 14: want a comma or }"},
		{`{"kind":"open",}`, "comma before }"},
		{`{,}`, "want a member name"},
		{`{"kind":"open"}x`, "text after the end"},
		{`{"kind":"open"}` + "\x00", "text after the end"},
		{`{"kind" "open"}`, "want a colon"},
		{`{kind:"open"}`, "want a member name"},
		{`{"kind":"nope"}`, "kind: unknown kind"},
		{`{"kind":"tick"}`, "kind: unknown kind"},
		{`{"kind":"order"}`, "kind: unknown kind"},
		{`{"alert":[]}`, "alert: want a JSON object"},
		{`{"alert":{"a":"` + strings.Repeat("x", MaxBodyBytes) + `"}}`, "alert: want a JSON object of at most 8192"},
		{`{"alert":{"a":}}`, "want a value"},
		{`{"kind":7}`, "kind: want a string"},
		{`{"id":"short"}`, "id: want 26 characters"},
		{`{"time":"yesterday"}`, "time: want a time"},
		{`{"revision":-1}`, "revision: want a whole number"},
		{`{"revision":4294967296}`, "revision: want a whole number from 0 to 4294967295"},
		{`{"revision":1.5}`, "revision: want a whole number"},
		{`{"revision":01}`, "want a comma"},
		{`{"revision":1.}`, "number without digits"},
		{`{"revision":1e}`, "number without digits"},
		{`{"revision":nul}`, "want a value"},
		{`{"first":"yes"}`, "first: want true or false"},
		{`{"first":truth}`, "want a value"},
		{`{"actor":{"verdict":"good"}}`, "actor.verdict: unknown verdict"},
		{`{"actor":{"reasons":"x"}}`, "actor.reasons: want an array"},
		{`{"actor":{"reasons":["x" "y"]}}`, "want a comma or ]"},
		{`{"actor":{"reasons":["x",]}}`, "comma before ]"},
		{`{"client":{"ip":"300.0.0.1"}}`, "client.ip: want an IP address"},
		{`{"link":[]}`, "link: want an object"},
		{`{"bounce":{"hard":1}}`, "bounce.hard: want true or false"},
		{`{"origin":{"offset":99999999999999999999}}`, "origin.offset: want a whole number"},
		{`{"origin":{"offset":-99999999999999999999}}`, "origin.offset: want a whole number"},
		{`{"account":"a` + "\n" + `"}`, "control character"},
		{`{"account":"\x"}`, "bad escape"},
		{`{"account":"\u12"}`, "bad escape"},
		{`{"account":"\u12g4"}`, "bad escape"},
		{`{"account":"a`, "string without an end"},
		{`{"account":"\n`, "string without an end"},
		{`{"account":"\`, "bad escape"},
		{`{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "nested too deep"},
		{`{"x":{"a":}}`, "want a value"},
		{`{"x":{"a"}}`, "want a colon"},
		{`{"x":{1:2}}`, "want a member name"},
		{`{"x":-}`, "want a number"},
	} {
		var r Refined
		err := r.DecodeJSON([]byte(c.src))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.src, err, c.want)
		}
	}
}

func TestDecodeJSONStrings(t *testing.T) {
	for in, want := range map[string]string{
		`\u00e9\"\\\/\b\f\n\r\t`: "é\"\\/\b\f\n\r\t", `\ud83d\ude00`: "😀", `\uD83D\uDE00!`: "😀!",
		`\ud83d`: "\ufffd", `\ud83dx`: "\ufffdx", `\ude00\ud83d`: "\ufffd\ufffd", `\ud83d\u0041`: "\ufffdA",
		"\xff": "\ufffd", "\\n\xff": "\n\ufffd", `\u0000`: "\x00", "é": "é",
	} {
		var r Refined
		if err := r.DecodeJSON([]byte(`{"account":"` + in + `"}`)); err != nil || r.Account != want {
			t.Errorf("%s: got %q, %v, want %q", in, r.Account, err, want)
		}
	}
}

// What AppendJSON writes, a decoder of the standard library reads alike; and the other way round.
func TestDecodeJSONAgreesWithEncodingJSON(t *testing.T) {
	r := fullRefined()
	var std map[string]any
	if err := json.Unmarshal(r.AppendJSON(nil), &std); err != nil {
		t.Fatal(err)
	}
	pretty, err := json.MarshalIndent(std, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var got Refined
	if err := got.DecodeJSON(pretty); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, r)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, r := range []Refined{fullRefined(), fullBounce(), fullAlert(), {Kind: Complaint, FeedbackType: "abuse"}} {
		f.Add(r.AppendJSON(nil))
	}
	f.Add([]byte(`{"x":{"a":[1,-2.5e+3,{"b":[]}]},"account":"\ud83d\ude00"}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		var first, second Refined
		if first.DecodeJSON(src) != nil {
			return
		}
		if !json.Valid(src) {
			t.Fatalf("%q was read, but is no JSON", src)
		}
		b := first.AppendJSON(nil)
		if err := second.DecodeJSON(b); err != nil && first.Kind != 0 {
			t.Fatalf("%q was read, but not what was written of it: %v\n%s", src, err, b)
		}
		if first.Kind == 0 {
			return
		}
		if again := second.AppendJSON(nil); !bytes.Equal(again, b) {
			t.Fatalf("%q:\nfirst %s\nthen  %s", src, b, again)
		}
	})
}

func FuzzJSONRoundTrip(f *testing.F) {
	f.Add("acme", "c-1", "https://example.com/\u2028", "Mozilla \"5.0\"", "fast", byte(Click), byte(Human), uint32(3), int64(at), int64(7), true)
	f.Add("", "\x00", "é😀\\", "", "", byte(Bounce), byte(0), uint32(0), int64(0), int64(-1), false)
	f.Fuzz(func(t *testing.T, account, contact, url, agent, reason string, kind, verdict byte, n uint32, ms, offset int64, yes bool) {
		want := Refined{
			ID: ID{0: byte(n), 15: verdict}, Revision: n, Kind: Kind(kind%12 + 1), Time: min(max(Millis(ms), minMillis), maxMillis),
			Ref:   Ref{Account: account, Contact: contact, Flags: Flags(n) & (Transactional | Anonymous | Shared | Honeypot)},
			First: yes, Inferred: !yes,
			Actor:  Actor{Verdict: Verdict(verdict % 6)},
			Client: Client{UserAgent: agent},
			Origin: Origin{Node: contact, Partition: int32(n >> 1), Offset: offset, N: int32(n >> 2)},
		}
		if want.Actor.Verdict != NoVerdict {
			want.Actor.Reasons, want.Actor.Via = []string{reason}, account
		}
		if yes {
			want.Client.IP = netip.AddrFrom4([4]byte{byte(n), kind, verdict, 1})
		}
		switch want.Kind {
		case Click:
			want.Link, want.URL = n, url
		case Sent:
			want.SentAt = want.Time
		case Complaint:
			want.FeedbackType = reason
		case Bounce, Delay, Delivered:
			want.Bounce = Diagnosis{Hard: yes, Category: reason, Diagnostic: url}
			want.Recipient = contact
		}
		for _, s := range []string{account, contact, url, agent, reason} {
			if !utf8.ValidString(s) {
				return // only what is UTF-8 comes back as it was
			}
		}
		var got Refined
		src := want.AppendJSON(nil)
		if err := got.DecodeJSON(src); err != nil {
			t.Fatalf("%v\n%s", err, src)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("\n got %+v\nwant %+v", got, want)
		}
	})
}

func TestAppendJSONDoesNotAllocate(t *testing.T) {
	click, bounce, alert, raw := fullRefined(), fullBounce(), fullAlert(), fullEvent()
	raw.Body = nil // which is checked before it is shown
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		buf = click.AppendJSON(buf[:0])
		buf = bounce.AppendJSON(buf[:0])
		buf = alert.AppendJSON(buf[:0])
		buf = raw.AppendJSON(buf[:0], 1, at, Source{Node: "edge-1"})
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestEventAppendJSON(t *testing.T) {
	full := fullEvent()
	full.Message, full.URL, full.Key = "m-77123", "https://example.com/a", Key{15: 1}
	src := Source{Node: "edge-1", Incarnation: [16]byte{0xab}, Sequence: 42}
	var got bytes.Buffer
	for i, e := range []Event{full, {Kind: Sent, Ref: Ref{Flags: Untracked | NotSent}, KnownBy: ByKey}, {Kind: Order, Body: []byte("no\n")}, {Kind: Tick, Time: at}} {
		got.Write(append(e.AppendJSON(nil, int64(i), at, src), '\n'))
	}
	want, err := os.ReadFile("testdata/journal.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
	for line := range bytes.Lines(got.Bytes()) {
		if !json.Valid(line) {
			t.Errorf("no JSON: %s", line)
		}
	}
}
