package event

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// fullEvent has a value in every field, strings that are no UTF-8 among them.
func fullEvent() Event {
	return Event{
		Kind: Click, Time: 1795455903120, Key: KeyOf("acme", "m-77123"), KnownBy: ByRef,
		Ref: Ref{
			Account: "acme", Sender: "alice", Sequence: "q4", Contact: "c-9812", Message: "m-77123\x00\xff",
			Link: 2, URL: "https://example.com/a?b=ü&c#d", SentAt: 1795455000000, Flags: Transactional | Honeypot,
		},
		Recipient: "bob@example.com",
		Links:     []string{"https://example.com/", "", "https://example.com/a"},
		Actor:     Actor{Verdict: Scanner, Reasons: []string{"agent_scanner", "empty"}, Via: "gmail"},
		Client:    Client{IP: netip.MustParseAddr("203.0.113.7"), UserAgent: "Mozilla/5.0 \"x\"", Hash: 1<<63 | 7, AddressHash: 1<<63 | 9},
		Soon:      Soon{Within: 600_000, Verdict: Scanner},
		Bounce: Diagnosis{
			Hard: true, Category: "invalid_recipient", Status: "5.1.1", ReplyCode: "550", Action: "failed",
			RemoteMTA: "mx.example.net", Diagnostic: "no such user\r\n", Provider: "google", Rule: "google-5.1.1",
		},
		Body: []byte(`{"op": "add"}`),
		Mail: Mail{ID: "r-1@example.net", From: "bob@example.com", FeedbackType: "abuse", ReplyAddress: true, References: true},
	}
}

