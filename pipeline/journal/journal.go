package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// What Append may return, wrapped or not.
var (
	ErrShed     = errors.New("journal: nearly full, events of this class are not recorded")
	ErrFull     = errors.New("journal: full")
	ErrStalled  = errors.New("journal: the disk does not answer")
	ErrTooLarge = errors.New("journal: events of one call are too large")
	ErrClosed   = errors.New("journal: closed")
	ErrReadOnly = errors.New("journal: open for reading only")
)

// Deps is what a journal needs besides its settings.
type Deps struct {
	// Node is this node's name.
	Node string
	// Readers are the names of those who must have passed a record (see Passed) before it may be trimmed.
	// Without any, nothing is trimmed.
	Readers    []string
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// Journal is the log of what this node heard. Its methods are safe for concurrent use.
type Journal struct {
	store       *kv.Store
	opts        Options
	node        string
	incarnation [16]byte
	log         *zap.Logger
	metrics     *metrics

	mu    sync.Mutex // guards what follows
	room  sync.Cond  // of mu; the open batch was swapped, or nothing is accepted any more
	open  *batch
	free  []*batch // for use again
	state state
	// writing is the batch that the committer has in hand since writingSince.
	writing      *batch
	writingSince time.Time
	level        level

	// tail is the committer's own: what the next batch follows.
	tail tail

	// What readers may know. synced is the sequence after the last one on disk; before and end count bytes as
	// header.before does: of the oldest batch kept, and after the last synced one.
	oldest, synced atomic.Int64
	before, end    atomic.Int64
	capacity       atomic.Int64
	levelNow       atomic.Int32 // a copy of level for Append
	readers        map[string]*atomic.Int64
	bell           log.Bell

	rewriting sync.Mutex   // serialises Rewrite and trim
	held      atomic.Int32 // while it is not 0 nothing is trimmed; grows under rewriting

	parkings  sync.Pool     // of *parking
	kick      chan struct{} // the open batch is no longer empty
	telling   chan *batch   // settled, with waiters who are to be told
	tellers   int
	stop      chan struct{} // closed by Close
	committed chan struct{} // closed when the committer has ended
	helpers   sync.WaitGroup
	closing   sync.Once
	life      sync.RWMutex // held for reading while an iterator is open, for writing by Close
	closed    atomic.Bool
}

// state is why nothing is accepted, if nothing is.
type state struct {
	failure error // for good
	closing bool
	stalled bool // until the write in hand returns
}

func (s state) refusal() error {
	switch {
	case s.failure != nil:
		return s.failure
	case s.closing:
		return ErrClosed
	case s.stalled:
		return ErrStalled
	}
	return nil
}

// tail is where a journal ends.
type tail struct {
	next  int64 // the sequence of the next record
	time  event.Millis
	bytes int64 // header.before of the next batch
}

var (
	_ log.Reader = (*Journal)(nil)
	_ log.Ticker = (*Journal)(nil)
)

// Open opens the journal in s and starts its committer. The store stays its caller's, to close after the journal.
func Open(s *kv.Store, o Options, d Deps) (*Journal, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if d.Logger == nil {
		d.Logger = zap.NewNop()
	}
	j := &Journal{
		store: s, opts: o, node: d.Node, log: d.Logger.Named("journal"),
		readers:   make(map[string]*atomic.Int64, len(d.Readers)),
		kick:      make(chan struct{}, 1),
		stop:      make(chan struct{}),
		committed: make(chan struct{}),
		telling:   make(chan *batch, tellerBacklog),
		tellers:   tellers(),
		parkings:  sync.Pool{New: newParking},
	}
	j.room.L = &j.mu
	for _, name := range d.Readers {
		j.readers[name] = new(atomic.Int64)
	}
	if err := j.loadIncarnation(); err != nil {
		return nil, err
	}
	if err := j.loadEnds(); err != nil {
		return nil, err
	}
	j.metrics = newMetrics(d.Registerer, j)
	j.start()
	return j, nil
}

// start lets the goroutines run. A journal that is only read has none.
func (j *Journal) start() {
	j.measure()
	if j.store.ReadOnly() {
		close(j.committed)
		return
	}
	j.open = j.freshLocked()
	go j.commitLoop()
	for range j.tellers {
		j.helpers.Go(j.tellLoop)
	}
	j.helpers.Go(j.watchLoop)
	j.helpers.Go(j.keepLoop)
	if j.opts.Durability == Interval {
		j.log.Warn("durability is relaxed: a crash loses what came since the last sync",
			zap.Duration("sync-interval", j.opts.SyncInterval))
		j.helpers.Go(j.syncLoop)
	}
}

// loadIncarnation reads the journal's random identity, or makes one. A replaced disk has another, so its sequences are
// not mistaken for the old ones.
func (j *Journal) loadIncarnation() error {
	key := []byte{kv.PrefixMeta, kv.MetaIncarnation}
	id, ok, err := j.store.Get(nil, key)
	switch {
	case err != nil:
		return fmt.Errorf("open journal: %w", err)
	case ok && len(id) != len(j.incarnation):
		return fmt.Errorf("open journal: incarnation has %d bytes, want %d", len(id), len(j.incarnation))
	case ok:
		copy(j.incarnation[:], id)
		return nil
	case j.store.ReadOnly():
		return fmt.Errorf("open journal: folder %s holds none", j.store.Dir())
	}
	if _, err := rand.Read(j.incarnation[:]); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	b := j.store.NewBatch()
	if err := b.Set(key, j.incarnation[:], nil); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	if err := j.store.Commit(b); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	return b.Close()
}

// loadEnds finds the oldest and the newest batch. Whatever Pebble shows now is on disk: it wrote its log out into
// tables, and synced them, when it was opened.
func (j *Journal) loadEnds() (err error) {
	it, err := j.iter(1<<63 - 1)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, it.Close()); err != nil {
			err = fmt.Errorf("open journal: %w", err)
		}
	}()
	if !it.First() {
		return it.Error()
	}
	oldest, err := located(it)
	if err != nil {
		return err
	}
	it.Last()
	newest, err := located(it)
	if err != nil {
		return err
	}
	j.oldest.Store(oldest.first)
	j.before.Store(oldest.before)
	j.tail = tail{next: newest.end(), time: newest.time, bytes: newest.before + int64(newest.size)}
	j.synced.Store(j.tail.next)
	j.end.Store(j.tail.bytes)
	return nil
}

