package suppress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// A key of the stage:
//
//	 0                1            3       4
//	┌────────────────┬────────────┬───────┬──────
//	│ PrefixSuppress │ partition  │ table │ …        numbers big-endian, names as kv.AppendName writes them
//	└────────────────┴────────────┴───────┴──────
//
//	meta       │ 0: position, 1: the wave that is being undone or applied, 2: there if no entry has a plain name
//	entry      │ account, empty: of all │ name
//	waiting    │ account │ message │ origin(24)                    a fact without a recipient
//	waiters    │ account                                         how many such facts it has
//	account    │ account                                         contacts and reactivations
//	contact    │ account │ contact key(16)                       counted
//	provider   │ provider                                        hours
//	wave       │ event time(8) │ account │ name                   a hard bounce of then
//	due        │ log time(8) │ what(1) │ …                        what is over then
//	decision   │ order id(16)
//	orders     │ account │ name │ order id(16)                    the decisions about an address
//	outbox     │ number(8)                                       an event to be journaled
const (
	tableMeta byte = iota + 1
	tableEntry
	tableWaiting
	tableAccount
	tableContact
	tableProvider
	tableWave
	tableDue
	tableDecision
	tableOrders
	tableOutbox
	tableWaiters
)

const (
	metaPosition byte = iota
	metaWave
	metaHashed
)

// What is due.
const (
	dueEntry byte = iota + 1
	dueWaiting
	dueDecision
	dueProvider
	dueInquiry
)

const headerSize = 4

func (p *Partition) table(table byte) []byte {
	return append(kv.AppendUint16([]byte{kv.PrefixSuppress}, uint16(p.in.Partition())), table)
}

func (p *Partition) metaKey(row byte) []byte { return append(p.table(tableMeta), row) }

func (p *Partition) entryKey(account, name string) []byte {
	return kv.AppendName(kv.AppendName(p.table(tableEntry), account), name)
}

func (p *Partition) waitingPrefix(account, message string) []byte {
	return kv.AppendName(kv.AppendName(p.table(tableWaiting), account), message)
}

func (p *Partition) waveKey(at event.Millis, account, name string) []byte {
	return kv.AppendName(kv.AppendName(kv.AppendUint64(p.table(tableWave), uint64(at)), account), name)
}

func (p *Partition) decisionRow(id event.ID) []byte { return append(p.table(tableDecision), id[:]...) }

func (p *Partition) ordersPrefix(account, name string) []byte {
	return kv.AppendName(kv.AppendName(p.table(tableOrders), account), name)
}

// rowVersion begins the values of all rows but those without a value.
const rowVersion byte = 1

var errRow = errors.New("suppress: malformed row")

// filtered reports whether the rows of a key's table are many, and mostly asked for in vain.
func filtered(key []byte) bool { return key[3] == tableEntry || key[3] == tableDecision }

// get returns a row as the step has it, without its version; nil if there is none.
func (p *Partition) get(key []byte) ([]byte, error) {
	if p.sure && filtered(key) && !p.known.maybe(p.known.key(key)) {
		return nil, nil
	}
	value, closer, err := p.batch.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read a row: %w", err)
	}
	value = slices.Clone(value)
	if err := closer.Close(); err != nil {
		return nil, fmt.Errorf("read a row: %w", err)
	}
	return openRow(value)
}

func openRow(value []byte) ([]byte, error) {
	if len(value) == 0 {
		return nil, errRow
	}
	if value[0] != rowVersion {
		return nil, fmt.Errorf("suppress: a row has version %d, this Carom reads %d: use a newer Carom", value[0], rowVersion)
	}
	return value[1:], nil
}

func (p *Partition) set(key, value []byte) error {
	if filtered(key) {
		h := p.known.key(key)
		p.known.add(h)
		p.fresh = append(p.fresh, h)
	}
	if err := p.batch.Set(key, append([]byte{rowVersion}, value...), nil); err != nil {
		return fmt.Errorf("write a row: %w", err)
	}
	return nil
}

// commit makes what was written one commit.
func (p *Partition) commit() error {
	err := p.store.Commit(p.batch)
	p.known.add(p.fresh...)
	p.fresh = p.fresh[:0]
	return err
}

func (p *Partition) drop(key []byte) error {
	if err := p.batch.Delete(key, nil); err != nil {
		return fmt.Errorf("delete a row: %w", err)
	}
	return nil
}

// getJSON reads a row into v; false if there is none.
func (p *Partition) getJSON(key []byte, v any) (bool, error) {
	value, err := p.get(key)
	if err != nil || value == nil {
		return false, err
	}
	if err := decode(value, v); err != nil {
		return false, fmt.Errorf("%w: %w", errRow, err)
	}
	return true, nil
}

