package rollup

import (
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
// Names are written by kv.AppendName.
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

var errKey = errors.New("rollup: malformed key")

func appendHeader(dst []byte, partition int32, table byte) []byte {
	dst = append(dst, kv.PrefixRollup)
	dst = kv.AppendUint16(dst, uint16(partition))
	return append(dst, table)
}

// scope is whom counts are kept for: a sequence of a sender.
type scope struct{ account, sender, sequence string }

func (s scope) appendSender(dst []byte) []byte {
	return kv.AppendName(kv.AppendName(dst, s.account), s.sender)
}

func (s scope) appendAll(dst []byte) []byte { return kv.AppendName(s.appendSender(dst), s.sequence) }

// cutScope reads what appendAll wrote.
func cutScope(key []byte) (s scope, rest []byte, err error) {
	for _, name := range []*string{&s.account, &s.sender, &s.sequence} {
		if *name, key, err = kv.CutName(key); err != nil {
			return scope{}, nil, err
		}
	}
	return s, key, nil
}

// appendCohort appends what the keys of a part's cohort rows start with.
func (p *Partition) appendCohort(dst []byte, of *part) []byte {
	dst = kv.AppendName(kv.AppendName(appendHeader(dst, p.number, tableCohort), of.account), of.sender)
	dst = append(dst, of.kind)
	if of.kind == partSender {
		return dst
	}
	return kv.AppendName(dst, of.name)
}

func (p *Partition) metaKey(row byte) []byte {
	return append(appendHeader(nil, p.number, tableMeta), row)
}
