package event

import (
	"strings"
	"testing"
)

func TestParseID(t *testing.T) {
	id := ID{0: 1, 7: 0xfe, 15: 0xff}
	text := id.String()
	if len(text) != 26 || strings.Trim(text, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		t.Fatalf("text %q", text)
	}
	if got, err := ParseID(text); err != nil || got != id {
		t.Errorf("got %v, %v", got, err)
	}
	for _, s := range []string{
		"", text[:25], text + "a", strings.ToUpper(text), text[:25] + "=", text[:25] + "\n", "\n" + text[1:], text[:25] + "b", strings.Repeat("1", 26),
	} {
		if got, err := ParseID(s); err == nil {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}

// The ids are published and kept by consumers: they must never change.
func TestIdentityGolden(t *testing.T) {
	e := Event{
		Kind: Bounce, Key: KeyOf("acme", "m-1"), Recipient: "bob@example.com",
		Bounce: Diagnosis{Status: "5.1.1"}, Mail: Mail{ID: "r-1"},
	}
	for _, c := range []struct {
		kind Kind
		want string
	}{
		{Sent, "6h5jcogku3bqvpwkp7mnyygqzq"},
		{Bounce, "m35nry2immrl7wylwcvlibcoqe"},
		{Delay, "fyfvk746lag42ewoxyfys3gimi"},
		{Reply, "dsdmhlfcl4rrqqwst5ykxibz4e"},
	} {
		e.Kind = c.kind
		if id, ok := IdentityOf(&e); !ok || id.String() != c.want {
			t.Errorf("%v: got %v, %v, want %s", c.kind, id, ok, c.want)
		}
	}
	if got := HitID(Source{Node: "edge-1", Incarnation: [16]byte{1, 2}, Sequence: 3}).String(); got != "pjclpcdubtixeustruqrmpr7pq" {
		t.Errorf("hit: got %s", got)
	}
}

func TestIdentityTellsFactsApart(t *testing.T) {
	base := Event{
		Key: KeyOf("acme", "m-1"), Time: 1, Recipient: "bob@example.com",
		Bounce: Diagnosis{Status: "5.1.1"}, Mail: Mail{ID: "r-1"},
	}
	message := func(e *Event) { e.Key = KeyOf("acme", "m-2") }
	recipient := func(e *Event) { e.Recipient = "eve@example.com" }
	status := func(e *Event) { e.Bounce.Status = "5.2.2" }
	mail := func(e *Event) { e.Mail.ID = "r-2" }
	localPart := func(e *Event) { e.Recipient = "Bob@example.com" }
	moved := func(e *Event) { e.Recipient, e.Bounce.Status = "bob@example.com5", ".1.1" }

	domainCase := func(e *Event) { e.Recipient = "bob@EXAMPLE.com" }
	later := func(e *Event) { e.Time = 2; e.Bounce.Diagnostic = "x"; e.Mail.From = "y"; e.Contact = "z" }
	type change = func(*Event)
	for _, c := range []struct {
		kinds           []Kind
		differ, theSame []change
	}{
		{[]Kind{Sent, Unsubscribe, Dropped, Completed}, []change{message}, []change{recipient, status, mail, later}},
		{[]Kind{Delivered}, []change{message, recipient, localPart}, []change{status, mail, later, domainCase}},
		{[]Kind{Bounce}, []change{message, recipient, status, localPart, moved}, []change{mail, later, domainCase}},
		{[]Kind{Delay}, []change{message, recipient, mail}, []change{status, later, domainCase}},
		{[]Kind{Reply, AutoReply, Complaint}, []change{message, mail}, []change{recipient, status, later}},
	} {
		for _, k := range c.kinds {
			e := base
			e.Kind = k
			want, ok := IdentityOf(&e)
			if !ok {
				t.Fatalf("%v has no identity", k)
			}
			for i, f := range c.differ {
				d := e
				if f(&d); mustIdentity(t, &d) == want {
					t.Errorf("%v: change %d of those that make another fact gives the same id", k, i)
				}
			}
			for i, f := range c.theSame {
				d := e
				if f(&d); mustIdentity(t, &d) != want {
					t.Errorf("%v: change %d of those that don't matter gives another id", k, i)
				}
			}
			other := e
			other.Kind = k%Completed + 1
			for other.Kind == Open || other.Kind == Click {
				other.Kind++
			}
			if mustIdentity(t, &other) == want {
				t.Errorf("%v and %v have one id", k, other.Kind)
			}
		}
	}
	for _, k := range []Kind{Open, Click, Tick, 0, 99} {
		if _, ok := IdentityOf(&Event{Kind: k}); ok {
			t.Errorf("kind %d has an identity", k)
		}
	}
}

func mustIdentity(t *testing.T, e *Event) ID {
	t.Helper()
	id, ok := IdentityOf(e)
	if !ok {
		t.Fatalf("%v has no identity", e.Kind)
	}
	return id
}

func TestHitIDTellsSourcesApart(t *testing.T) {
	a := Source{Node: "edge-1", Incarnation: [16]byte{1}, Sequence: 7}
	b, c, d := a, a, a
	b.Sequence, c.Incarnation, d.Node = 8, [16]byte{2}, "renamed"
	if HitID(a) == HitID(b) || HitID(a) == HitID(c) {
		t.Error("two hits have one id")
	}
	if HitID(a) != HitID(d) {
		t.Error("the id depends on the node's name, which can change")
	}
}

func TestFoldDomain(t *testing.T) {
	for in, want := range map[string]string{
		"Bob@Example.COM": "Bob@example.com", "bob@example.com": "bob@example.com", "a@B@C.com": "a@B@c.com",
		"": "", "no-address": "no-address", "x@BÜCHER.example": "x@bücher.example",
	} {
		if got := FoldDomain(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
