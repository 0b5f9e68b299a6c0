//go:build !race

// The race detector makes pools forget what they hold, at random, so that allocations can't be counted.

package ref

import (
	"errors"
	"testing"

	"carom/pipeline/event"
)

func TestOpenAllocatesNothing(t *testing.T) {
	k := keyring(t, "1 open", "2 seal")
	token := sealed(t, k, Click, typical)
	var o Opened
	if n := testing.AllocsPerRun(100, func() {
		if err := k.Open(Click, token, &o); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Open with its message key: %v allocations", n)
	}
	token = changed(token, len(token)/2)
	if n := testing.AllocsPerRun(100, func() {
		if err := k.Open(Click, token, &o); !errors.Is(err, ErrForged) {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Open of a forged token: %v allocations", n)
	}
}

func TestAddressesAllocateNothing(t *testing.T) {
	k := keyring(t, "1 seal")
	token := string(k.SealAddress(nil, ReturnPath, event.KeyOf("a", "m")))
	const most = 1 // a pool may be emptied
	if n := testing.AllocsPerRun(100, func() {
		if _, err := k.OpenAddress(ReturnPath, token); err != nil {
			t.Fatal(err)
		}
	}); n > most {
		t.Errorf("%v allocations, want at most %d", n, most)
	}
}

func TestAppendMembersAllocatesNothing(t *testing.T) {
	m := newMinter(t, keyring(t, "1 seal"))
	msg := mintedMessage()
	var buf []byte
	const most = 1 // a pool may be emptied
	if n := testing.AllocsPerRun(100, func() {
		var err error
		if buf, err = m.AppendMembers(buf[:0], &msg); err != nil {
			t.Fatal(err)
		}
	}); n > most {
		t.Errorf("%v allocations, want at most %d", n, most)
	}
}
