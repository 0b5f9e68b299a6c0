package control

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// What the package keeps in its store. Numbers are big-endian.
//
//	0x60 | 0                              where the log was read: format(1)=1 | offset(8) | when it was read to its end(8)
//	     | 1 | kind(1) | account | 0x00 | name    an entry: its value, as in the log
const (
	rowPlace byte = iota
	rowEntries
)

func placeKey() []byte { return []byte{kv.PrefixControl, rowPlace} }

func entriesKey() []byte { return []byte{kv.PrefixControl, rowEntries} }

func kindPrefix(k Kind) []byte { return []byte{kv.PrefixControl, rowEntries, byte(k)} }

func accountPrefix(k Kind, account string) []byte {
	return append(append(kindPrefix(k), account...), 0)
}

func rowKey(c *Control) []byte { return append(accountPrefix(c.Kind, c.Account), c.Name...) }

// readRow reads an entry. What it returns keeps nothing of key and value.
func readRow(key, value []byte) (c Control, err error) {
	if len(key) < 3 {
		return c, fmt.Errorf("%w: row", errControl)
	}
	account, name, ok := strings.Cut(string(key[3:]), "\x00")
	if !ok {
		return c, fmt.Errorf("%w: row without an account", errControl)
	}
	c = Control{Kind: Kind(key[2]), Account: account, Name: name}
	return c, c.decodeValue(value)
}

// place is how far the log was read.
type place struct {
	next int64
	end  event.Millis // when all of the log was read last, by this node's clock
}

const (
	placeFormat byte = 1
	placeBytes       = 1 + 8 + 8
)

func (p place) append(dst []byte) []byte {
	return kv.AppendUint64(kv.AppendUint64(append(dst, placeFormat), uint64(p.next)), uint64(p.end))
}

func (p *place) decode(b []byte) error {
	if len(b) != placeBytes || b[0] != placeFormat {
		return fmt.Errorf("control: the place in the log is of %d bytes and format %d, this Carom reads %d: use a newer Carom", len(b), b[:1], placeFormat)
	}
	p.next = int64(binary.BigEndian.Uint64(b[1:]))
	p.end = event.Millis(binary.BigEndian.Uint64(b[9:]))
	return nil
}

func (c *Controls) each(prefix, from []byte, f func(key, value []byte) (bool, error)) error {
	return each(c.store, prefix, from, f)
}

// each calls f with all rows of s under prefix from the key from on, until it returns false. Keys and values are valid
// during the call only.
func each(s *kv.Store, prefix, from []byte, f func(key, value []byte) (bool, error)) error {
	if err := s.Enter(); err != nil {
		return err
	}
	defer s.Leave()
	it, err := s.DB().NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: kv.PrefixEnd(prefix)})
	if err != nil {
		return err
	}
	more := true
	for ok := it.First(); ok && more && err == nil; ok = it.Next() {
		more, err = f(it.Key(), it.Value())
	}
	return errors.Join(err, it.Error(), it.Close())
}
