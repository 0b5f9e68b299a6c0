package kv

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestNamesSortAndEnd(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	names := []string{"", "\x00", "\x00\x01", "\x00\xff", "\x01", "a", "a\x00", "a\x00\x01", "a\x00b", "a\x01", "ab", "b", "\xff", "\xff\x00"}
	for range 300 {
		b := make([]byte, rng.IntN(4))
		for i := range b {
			b[i] = [...]byte{0, 1, 2, 'a', 0xff}[rng.IntN(5)]
		}
		names = append(names, string(b))
	}
	for _, a := range names {
		rest := "\x00\x01rest"
		got, left, err := CutName(append(AppendName(nil, a), rest...))
		if err != nil || got != a || string(left) != rest {
			t.Fatalf("%q: got %q, %q, %v", a, got, left, err)
		}
		for _, b := range names {
			if got, want := bytes.Compare(AppendName(nil, a), AppendName(nil, b)), strings.Compare(a, b); got != want {
				t.Fatalf("%q and %q: keys compare as %d, names as %d", a, b, got, want)
			}
		}
	}
}

func TestMalformedNamesAreRefused(t *testing.T) {
	for _, key := range []string{"", "a", "a\x00", "a\x00\x02", "a\x00\xff", "a\x00\xff\x00"} {
		if name, _, err := CutName([]byte(key)); err == nil {
			t.Errorf("%q: got %q", key, name)
		}
	}
}
