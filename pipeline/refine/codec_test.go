package refine

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"carom/pipeline/burst"
	"carom/pipeline/event"
)

func randomState(rng *rand.Rand) *state {
	text := func() string { return strings.Repeat("é\x00x", rng.IntN(5)) }
	s := &state{
		standing: pick(rng, provisional, registered, enrollment),
		ref: event.Ref{
			Account: text(), Sender: text(), Sequence: text(), Contact: text(), Message: text(),
			SentAt: event.Millis(rng.Int64N(maxMillis)), Flags: event.Flags(rng.Uint32()),
		},
		recipient: text(), links: rng.Uint32(),
		recorded: kindSet(rng.Uint32N(allKinds + 1)),
		events:   rng.Uint32N(maxTimelineHits + 1), facts: rng.Uint32N(maxTimelineFacts + 1), truncated: rng.IntN(2) == 0,
	}
	for range rng.IntN(int(numMarks)) {
		s.marks.add(mark(rng.IntN(int(numMarks))), event.Millis(rng.Int64N(maxMillis)))
	}
	at := event.Millis(0)
	coin := func() bool { return rng.IntN(2) == 0 }
	for range rng.IntN(maxHits + 1) {
		at += event.Millis(rng.Int64N(1 << 40))
		h := burst.Hit{
			ID: randomID(rng), Time: at, Kind: pick(rng, event.Open, event.Click), Link: pick(rng, 0, rng.Uint32()),
			Client: pick(rng, 0, rng.Uint64()), Address: pick(rng, 0, rng.Uint64()),
			Verdict: event.Verdict(rng.UintN(6)), Hints: pick(rng, 0, burst.AcceptNoHTML),
			Soon:     pick(rng, event.Soon{}, event.Soon{Within: 60_000, Verdict: event.Unknown}),
			Honeypot: coin(), Fixed: coin(),
			Final: burst.Verdict{Verdict: event.Verdict(rng.UintN(6)), Reasons: burst.Reasons(rng.UintN(1 << 12)), Repeat: coin(), First: coin()},
		}
		s.hits = append(s.hits, h)
		s.tellings = append(s.tellings, telling{
			told: rng.Uint32N(300), waiting: coin(), stands: coin(), kept: coin(), gone: coin(), nameless: coin(), anonymous: coin(),
		})
	}
	for range rng.IntN(maxFirsts + 1) {
		f := first{time: event.Millis(rng.Int64N(maxMillis)), id: randomID(rng), holds: coin()}
		s.setFirst(event.Kind(1+rng.IntN(maxFirsts)), f)
	}
	if coin() {
		s.horizon, s.opened = at, at/2
		s.inferred = inferred{told: 1 + rng.Uint32N(5), stands: coin(), kept: coin(), time: at, cause: pick(rng, event.Click, event.Reply)}
	}
	return s
}

func randomID(rng *rand.Rand) (id event.ID) {
	for i := range id {
		id[i] = byte(rng.Uint32())
	}
	return id
}

func TestStateRoundTrip(t *testing.T) {
	rng := seeded(t)
	for range 500 {
		s, back := randomState(rng), &state{}
		b := s.append(nil)
		if err := back.decode(b); err != nil {
			t.Fatalf("%v: %+v", err, s)
		}
		if !reflect.DeepEqual(s, back) {
			t.Fatalf("got  %+v\nwant %+v", back, s)
		}
		cut := b[:rng.IntN(len(b))]
		if err := (&state{}).decode(cut); !errors.Is(err, errDamaged) {
			t.Fatalf("%d of %d bytes: %v", len(cut), len(b), err)
		}
		if err := (&state{}).decode(append(b, 0)); !errors.Is(err, errDamaged) {
			t.Fatalf("a byte too many: %v", err)
		}
	}
}

func TestMetaRoundTrip(t *testing.T) {
	for _, m := range []meta{{}, {1, 2, 3, 4, 5}, {math.MaxInt64, math.MaxInt32, math.MaxInt32, maxMillis, math.MaxInt32}} {
		var back meta
		if err := back.decode(m.append(nil)); err != nil || back != m {
			t.Errorf("%+v: %+v, %v", m, back, err)
		}
	}
	bad := meta{offset: -1}
	if err := new(meta).decode(bad.append(nil)); !errors.Is(err, errDamaged) {
		t.Errorf("a negative offset: %v", err)
	}
}

