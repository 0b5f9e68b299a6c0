package webhook

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// batch is what one request carries.
type batch struct {
	lines  bool // one event a line, not an array
	body   []byte
	events int
	since  time.Time // of the first event
	full   bool
}

// reset empties b. A large buffer is given back.
func (b *batch) reset() {
	body := b.body[:0]
	if cap(body) > 64<<10 {
		body = nil
	}
	*b = batch{lines: b.lines, body: body}
}

// fits reports whether there is room for an event of some bytes; a batch takes one of any size.
func (b *batch) fits(bytes, maxEvents, maxBytes int) bool {
	const around = len("[]\n")
	return b.events == 0 || b.events < maxEvents && len(b.body)+bytes+around <= maxBytes
}

// add takes an event: a JSON object.
func (b *batch) add(object []byte, now time.Time) {
	if b.events == 0 {
		b.since = now
	}
	if !b.lines {
		if b.events == 0 {
			b.body = append(b.body, '[')
		} else {
			b.body = append(b.body, ',')
		}
	}
	b.events++
	if bytes.IndexByte(object, '\n') >= 0 { // not by us; it would be two lines
		var compact bytes.Buffer
		if json.Compact(&compact, object) == nil {
			object = compact.Bytes()
		}
	}
	b.body = append(b.body, object...)
	if b.lines {
		b.body = append(b.body, '\n')
	}
}

// end makes the body whole.
func (b *batch) end() {
	if !b.lines {
		b.body = append(b.body, ']')
	}
}

func (b *batch) mediaType() string {
	if b.lines {
		return "application/x-ndjson"
	}
	return "application/json"
}

// batchID is the same for the same events of the same definition of a webhook.
func batchID(h *Hook, places map[int32]place) string {
	key := []byte(h.ID + h.tag())
	for _, p := range slices.Sorted(maps.Keys(places)) {
		if at := places[p]; at.end > at.next {
			key = binary.BigEndian.AppendUint32(key, uint32(p))
			key = binary.BigEndian.AppendUint64(key, uint64(at.next))
			key = binary.BigEndian.AppendUint64(key, uint64(at.end))
		}
	}
	sum := sha256.Sum256(key)
	return "wh_" + hex.EncodeToString(sum[:16])
}
