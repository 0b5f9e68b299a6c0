package event

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func bouncedAddress() AddressFact {
	return AddressFact{
		ID: ID{1, 2, 3}, Revision: 2, Kind: Bounce, Time: 1795219200123,
		Ref: Ref{
			Account: "acme", Sender: "alice", Sequence: "q4", Contact: "c-1", Message: "m-1", SentAt: 1795219100000,
			Flags: Transactional,
		},
		Recipient: "Bob@Example.COM",
		Bounce: Diagnosis{
			Hard: true, Category: "invalid_recipient", Status: "5.1.1", ReplyCode: "550", Action: "failed",
			RemoteMTA: "mx.example.com", Diagnostic: `550 "no" such user`, Provider: "google", Rule: "google-5.1.1",
		},
		MailboxProvider: "example.com", Reported: "stranger@example.net", AliveAt: 1795219150000,
		Origin: Origin{Node: "edge-1", Partition: 3, Offset: 77, N: 1},
	}
}

// The form is contract: ADDRESSES.md of package refine describes it.
func TestAddressFactJSON(t *testing.T) {
	f := bouncedAddress()
	const want = `{"id":"` + "aebagaaaaaaaaaaaaaaaaaaaaa" + `","revision":2,"kind":"bounce","time":"2026-11-21T00:00:00.123Z",` +
		`"account":"acme","sender":"alice","sequence":"q4","contact":"c-1","message":"m-1","recipient":"Bob@Example.COM",` +
		`"transactional":true,"sent_at":"2026-11-20T23:58:20.000Z","bounce":{"hard":true,"category":"invalid_recipient",` +
		`"status":"5.1.1","reply_code":"550","action":"failed","recipient":"stranger@example.net","remote_mta":"mx.example.com",` +
		`"diagnostic":"550 \"no\" such user","provider":"google","rule":"google-5.1.1"},"mailbox_provider":"example.com","alive_at":"2026-11-20T23:59:10.000Z",` +
		`"origin":{"node":"edge-1","partition":3,"offset":77,"n":1}}`
	if got := string(f.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string(f.AppendKey([]byte("x"))); got != "xBob@example.com" {
		t.Errorf("key %s", got)
	}
	c := AddressFact{Kind: Complaint, Time: 1795219200123, FeedbackType: "abuse"}
	const short = `{"id":"aaaaaaaaaaaaaaaaaaaaaaaaaa","revision":0,"kind":"complaint","time":"2026-11-21T00:00:00.123Z",` +
		`"account":"","sender":"","sequence":"","contact":"","message":"","feedback_type":"abuse",` +
		`"origin":{"node":"","partition":0,"offset":0,"n":0}}`
	if got := string(c.AppendJSON(nil)); got != short {
		t.Errorf("got  %s\nwant %s", got, short)
	}
	if got := c.AppendKey(nil); len(got) != 0 {
		t.Errorf("key %s", got)
	}
}

func TestAddressFactRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		return []string{"", "x", "a\"b\\c\n", "söß@exämple.com", "\u2028", strings.Repeat("y", 300)}[rng.IntN(6)]
	}
	for range 2000 {
		f := AddressFact{
			ID: ID{byte(rng.Uint32())}, Revision: rng.Uint32(), Kind: Kind(1 + rng.IntN(12)), Time: Millis(rng.Int64N(maxMillis.int())),
			Ref:       Ref{Account: text(), Sender: text(), Sequence: text(), Contact: text(), Message: text(), SentAt: Millis(rng.Int64N(2) * 1000)},
			Recipient: text(), Origin: Origin{text(), rng.Int32(), rng.Int64(), rng.Int32()},
		}
		f.Flags = Flags(rng.IntN(2)) * Transactional
		switch f.Kind {
		case Bounce:
			f.Bounce = Diagnosis{rng.IntN(2) == 0, text(), text(), text(), text(), text(), text(), text(), text()}
			f.MailboxProvider, f.Reported, f.AliveAt = text(), text(), Millis(rng.Int64N(2)*5000)
		case Complaint:
			f.FeedbackType = text()
		}
		b := f.AppendJSON(nil)
		if !json.Valid(b) {
			t.Fatalf("no JSON: %s", b)
		}
		var back AddressFact
		if err := back.DecodeJSON(b); err != nil || !reflect.DeepEqual(back, f) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, back, f)
		}
	}
}

