package control

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// ErrFull is returned by Set where a table has no room.
var ErrFull = errors.New("control: full")

// ErrUnavailable is returned by Set and Remove where the log can't be written now. What was asked for may happen yet.
var ErrUnavailable = errors.New("control: the log of controls can't be written now")

const (
	// writeWait is how long a write may take before its caller is told that it failed.
	writeWait = 5 * time.Second
	// seenWait is how long Set waits for its own record to come back; it is durable by then.
	seenWait = 2 * time.Second
	// maxAtOnce bounds the entries of one Set or Remove.
	maxAtOnce = 1024
)

// Log is the log of controls, in either form. Compacted is set on one that forgets removals.
type Log struct {
	In        log.Reader
	Out       log.Writer
	Compacted bool
}

// Controls follows the log and writes to it. Its methods are safe for concurrent use.
type Controls struct {
	options Options
	store   *kv.Store
	in      log.Reader
	out     log.Writer
	follow  follower
	adopted *kv.Store // nil if nothing was
	logger  *zap.Logger
	table   *Table
	metrics *metrics

	turn   chan struct{} // who writes; who waited too long leaves it taken until his write has ended
	passed atomic.Int64  // the offset that is read next
	bell   log.Bell      // rung when passed has moved
}

// Open reads what the store knows; the table answers from then on. reg may be nil.
func Open(o Options, store *kv.Store, l Log, logger *zap.Logger, reg prometheus.Registerer) (*Controls, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	c := &Controls{
		options: o, store: store, in: l.In, out: l.Out, logger: logger.Named("control"), table: newTable(o),
		turn: make(chan struct{}, 1),
	}
	c.follow.compacted = l.Compacted
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("open controls: %w", err)
	}
	c.metrics = newMetrics(reg, c.table)
	return c, nil
}

// load reads place and rows.
func (c *Controls) load() error {
	value, ok, err := c.store.Get(nil, placeKey())
	if err != nil {
		return err
	}
	if ok {
		if err := c.follow.place.decode(value); err != nil {
			return err
		}
	}
	c.passed.Store(c.follow.place.next)
	all := entriesKey()
	left := 0
	err = c.each(all, all, func(key, value []byte) (bool, error) {
		entry, err := readRow(key, value)
		if err == nil && !c.table.set(&entry) {
			left++
		}
		return true, err
	})
	c.table.publish()
	if left > 0 {
		c.logger.Error("more entries than control.max_denied, control.max_self or control.max_webhooks allow: they do not hold on this node", zap.Int("entries", left))
	}
	return err
}

// Table returns the table in memory, which is the same for as long as c lives.
func (c *Controls) Table() *Table { return c.table }

// Set puts entries in, or in the place of those of the same identity. It returns ErrFull, which names the setting, if
// they do not fit, and ErrUnavailable if the log can't be written now.
func (c *Controls) Set(ctx context.Context, entries ...Control) error {
	more := make(map[Kind]int) // that are new, by the kind that they are counted with
	for i := range entries {
		e := &entries[i]
		if err := e.check(); err != nil {
			return err
		}
		if !c.table.has(e) {
			more[countedWith(e.Kind)]++
		}
	}
	for kind, allows := range full {
		if n := more[kind]; n > 0 && c.table.len(kind)+n > c.table.most(kind) {
			return fmt.Errorf("%w: "+allows, ErrFull, c.table.most(kind))
		}
	}
	return c.write(ctx, entries, func(e *Control) []byte { return e.appendValue(nil) })
}

// full says which setting allows how many.
var full = map[Kind]string{
	Denied:  "control.max_denied allows %d contacts",
	Self:    "control.max_self allows the addresses of %d senders",
	Webhook: "control.max_webhooks allows %d webhooks",
}

// countedWith is the kind whose setting bounds those of k.
func countedWith(k Kind) Kind {
	if k == DeniedKey {
		return Denied
	}
	return k
}

// Remove takes entries out; those that are not there are none's loss.
func (c *Controls) Remove(ctx context.Context, entries ...Control) error {
	for i := range entries {
		e := Control{Kind: entries[i].Kind, Account: entries[i].Account, Name: entries[i].Name}
		if err := e.check(); err != nil {
			return err
		}
	}
	return c.write(ctx, entries, func(*Control) []byte { return nil })
}

