package suppress

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// Log is the log of suppressions, in either form. Compacted is set on one that forgets removals.
type Log struct {
	In        log.Reader
	Compacted bool
}

// Book answers who is suppressed. Its methods are safe for concurrent use.
type Book struct {
	o       Options
	store   *kv.Store
	in      log.Reader
	follow  follower
	hashes  hashes
	logger  *zap.Logger
	metrics *bookMetrics

	known    *known       // the names of all entries
	index    *index       // what most of them say
	hashed   atomic.Bool  // some rows are of hashes
	ignorant atomic.Bool  // the log was never read to its end
	passed   atomic.Int64 // the offset that is read next
	bell     log.Bell     // rung when passed has moved
}

// OpenBook reads where the book stands in store; it answers from then on, with what it knew. reg may be nil.
func OpenBook(o Options, secret Secret, store *kv.Store, l Log, logger *zap.Logger, reg prometheus.Registerer) (*Book, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("suppress: %w", err)
	}
	b := &Book{
		o: o, store: store, in: l.In, hashes: hashes{secret}, logger: logger.Named("suppressions"), known: newKnown(store, bookTable(bookTableEntry)), index: newIndex(),
		follow: follower{compacted: l.Compacted},
	}
	b.known.of = b.hashOf
	b.hashed.Store(o.HashOnly)
	b.metrics = newBookMetrics(reg, b)
	value, ok, err := store.Get(nil, bookPlace())
	if err == nil && ok {
		err = b.follow.place.decode(value)
	}
	if err != nil {
		return nil, fmt.Errorf("open the book of suppressions: %w", err)
	}
	if b.follow.place.hashed {
		b.hashed.Store(true)
	}
	b.ignorant.Store(l.Compacted && b.follow.place.end == 0)
	b.follow.cursor = b.follow.place.next
	b.passed.Store(b.follow.cursor)
	return b, nil
}

// Run follows the log until ctx is done, which is no error, or something fails. It is called once.
func (b *Book) Run(ctx context.Context) error {
	parts, within := errgroup.WithContext(ctx)
	parts.Go(func() error { return b.followAll(within) })
	parts.Go(func() error { return errors.Join(b.known.build(within), b.buildIndex(within)) })
	err := parts.Wait()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return fmt.Errorf("follow suppressions: %w", err)
}

// hashOf hashes the name that the key of an entry has.
func (b *Book) hashOf(key []byte) (uint64, error) {
	account, name, err := cutBookEntry(key)
	return b.known.name(account, name), err
}

// buildIndex reads rows into the index, as many as it takes.
func (b *Book) buildIndex(ctx context.Context) error {
	b.index.begin()
	defer b.index.end()
	entries := bookTable(bookTableEntry)
	return eachRow(b.store, entries, kv.PrefixEnd(entries), func(key, row []byte) (bool, error) {
		account, name, err := cutBookEntry(key)
		if err != nil {
			return false, err
		}
		w, err := firstStop(row)
		return b.index.read(b.index.indexed(account, name, w)) && ctx.Err() == nil, err
	})
}

// Passed returns the offset of the log that is read next. It is safe while Run runs.
func (b *Book) Passed() int64 { return b.passed.Load() }

// Check reports what stops mail of the account to the address at a time (0: now): the account's suppression, or the global one,
// if the other would spare some mail. Transactional mail is not stopped by what spares it. Check does not allocate where nothing
// is known of an address.
func (b *Book) Check(account, address string, at event.Millis, transactional bool) (s Stop, suppressed bool, err error) {
	if b.ignorant.Load() {
		return s, false, ErrNotReady
	}
	name := normalName(address)
	if name == "" {
		return s, false, nil
	}
	if at == 0 {
		at = event.Now()
	}
	for names := 0; names < 2; names++ {
		if names == 1 {
			if !b.hashed.Load() || isHashed(name) {
				break
			}
			name = b.hashes.name(name)
		}
		for _, owner := range [...]string{account, ""} {
			if suppressed && !s.Reason.SparesTransactional() || !b.known.maybe(b.known.name(owner, name)) {
				continue
			}
			found, stops, err := b.stop(owner, name, at, transactional)
			if err != nil {
				return Stop{}, false, err
			}
			if stops {
				s, suppressed = found, true
				s.Scope = scopeOf(owner)
			}
		}
	}
	return s, suppressed, nil
}

