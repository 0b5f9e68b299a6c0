package event

import (
	"errors"
	"testing"
)

func TestPeek(t *testing.T) {
	key := KeyOf("acme", "m-1")
	for _, e := range []Event{
		{},
		{Kind: Tick},
		{Kind: Click, Time: 1, Key: key, KnownBy: ByRef, Ref: Ref{Account: "acme", Message: "m-1"}},
		{Kind: Bounce, Key: PartialKey("m-1"), Recipient: "bob@example.com"},
	} {
		got, kind, err := Peek(e.AppendBinary(nil))
		if err != nil || got != e.Key || kind != e.Kind {
			t.Errorf("got %v, %v, %v; want %v, %v", got, kind, err, e.Key, e.Kind)
		}
	}
	for _, bad := range []string{"", "\x00", "\x02", "\x01\x08", "\x01\x08\xff\x7f", "\x01\x1a\x01x", "\x01\x1a\x11x", "\x01\x18\x01", "\x01\x0a\x01x"} {
		if _, _, err := Peek([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: got %v, want ErrMalformed", bad, err)
		}
	}
	e := Event{Kind: Click, Time: 1, Key: key, Client: Client{UserAgent: "long"}}
	b := e.AppendBinary(nil)
	if n := testing.AllocsPerRun(10, func() { _, _, _ = Peek(b) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// Whatever DecodeBinary reads, Peek reads, and in what AppendBinary wrote it sees the same.
func FuzzPeek(f *testing.F) {
	e := Event{Kind: Click, Time: 1, Key: KeyOf("acme", "m-1"), Ref: Ref{Account: "acme"}}
	f.Add(e.AppendBinary(nil))
	f.Add([]byte{1, 8, 255, 1})
	f.Fuzz(func(t *testing.T, src []byte) {
		_, _, peeked := Peek(src)
		var e Event
		if e.DecodeBinary(src) != nil {
			return
		}
		if peeked != nil {
			t.Fatalf("%x can be decoded, but Peek says %v", src, peeked)
		}
		key, kind, err := Peek(e.AppendBinary(nil))
		if err != nil || key != e.Key || kind != e.Kind {
			t.Fatalf("%x: got %v, %v, %v; want %v, %v", src, key, kind, err, e.Key, e.Kind)
		}
	})
}
