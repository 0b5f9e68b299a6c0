package pipeline

import (
	"sync/atomic"
	"testing"

	"carom/pipeline/event"
)

func BenchmarkHit(b *testing.B) {
	a, _ := newAcceptor(b, Default(), discard{})
	b.Run("recorded", func(b *testing.B) {
		var messages atomic.Uint32
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			ev, req := open(start), from("203.0.113.77", browser)
			for pb.Next() {
				ev.Link = messages.Add(1)
				if err := a.Hit(&ev, &req); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("repeat", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			ev, req := open(start), from("203.0.113.78", browser)
			for pb.Next() {
				if err := a.Hit(&ev, &req); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkSipHash(b *testing.B) {
	text := []byte("0123456789abcdef" + browser)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		sipKey{1, 2}.hash(text)
	}
}

func BenchmarkRepeats(b *testing.B) {
	r := newRepeats(1<<17, Default().Repeat)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		p := numbered(i)
		if !r.seen(p, start+event.Millis(i/100)) {
			r.add(p, start+event.Millis(i/100))
		}
	}
}