// stop returns what stops mail by one row.
func (b *Book) stop(owner, name string, at event.Millis, transactional bool) (s Stop, ok bool, err error) {
	if s, ok, known := b.index.get(b.index.key(owner, name), at, transactional); known {
		return s, ok, nil
	}
	err = b.view(bookEntry(owner, name), func(row []byte) error {
		s, ok, err = readStop(row, at, transactional)
		return err
	})
	if err != nil {
		return Stop{}, false, fmt.Errorf("read a suppression: %w", err)
	}
	return s, ok, nil
}

// Get returns what is known of an address: the account's suppression, then the global one, of those that there are, active
// or not, as of a time (0: now).
func (b *Book) Get(account, address string, at event.Millis) (list []Suppression, err error) {
	if b.ignorant.Load() {
		return nil, ErrNotReady
	}
	name := normalName(address)
	if name == "" {
		return nil, nil
	}
	if at == 0 {
		at = event.Now()
	}
	names := []string{name}
	if b.hashed.Load() && !isHashed(name) {
		names = append(names, b.hashes.name(name))
	}
	owners := []string{account, ""}
	if account == "" {
		owners = owners[1:]
	}
	for _, owner := range owners {
		for _, name := range names {
			s, known, err := b.row(owner, name, at)
			if err != nil {
				return nil, err
			}
			if known {
				list = append(list, s)
			}
		}
	}
	return list, nil
}

// row reads an entry, as of a time.
func (b *Book) row(account, name string, at event.Millis) (s Suppression, known bool, err error) {
	err = b.view(bookEntry(account, name), func(value []byte) error {
		s, err = readEntry(value)
		known = err == nil && s.asOf(at)
		return err
	})
	if err != nil {
		return Suppression{}, false, fmt.Errorf("read a suppression: %w", err)
	}
	return s, known, nil
}

// view calls fn with a row, during the call only; not at all if there is none.
func (b *Book) view(key []byte, fn func(value []byte) error) error {
	if err := b.store.Enter(); err != nil {
		return err
	}
	defer b.store.Leave()
	value, closer, err := b.store.DB().Get(key)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return errors.Join(fn(value), closer.Close())
}

// asOf has s show how it stood at a time; false: it was not yet.
func (s *Suppression) asOf(at event.Millis) bool {
	if s.Reason == "" {
		return false
	}
	return s.lead(append([]Cause{s.Cause}, s.Others...), at)
}

// Digest stands for what an order asks for, which may name an address. It is the same on every node, and nobody without
// the key can find out by trying what it stands for.
func (b *Book) Digest(asked []byte) [8]byte { return b.hashes.digest(asked) }

// Decision waits until the decision on an order is in the book, or ctx is done.
func (b *Book) Decision(ctx context.Context, id [16]byte) (Decision, error) {
	for {
		rung := b.bell.Rung()
		d, ok, err := b.Decided(id)
		if ok || err != nil {
			return d, err
		}
		select {
		case <-rung:
		case <-ctx.Done():
			return Decision{}, fmt.Errorf("wait for a decision: %w", ctx.Err())
		}
	}
}

// Decided returns the decision on an order if it is in the book.
func (b *Book) Decided(id [16]byte) (d Decision, ok bool, err error) {
	err = b.view(bookDecision(id), func(row []byte) error {
		value, err := openBookRow(row)
		if err == nil {
			d, err = readDecision(value)
		}
		ok = err == nil
		return err
	})
	if err != nil {
		return Decision{}, false, fmt.Errorf("read a decision: %w", err)
	}
	return d, ok, nil
}

func readDecision(value []byte) (Decision, error) {
	var w wireDecision
	if err := decode(value, &w); err != nil {
		return Decision{}, fmt.Errorf("%w: %w", errRow, err)
	}
	return w.decision()
}
