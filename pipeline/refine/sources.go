package refine

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// maxSources bounds how many journals are remembered. A journal is a disk of a node, so it takes years to get there.
const maxSources = 1 << 16

// sources remember how far each journal was read. A journal's records keep their order within a partition, so one
// number tells what was seen: the relay may send again from any earlier point.
//
//	byte 0      format: 1
//	bytes 1-8   sequence of the last record that was seen
//	bytes 9-16  its log time
type sources struct {
	keys    keyspace
	seen    map[[16]byte]sourceMark
	changed map[[16]byte]struct{}
	gone    [][16]byte
}

type sourceMark struct {
	sequence uint64
	logTime  event.Millis
}

const (
	sourceFormat = 1
	sourceBytes  = 17
)

func openSources(store *kv.Store, keys keyspace) (*sources, error) {
	s := &sources{keys: keys, seen: make(map[[16]byte]sourceMark), changed: make(map[[16]byte]struct{})}
	table := keys.table(nil, tableSources)
	it, err := store.DB().NewIter(&pebble.IterOptions{LowerBound: table, UpperBound: kv.PrefixEnd(table)})
	if err != nil {
		return nil, fmt.Errorf("read sources: %w", err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = s.decode(it.Key(), it.Value())
	}
	if closeErr := it.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("read sources: %w", err)
	}
	return s, nil
}

func (s *sources) decode(key, value []byte) error {
	if err := checkFormat("source", value, sourceFormat); err != nil {
		return err
	}
	if len(key) != tableBytes+16 || len(value) != sourceBytes {
		return fmt.Errorf("%w: source %x", errDamaged, key)
	}
	s.seen[[16]byte(key[tableBytes:])] = sourceMark{
		sequence: binary.BigEndian.Uint64(value[1:]),
		logTime:  event.Millis(binary.BigEndian.Uint64(value[9:])),
	}
	return nil
}

// pass notes a record, and reports whether it was seen before. A record without a source is always new.
func (s *sources) pass(src event.Source, at event.Millis) (seen bool) {
	if src.Incarnation == [16]byte{} {
		return false
	}
	m, known := s.seen[src.Incarnation]
	if known && src.Sequence <= m.sequence {
		return true
	}
	s.seen[src.Incarnation] = sourceMark{src.Sequence, at}
	s.changed[src.Incarnation] = struct{}{}
	if !known && len(s.seen) > maxSources {
		s.forget()
	}
	return false
}

// forget drops the journal that was silent the longest.
func (s *sources) forget() {
	var oldest [16]byte
	first := true
	for id, m := range s.seen {
		o := s.seen[oldest]
		if first || m.logTime < o.logTime || m.logTime == o.logTime && string(id[:]) < string(oldest[:]) {
			oldest, first = id, false
		}
	}
	delete(s.seen, oldest)
	delete(s.changed, oldest)
	s.gone = append(s.gone, oldest)
}

func (s *sources) write(b *kv.Batch) error {
	var key, value []byte
	for _, id := range s.gone {
		key = s.keys.source(key[:0], id)
		if err := b.Delete(key, nil); err != nil {
			return fmt.Errorf("forget source: %w", err)
		}
	}
	s.gone = s.gone[:0]
	for id := range s.changed {
		m := s.seen[id]
		key = s.keys.source(key[:0], id)
		value = append(value[:0], sourceFormat)
		value = binary.BigEndian.AppendUint64(value, m.sequence)
		value = binary.BigEndian.AppendUint64(value, uint64(m.logTime))
		if err := b.Set(key, value, nil); err != nil {
			return fmt.Errorf("write source: %w", err)
		}
	}
	clear(s.changed)
	return nil
}
