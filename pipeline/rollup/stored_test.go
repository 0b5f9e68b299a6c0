package rollup

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"carom/kv"
	"carom/pipeline/event"
)

func randomEnrollment(rng *rand.Rand) *enrollment {
	e := &enrollment{facts: []fact{}}
	for range rng.IntN(maxFacts + 1) {
		e.add(randomFact(rng, 1+rng.IntN(4)))
	}
	for range rng.IntN(20) * rng.IntN(2) {
		f := randomFact(rng, 1)
		e.gone.add(f.what, f.at, f.category)
		e.gone.addHit(&f)
	}
	for range rng.IntN(20) * rng.IntN(2) {
		f := randomFact(rng, 1)
		e.gone.addHit(&f)
	}
	e.provider = pick(rng, []string{"", "google", "example.com"})
	e.contact = append(e.contact, pick(rng, []string{"", "bob@example.com"})...)
	return e
}

// old returns how version 1 or 2 wrote e, without what those did not have.
func old(version byte, e *enrollment) []byte {
	e.provider, e.contact = "", nil
	for i := range e.facts {
		e.facts[i].category = 0
	}
	e.gone.forget(bouncedSoft) // whose category would be there
	e.gone.forget(bouncedHard)
	e.gone.category = [2]uint8{}
	return append([]byte{version}, e.append(nil)[3:]...)
}

