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

func BenchmarkOpen(b *testing.B) {
	k := keyring(b, "1 seal")
	for _, c := range []struct {
		name string
		p    Purpose
	}{{"pixel", OpenPixel}, {"click", Click}} {
		b.Run(c.name, func(b *testing.B) {
			token := sealed(b, k, c.p, typical)
			b.SetBytes(int64(len(token)))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var o Opened
				for pb.Next() {
					if err := k.Open(c.p, token, &o); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	k := keyring(b, "1 seal")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var buf []byte
		var err error
		for pb.Next() {
			if buf, err = k.Seal(buf[:0], Click, &typical); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpenAddress(b *testing.B) {
	k := keyring(b, "1 seal")
	token := string(k.SealAddress(nil, ReturnPath, event.KeyOf("acme", typical.Message)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.OpenAddress(ReturnPath, token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKeyOf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		event.KeyOf(typical.Account, typical.Message)
	}
}

func BenchmarkMint(b *testing.B) {
	m, err := NewMinter(keyring(b, "1 seal"), MinterOptions{"https://track.example.com", "b.example.com", "r.example.com"})
	if err != nil {
		b.Fatal(err)
	}
	msg := Message{Ref: typical, Links: []string{typical.URL, "https://example.com/", "https://example.com/imprint"}}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var buf []byte
		for pb.Next() {
			var err error
			if buf, err = m.AppendMembers(buf[:0], &msg); err != nil {
				b.Fatal(err)
			}
		}
	})
}
