package webhook

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// row is where a webhook stands on this node:
//
//	 0         1           9           ...
//	┌─────────┬───────────┬───────────┬───────────────┬───────────┬───────────┬─────────┬───────────────────────────────┐
//	│ version │ tag of the│ serial of │ since when it │ requests  │ delivered,│ missed, │ of each partition: number,    │
//	│ 2       │ definition│ the last  │ fails, 0: it  │ that have │ since when│ of them │ next, end of the batch in     │
//	│         │           │ resumption│ does not; how │ failed    │ it was    │ told    │ flight, not before, made,     │
//	│         │           │           │ long it tried │           │           │         │ fresh                         │
//	└─────────┴───────────┴───────────┴───────────────┴───────────┴───────────┴─────────┴───────────────────────────────┘
//
// Varints from the third on.
type row struct {
	tag       [idBytes]byte
	serial    uint64
	failing   event.Millis // since when; 0: it does not
	tried     int64        // milliseconds of trying since, whatever the clock did and however long the node was down
	attempts  int64        // that have failed since
	delivered int64        // events, ever
	last      event.Millis // when some were delivered last; 0: never
	missed    int64        // records that were trimmed before they were looked at
	told      int64        // of those: what its server was told of
	places    map[int32]place
}

// place is where a partition stands.
type place struct {
	next int64 // the first record that was not delivered, or passed over
	end  int64 // where the batch in flight ends; next where there is none
	// notBefore is the log time before which records are none of the webhook's, unless their offset is fresh or later:
	// no disk had those before, so nobody has delivered them. Those before made are none of its in any case.
	notBefore, made event.Millis
	fresh           int64 // noneFresh, or unknownFresh before there is any record
}

const (
	noneFresh    = math.MaxInt64
	unknownFresh = -1
)

// has reports whether a record is from the webhook's time.
func (at *place) has(offset int64, t event.Millis) bool {
	return t >= at.notBefore || t >= at.made && at.fresh != unknownFresh && offset >= at.fresh
}

const rowVersion byte = 2

var errRow = errors.New("webhook: malformed place")

// What the package keeps in the state store:
//
//	PrefixWebhook │ 0 │ id of the webhook(16 hexadecimal digits)   -> row
func rowKey(id string) []byte { return append([]byte{kv.PrefixWebhook, 0}, id...) }

func (r *row) append(dst []byte) []byte {
	dst = append(append(dst, rowVersion), r.tag[:]...)
	dst = binary.BigEndian.AppendUint64(dst, r.serial)
	for _, n := range []int64{int64(r.failing), r.tried, r.attempts, r.delivered, int64(r.last), r.missed, r.told} {
		dst = binary.AppendVarint(dst, n)
	}
	for _, p := range slices.Sorted(maps.Keys(r.places)) {
		at := r.places[p]
		for _, n := range []int64{int64(p), at.next, at.end, int64(at.notBefore), int64(at.made), at.fresh} {
			dst = binary.AppendVarint(dst, n)
		}
	}
	return dst
}

func (r *row) decode(b []byte) error {
	*r = row{places: make(map[int32]place)}
	if len(b) == 0 {
		return errRow
	}
	if b[0] != rowVersion {
		return fmt.Errorf("webhook: place has version %d, this Carom reads %d: use a newer Carom", b[0], rowVersion)
	}
	if len(b) < 1+2*idBytes {
		return errRow
	}
	copy(r.tag[:], b[1:])
	r.serial = binary.BigEndian.Uint64(b[1+idBytes:])
	rest, broken := b[1+2*idBytes:], false
	varint := func() int64 {
		n, size := binary.Varint(rest)
		if size <= 0 {
			broken, rest = true, nil
			return 0
		}
		rest = rest[size:]
		return n
	}
	r.failing, r.tried, r.attempts = event.Millis(varint()), varint(), varint()
	r.delivered, r.last, r.missed, r.told = varint(), event.Millis(varint()), varint(), varint()
	for len(rest) > 0 {
		p := int32(varint())
		at := place{next: varint(), end: varint(), notBefore: event.Millis(varint()), made: event.Millis(varint()), fresh: varint()}
		if at.next < 0 || at.end < at.next {
			return errRow
		}
		r.places[p] = at
	}
	if broken {
		return errRow
	}
	return nil
}

// inFlight reports whether a batch was sent and its answer is not known.
func (r *row) inFlight() bool {
	for _, p := range r.places {
		if p.end > p.next {
			return true
		}
	}
	return false
}

// readRow returns what is known of a webhook; an empty row if nothing is.
func readRow(s *kv.Store, id string) (r row, known bool, err error) {
	value, known, err := s.Get(nil, rowKey(id))
	if err != nil || !known {
		return row{places: make(map[int32]place)}, false, err
	}
	return r, true, r.decode(value)
}

func writeRow(s *kv.Store, id string, r *row, commit func(*kv.Batch) error) error {
	b := s.NewBatch()
	defer func() { _ = b.Close() }()
	if err := b.Set(rowKey(id), r.append(nil), nil); err != nil {
		return err
	}
	return commit(b)
}

// dropRows removes the places of webhooks that are no more.
func dropRows(s *kv.Store, keep func(id string) bool) error {
	if err := s.Enter(); err != nil {
		return err
	}
	defer s.Leave()
	prefix := rowKey("")
	it, err := s.DB().NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: kv.PrefixEnd(prefix)})
	if err != nil {
		return err
	}
	b := s.NewBatch()
	defer func() { _ = b.Close() }()
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if !keep(string(it.Key()[len(prefix):])) {
			err = b.Delete(it.Key(), nil)
		}
	}
	if err = errors.Join(err, it.Error(), it.Close()); err != nil || b.Empty() {
		return err
	}
	return s.CommitNoSync(b)
}