// Incarnation returns the random identity of the journal's folder.
func (j *Journal) Incarnation() [16]byte { return j.incarnation }

// Partition returns 0: a journal has one partition.
func (j *Journal) Partition() int32 { return 0 }

// Bounds returns the oldest sequence that can be read, and the one after the last that is on disk.
func (j *Journal) Bounds() (oldest, next int64) { return j.oldest.Load(), j.synced.Load() }

// Refresh does nothing: the journal is at hand.
func (j *Journal) Refresh(context.Context) error { return nil }

// Health returns why the node should get no traffic, nil if it should. It turns bad before any event is shed.
func (j *Journal) Health() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.state.refusal(); err != nil {
		return err
	}
	if j.level >= levelUnready {
		return fmt.Errorf("journal: nearly full: %d of %d bytes", j.end.Load()-j.before.Load(), j.capacity.Load())
	}
	return nil
}

// Tick appends a tick. It is recorded even when the journal is full: it is small, comes once a second at most, and lets
// readers pass what could then be trimmed.
func (j *Journal) Tick(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p := j.parkings.Get().(*parking)
	defer j.parkings.Put(p)
	if err := j.append(waiter{uncounted, p.done}, []*event.Event{{Kind: event.Tick, Time: event.Now()}}); err != nil {
		return err
	}
	return p.wait()
}

// Close commits what was appended, wakes all readers with ErrClosed, and stops. No use may follow it.
func (j *Journal) Close() error {
	j.closing.Do(func() {
		j.mu.Lock()
		j.state.closing = true
		j.room.Broadcast()
		j.mu.Unlock()
		close(j.stop)
		ended := make(chan struct{})
		go func() {
			<-j.committed
			j.helpers.Wait()
			// Whoever reads is let end, because the store may be closed next.
			j.life.Lock()
			j.closed.Store(true)
			j.life.Unlock()
			close(ended)
		}()
		select {
		case <-ended:
		case <-j.store.Failed(): // any of them may hang in Pebble for ever; who waited has been told
			j.closed.Store(true)
		}
		j.bell.Ring()
		j.metrics.unregister()
	})
	return nil
}
