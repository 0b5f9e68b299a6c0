package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"carom/kv"
	"carom/pipeline/event"
)

// pixel is an open as the pixel handler makes it.
func pixel() *event.Event {
	return &event.Event{
		Kind: event.Open, Time: event.Now(), Key: event.Key{1, 2, 3, 4, 5, 6, 7, 8}, KnownBy: event.ByRef,
		Ref: event.Ref{
			Account: "acme", Sender: "alice", Sequence: "q4", Contact: "c-9812",
			Message: "m-77123@mail.example.com", SentAt: event.Now(),
		},
		Actor:  event.Actor{Verdict: event.Proxy, Reasons: []string{"image_proxy"}, Via: "gmail"},
		Client: event.Client{UserAgent: "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", Hash: 1 << 60},
	}
}

// timing runs append on n goroutines.
func timing(b *testing.B, n int, append func() error) {
	e := pixel()
	b.SetBytes(int64(len(e.AppendBinary(nil))))
	b.ReportAllocs()
	b.SetParallelism(max(1, n/runtime.GOMAXPROCS(0)))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := append(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkAppend compares the journal with a bare file, which is what a disk can give, and with one Commit(Sync) a
// request, which is what Pebble gives by itself. All write to a real folder: set TMPDIR to choose the disk.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{64, 256, 1024} {
		b.Run(fmt.Sprintf("with=journal/goroutines=%d", n), func(b *testing.B) {
			s, err := kv.Open(b.TempDir(), kv.Options{})
			if err != nil {
				b.Fatal(err)
			}
			j, err := Open(s, Default(), Deps{Node: "n"})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _, _ = j.Close(), s.Close() }()
			e := pixel()
			timing(b, n, func() error { return j.Append(HumanOpen, e) })
		})
		b.Run(fmt.Sprintf("with=file/goroutines=%d", n), func(b *testing.B) {
			f := newFileLog(b)
			e := pixel()
			timing(b, n, func() error { return f.append(e) })
			f.close()
		})
		b.Run(fmt.Sprintf("with=commits/goroutines=%d", n), func(b *testing.B) {
			s, err := kv.Open(b.TempDir(), kv.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			var next atomic.Int64
			e := pixel()
			timing(b, n, func() error {
				batch := s.NewBatch()
				defer func() { _ = batch.Close() }()
				key := batchKey(next.Add(1))
				if err := batch.Set(key, appendEvent(nil, e), nil); err != nil {
					return err
				}
				return s.Commit(batch)
			})
		})
	}
}

// fileLog is the least that keeps the promise: the same group commit, into a bare file.
type fileLog struct {
	f    *os.File
	mu   sync.Mutex
	open *fileBatch
	kick chan struct{}
	done chan struct{}
}

type fileBatch struct {
	buf  []byte
	done sync.WaitGroup
	err  error
}

func newFileBatch() *fileBatch {
	fb := new(fileBatch)
	fb.done.Add(1)
	return fb
}

func newFileLog(b *testing.B) *fileLog {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	l := &fileLog{f: f, open: newFileBatch(), kick: make(chan struct{}, 1), done: make(chan struct{})}
	go l.run()
	return l
}

func (l *fileLog) append(e *event.Event) error {
	s := scratches.Get().(*scratch)
	s.buf = appendEvent(s.buf, e)
	l.mu.Lock()
	fb := l.open
	first := len(fb.buf) == 0
	fb.buf = append(fb.buf, s.buf...)
	l.mu.Unlock()
	s.put()
	if first {
		select {
		case l.kick <- struct{}{}:
		default:
		}
	}
	fb.done.Wait()
	return fb.err
}

func (l *fileLog) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open.buf)
}

func (l *fileLog) run() {
	defer close(l.done)
	for range l.kick {
		for size, i := l.size(), 0; i < maxYields; i++ {
			runtime.Gosched()
			grown := l.size()
			if grown == size {
				break
			}
			size = grown
		}
		l.mu.Lock()
		fb := l.open
		if len(fb.buf) > 0 {
			l.open = newFileBatch()
		}
		l.mu.Unlock()
		if len(fb.buf) == 0 {
			continue
		}
		if _, fb.err = l.f.Write(fb.buf); fb.err == nil {
			fb.err = syncData(l.f)
		}
		fb.done.Done()
	}
}

func (l *fileLog) close() {
	close(l.kick)
	<-l.done
	_ = l.f.Close()
}