func TestBinaryRoundTrip(t *testing.T) {
	full := fullEvent()
	// A field that fullEvent forgets would be tested by nothing.
	checkFilled(t, reflect.ValueOf(full), "Event")

	six, mapped := full, full
	six.Client.IP = netip.MustParseAddr("2001:db8::1")
	mapped.Client.IP = netip.MustParseAddr("::ffff:203.0.113.7")
	past := Event{Kind: Sent, Time: -1, Ref: Ref{SentAt: -1 << 63}}
	for name, want := range map[string]Event{"full": full, "ipv6": six, "mapped": mapped, "zero": {}, "past": past} {
		got := fullEvent() // all of it must be replaced
		if err := got.DecodeBinary(want.AppendBinary(nil)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}

	zoned := Event{Client: Client{IP: netip.MustParseAddr("fe80::1%eth0")}}
	var got Event
	if err := got.DecodeBinary(zoned.AppendBinary(nil)); err != nil || got.Client.IP != netip.MustParseAddr("fe80::1") {
		t.Errorf("zone: got %v, %v", got.Client.IP, err)
	}
}

func checkFilled(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	if v.IsZero() {
		t.Errorf("%s has no value in the test's event", path)
	}
	if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[netip.Addr]() {
		for i := range v.NumField() {
			checkFilled(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	}
}

func TestBinaryIsIndependentOfItsSource(t *testing.T) {
	want := fullEvent()
	src := want.AppendBinary(nil)
	var got Event
	if err := got.DecodeBinary(src); err != nil {
		t.Fatal(err)
	}
	clear(src)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the event changed with the bytes it was read from:\n got %+v\nwant %+v", got, want)
	}
}

// The bytes that a released Carom has written must stay readable: this record is one of format 1.
func TestBinaryGolden(t *testing.T) {
	const stored = "\x01" + "\x08\x04" + "\x10\xe8\x07" + "\x1a\x10ABCDEFGHIJKLMNOP" + "\x20\x01" +
		"\x2a\x01a" + "\x32\x01s" + "\x4a\x01m" + "\x50\x03" + "\x6a\x04\x01\x02\x03\x04" + "\x78\x01" +
		"\x89\x01\x01\x00\x00\x00\x00\x00\x00\x00" + "\x92\x01\x01r" + "\x9a\x01\x01x" + "\xa2\x01\x01y" + "\xb0\x01\x01" + "\x90\x02\x01"
	want := Event{
		Kind: Click, Time: 1000, Key: Key([]byte("ABCDEFGHIJKLMNOP")), KnownBy: ByRef,
		Ref:       Ref{Account: "a", Sender: "s", Message: "m", Link: 3},
		Recipient: "r", Links: []string{"x"}, Actor: Actor{Verdict: Human, Reasons: []string{"y"}},
		Client: Client{IP: netip.AddrFrom4([4]byte{1, 2, 3, 4}), Hash: 1},
		Bounce: Diagnosis{Hard: true}, Mail: Mail{References: true},
	}
	if got := string(want.AppendBinary(nil)); got != stored {
		t.Errorf("stored form changed:\n got %q\nwant %q", got, stored)
	}
	var got Event
	if err := got.DecodeBinary([]byte(stored)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBinarySkipsWhatALaterCaromAdds(t *testing.T) {
	want := Event{Kind: Open, Ref: Ref{Sender: "alice"}}
	b := want.AppendBinary(nil)
	b = protowire.AppendVarint(protowire.AppendTag(b, 900, protowire.VarintType), 7)
	b = protowire.AppendString(protowire.AppendTag(b, 901, protowire.BytesType), "new")
	b = protowire.AppendFixed32(protowire.AppendTag(b, 902, protowire.Fixed32Type), 7)
	var got Event
	if err := got.DecodeBinary(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBinaryRefuses(t *testing.T) {
	varint := func(n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag([]byte{1}, n, protowire.VarintType), v)
	}
	text := func(n protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag([]byte{1}, n, protowire.BytesType), s)
	}
	for _, c := range []struct {
		name string
		src  []byte
		want string
	}{
		{"empty", nil, "event: malformed record: empty"},
		{"format 0", []byte{0}, "event: malformed record: format 0"},
		{"newer", []byte{2, 0xff}, "event: record of format 2, this Carom reads 1"},
		{"huge", make([]byte, MaxBinaryBytes+1), "at most 4194304 are allowed"},
		{"cut tag", []byte{1, 0x80}, "tag"},
		{"field 0", []byte{1, 0x00, 0x00}, "tag"},
		{"cut varint", []byte{1, 0x08, 0x80}, "field 1"},
		{"cut text", []byte{1, 0x2a, 0x05, 'a'}, "field 5"},
		{"kind too big", varint(fieldKind, 256), "field 1: value out of range"},
		{"link too big", varint(fieldLink, 1<<32), "field 10: value out of range"},
		{"flag 2", varint(fieldHard, 2), "field 22: value out of range"},
		{"short key", text(fieldKey, "short"), "field 3: value out of range"},
		{"ip of 5 bytes", text(fieldIP, "12345"), "field 13: value out of range"},
		{"text as number", varint(fieldAccount, 1), "field 5: wrong wire type"},
		{"body too long", text(fieldBody, strings.Repeat("x", MaxBodyBytes+1)), "field 39: value out of range"},
		{"number as text", text(fieldKind, "x"), "field 1: wrong wire type"},
		{"key as number", varint(fieldKey, 1), "field 3: wrong wire type"},
		{"hash as text", text(fieldClientHash, "12345678"), "field 17: wrong wire type"},
	} {
		var e Event
		err := e.DecodeBinary(c.src)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if newer := c.name == "newer"; errors.Is(err, ErrMalformed) == newer {
			t.Errorf("%s: is malformed: %v", c.name, !newer)
		}
	}
}

func FuzzBinary(f *testing.F) {
	full := fullEvent()
	f.Add(full.AppendBinary(nil))
	f.Add([]byte{1})
	f.Add([]byte{1, 0x08, 0x03, 0x1a, 0x01})
	f.Fuzz(func(t *testing.T, src []byte) {
		var e, again Event
		if e.DecodeBinary(src) != nil {
			return
		}
		b := e.AppendBinary(nil)
		if err := again.DecodeBinary(b); err != nil {
			t.Fatalf("%q was read, but not what was written of it: %v", src, err)
		}
		if !reflect.DeepEqual(e, again) {
			t.Fatalf("%q:\nfirst %+v\nthen  %+v", src, e, again)
		}
	})
}

func TestAppendBinaryDoesNotAllocate(t *testing.T) {
	e := fullEvent()
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = e.AppendBinary(buf[:0]) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
