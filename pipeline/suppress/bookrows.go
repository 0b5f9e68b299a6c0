package suppress

import (
	"encoding/binary"
	"fmt"
	"math"

	"carom/kv"
	"carom/pipeline/event"
)

// What the book keeps in its store, all under PrefixBook. Numbers are big-endian, names as kv.AppendName writes them.
//
//	0 │ where the log was read: version(1) │ next(8) │ when it was read to its end(8) │ generation(8) │ flags(1): 1 hashed, 2 anew
//	1 │ account │ domain │ local part, or of a hash the whole name        an entry
//	2 │ order id(16)                                                      a decision, as in the log
//	3 │ account │ when it was made(8), falling │ order id(16)             of the decisions
//	4 │ when it was made(8), falling │ order id(16)                       likewise
//
// Values begin with version(1) and generation(8), those of entries go on as stop.go says: when a compacted log is read anew, what is not of the new generation at
// its end is gone from the log.
const (
	bookTablePlace byte = iota
	bookTableEntry
	bookTableDecision
	bookTableByAccount
	bookTableByTime
)

const bookHeader = 1 + 8

func bookPlace() []byte { return []byte{kv.PrefixBook, bookTablePlace} }

func bookTable(table byte) []byte { return append(make([]byte, 0, 96), kv.PrefixBook, table) }

func bookAccount(account string) []byte { return kv.AppendName(bookTable(bookTableEntry), account) }

func bookEntry(account, name string) []byte {
	domain, local := splitName(name)
	return kv.AppendName(kv.AppendName(bookAccount(account), domain), local)
}

// cutBookEntry reads account and name from the key of an entry.
func cutBookEntry(key []byte) (account, name string, err error) {
	var domain, local string
	if account, key, err = kv.CutName(key[2:]); err == nil {
		if domain, key, err = kv.CutName(key); err == nil {
			local, _, err = kv.CutName(key)
		}
	}
	if domain == "" {
		return account, local, err
	}
	return account, local + "@" + domain, err
}

func bookDecision(id event.ID) []byte { return append(bookTable(bookTableDecision), id[:]...) }

func bookByAccount(account string) []byte {
	return kv.AppendName(bookTable(bookTableByAccount), account)
}

// appendMade appends what sorts the newest decision first.
func appendMade(key []byte, made event.Millis, id event.ID) []byte {
	return append(kv.AppendUint64(key, math.MaxUint64-uint64(made)), id[:]...)
}

func appendBookRow(generation uint64, value []byte) []byte {
	return append(kv.AppendUint64([]byte{rowVersion}, generation), value...)
}

func openBookRow(value []byte) ([]byte, error) {
	if _, err := openRow(value); err != nil || len(value) < bookHeader {
		return nil, errRowOr(err)
	}
	return value[bookHeader:], nil
}

func errRowOr(err error) error {
	if err == nil {
		err = errRow
	}
	return err
}

func generationOf(value []byte) uint64 {
	if len(value) < bookHeader {
		return 0
	}
	return binary.BigEndian.Uint64(value[1:])
}

const (
	bookHashed byte = 1 << iota
	bookAnew
)

// bookAt is where the book stands.
type bookAt struct {
	next       int64        // what all records before it said is in the rows
	end        event.Millis // when all of the log was read last, by this node's clock
	generation uint64
	hashed     bool // some rows are of hashes
	anew       bool // the log is being read anew
}

func (a *bookAt) append() []byte {
	dst := []byte{rowVersion}
	for _, v := range []uint64{uint64(a.next), uint64(a.end), a.generation} {
		dst = kv.AppendUint64(dst, v)
	}
	flags := byte(0)
	if a.hashed {
		flags |= bookHashed
	}
	if a.anew {
		flags |= bookAnew
	}
	return append(dst, flags)
}

func (a *bookAt) decode(b []byte) error {
	if len(b) != 1+3*8+1 || b[0] != rowVersion {
		return fmt.Errorf("suppress: the book's place is of %d bytes and version %d, this Carom reads %d: use a newer Carom", len(b), b[:1], rowVersion)
	}
	*a = bookAt{
		int64(binary.BigEndian.Uint64(b[1:])), event.Millis(binary.BigEndian.Uint64(b[9:])), binary.BigEndian.Uint64(b[17:]),
		b[25]&bookHashed != 0, b[25]&bookAnew != 0,
	}
	return nil
}