// The state of a Carom that knew no log of addresses goes on.
func TestMetaFormat1(t *testing.T) {
	old := []byte{1, 0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1, 0}
	var m meta
	if err := m.decode(old); err != nil || m != (meta{offset: 77, events: 2, rejects: 3, logTime: 256}) {
		t.Errorf("got %+v, %v", m, err)
	}
	for _, b := range [][]byte{old[:24], append(old[:25:25], 0), m.append(nil)[:25]} {
		if err := m.decode(b); !errors.Is(err, errDamaged) {
			t.Errorf("%x: %v", b, err)
		}
	}
}

func TestFactRoundTrip(t *testing.T) {
	e := hitAt(epoch, event.Click, "m1")
	f := &fact{
		source:  event.Source{Node: "n1", Incarnation: [16]byte{1, 2}, Sequence: 77},
		logTime: epoch + 5, offset: 9, raw: e.AppendBinary(nil),
	}
	b := f.append(nil)
	back, err := decodeFact(b, 9)
	if err != nil {
		t.Fatal(err)
	}
	f.Event = e
	if !reflect.DeepEqual(f, back) {
		t.Errorf("got  %+v\nwant %+v", back, f)
	}
	for n := range b {
		if _, err := decodeFact(b[:n], 9); err == nil && n < len(b)-len(f.raw)+1 {
			t.Errorf("%d of %d bytes are a fact", n, len(b))
		}
	}
}

// A time that is none must not reach the state, which could not be read back.
func TestFactMendsTimes(t *testing.T) {
	for _, bad := range []event.Millis{0, -1, math.MinInt64, maxMillis + 1, math.MaxInt64} {
		e := hitAt(bad, event.Open, "m1")
		e.SentAt = bad
		f := fact{logTime: epoch, raw: e.AppendBinary(nil)}
		if err := f.decode(); err != nil || f.Time != epoch || f.SentAt != 0 {
			t.Errorf("time %d: %d, sent at %d, %v", bad, f.Time, f.SentAt, err)
		}
	}
}

// What a newer Carom wrote is refused by name, and what nobody wrote is called damaged.
func TestFormats(t *testing.T) {
	decoders := map[string]func([]byte) error{
		"meta":          func(b []byte) error { return new(meta).decode(b) },
		"message state": func(b []byte) error { return new(state).decode(b) },
		"waiting fact":  func(b []byte) error { _, err := decodeFact(b, 0); return err },
		"source":        func(b []byte) error { return (&sources{}).decode(nil, b) },
	}
	for what, decode := range decoders {
		for _, b := range [][]byte{{}, {0}, {0, 1, 2}} {
			if err := decode(b); !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), what) {
				t.Errorf("%s %x: %v", what, b, err)
			}
		}
		if err := decode([]byte{9, 1}); err == nil || !strings.Contains(err.Error(), "newer") || errors.Is(err, errDamaged) {
			t.Errorf("%s of format 9: %v", what, err)
		}
	}
}

func FuzzState(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		f.Add(randomState(rng).append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &state{}
		if s.decode(b) != nil {
			return
		}
		s.format1 = false // upgraded
		// What is read is written in one way, and read back as the same.
		again := &state{}
		out := s.append(nil)
		if err := again.decode(out); err != nil || !reflect.DeepEqual(s, again) {
			t.Fatalf("%v: %+v, then %+v", err, s, again)
		}
		if !bytes.Equal(again.append(nil), out) {
			t.Fatal("one state has two forms")
		}
		_ = s.marks.status(true)
	})
}

func FuzzWaiting(f *testing.F) {
	e := hitAt(epoch, event.Click, "m1")
	fa := &fact{source: event.Source{Node: "n1"}, logTime: epoch, raw: e.AppendBinary(nil)}
	f.Add(fa.append(nil), meta{1, 2, 3, 4, 5}.append(nil))
	f.Fuzz(func(t *testing.T, b, m []byte) {
		if fa, err := decodeFact(b, 1); err == nil {
			if back, err := decodeFact(fa.append(nil), 1); err != nil || !reflect.DeepEqual(back, fa) {
				t.Fatalf("%v: %+v, then %+v", err, fa, back)
			}
		}
		_, _ = decodeParked(event.Key{}, 1, b)
		var mt meta
		if mt.decode(m) == nil && m[0] == metaFormat && !bytes.Equal(mt.append(nil), m) {
			t.Fatal("one meta has two forms")
		}
		_, _ = readTimer(b)
		_, _, _ = readParked(b)
	})
}
