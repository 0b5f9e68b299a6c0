package suppress

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"carom/kv"
	"carom/pipeline/event"
)

// Stop is what stops mail to an address.
type Stop struct {
	Scope        Scope
	Reason       Reason
	Category     string
	Since, Until event.Millis // Until 0: without end
}

// A row of an entry begins with what says whether its address may be mailed, so that nobody reads JSON to know. Numbers but the
// version and the generation are varints.
//
//	┌────────────┬───────────────┬────────┬─────────────────────────────────────────────────────────────┬──────┐
//	│ version(1) │ generation(8) │ causes │ of each: reason │ category │ quarantined │ since │ until │ ended │ JSON │
//	└────────────┴───────────────┴────────┴─────────────────────────────────────────────────────────────┴──────┘
//
// The one that leads comes first, texts after their length. A row of version 1 has its JSON alone.
const entryVersion byte = 2

// appendEntryRow appends the row of an entry.
func appendEntryRow(generation uint64, w *wireSuppression) []byte {
	row := kv.AppendUint64(append(make([]byte, 0, 768), entryVersion), generation)
	row = binary.AppendUvarint(row, uint64(1+len(w.Others)))
	row = w.appendStop(row)
	for i := range w.Others {
		row = w.Others[i].appendStop(row)
	}
	return w.appendJSON(row)
}

// firstStop reads of a row with one cause what appendEntryRow had of it; nil of others.
func firstStop(row []byte) (*wireSuppression, error) {
	h, err := openEntryRow(row)
	if err != nil || h.uint() != 1 {
		return nil, err
	}
	c, category := h.cause()
	if h.bad {
		return nil, errRow
	}
	c.Category = string(category)
	return &wireSuppression{wireCause: c.wire()}, nil
}

func (w *wireCause) appendStop(dst []byte) []byte {
	quarantined := int64(0)
	if w.Quarantined {
		quarantined = 1
	}
	for _, s := range []string{string(w.Reason), w.Category} {
		dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	for _, n := range [...]int64{quarantined, int64(w.Since), int64(w.Until), int64(w.Ended)} {
		dst = binary.AppendVarint(dst, n)
	}
	return dst
}

// header reads the front of a row.
type header struct {
	rest []byte
	bad  bool
}

func (h *header) uint() uint64 {
	v, n := binary.Uvarint(h.rest)
	if n <= 0 {
		h.bad, h.rest = true, nil
		return 0
	}
	h.rest = h.rest[n:]
	return v
}

func (h *header) int() int64 {
	v, n := binary.Varint(h.rest)
	if n <= 0 {
		h.bad, h.rest = true, nil
		return 0
	}
	h.rest = h.rest[n:]
	return v
}

func (h *header) text() []byte {
	n := h.uint()
	if n > uint64(len(h.rest)) {
		h.bad, h.rest = true, nil
		return nil
	}
	text := h.rest[:n]
	h.rest = h.rest[n:]
	return text
}

// cause reads the next one; category is valid as long as the row.
func (h *header) cause() (c Cause, category []byte) {
	c.Reason = reasonOf(h.text())
	category = h.text()
	c.Quarantined = h.int() != 0
	c.Since, c.Until, c.Ended = event.Millis(h.int()), event.Millis(h.int()), event.Millis(h.int())
	return c, category
}

// reasonOf does not allocate for those that there are.
func reasonOf(text []byte) Reason {
	switch string(text) {
	case string(Manual):
		return Manual
	case string(Bounce):
		return Bounce
	case string(Complaint):
		return Complaint
	case string(Unsubscribe):
		return Unsubscribe
	}
	return Reason(text)
}

// readStop returns what stops mail by the row of an entry at a time, as lead would; ok is false if it may be mailed.
func readStop(row []byte, at event.Millis, transactional bool) (s Stop, ok bool, err error) {
	h, err := openEntryRow(row)
	if err != nil {
		return s, false, err
	}
	var category []byte
	for n := h.uint(); n > 0 && !h.bad; n-- {
		c, of := h.cause()
		if c.Reason == "" || !c.holds(at) || transactional && c.Reason.SparesTransactional() {
			continue
		}
		if !ok || cmp.Or(cmp.Compare(c.Reason.rank(), s.Reason.rank()), cmp.Compare(c.Since, s.Since)) < 0 {
			s.Reason, s.Since, s.Until, category, ok = c.Reason, c.Since, c.Until, of, true
		}
	}
	if h.bad {
		return s, false, errRow
	}
	s.Category = string(category)
	return s, ok, nil
}

// rank orders reasons that hold.
func (r Reason) rank() int { return slices.Index(reasons, r) }

// openEntryRow returns what follows a row's generation.
func openEntryRow(row []byte) (header, error) {
	if len(row) >= bookHeader && row[0] == rowVersion {
		w := &wireSuppression{}
		if err := decode(row[bookHeader:], w); err != nil {
			return header{}, err
		}
		row = appendEntryRow(0, w)
	}
	if len(row) < bookHeader || row[0] != entryVersion {
		_, err := openRow(row)
		return header{}, errRowOr(err)
	}
	return header{rest: row[bookHeader:]}, nil
}

// readEntry returns all that the row of an entry has.
func readEntry(row []byte) (s Suppression, err error) {
	h, err := openEntryRow(row)
	if err != nil {
		return s, err
	}
	for n := h.uint(); n > 0 && !h.bad; n-- {
		h.cause()
	}
	var w wireSuppression
	if h.bad {
		return s, errRow
	}
	if err := decode(h.rest, &w); err != nil {
		return s, fmt.Errorf("%w: %w", errRow, err)
	}
	return w.suppression(), nil
}
