package rollup

import (
	"fmt"

	"carom/kv"
)

// The tables of senders and of sequences have a row for each that any fact was seen of, so that they can be listed and
// one that nobody knows can be told from one that has no numbers yet. The value is a version byte.

// maxKnown bounds the names that are remembered to be in the tables.
const maxKnown = 1 << 16

// writeNames puts the senders and sequences into b that are not in the store.
func (p *Partition) writeNames(names []scope, b *kv.Batch) error {
	if len(p.known)+len(names) > maxKnown {
		clear(p.known)
	}
	for _, s := range names {
		if _, ok := p.known[s]; ok {
			continue
		}
		if err := p.writeName(p.senderKey(s), b); err != nil {
			return err
		}
		if err := p.writeName(p.sequenceKey(s), b); err != nil {
			return err
		}
		// A step that fails takes the partition with it, so nothing is remembered that was not written.
		p.known[s] = struct{}{}
	}
	return nil
}

func (p *Partition) writeName(key []byte, b *kv.Batch) error {
	_, ok, err := p.disk.Get(key)
	if err != nil || ok {
		return err
	}
	if err := b.Set(key, []byte{nameVersion}, nil); err != nil {
		return fmt.Errorf("write name: %w", err)
	}
	return nil
}

func (p *Partition) senderKey(s scope) []byte {
	return s.appendSender(appendHeader(nil, p.number, tableSender))
}

func (p *Partition) sequenceKey(s scope) []byte {
	return s.appendAll(appendHeader(nil, p.number, tableSequence))
}
