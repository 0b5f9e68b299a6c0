package ref

import (
	"testing"

	"carom/pipeline/event"
)

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
