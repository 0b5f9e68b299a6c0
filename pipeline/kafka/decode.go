package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// A record batch of version 2, as brokers keep and send it; numbers are big-endian:
//
//	 0             8        12       16      17      21           23            27
//	┌─────────────┬────────┬────────┬───────┬───────┬────────────┬─────────────┬──
//	│ base offset │ length │ leader │ magic │ CRC   │ attributes │ last offset │
//	│             │ of the │ epoch  │ 2     │ of    │            │ delta       │
//	│             │ rest   │        │       │ rest  │            │             │
//	└─────────────┴────────┴────────┴───────┴───────┴────────────┴─────────────┴──
//	 27           35           43             57          61
//	──┬────────────┬────────────┬──────────────┬───────────┬───────────────────────┐
//	  │ base       │ greatest   │ producer:    │ number of │ records, compressed   │
//	  │ timestamp  │ timestamp  │ id, epoch,   │ records   │ as attributes say     │
//	  │            │            │ sequence     │           │                       │
//	──┴────────────┴────────────┴──────────────┴───────────┴───────────────────────┘
const (
	sentLengthAt      = 8
	sentLengthEnd     = 12
	sentMagicAt       = 16
	sentChecksumAt    = 17
	sentAttributesAt  = 21
	sentLastDeltaAt   = 23
	sentFirstTimeAt   = 27
	sentMaxTimeAt     = 35
	sentCountAt       = 57
	sentHead          = 61
	attributeCodec    = 0x07
	attributeAppended = 0x08 // the broker's clock: all records have the greatest timestamp
	attributeControl  = 0x20 // marks of transactions, no records
	minRecordBytes    = 7
	maxBatch          = 64 << 20 // of decompressed records; a batch is 16 MiB at most when a Carom writes it
	maxRecordHeaders  = 1 << 10
)

var errPartial = errors.New("a part of a record batch")

// sentBatch is a record batch whose frame was read.
type sentBatch struct {
	base, last      int64 // offsets of the first and the last record, if they are still there
	attributes      uint16
	first, greatest event.Millis
	count           int
	records         []byte // as sent
}

// cutBatch takes the first batch off src and checks its frame. It returns errPartial if src ends within it: brokers
// cut what they send where they like.
func cutBatch(src []byte) (b sentBatch, rest []byte, err error) {
	if len(src) < sentLengthEnd {
		return b, src, errPartial
	}
	length := int32(binary.BigEndian.Uint32(src[sentLengthAt:]))
	if length < sentHead-sentLengthEnd {
		return b, src, fmt.Errorf("a record batch of %d bytes: want at least %d", length, sentHead-sentLengthEnd)
	}
	if int64(length) > int64(len(src)-sentLengthEnd) {
		return b, src, errPartial
	}
	whole, rest := src[:sentLengthEnd+int(length)], src[sentLengthEnd+int(length):]
	if magic := whole[sentMagicAt]; magic != batchMagic {
		return b, src, fmt.Errorf("a record batch of version %d: want %d, which brokers write since Kafka 0.11", magic, batchMagic)
	}
	if want, got := binary.BigEndian.Uint32(whole[sentChecksumAt:]), crc32.Checksum(whole[sentAttributesAt:], castagnoli); want != got {
		return b, src, fmt.Errorf("a record batch whose checksum is %08x, not %08x", got, want)
	}
	b = sentBatch{
		base:       int64(binary.BigEndian.Uint64(whole)),
		attributes: binary.BigEndian.Uint16(whole[sentAttributesAt:]),
		first:      event.Millis(binary.BigEndian.Uint64(whole[sentFirstTimeAt:])),
		greatest:   event.Millis(binary.BigEndian.Uint64(whole[sentMaxTimeAt:])),
		count:      int(int32(binary.BigEndian.Uint32(whole[sentCountAt:]))),
		records:    whole[sentHead:],
	}
	delta := int32(binary.BigEndian.Uint32(whole[sentLastDeltaAt:]))
	b.last = b.base + int64(delta)
	if b.base < 0 || delta < 0 || b.last < b.base || b.last == maxOffset || b.count < 0 || b.count > int(delta)+1 {
		return b, src, fmt.Errorf("a record batch of %d records at offset %d, %+d", b.count, b.base, delta)
	}
	return b, rest, nil
}

const maxOffset = 1<<63 - 1

var errRecords = errors.New("malformed records")

// header is one header of a record.
type header struct{ key, value []byte }

// decode appends the batch's records from offset from on to dst. Key and Value point into one piece of new memory. fill
// does the rest of a record, with the headers, which are its own only during the call.
func (b *sentBatch) decode(dst []log.Record, from int64, inflate *inflater, fill func(*log.Record, []header)) ([]log.Record, error) {
	if b.attributes&attributeControl != 0 || b.last < from {
		return dst, nil
	}
	data, err := inflate.inflate(b.attributes&attributeCodec, b.records)
	if err != nil {
		return dst, err
	}
	if b.count > len(data)/minRecordBytes {
		return dst, errRecords
	}
	d := &recordDecoder{rest: data}
	had, before := len(dst), b.base-1
	for range b.count {
		d.record(b)
		if d.failed || d.rec.Offset <= before || d.rec.Offset > b.last {
			return dst[:had], errRecords
		}
		before = d.rec.Offset
		if before < from {
			continue
		}
		fill(&d.rec, d.headers)
		dst = append(dst, d.rec)
	}
	if len(d.rest) > 0 {
		return dst[:had], errRecords
	}
	return dst, nil
}

// recordDecoder reads records. After a failure it gives zeros.
type recordDecoder struct {
	rest    []byte
	failed  bool
	rec     log.Record
	headers []header
}

// record reads the next one. Numbers are zigzag varints:
//
//	length │ attributes(1) │ timestamp delta │ offset delta │ key length │ key │ value length │ value │
//	number of headers │ each: key length │ key │ value length │ value        a length of -1: null
func (d *recordDecoder) record(b *sentBatch) {
	length := d.varint()
	if length < 0 || length > int64(len(d.rest)) {
		d.fail()
		return
	}
	after := d.rest[length:]
	d.rest = d.rest[:length:length]
	d.bytes(1)
	at := b.first + event.Millis(d.varint())
	if b.attributes&attributeAppended != 0 {
		at = b.greatest
	}
	d.rec = log.Record{Time: at, Offset: b.base + d.varint()}
	d.rec.Key, d.rec.Value = d.bytes(d.varint()), d.bytes(d.varint())
	d.headers = d.headers[:0]
	n := d.varint()
	if n < 0 || n > maxRecordHeaders {
		d.fail()
		return
	}
	for range n {
		d.headers = append(d.headers, header{d.bytes(d.varint()), d.bytes(d.varint())})
	}
	if len(d.rest) > 0 {
		d.fail()
		return
	}
	if !d.failed {
		d.rest = after
	}
}

func (d *recordDecoder) fail() { d.failed, d.rest = true, nil }

func (d *recordDecoder) varint() int64 {
	if len(d.rest) > 0 && d.rest[0] < 0x80 { // nearly all of them
		n := d.rest[0]
		d.rest = d.rest[1:]
		return int64(n>>1) ^ -int64(n&1)
	}
	n, size := binary.Varint(d.rest)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// bytes takes n bytes off; -1 is null.
func (d *recordDecoder) bytes(n int64) []byte {
	if n == -1 {
		return nil
	}
	if n < 0 || n > int64(len(d.rest)) {
		d.fail()
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}
