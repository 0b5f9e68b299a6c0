package rollup

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"carom/kv"
	"carom/pipeline/event"
)

// The table of completions lists the enrollments that count, by the minute in which they complete, so that every count
// can be opened into whom it counts. The value of its rows:
//
//	┌─────────┬─────────────┬─────────────────────┬──────────────────┬──────────────────────┐
//	│ version │ counters    │ category of the     │ day of log time  │ provider, to the end │
//	│ 1       │ bits, varint│ bounce, if it is one│ of this, uvarint │                      │
//	└─────────┴─────────────┴─────────────────────┴──────────────────┴──────────────────────┘
//
// It is written with the enrollment, in one batch, and made anew with the cohorts: it says what they say.
type completion struct {
	flags    uint32
	category uint8
	day      uint32
	provider []byte
}

func (c *contribution) appendCompletion(dst []byte, at event.Millis) []byte {
	dst = binary.AppendUvarint(append(dst, completionVersion), uint64(c.flags))
	if c.has(cBounced) {
		dst = append(dst, c.category)
	}
	dst = binary.AppendUvarint(dst, uint64(max(0, at)/dayMillis))
	return append(dst, c.provider...)
}

func (c *completion) decode(value []byte) error {
	s := openValue(value, completionVersion, "completion")
	*c = completion{flags: s.uint32()}
	if c.flags&(1<<cBounced) != 0 {
		c.category = s.category()
	}
	c.day = s.uint32()
	c.provider = s.rest
	return s.err
}

// takeListed makes c what the table says of d.
func (c *contribution) takeListed(d *contribution) {
	c.counted, c.at, c.flags, c.category, c.provider = d.counted, d.at, d.flags, d.category, d.provider
}

// sameRow reports whether the table says the same of both.
func (c *contribution) sameRow(d *contribution) bool {
	return c.counted == d.counted && (!c.counted || minuteOf(c.at) == minuteOf(d.at) && c.flags == d.flags &&
		c.category == d.category && c.provider == d.provider)
}

// list brings the table from what an enrollment counted as to what it counts as now.
func (p *Partition) list(b *kv.Batch, enrollment []byte, before, after *contribution) error {
	if before.sameRow(after) {
		return nil
	}
	if before.counted && (!after.counted || minuteOf(before.at) != minuteOf(after.at)) {
		if err := b.Delete(p.completionKey(enrollment, before), nil); err != nil {
			return fmt.Errorf("write completion: %w", err)
		}
	}
	if !after.counted {
		return nil
	}
	p.listed = after.appendCompletion(p.listed[:0], p.now)
	if err := b.Set(p.completionKey(enrollment, after), p.listed, nil); err != nil {
		return fmt.Errorf("write completion: %w", err)
	}
	return nil
}

// moveCompletion gives the row of an enrollment, of which c is what it counts as, another name.
func (p *Partition) moveCompletion(b *kv.Batch, from, to []byte, c *contribution) error {
	if err := p.list(b, from, c, &contribution{}); err != nil {
		return err
	}
	return p.list(b, to, &contribution{}, c)
}

// completionKey returns the key of the row of an enrollment. It is valid until the next call.
func (p *Partition) completionKey(enrollment []byte, c *contribution) []byte {
	end := senderEnd(enrollment)
	p.completion = appendHeader(p.completion[:0], p.number, tableCompletion)
	p.completion = append(p.completion, enrollment[headerSize:end]...)
	p.completion = kv.AppendUint32(p.completion, minuteOf(c.at))
	p.completion = append(p.completion, enrollment[end:]...)
	return p.completion
}

// senderEnd returns where account and sender end in the key of an enrollment.
func senderEnd(key []byte) int {
	end := headerSize
	for range 2 {
		end += bytes.Index(key[end:], []byte(kv.NameEnd)) + len(kv.NameEnd)
	}
	return end
}

// enrollmentKey returns the key of the enrollment that the row under key lists, and its minute.
func (p *Partition) enrollmentKey(dst, key []byte, sender int) (_ []byte, minute uint32) {
	dst = appendHeader(dst, p.number, tableEnrollment)
	dst = append(dst, key[headerSize:sender]...)
	return append(dst, key[sender+4:]...), binary.BigEndian.Uint32(key[sender:])
}
