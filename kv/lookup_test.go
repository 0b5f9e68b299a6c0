package kv

import (
	"errors"
	"testing"
)

// A lookup shows one moment until its end, whatever order keys are asked for in.
func TestLookup(t *testing.T) {
	s, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	set := func(key, value string) {
		t.Helper()
		b := s.NewBatch()
		if err := errors.Join(b.Set([]byte(key), []byte(value), nil), s.Commit(b), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	l := s.NewLookup([]byte("b"), []byte("y"))
	want := func(key, want string) {
		t.Helper()
		if got, ok, err := l.Get([]byte(key)); err != nil || string(got) != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v, %v, want %q", key, got, ok, err, want)
		}
	}
	set("ca", "1")
	set("cab", "2")
	if err := s.DB().Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.DB().Compact(t.Context(), []byte("b"), []byte("y"), false); err != nil {
		t.Fatal(err)
	}
	set("d", "3")
	for _, key := range [...]string{"cab", "ca", "d"} {
		want(key, map[string]string{"ca": "1", "cab": "2", "d": "3"}[key])
		want(key+"x", "")
		want("c", "")
	}
	set("ca", "4")
	set("c", "5")
	want("ca", "1")
	want("c", "")
	if err := l.End(); err != nil {
		t.Fatal(err)
	}
	want("ca", "4")
	want("c", "5")
	if err := errors.Join(l.End(), l.End(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Get([]byte("ca")); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
}