// TestEnrollmentOfVersion2: it told no provider, no contact and no category.
func TestEnrollmentOfVersion2(t *testing.T) {
	rng := newRand(t)
	for range 1000 {
		want := randomEnrollment(rng)
		var got enrollment
		if err := got.decode(old(2, want)); err != nil || !slices.Equal(got.facts, want.facts) || got.gone != want.gone {
			t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
		}
	}
	var got enrollment // with bounces forgotten: seen, two times and no categories
	if err := got.decode([]byte{2, 1<<bouncedSoft | 1<<bouncedHard, 2, 4, 0}); err != nil || got.gone.at[bouncedHard] != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestEnrollmentIsReadAsWritten(t *testing.T) {
	rng := newRand(t)
	used := &enrollment{} // all that it held must be replaced
	for range 5000 {
		want := randomEnrollment(rng)
		value := want.append(nil)
		if err := used.decode(value); err != nil {
			t.Fatalf("%v: %x", err, value)
		}
		if len(want.facts) == 0 && len(used.facts) == 0 {
			used.facts = want.facts
		}
		if string(used.contact) != string(want.contact) {
			t.Fatalf("got %s, want %s", used.contact, want.contact)
		}
		used.contact = want.contact
		if !reflect.DeepEqual(used, want) {
			t.Fatalf("got %+v\nwant %+v", used, want)
		}
	}
}

// TestEnrollmentOfVersion1: what it forgot had no numbers; there was one of each kind at least.
func TestEnrollmentOfVersion1(t *testing.T) {
	rng := newRand(t)
	for range 1000 {
		e := randomEnrollment(rng)
		e.gone.hits, e.gone.until = hits{}, 0
		value := old(1, e)
		want := *e
		want.gone.assumeHits()
		var got enrollment
		if err := got.decode(value); err != nil || !slices.Equal(got.facts, want.facts) || got.gone != want.gone {
			t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
		}
	}
	var gone forgotten
	gone.add(openedHuman, hour0, 0)
	gone.add(clickedMachine, hour0+1, 0)
	gone.add(delivered, hour0+2, 0)
	gone.assumeHits()
	if want := (hits{1, 0, 0, 1}); gone.hits != want || gone.until != hour0+1 {
		t.Errorf("got %v, want %v", gone, want)
	}
	if err := new(enrollment).decode([]byte{1, 1, 1, 1, 1, 1, 0}); err == nil {
		t.Error("version 1 is read with numbers")
	}
}

// TestEnrollmentSize: what the most frequent enrollments take, so that a change shows.
func TestEnrollmentSize(t *testing.T) {
	var e enrollment
	e.add(fact{id: 1, message: hashMessage("m"), what: sent, at: hour0})
	if n := len(e.append(nil)); n > 25 {
		t.Errorf("sent: %d bytes, want at most 25", n)
	}
	e.add(fact{id: 2, message: hashMessage("m"), what: delivered, at: hour0 + 5*second})
	e.add(fact{id: 3, message: hashMessage("m"), what: openedHuman, at: hour0 + hour})
	if n := len(e.append(nil)); n > 46 {
		t.Errorf("sent, delivered, opened: %d bytes, want at most 46", n)
	}
}

func randomRow(rng *rand.Rand) *row {
	r := &row{}
	for range rng.IntN(20) {
		var c counts
		for range 1 + rng.IntN(4) {
			c[rng.IntN(numCounters)] = rng.Int64()>>rng.IntN(63) - rng.Int64N(2)
		}
		r.add(rng.IntN(hourMinutes), &c)
	}
	return r
}

func TestRowIsReadAsWritten(t *testing.T) {
	rng := newRand(t)
	used := &row{}
	for range 5000 {
		want := randomRow(rng)
		value, ok := want.append(nil)
		if used.clear(); !ok {
			continue
		}
		if err := used.addStored(value); err != nil || *used != *want {
			t.Fatalf("got %v, %v, want %v", used, err, want)
		}
		var hour, sum counts
		if err := hour.addStoredHour(value); err != nil {
			t.Fatal(err)
		}
		for i := range want.minutes {
			sum.add(&want.minutes[i])
		}
		if hour != sum {
			t.Fatalf("the hour is %v, the minutes are %v", hour, sum)
		}
	}
	var zero, c counts
	r := &row{}
	r.add(7, &zero)
	c[cSent] = 1
	r.add(8, &c)
	c[cSent] = -1
	r.add(8, &c)
	if value, ok := r.append(nil); ok {
		t.Errorf("a row of zeros is stored: %x", value)
	}
}

func TestMalformedRowsAreRefused(t *testing.T) {
	for _, value := range []string{"\x02", "\x02\x00\x00\x00", "\x02\x00\x3d\x00", "\x02\x00\x02\x00\x02\x00", "\x02\x00\x02\x00\x01\x00", "\x02\x80\x80\x08\x00", "\x02\x00\x01", "\x02\x01"} {
		if err := new(row).addStored([]byte(value)); err == nil {
			t.Errorf("%x is read", value)
		}
	}
}

func TestPositionIsReadAsWritten(t *testing.T) {
	want := position{basis: basis{7, 72 * hour}, next: 1 << 40, origins: map[int32]event.Origin{
		0: {Offset: 5, N: 3}, 31: {Partition: 31, Offset: 1 << 50, N: 1 << 30}, -1: {Partition: -1},
	}}
	var got position
	if err := got.decode(want.append(nil)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestRebuildIsReadAsWritten(t *testing.T) {
	for _, want := range []rebuild{{basis: basis{1, 0}, done: []byte{}}, {basis: basis{2, hour}, done: []byte("a key")}} {
		var got rebuild
		if err := got.decode(want.append(nil)); err != nil || got.basis != want.basis || !bytes.Equal(got.done, want.done) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

func TestNamelessIsReadAsWritten(t *testing.T) {
	for _, want := range []namelessOpen{{}, {true, 1 << 31, hour0, "q\x00"}} {
		var got namelessOpen
		if err := got.decode(want.append(nil)); err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

// TestNewerVersionsAreRefused, and older ones, which never were.
func TestNewerVersionsAreRefused(t *testing.T) {
	for _, format := range []struct {
		name           string
		oldest, newest byte
		decode         func([]byte) error
	}{
		{"enrollment", 1, 3, func(b []byte) error { return new(enrollment).decode(b) }},
		{"cohort row", 3, 3, func(b []byte) error { return new(row).addStored(b) }},
		{"position", 1, 1, func(b []byte) error { return new(position).decode(b) }},
		{"rebuild", 1, 1, func(b []byte) error { return new(rebuild).decode(b) }},
		{"completion", 1, 1, func(b []byte) error { return new(completion).decode(b) }},
		{"nameless open", 1, 1, func(b []byte) error { return new(namelessOpen).decode(b) }},
	} {
		name, decode := format.name, format.decode
		want := fmt.Sprintf("rollup: %s has version %d, this Carom reads %d: use a newer Carom", name, format.newest+1, format.newest)
		if err := decode([]byte{format.newest + 1, 0, 0, 0}); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", name, err)
		}
		want = fmt.Sprintf("rollup: %s has version %d, this Carom reads %d", name, format.oldest-1, format.newest)
		if err := decode([]byte{format.oldest - 1, 0, 0, 0}); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", name, err)
		}
		for v := format.oldest; v <= format.newest; v++ {
			for _, b := range [][]byte{nil, {v, 0x80}, {v, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}} {
				if err := decode(b); err == nil {
					t.Errorf("%s: %x is read", name, b)
				}
			}
		}
	}
}

func TestMalformedScopeIsRefused(t *testing.T) {
	if _, _, err := cutScope(kv.AppendName(kv.AppendName(nil, "a"), "s")); err == nil {
		t.Error("a scope of two names is read")
	}
}

func FuzzEnrollment(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		f.Add(randomEnrollment(rng).append(nil))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var e, again enrollment
		if e.decode(value) != nil {
			return
		}
		if err := again.decode(e.append(nil)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(e.facts, again.facts) || e.gone != again.gone {
			t.Fatalf("got %+v\nthen %+v", e, again)
		}
	})
}

func FuzzRow(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		value, _ := randomRow(rng).append(nil)
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var r, again row
		if r.addStored(value) != nil {
			return
		}
		value, _ = r.append(nil)
		if err := again.addStored(value); err != nil || r != again {
			t.Fatalf("got %v, then %v, %v", r, again, err)
		}
	})
}

func FuzzPosition(f *testing.F) {
	f.Add((&position{basis: basis{1, hour}, next: 7, origins: map[int32]event.Origin{3: {Partition: 3, Offset: 9, N: 1}}}).append(nil))
	f.Fuzz(func(t *testing.T, value []byte) {
		var p, again position
		if p.decode(value) != nil {
			return
		}
		if err := again.decode(p.append(nil)); err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("got %+v, then %+v, %v", p, again, err)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(scope{"a", "s\x00", "q"}.appendAll(nil))
	f.Fuzz(func(t *testing.T, key []byte) {
		s, rest, err := cutScope(key)
		if err != nil {
			return
		}
		if again := append(s.appendAll(nil), rest...); !bytes.Equal(again, key) {
			t.Fatalf("got %q, then %q", key, again)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(cursor{"-score", hour0, 12.5, "s"}.String())
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := parseCursor(text)
		if !ok {
			return
		}
		if again, ok := parseCursor(c.String()); !ok || again.String() != c.String() {
			t.Fatalf("got %+v, then %+v, %v", c, again, ok)
		}
	})
}
