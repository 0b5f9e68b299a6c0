package refine

import (
	"encoding/binary"
	"fmt"

	"carom/pipeline/burst"
	"carom/pipeline/event"
)

// The stored form of a message's state:
//
//	byte 0   format: 2
//	byte 1   standing: 1 provisional, 2 registered, 3 enrollment
//	byte 2   1 if the timeline is truncated
//	then     flags, sent_at, links, recorded kinds, events, facts          uvarint each
//	         account, sender, sequence, contact, message, recipient         length (uvarint) and bytes, each
//	         marks: the bits (uvarint), and of each that is set its time    uvarint
//	         horizon, opened                                                uvarint each
//	         inferred open: told (uvarint), and unless that is 0
//	             bits(1): 1 stands, 2 kept; cause(1), time (uvarint)
//	         firsts: their number (uvarint), and of each
//	             kind(1), 1 if it holds(1), time (uvarint), id(16)
//	         hits, by time: their number (uvarint), and of each
//	             bits (uvarint; hitBits), verdicts(1): the request's and 16 times the final one, final reasons (uvarint),
//	             time since the one before (uvarint), told (uvarint), id(16)
//	             and where the bits say so link (uvarint), client(8), address(8), hints (uvarint), soon: within (uvarint)
//	             and verdict(1)
//
// Times are milliseconds; one before 1970 does not come this far. Numbers of 8 bytes are big-endian. Format 1 is read:
// upgrade.go.
const stateFormat = 2

const (
	// maxText bounds each string of an identity; the edges allow far less.
	maxText = 8 << 10
	// maxMillis is the end of the year 9999, the last that RFC 3339 can write.
	maxMillis = 253402300799999
	// allMarks and allKinds are the bits that may be set.
	allMarks = 1<<numMarks - 1
	allKinds = 1<<(event.Completed+1) - 1
)

// hitBits are the bits of a stored hit.
type hitBits uint64

const (
	hitClick hitBits = 1 << iota
	hitHoneypot
	hitFixed
	hitRepeat
	hitFirst
	hitWaiting
	hitStands
	hitKept
	hitGone
	hitNameless
	hitAnonymous
	hitHasLink
	hitHasClient
	hitHasAddress
	hitHasHints
	hitHasSoon

	allHitBits = 1<<iota - 1
)

func (b *hitBits) put(bit hitBits, set bool) {
	if set {
		*b |= bit
	}
}

func (b hitBits) has(bit hitBits) bool { return b&bit != 0 }

func (s *state) append(dst []byte) []byte {
	dst = append(dst, stateFormat, byte(s.standing), boolByte(s.truncated))
	dst = binary.AppendUvarint(dst, uint64(s.ref.Flags))
	dst = binary.AppendUvarint(dst, uint64(s.ref.SentAt))
	dst = binary.AppendUvarint(dst, uint64(s.links))
	dst = binary.AppendUvarint(dst, uint64(s.recorded))
	dst = binary.AppendUvarint(dst, uint64(s.events))
	dst = binary.AppendUvarint(dst, uint64(s.facts))
	for _, text := range [...]string{
		s.ref.Account, s.ref.Sender, s.ref.Sequence, s.ref.Contact, s.ref.Message, s.recipient,
	} {
		dst = binary.AppendUvarint(dst, uint64(len(text)))
		dst = append(dst, text...)
	}
	dst = binary.AppendUvarint(dst, uint64(s.marks.set))
	for k := range numMarks {
		if s.marks.has(k) {
			dst = binary.AppendUvarint(dst, uint64(s.marks.time[k]))
		}
	}
	dst = binary.AppendUvarint(dst, uint64(s.horizon))
	dst = binary.AppendUvarint(dst, uint64(s.opened))
	dst = s.inferred.append(dst)
	dst = binary.AppendUvarint(dst, uint64(len(s.firsts)))
	for i := range s.firsts {
		f := &s.firsts[i]
		dst = append(dst, byte(f.kind), boolByte(f.holds))
		dst = binary.AppendUvarint(dst, uint64(f.time))
		dst = append(dst, f.id[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.hits)))
	before := event.Millis(0)
	for i := range s.hits {
		dst = appendHit(dst, &s.hits[i], &s.tellings[i], before)
		before = s.hits[i].Time
	}
	return dst
}

