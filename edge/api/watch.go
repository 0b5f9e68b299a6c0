package api

import (
	"context"
	"errors"
	"sync"
	"time"

	"carom/pipeline/log"
)

// watch rings when any partition of events has news. It watches while somebody has joined: one goroutine for each
// partition that is here, and one for each worker that has others, however many follow.
type watch struct {
	readers []log.Reader
	base    context.Context // of the server
	bell    log.Bell

	mu     sync.Mutex
	joined int
	stop   context.CancelFunc
	err    error // why a partition is not watched any more
	round  int   // counts the times that somebody was first
}

func newWatch(base context.Context) *watch { return &watch{base: base} }

// join begins to watch; call what it returns to end. What failed is watched anew from then on, whoever has not left yet:
// where many come and go there may always be one.
func (w *watch) join() (leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.joined > 0 && w.err != nil {
		w.stop()
		w.start()
	}
	if w.joined == 0 {
		w.start()
	}
	w.joined++
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.joined--; w.joined == 0 {
			w.stop()
		}
	})
}

// start needs w.mu.
func (w *watch) start() {
	var ctx context.Context
	ctx, w.stop = context.WithCancel(w.base)
	w.err = nil
	w.round++
	peers := make(map[*peer]bool)
	for _, r := range w.readers {
		remote, ok := r.(*remoteReader)
		switch {
		case !ok:
			_, from := r.Bounds() // here, so that nothing escapes whoever looks after joining
			go w.follow(ctx, w.round, func(ctx context.Context) error { return w.local(ctx, r, from) })
		case remote.peer != nil && !peers[remote.peer]:
			peers[remote.peer] = true
			go w.follow(ctx, w.round, func(ctx context.Context) error { return remote.peer.follow(ctx) })
		}
	}
}

// follow runs until ctx is done or run fails, and then tells all.
func (w *watch) follow(ctx context.Context, round int, run func(context.Context) error) {
	err := run(ctx)
	w.mu.Lock()
	if w.round == round && ctx.Err() == nil && w.err == nil {
		w.err = err
	}
	w.mu.Unlock()
	w.bell.Ring()
}

// failed returns why a partition is not watched any more; nil while all are.
func (w *watch) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

var errNoWait = errors.New("a log answered no record and did not wait for one")

// local rings for a partition that is here.
func (w *watch) local(ctx context.Context, r log.Reader, from int64) error {
	var buf []log.Record
	for {
		recs, err := r.Read(ctx, from, 1, buf[:0])
		_, next := r.Bounds()
		switch {
		case errors.Is(err, log.ErrTrimmed) && from < next: // how many is no matter here
			from = next
		case err != nil:
			return err
		case len(recs) == 0:
			return errNoWait
		default:
			from = max(next, recs[0].Offset+1)
		}
		buf = recs
		w.bell.Ring()
	}
}

// newsEvery bounds how often a worker is asked for news.
const newsEvery = 10 * time.Millisecond

// follow learns the bounds of the partitions that a worker has, as they move.
func (p *peer) follow(ctx context.Context) error {
	for {
		if err := p.await(ctx); err != nil {
			return err
		}
		select {
		case <-time.After(newsEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
