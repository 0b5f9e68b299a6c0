package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"carom/pipeline/event"
)

// setHead is what comes before the records in a produce request: the length of the rest (4 bytes), and the head of the
// one batch, see decode.go.
const setHead = 4 + sentHead

const batchMagic = 2

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// noHeaders are the headers of a record that has none.
var noHeaders = []byte{0}

// record is what a batch takes in. It keeps nothing of it.
type record struct {
	at      event.Millis
	key     []byte // nil: null
	value   []byte
	headers []byte // encoded; nil: none
	// raw: value is an event that is put into an envelope with source.
	raw    bool
	source event.Source
}

// valueSize is the length of the value as it is written.
func (r *record) valueSize() int {
	if r.raw {
		return rawSize(r.source, r.value)
	}
	return len(r.value)
}

// maxRecordHead bounds what a record takes besides key, value and headers.
const maxRecordHead = 5 + 1 + 10 + 5 + 5 + 5

// weight is at least the length of the record as it is written.
func (r *record) weight() int {
	return maxRecordHead + len(r.key) + r.valueSize() + max(len(r.headers), 1)
}

// notice is whom to tell when a part of a batch is acknowledged.
type notice struct {
	owner   owner
	records int
	bytes   int // their weight
}

// owner waits for records that it has put into lanes.
type owner interface {
	// acked tells that this many of them, of that weight, are acknowledged. It must not block.
	acked(records, bytes int)
}

// noMark is the mark of a batch without marks.
const noMark = -1

// parcel collects records of one partition.
type parcel struct {
	buf      []byte // the head, filled in by seal, and the records
	count    int
	base     event.Millis // of the first record
	newest   event.Millis
	born     time.Time
	first    int64 // the lowest mark of its records
	notices  []notice
	packed   []byte // as it is sent, if compressed
	tainted  bool   // a request that failed may still read from its buffers
	unpacked int    // bytes of records before compression
}

func (b *parcel) size() int { return len(b.buf) - setHead }

// add appends r, which its owner has marked with mark unless that is noMark. Marks grow. buf must have room, see grow.
func (b *parcel) add(r *record, o owner, mark int64, weight int) {
	if b.count == 0 {
		b.base, b.newest, b.first = r.at, r.at, noMark
	}
	b.newest = max(b.newest, r.at)
	if b.first == noMark {
		b.first = mark
	}
	b.buf = appendRecord(b.buf, int64(r.at-b.base), int64(b.count), r)
	b.count++
	if n := len(b.notices); n > 0 && b.notices[n-1].owner == o {
		b.notices[n-1].records++
		b.notices[n-1].bytes += weight
		return
	}
	b.notices = append(b.notices, notice{o, 1, weight})
}

func appendRecord(dst []byte, timeDelta, offsetDelta int64, r *record) []byte {
	headers := r.headers
	if headers == nil {
		headers = noHeaders
	}
	keyLen := int64(len(r.key))
	if r.key == nil {
		keyLen = -1
	}
	value := r.valueSize()
	valueLen := int64(value)
	if r.value == nil && !r.raw {
		valueLen = -1 // null: a compacted topic forgets the key
	}
	size := 1 + sizeVarint(timeDelta) + sizeVarint(offsetDelta) + sizeVarint(keyLen) + len(r.key) + sizeVarint(valueLen) + value + len(headers)
	dst = appendVarint(dst, int64(size))
	dst = append(dst, 0)
	dst = appendVarint(dst, timeDelta)
	dst = appendVarint(dst, offsetDelta)
	dst = appendVarint(dst, keyLen)
	dst = append(dst, r.key...)
	dst = appendVarint(dst, valueLen)
	if r.raw {
		dst = appendRaw(dst, r.source, r.value)
	} else {
		dst = append(dst, r.value...)
	}
	return append(dst, headers...)
}

func appendVarint(dst []byte, v int64) []byte {
	return protowire.AppendVarint(dst, protowire.EncodeZigZag(v))
}