func (o *inferred) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(o.told))
	if o.told == 0 {
		return dst
	}
	dst = append(dst, boolByte(o.stands)|boolByte(o.kept)<<1, byte(o.cause))
	return binary.AppendUvarint(dst, uint64(o.time))
}

func appendHit(dst []byte, h *burst.Hit, t *telling, before event.Millis) []byte {
	var bits hitBits
	bits.put(hitClick, h.Kind == event.Click)
	bits.put(hitHoneypot, h.Honeypot)
	bits.put(hitFixed, h.Fixed)
	bits.put(hitRepeat, h.Final.Repeat)
	bits.put(hitFirst, h.Final.First)
	bits.put(hitWaiting, t.waiting)
	bits.put(hitStands, t.stands)
	bits.put(hitKept, t.kept)
	bits.put(hitGone, t.gone)
	bits.put(hitNameless, t.nameless)
	bits.put(hitAnonymous, t.anonymous)
	bits.put(hitHasLink, h.Link != 0)
	bits.put(hitHasClient, h.Client != 0)
	bits.put(hitHasAddress, h.Address != 0)
	bits.put(hitHasHints, h.Hints != 0)
	bits.put(hitHasSoon, h.Soon != event.Soon{})
	dst = binary.AppendUvarint(dst, uint64(bits))
	dst = append(dst, byte(h.Verdict)|byte(h.Final.Verdict)<<4)
	dst = binary.AppendUvarint(dst, uint64(h.Final.Reasons))
	dst = binary.AppendUvarint(dst, uint64(h.Time-before))
	dst = binary.AppendUvarint(dst, uint64(t.told))
	dst = append(dst, h.ID[:]...)
	if h.Link != 0 {
		dst = binary.AppendUvarint(dst, uint64(h.Link))
	}
	if h.Client != 0 {
		dst = binary.BigEndian.AppendUint64(dst, h.Client)
	}
	if h.Address != 0 {
		dst = binary.BigEndian.AppendUint64(dst, h.Address)
	}
	if h.Hints != 0 {
		dst = binary.AppendUvarint(dst, uint64(h.Hints))
	}
	if bits.has(hitHasSoon) {
		dst = binary.AppendUvarint(dst, uint64(h.Soon.Within))
		dst = append(dst, byte(h.Soon.Verdict))
	}
	return dst
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// decode reads what append wrote into s, which must be new. s keeps no part of b.
func (s *state) decode(b []byte) error {
	if len(b) > 0 && b[0] == stateFormat1 {
		return s.decode1(b)
	}
	if err := checkFormat("message state", b, stateFormat); err != nil {
		return err
	}
	// One copy serves all strings.
	d := decoder{rest: b[1:], text: string(b[1:])}
	s.standing = standing(d.byte(byte(provisional), byte(enrollment)))
	s.truncated = d.byte(0, 1) == 1
	s.ref.Flags = event.Flags(d.uvarint(1<<32 - 1))
	s.ref.SentAt = d.millis()
	s.links = uint32(d.uvarint(1<<32 - 1))
	s.recorded = kindSet(d.uvarint(allKinds))
	s.events = uint32(d.uvarint(maxTimelineHits))
	s.facts = uint32(d.uvarint(maxTimelineFacts))
	for _, text := range [...]*string{
		&s.ref.Account, &s.ref.Sender, &s.ref.Sequence, &s.ref.Contact, &s.ref.Message, &s.recipient,
	} {
		*text = d.string(maxText)
	}
	s.marks.decode(&d)
	s.horizon, s.opened = d.millis(), d.millis()
	s.inferred.decode(&d)
	if n := int(d.uvarint(maxFirsts)); n > 0 {
		s.firsts = make([]first, n)
	}
	for i := range s.firsts {
		s.firsts[i] = first{kind: event.Kind(d.byte(0, byte(event.Completed))), holds: d.byte(0, 1) == 1, time: d.millis()}
		copy(s.firsts[i].id[:], d.bytes(len(event.ID{})))
	}
	if n := int(d.uvarint(maxHits)); n > 0 {
		s.hits, s.tellings = make([]burst.Hit, n), make([]telling, n)
	}
	before := event.Millis(0)
	for i := range s.hits {
		d.hit(&s.hits[i], &s.tellings[i], before)
		before = s.hits[i].Time
	}
	return d.finish("message state")
}

// maxFirsts is how many firsts there may be: one of each recurring kind.
const maxFirsts = 8

func (m *marks) decode(d *decoder) {
	m.set = marksSet(d.uvarint(allMarks))
	for k := range numMarks {
		if m.has(k) {
			m.time[k] = d.millis()
		}
	}
}

func (o *inferred) decode(d *decoder) {
	if o.told = uint32(d.uvarint(1<<32 - 1)); o.told == 0 {
		return
	}
	bits := d.byte(0, 3)
	o.stands, o.kept = bits&1 != 0, bits&2 != 0
	o.cause = event.Kind(d.byte(0, byte(event.Completed)))
	o.time = d.millis()
}

func (d *decoder) hit(h *burst.Hit, t *telling, before event.Millis) {
	bits := hitBits(d.uvarint(allHitBits))
	h.Kind = event.Open
	if bits.has(hitClick) {
		h.Kind = event.Click
	}
	h.Honeypot, h.Fixed = bits.has(hitHoneypot), bits.has(hitFixed)
	verdicts := d.byte(0, byte(event.Unknown)|byte(event.Unknown)<<4)
	h.Verdict = event.Verdict(verdicts & 15)
	h.Final = burst.Verdict{
		Verdict: event.Verdict(verdicts >> 4), Reasons: burst.Reasons(d.uvarint(1<<16 - 1)),
		Repeat: bits.has(hitRepeat), First: bits.has(hitFirst),
	}
	h.Time = before + d.millis()
	*t = telling{
		told: uint32(d.uvarint(1<<32 - 1)), waiting: bits.has(hitWaiting), stands: bits.has(hitStands),
		kept: bits.has(hitKept), gone: bits.has(hitGone), nameless: bits.has(hitNameless), anonymous: bits.has(hitAnonymous),
	}
	copy(h.ID[:], d.bytes(len(h.ID)))
	if bits.has(hitHasLink) {
		h.Link = uint32(d.uvarint(1<<32 - 1))
	}
	if bits.has(hitHasClient) {
		h.Client = d.uint64()
	}
	if bits.has(hitHasAddress) {
		h.Address = d.uint64()
	}
	if bits.has(hitHasHints) {
		h.Hints = burst.Reasons(d.uvarint(1<<16 - 1))
	}
	if bits.has(hitHasSoon) {
		h.Soon = event.Soon{Within: event.Millis(d.uvarint(1<<63 - 1)), Verdict: event.Verdict(d.byte(0, byte(event.Unknown)))}
	}
}

// decoder reads stored bytes one value after the other; the first that is not as it must be spoils the rest.
type decoder struct {
	rest []byte
	text string // a copy of which rest is the end; may be empty if no string is read
	bad  bool
}

func (d *decoder) fail() { d.bad, d.rest = true, nil }

func (d *decoder) byte(low, high byte) byte {
	if len(d.rest) < 1 || d.rest[0] < low || d.rest[0] > high {
		d.fail()
		return low
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) uint64() uint64 {
	if len(d.rest) < 8 {
		d.fail()
		return 0
	}
	v := binary.BigEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return v
}

func (d *decoder) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || v > limit {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) millis() event.Millis { return event.Millis(d.uvarint(maxMillis)) }

func (d *decoder) string(limit uint64) string {
	n := int(d.uvarint(limit))
	if n > len(d.rest) {
		d.fail()
		return ""
	}
	at := len(d.text) - len(d.rest)
	d.rest = d.rest[n:]
	return d.text[at : at+n]
}

// bytes returns the next n bytes, which alias the input.
func (d *decoder) bytes(n int) []byte {
	if n > len(d.rest) {
		d.fail()
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) finish(what string) error {
	if d.bad || len(d.rest) > 0 {
		return fmt.Errorf("%w: %s", errDamaged, what)
	}
	return nil
}
