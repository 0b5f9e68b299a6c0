package ref

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"carom/pipeline/event"
)

const noon = event.Millis(1795262400000)

func sealMarks(k *Keyring, senders ...string) string {
	var m Marks
	for _, s := range senders {
		m.Add("acme", s, noon, time.Hour)
	}
	return string(k.SealMarks(nil, &m))
}

func TestMarks(t *testing.T) {
	k := keyring(t, vectorKeys...)
	text := sealMarks(k, "alice", "bob")
	if strings.Contains(text, "alice") || len(text) > maxMarksText {
		t.Errorf("the cookie is %q", text)
	}
	var m Marks
	if err := k.OpenMarks([]byte(text), noon, &m); err != nil || m.Len() != 2 {
		t.Fatalf("%d marks, %v", m.Len(), err)
	}
	for _, c := range []struct {
		account, sender string
		want            bool
	}{
		{"acme", "alice", true},
		{"acme", "bob", true},
		{"acme", "carol", false},
		{"other", "alice", false},
		{"acm", "ealice", false},
		{"", "", false},
	} {
		if m.Has(c.account, c.sender) != c.want {
			t.Errorf("%s of %s: want %v", c.sender, c.account, c.want)
		}
	}
	m.Remove("acme", "alice")
	m.Remove("acme", "carol")
	if m.Has("acme", "alice") || !m.Has("acme", "bob") || m.Len() != 1 {
		t.Errorf("after removing alice: %d", m.Len())
	}
}

// Each sender's mark ends by itself; of too many, the one that ends first goes.
func TestMarksEnd(t *testing.T) {
	k := keyring(t, "1 seal")
	var m Marks
	for i := range MaxMarks + 1 {
		lasts := time.Duration(i+1) * time.Hour
		if i == 3 {
			lasts = time.Minute // the first to go
		}
		m.Add("acme", fmt.Sprint(i), noon, lasts)
	}
	m.Add("acme", "1", noon, 2*time.Hour) // again is once
	if m.Len() != MaxMarks || m.Has("acme", "3") || !m.Has("acme", "8") {
		t.Fatalf("%d marks", m.Len())
	}
	text := k.SealMarks(nil, &m)
	if len(text) != maxMarksText {
		t.Errorf("%d characters, want %d", len(text), maxMarksText)
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 8}, {time.Hour - time.Second, 8}, {time.Hour, 7}, {5 * time.Hour, 4}, {9 * time.Hour, 0}} {
		if err := k.OpenMarks(text, noon.Add(c.after), &m); err != nil || m.Len() != c.want {
			t.Errorf("after %s: %d marks, %v; want %d", c.after, m.Len(), err, c.want)
		}
	}
}

// Every key that opens does, so that a new key takes no mark away.
func TestMarksRotate(t *testing.T) {
	text := []byte(sealMarks(keyring(t, "7 seal"), "alice"))
	var m Marks
	if err := keyring(t, "7 open", "8 seal").OpenMarks(text, noon, &m); err != nil || !m.Has("acme", "alice") {
		t.Errorf("after a rotation: %v", err)
	}
	if err := keyring(t, "7 retired", "8 seal").OpenMarks(text, noon, &m); !errors.Is(err, ErrRetired) || m.Len() != 0 {
		t.Errorf("of a retired key: %v", err)
	}
	if err := keyring(t, "8 seal").OpenMarks(text, noon, &m); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("of an unknown key: %v", err)
	}
}

func TestMarksRefused(t *testing.T) {
	k := keyring(t, "1 seal")
	good := sealMarks(k, "alice")
	raw, err := urlText.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	r := typical
	token, err := k.Seal(nil, Self, &r)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":          {"", ErrMalformed},
		"too short":        {text64(raw[:minToken]), ErrMalformed},
		"half a mark":      {text64(raw[:len(raw)-1]), ErrMalformed},
		"too long":         {strings.Repeat("A", maxMarksText+1), ErrMalformed},
		"a line break":     {good[:20] + "\n" + good[20:len(good)-1], ErrMalformed},
		"another alphabet": {"!" + good[1:], ErrMalformed},
		"another version":  {text64(reheaded(raw, 2, 1)), ErrVersion},
		"changed":          {text64(flipped(raw, sealedAt, 1)), ErrForged},
		"another nonce":    {text64(flipped(raw, nonceAt, 1)), ErrForged},
		"a self token":     {string(token), nil},
	} {
		var m Marks
		m.Add("acme", "alice", noon, time.Hour)
		err := k.OpenMarks([]byte(c.text), noon, &m)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || m.Len() != 0 {
			t.Errorf("%s: %d marks, %v; want %v", name, m.Len(), err, c.want)
		}
	}
	// And a cookie is no token.
	if err := k.Open(Self, []byte(good), new(Opened)); !errors.Is(err, ErrForged) {
		t.Errorf("a cookie as a token: %v", err)
	}
}

func TestSelfURL(t *testing.T) {
	k := keyring(t, "1 seal")
	m, err := NewMinter(k, mintOptions)
	if err != nil {
		t.Fatal(err)
	}
	url, err := m.SelfURL("", "alice")
	if err != nil {
		t.Fatal(err)
	}
	token, ok := strings.CutPrefix(url, mintOptions.TrackBaseURL+"/self/")
	var o Opened
	if err := k.Open(Self, []byte(token), &o); !ok || err != nil || o.Ref != (event.Ref{Account: "default", Sender: "alice"}) || o.Key != (event.Key{}) {
		t.Errorf("%s: %+v, %v", url, o.Ref, err)
	}
	if url, err := m.SelfURL("acme", ""); !errors.Is(err, ErrInvalid) || url != "" {
		t.Errorf("without a sender: %q, %v", url, err)
	}
}

// Who comes with a cookie costs no memory either.
func TestMarksAllocateNothing(t *testing.T) {
	k := keyring(t, "1 seal")
	text := []byte(sealMarks(k, "alice", "bob", "carol"))
	m := new(Marks)
	if n := testing.AllocsPerRun(100, func() {
		if k.OpenMarks(text, noon, m) != nil || !m.Has("acme", "carol") {
			t.Error("carol's mark is gone")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzOpenMarks(f *testing.F) {
	k := keyring(f, "1 seal")
	f.Add([]byte(sealMarks(k, "alice")))
	f.Add([]byte(strings.Repeat("A", maxMarksText)))
	f.Fuzz(func(t *testing.T, text []byte) {
		var m Marks
		if err := k.OpenMarks(text, noon, &m); err == nil && !m.Has("acme", "alice") {
			t.Fatalf("opened %q", text)
		}
	})
}