func sizeVarint(v int64) int { return protowire.SizeVarint(protowire.EncodeZigZag(v)) }

// seal fills in the head of a record set whose records, compressed or not, follow it in buf.
func seal(buf []byte, attributes int16, count int, base, newest event.Millis) {
	be := binary.BigEndian
	set := buf[4:]
	be.PutUint32(buf, uint32(len(set)))
	be.PutUint64(set, 0)
	be.PutUint32(set[sentLengthAt:], uint32(len(set)-sentLengthEnd))
	be.PutUint32(set[sentLengthEnd:], ^uint32(0)) // the leader's epoch: not known
	set[sentMagicAt] = batchMagic
	be.PutUint16(set[sentAttributesAt:], uint16(attributes))
	be.PutUint32(set[sentLastDeltaAt:], uint32(count-1))
	be.PutUint64(set[sentFirstTimeAt:], uint64(base))
	be.PutUint64(set[sentMaxTimeAt:], uint64(newest))
	for i := sentMaxTimeAt + 8; i < sentCountAt; i++ {
		set[i] = 0xff // no producer id, epoch or sequence
	}
	be.PutUint32(set[sentCountAt:], uint32(count))
	be.PutUint32(set[sentChecksumAt:], crc32.Checksum(set[sentAttributesAt:], castagnoli))
}

var errBatch = errors.New("BUG: a batch of ours can't be read")

// split moves the second half of b's records into a batch of its own, which must be sent after b.
func (b *parcel) split() (*parcel, error) {
	keep := b.count / 2
	rest := b.buf[setHead:]
	for range keep {
		size, n := protowire.ConsumeVarint(rest)
		length := protowire.DecodeZigZag(size)
		if n < 0 || length < 0 || int64(len(rest)-n) < length {
			return nil, errBatch
		}
		rest = rest[n+int(length):]
	}
	second := &parcel{
		buf: make([]byte, setHead, setHead+len(rest)), base: b.base, newest: b.newest, born: b.born, tainted: true,
		// Marks of the second half are higher than this one; too low a cursor does no harm.
		first: b.first,
	}
	moved := len(rest)
	for ; len(rest) > 0; second.count++ {
		// length | attributes, timestamp delta | offset delta | the rest
		size, n := protowire.ConsumeVarint(rest)
		length := protowire.DecodeZigZag(size)
		if n < 0 || length < 1 || int64(len(rest)-n) < length {
			return nil, errBatch
		}
		body := rest[n : n+int(length)]
		rest = rest[n+int(length):]
		_, stamp := protowire.ConsumeVarint(body[1:])
		if stamp < 0 {
			return nil, errBatch
		}
		before := body[:1+stamp]
		_, delta := protowire.ConsumeVarint(body[len(before):])
		if delta < 0 {
			return nil, errBatch
		}
		after := body[len(before)+delta:]
		offset := int64(second.count)
		second.buf = appendVarint(second.buf, int64(len(before)+sizeVarint(offset)+len(after)))
		second.buf = append(second.buf, before...)
		second.buf = appendVarint(second.buf, offset)
		second.buf = append(second.buf, after...)
	}
	b.buf = bytes.Clone(b.buf[:len(b.buf)-moved]) // whoever still sends the whole must not see it change
	b.count, b.packed, b.tainted = keep, nil, true
	b.notices, second.notices = splitNotices(b.notices, keep)
	return second, nil
}

// splitNotices divides the notices after keep records.
func splitNotices(list []notice, keep int) (first, second []notice) {
	for i, n := range list {
		if keep >= n.records {
			keep -= n.records
			continue
		}
		first = append(first, list[:i]...)
		if keep > 0 {
			part := notice{n.owner, keep, n.bytes * keep / n.records}
			first = append(first, part)
			n.records -= part.records
			n.bytes -= part.bytes
		}
		return first, append([]notice{n}, list[i+1:]...)
	}
	return list, nil
}
