package rollup

import (
	"bytes"
	"errors"

	"carom/kv"
)

// A key of the rollup:
//
//	 0              1            3       4
//	┌──────────────┬────────────┬───────┬──────
//	│ PrefixRollup │ partition  │ table │ …        numbers big-endian
//	└──────────────┴────────────┴───────┴──────
//
//	meta        │ 0: position (position.go), 1: rebuild (rebuild.go), 2: sweep (expire.go)
//	sender      │ account │ sender
//	sequence    │ account │ sender │ sequence
//	enrollment  │ account │ sender │ sequence │ form(1) │ contact or message, or of an erased one erase.go
//	cohort      │ account │ sender │ part(1), part.go │ its name, unless it is the whole sender │ hour(4)
//	nameless    │ account │ sender │ event id(16)
//	published   │ account │ sender
//	scrub       │ contact key(16) │ event id(16)
//	provider    │ account │ sender │ provider
//	domains     │ account │ sender
//	completion  │ account │ sender │ minute of completion(4) │ what follows the sender in the enrollment's key
//	alert       │ account │ sender
//
// Names are written so that they sort as they are and end by themselves: no name runs into the next, whatever bytes
// it holds.
const (
	tableMeta byte = iota + 1
	tableSender
	tableSequence
	tableEnrollment
	tableCohort
	tableNameless
	tablePublished
	tableScrub
	tableProvider
	tableDomains
	tableCompletion
	tableAlert
)

const headerSize = 4

// The rows of the meta table.
const (
	metaPosition byte = iota
	metaRebuild
	metaSweep
)

// How an enrollment is named.
const (
	formContact byte = iota + 1
	formMessage
)

// Within a name 0x00 is written as 0x00 0xff; 0x00 0x01 ends it, and sorts before whatever could follow.
const (
	nameEscape byte = 0x00
	nameZero   byte = 0xff
	nameEnd    byte = 0x01
)

var errKey = errors.New("rollup: malformed key")

func appendHeader(dst []byte, partition int32, table byte) []byte {
	dst = append(dst, kv.PrefixRollup)
	dst = kv.AppendUint16(dst, uint16(partition))
	return append(dst, table)
}

func appendName(dst []byte, name string) []byte {
	for i := 0; i < len(name); i++ {
		dst = append(dst, name[i])
		if name[i] == nameEscape {
			dst = append(dst, nameZero)
		}
	}
	return append(dst, nameEscape, nameEnd)
}

// cutName reads the name that key starts with, and returns what follows it.
func cutName(key []byte) (name string, rest []byte, err error) {
	var whole []byte // of a name that holds zeros
	for {
		i := bytes.IndexByte(key, nameEscape)
		if i < 0 || i+1 == len(key) {
			return "", nil, errKey
		}
		if key[i+1] == nameEnd {
			return string(append(whole, key[:i]...)), key[i+2:], nil
		}
		if key[i+1] != nameZero {
			return "", nil, errKey
		}
		whole = append(whole, key[:i+1]...)
		key = key[i+2:]
	}
}

// scope is whom counts are kept for: a sequence of a sender.
type scope struct{ account, sender, sequence string }

func (s scope) appendSender(dst []byte) []byte {
	return appendName(appendName(dst, s.account), s.sender)
}

func (s scope) appendAll(dst []byte) []byte { return appendName(s.appendSender(dst), s.sequence) }

// cutScope reads what appendAll wrote.
func cutScope(key []byte) (s scope, rest []byte, err error) {
	for _, name := range []*string{&s.account, &s.sender, &s.sequence} {
		if *name, key, err = cutName(key); err != nil {
			return scope{}, nil, err
		}
	}
	return s, key, nil
}

// appendCohort appends what the keys of a part's cohort rows start with.
func (p *Partition) appendCohort(dst []byte, of *part) []byte {
	dst = appendName(appendName(appendHeader(dst, p.number, tableCohort), of.account), of.sender)
	dst = append(dst, of.kind)
	if of.kind == partSender {
		return dst
	}
	return appendName(dst, of.name)
}

func (p *Partition) metaKey(row byte) []byte {
	return append(appendHeader(nil, p.number, tableMeta), row)
}