// write appends to the log and waits until this node has read it.
func (c *Controls) write(ctx context.Context, entries []Control, value func(*Control) []byte) error {
	if len(entries) == 0 {
		return nil
	}
	if len(entries) > maxAtOnce {
		return fmt.Errorf("control: %d entries at once: at most %d", len(entries), maxAtOnce)
	}
	recs := make([]log.Record, len(entries))
	now := event.Now()
	for i := range entries {
		recs[i] = log.Record{Time: now, Key: entries[i].appendLogKey(nil), Value: value(&entries[i])}
	}
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%w: one before it has not been acknowledged", ErrUnavailable)
	}
	// The writer has one user at a time, and what it was given can't be taken back: whoever is tired of waiting leaves
	// his turn to the write itself, so that an outage piles up one.
	ended := make(chan error, 1)
	go func() {
		err := c.append(recs)
		<-c.turn
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	case <-ctx.Done():
		return fmt.Errorf("%w: it was not acknowledged within %v", ErrUnavailable, writeWait)
	}
	c.awaitOwn()
	return nil
}

// append writes durably.
func (c *Controls) append(recs []log.Record) error {
	b := c.store.NewBatch()
	defer func() { _ = b.Close() }()
	if err := c.out.Write(context.Background(), b, recs); err != nil {
		return err
	}
	if !b.Empty() {
		if err := c.store.Commit(b); err != nil {
			return err
		}
	}
	c.out.Committed()
	return nil
}

// awaitOwn waits until what the log holds now has been read here, but not for long: it is durable.
func (c *Controls) awaitOwn() {
	ctx, cancel := context.WithTimeout(context.Background(), seenWait)
	defer cancel()
	if c.in.Refresh(ctx) != nil {
		return
	}
	_, next := c.in.Bounds()
	for {
		rung := c.bell.Rung()
		if c.passed.Load() >= next {
			return
		}
		select {
		case <-rung:
		case <-ctx.Done():
			return
		}
	}
}

// Get returns an entry as the node's rows have it.
func (c *Controls) Get(kind Kind, account, name string) (entry Control, ok bool, err error) {
	entry = Control{Kind: kind, Account: account, Name: name}
	if err := c.store.Enter(); err != nil {
		return entry, false, fmt.Errorf("read a control: %w", err)
	}
	defer c.store.Leave()
	value, ok, err := c.store.Get(nil, rowKey(&entry))
	if ok && err == nil {
		err = entry.decodeValue(value)
	}
	if err != nil {
		return entry, false, fmt.Errorf("read a control: %w", err)
	}
	return entry, ok, nil
}

// List returns the entries of an account after a name, in the order of names, at most limit. next is empty after the
// last.
func (c *Controls) List(kind Kind, account, after string, limit int) (page []Control, next string, err error) {
	prefix := accountPrefix(kind, account)
	from := prefix
	if after != "" {
		from = append(accountPrefix(kind, account), after+"\x00"...)
	}
	err = c.each(prefix, from, func(key, value []byte) (bool, error) {
		if len(page) == limit {
			next = page[limit-1].Name
			return false, nil
		}
		entry, err := readRow(key, value)
		page = append(page, entry)
		return true, err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list controls: %w", err)
	}
	return page, next, nil
}

// Each calls f with all entries of a kind that hold on this node, of all accounts, in the order of accounts and names,
// until it fails.
func (c *Controls) Each(kind Kind, f func(Control) error) error {
	prefix := kindPrefix(kind)
	err := c.each(prefix, prefix, func(key, value []byte) (bool, error) {
		entry, err := readRow(key, value)
		if err == nil && c.table.has(&entry) {
			err = f(entry)
		}
		return true, err
	})
	if err != nil {
		return fmt.Errorf("read controls: %w", err)
	}
	return nil
}

// Rung returns a channel that is closed when more of the log has been read. Take it before you look.
func (c *Controls) Rung() <-chan struct{} { return c.bell.Rung() }