// scan calls fn with the keys and values of the step's rows from a key on, below the end of a prefix, until it returns false;
// both are fn's to keep.
func (p *Partition) scan(from, end []byte, fn func(key, value []byte) (bool, error)) error {
	it, err := p.batch.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return fmt.Errorf("read rows: %w", err)
	}
	more := true
	for ok := it.First(); ok && more && err == nil; ok = it.Next() {
		more, err = fn(slices.Clone(it.Key()), slices.Clone(it.Value()))
	}
	return errors.Join(err, it.Error(), it.Close())
}

// position is where the stage stands: varints, of origins in the order of their partitions.
//
//	┌─────────┬──────┬──────────┬─────────┬────────┬────────┬─────────────────────────────────────────────┐
//	│ version │ next │ log time │ waiting │ hashed │ number │ of each origin: partition, offset, n        │
//	└─────────┴──────┴──────────┴─────────┴────────┴────────┴─────────────────────────────────────────────┘
type position struct {
	next    int64
	time    event.Millis
	waiting int64 // facts that wait
	hashed  int64 // entries that were ever hashed by an erase
	number  int64 // the next in tables whose rows are numbered
	origins map[int32]event.Origin
}

func (s *position) append(dst []byte) []byte {
	for _, v := range []int64{s.next, int64(s.time), s.waiting, s.hashed, s.number} {
		dst = binary.AppendVarint(dst, v)
	}
	for _, n := range slices.Sorted(maps.Keys(s.origins)) {
		o := s.origins[n]
		for _, v := range []int64{int64(n), o.Offset, int64(o.N)} {
			dst = binary.AppendVarint(dst, v)
		}
	}
	return dst
}

func (s *position) decode(b []byte) error {
	bad := false
	read := func() int64 {
		v, n := binary.Varint(b)
		if n <= 0 {
			bad, b = true, nil
			return 0
		}
		b = b[n:]
		return v
	}
	*s = position{next: read(), time: event.Millis(read()), waiting: read(), hashed: read(), number: read(), origins: make(map[int32]event.Origin)}
	for len(b) > 0 && !bad {
		o := event.Origin{Partition: int32(read()), Offset: read(), N: int32(read())}
		s.origins[o.Partition] = o
	}
	if bad {
		return errRow
	}
	return nil
}

// wirePosition is a position as the log of suppressions has it: it ends what a step released.
type wirePosition struct {
	Type    string        `json:"type"`
	Next    int64         `json:"next"`
	Time    event.Millis  `json:"time"`
	Origins []wireOrigins `json:"origins"`
}

type wireOrigins struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
	N         int32 `json:"n"`
}

func (s *position) wire() *wirePosition {
	w := &wirePosition{Type: typePosition, Next: s.next, Time: s.time}
	for _, n := range slices.Sorted(maps.Keys(s.origins)) {
		w.Origins = append(w.Origins, wireOrigins{n, s.origins[n].Offset, s.origins[n].N})
	}
	return w
}

// take puts what w says into s.
func (s *position) take(w *wirePosition) {
	s.next, s.time = w.Next, w.Time
	for _, o := range w.Origins {
		s.origins[o.Partition] = event.Origin{Partition: o.Partition, Offset: o.Offset, N: o.N}
	}
}

// passed reports whether the fact of an origin was heard before, and remembers it if not.
func (s *position) passed(o event.Origin) bool {
	last, ok := s.origins[o.Partition]
	if ok && !o.After(last) {
		return true
	}
	o.Node = ""
	s.origins[o.Partition] = o
	return false
}

// load returns an entry, a new one if there is none.
func (p *Partition) load(account, name string) (e *entry, known bool, err error) {
	e = &entry{}
	e.account, e.name = account, name
	if e.row, err = p.get(p.entryKey(account, name)); err != nil || e.row == nil {
		return e, false, err
	}
	if err := decode(e.row, e); err != nil {
		return e, false, fmt.Errorf("%w: %w", errRow, err)
	}
	return e, true, nil
}

// name returns under which name an address is kept in an account: as it is, or as a hash, if all are or its contact was erased.
func (p *Partition) name(account, address string) (string, error) {
	normal := normalName(address)
	if isHashed(normal) || !isName(normal) {
		return normal, nil
	}
	if p.o.HashOnly {
		return p.hashes.name(normal), nil
	}
	if p.at.hashed == 0 {
		return normal, nil
	}
	hashed := p.hashes.name(normal)
	row, err := p.get(p.entryKey(account, hashed))
	if err != nil || row == nil {
		return normal, err
	}
	return hashed, nil
}