// What only the log of addresses holds.
func TestAddressFactsOfTheirOwn(t *testing.T) {
	const head = `{"id":"aaaaaaaaaaaaaaaaaaaaaaaaaa","revision":0,"kind":"`
	const at, tail = `","time":"2026-11-21T00:00:00.123Z","account":"acme","sender":"","sequence":"","contact":`, `,"origin":{"node":"","partition":0,"offset":0,"n":0}}`
	for _, c := range []struct {
		f    AddressFact
		want string
	}{
		{
			AddressFact{Kind: Order, Recipient: "Bob@Example.COM", Body: []byte(`{"op":"add"}`)},
			head + "order" + at + `"","message":"","recipient":"Bob@Example.COM","body":{"op":"add"}` + tail,
		},
		{
			AddressFact{Kind: Life, Ref: Ref{Contact: "c-1"}, Recipient: "b@example.com", Body: []byte(`{"alive_at":0}`)},
			head + "life" + at + `"c-1","message":"","recipient":"b@example.com","body":{"alive_at":0}` + tail,
		},
		{
			AddressFact{Kind: Contact, ContactKey: ContactKeyOf("acme", "c-1").String()},
			head + "contact" + at + `"","message":"","contact_key":"` + ContactKeyOf("acme", "c-1").String() + `"` + tail,
		},
		{AddressFact{Kind: Volume, Body: []byte(`{"hours":[]}`)}, head + "volume" + at + `"","message":"","body":{"hours":[]}` + tail},
		{AddressFact{Kind: Erase, Ref: Ref{Contact: "c-1"}, Recipient: "b@example.com"}, head + "erase" + at + `"c-1","message":"","recipient":"b@example.com"` + tail},
	} {
		c.f.Time, c.f.Account = 1795219200123, "acme"
		got := c.f.AppendJSON(nil)
		if string(got) != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		var back AddressFact
		if err := back.DecodeJSON(got); err != nil || !reflect.DeepEqual(back, c.f) {
			t.Errorf("%v\ngot  %+v\nwant %+v", err, back, c.f)
		}
	}
}

func (m Millis) int() int64 { return int64(m) }

func TestAddressFactDecodeJSON(t *testing.T) {
	var f AddressFact
	if err := f.DecodeJSON([]byte(`{"later":[{"a":1}],"kind":"unsubscribe","bounce":{"new":2}}`)); err != nil || f.Kind != Unsubscribe {
		t.Errorf("unknown members: %+v, %v", f, err)
	}
	for _, bad := range []string{"", "[]", `{"kind":"alien"}`, `{"id":"x"}`, `{"time":5}`, `{"alive_at":"soon"}`, `{"kind":"sent"}x`} {
		if err := f.DecodeJSON([]byte(bad)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func TestAddressFactAllocations(t *testing.T) {
	f, buf := bouncedAddress(), make([]byte, 0, 2048)
	f.Recipient = "Bob@example.com"
	if n := testing.AllocsPerRun(100, func() { buf = f.AppendJSON(f.AppendKey(buf[:0])) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNormalAddress(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"nobody":                    "nobody",
		"Bob@Example.COM":           "Bob@example.com",
		"bob+tag@example.com.":      "bob+tag@example.com",
		"b.o.b@BÜCHER.example":      "b.o.b@xn--bcher-kva.example",
		"bob@xn--bcher-kva.EXAMPLE": "bob@xn--bcher-kva.example",
		`"a@b"@Example.com`:         `"a@b"@example.com`,
		"söß@example.com":           "söß@example.com",
		"bob@[192.0.2.1]":           "bob@[192.0.2.1]",
		"bob@\x80\xff":              "bob@\ufffd\ufffd",
		"bob@":                      "bob@",
	} {
		if got := NormalAddress(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
		if again := NormalAddress(NormalAddress(in)); again != NormalAddress(in) {
			t.Errorf("%q: twice %q", in, again)
		}
	}
}

func FuzzAddressFactJSON(f *testing.F) {
	seed := bouncedAddress()
	f.Add(seed.AppendJSON(nil))
	f.Add([]byte(`{"kind":"complaint","feedback_type":"not-spam"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a, again AddressFact
		if a.DecodeJSON(b) != nil {
			return
		}
		out := a.AppendJSON(nil)
		if err := again.DecodeJSON(out); a.Kind != 0 && err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
}
