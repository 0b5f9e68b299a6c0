package refine

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
)

// The tables of before there were epochs:
//
//	1 | message key(16)                    a message's state
//	2 | message key(16) | event id(16)     timeline
//	16 …                                   messages by contact
//	18 | message key(16)                   tombs
const (
	oldMessages table = 1
	oldTimeline table = 2
	oldContacts table = 16
	oldTombs    table = 18
)

const (
	migratedFormat byte = 1
	// migrateBytes is how much one commit of migrate covers, migrateSay after how many keys it says how far it is.
	migrateBytes = 4 << 20
	migrateSay   = 1 << 22
)

// migrate brings what an earlier Carom kept into the epoch of the last record, and makes the lists of it. If it is cut
// short it begins again: it writes the same.
//
//	1, 2, 18 ─▶ 6, 7, 21 under the epoch      1 ─▶ 20, 22, 24      16 is made anew      at last: 1, 2, 16, 18 are deleted
func (p *Partition) migrate() error {
	mark := p.keys.table(nil, tableEpochs)
	value, ok, err := p.store.Get(nil, mark)
	if err != nil {
		return err
	}
	if ok {
		return checkFormat("epochs", value, migratedFormat)
	}
	if p.store.ReadOnly() {
		return nil // who only looks finds the messages when they were brought over
	}
	m := migration{p: p, b: p.store.NewBatch()}
	defer func() { _ = m.b.Close() }()
	if err := m.run(); err != nil {
		return err
	}
	if err := m.b.Set(mark, []byte{migratedFormat}, nil); err != nil {
		return err
	}
	return p.store.Commit(m.b)
}

type migration struct {
	p     *Partition
	b     *kv.Batch
	epoch *epochRow
	n     int
	key   []byte
}

// run leaves the last of what it writes in m.b.
func (m *migration) run() error {
	found := false
	for _, t := range [...]table{oldMessages, oldTombs} {
		filled, err := m.filled(m.p.keys.table(nil, t))
		if err != nil {
			return err
		}
		found = found || filled
	}
	if found {
		if err := m.copy(); err != nil {
			return err
		}
	}
	for _, t := range [...]table{oldMessages, oldTimeline, oldContacts, oldTombs} {
		from := m.p.keys.table(nil, t)
		if err := m.b.DeleteRange(from, kv.PrefixEnd(from), nil); err != nil {
			return err
		}
	}
	return nil
}

func (m *migration) filled(prefix []byte) (bool, error) {
	it, err := m.p.store.DB().NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: kv.PrefixEnd(prefix)})
	if err != nil {
		return false, err
	}
	found := it.First()
	return found, errors.Join(it.Error(), it.Close())
}

// copy brings all tables over.
func (m *migration) copy() (err error) {
	m.p.log.Info("messages were kept before there were epochs: bringing them over")
	es := epochs{keys: m.p.keys, keep: event.Millis(m.p.opts.Keep.Milliseconds())}
	if _, err = es.at(m.b, m.p.meta.logTime); err != nil {
		return err
	}
	m.epoch = &es.rows[0]
	for _, t := range [...]struct {
		from, to table
		keyBytes int
	}{{oldMessages, tableMessages, 16}, {oldTimeline, tableTimeline, 32}, {oldTombs, tableTombs, 16}} {
		if err := m.table(t.from, t.to, t.keyBytes); err != nil {
			return err
		}
	}
	if err := es.writeRolls(m.b); err != nil {
		return err
	}
	m.p.log.Info("the messages are brought over", zap.Int("keys", m.n))
	return nil
}

// table brings one table over.
func (m *migration) table(from, to table, keyBytes int) error {
	prefix := m.p.keys.table(nil, from)
	it, err := m.p.store.DB().NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: kv.PrefixEnd(prefix)})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if len(it.Key()) != tableBytes+keyBytes {
			err = fmt.Errorf("%w: key %x", errDamaged, it.Key())
			break
		}
		err = m.entry(to, it.Key()[tableBytes:], it.Value())
	}
	return errors.Join(err, it.Error(), it.Close())
}

func (m *migration) entry(to table, rest, value []byte) error {
	m.key = append(m.p.keys.epoch(m.key[:0], to, m.epoch.id), rest...)
	if err := m.b.Set(m.key, value, nil); err != nil {
		return err
	}
	if to == tableMessages {
		if err := m.index(event.Key(rest), value); err != nil {
			return err
		}
	}
	if m.n++; m.n%migrateSay == 0 {
		m.p.log.Info("bringing messages over", zap.Int("keys", m.n))
	}
	if m.b.Len() < migrateBytes {
		return nil
	}
	if err := m.epoch.roll.write(m.p.keys, m.epoch.id, m.b); err != nil {
		return err
	}
	err := m.p.store.CommitNoSync(m.b)
	m.b.Reset()
	return err
}

func (m *migration) index(key event.Key, value []byte) error {
	m.epoch.roll.add(key)
	s := state{key: key, epoch: m.epoch.id}
	if err := s.decode(value); err != nil {
		return fmt.Errorf("message %s: %w", key, err)
	}
	return m.p.indexIn(m.b, &s)
}
