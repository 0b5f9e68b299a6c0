package refine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// An erase record takes from its partition all that is kept of a contact:
//
//	erase ─▶ entries of the index, eraseAtOnce a commit ─┬▶ state, timeline, parked facts: deleted
//	                                                     ├▶ tomb of the message: late facts are dropped, not parked
//	                                                     └▶ one event of kind erase for each sender and sequence
//
// What waits in a timer finds nothing when it fires. A message that was sent after the erase stays.
//
//	17 | contact key(16)                  when he was erased, see erased
//	21 | epoch(4) | message key(16)       account: the message was erased, in that epoch
//	19 | contact key(16) | offset(8)      time(8): copies of what he left are to be rewritten; or the key of an address of his,
//	                                      which orders name
const eraseAtOnce = 256

var errErase = fmt.Errorf("%w: an erase without the key of a contact", event.ErrMalformed)

// erased is what is kept of an erased contact, under his key:
//
//	byte 0       format: 1
//	byte 1       1 while the erase is being done
//	bytes 2-9    its time: facts of messages that were sent before are dropped
//	bytes 10-17  offset of its record
//	bytes 18-21  how many events it has told so far
//	bytes 22-    while it is being done: epoch and place in the contact's list that were done last, empty at the beginning
//
// Times and offsets are big-endian. It stays for ever: tokens of old mails do. An earlier Carom wrote a place without the
// epoch: then it is begun again.
type erased struct {
	running bool
	at      event.Millis
	offset  int64
	told    int32
	epoch   epochID // with place
	place   []byte
}

const (
	erasedFormat byte = 1
	erasedBytes       = 1 + 1 + 8 + 8 + 4
)

func (e *erased) append(dst []byte) []byte {
	dst = append(dst, erasedFormat, boolByte(e.running))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.at))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.offset))
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.told))
	if len(e.place) > 0 {
		dst = append(binary.BigEndian.AppendUint32(dst, uint32(e.epoch)), e.place...)
	}
	return dst
}

func (e *erased) decode(b []byte) error {
	if err := checkFormat("erased contact", b, erasedFormat); err != nil {
		return err
	}
	n := len(b) - erasedBytes
	if n < 0 || n != 0 && n != placeBytes && n != 4+placeBytes {
		return fmt.Errorf("%w: erased contact", errDamaged)
	}
	*e = erased{
		running: b[1] == 1, at: event.Millis(binary.BigEndian.Uint64(b[2:])),
		offset: int64(binary.BigEndian.Uint64(b[10:])), told: int32(binary.BigEndian.Uint32(b[18:])),
	}
	if n > placeBytes {
		e.epoch, e.place = epochID(binary.BigEndian.Uint32(b[erasedBytes:])), bytes.Clone(b[erasedBytes+4:])
	}
	return nil
}

func (k keyspace) erased(dst []byte, c event.ContactKey) []byte {
	return append(k.table(dst, tableErased), c[:]...)
}

func (k keyspace) tomb(dst []byte, e epochID, key event.Key) []byte {
	return append(k.epoch(dst, tableTombs, e), key[:]...)
}

// entomb sets the tomb of a message, which stays for as long as a message does.
func (p *Partition) entomb(key event.Key, account string) error {
	e, err := p.epochs.at(p.step.batch, p.now.at)
	if err != nil {
		return err
	}
	return p.step.batch.Set(p.keys.tomb(nil, e, key), []byte(account), nil)
}

// buried reports whether a message has a tomb.
func (p *Partition) buried(key event.Key) (ok bool, err error) {
	for _, e := range p.epochs.live() {
		if _, ok, err = p.store.Get(nil, p.keys.tomb(nil, e.id, key)); ok || err != nil {
			break
		}
	}
	return ok, err
}

// readErased reads what is kept of a contact who was erased.
func (p *Partition) readErased(r pebble.Reader, c event.ContactKey) (e erased, ok bool, err error) {
	value, closer, err := r.Get(p.keys.erased(nil, c))
	if isNotFound(err) {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	return e, true, errors.Join(e.decode(value), closer.Close())
}

// erase does some of what an erase record asks for. Until it returns true, the step must be committed and erase called
// again: it looks at the disk, which must show what the step did.
func (p *Partition) erase(f *fact) (done bool, err error) {
	if !p.settled() {
		return false, nil
	}
	if f.Contact == "" {
		return true, p.bury(f)
	}
	contact, ok := event.ParseContactKey(f.Contact)
	if !ok {
		return true, p.intake(f, errErase)
	}
	e, _, err := p.readErased(p.store.DB(), contact)
	if err != nil {
		return false, fmt.Errorf("erase: %w", err)
	}
	if !e.running || e.offset != f.offset {
		if p.sources.pass(f.source, p.now.at) {
			p.metrics.dropped(dropSeen)
			return true, nil
		}
		e = erased{running: true, at: max(e.at, f.Time), offset: f.offset}
	}
	p.erased, p.erasing = true, true
	if err := p.eraseSome(f, contact, &e); err != nil {
		return false, fmt.Errorf("erase: %w", err)
	}
	err = p.step.batch.Set(p.keys.erased(nil, contact), e.append(nil), nil)
	if err == nil && !e.running {
		err = p.step.batch.Set(p.keys.scrub(nil, contact, f.offset), kv.AppendUint64(nil, uint64(e.at)), nil)
	}
	if err != nil {
		return false, fmt.Errorf("erase: %w", err)
	}
	return !e.running, nil
}

// bury sets the tomb of a message of which nothing else is left: its record was rewritten in the log after the erase.
func (p *Partition) bury(f *fact) error {
	if p.sources.pass(f.source, p.now.at) {
		p.metrics.dropped(dropSeen)
		return nil
	}
	s, err := p.cache.get(f.Key)
	if err != nil || s != nil {
		return err
	}
	p.erased, p.erasing = true, true
	if err := p.entomb(f.Key, f.Account); err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	return nil
}

// eraseSome erases the next messages of the contact's list, and clears e.running at its end.
func (p *Partition) eraseSome(f *fact, contact event.ContactKey, e *erased) error {
	told := eraseTeller{p: p, f: f, n: &e.told}
	n := 0
	for _, row := range p.epochs.rows {
		if row.id < e.epoch {
			continue
		}
		if row.id > e.epoch {
			e.epoch, e.place = row.id, nil
		}
		more, err := p.eraseEpoch(contact, e, &told, &n)
		if err != nil {
			return err
		}
		if more {
			told.tell()
			return nil
		}
	}
	e.running, e.epoch, e.place = false, 0, nil
	told.tell()
	return nil
}

// eraseEpoch erases the next messages of the contact's list in one epoch, and reports whether there are more.
func (p *Partition) eraseEpoch(contact event.ContactKey, e *erased, told *eraseTeller, n *int) (more bool, err error) {
	prefix := p.keys.contact(nil, e.epoch, contact)
	from := bytes.Clone(prefix)
	if len(e.place) > 0 {
		from = append(append(from, e.place...), 0)
	}
	it, err := p.store.DB().NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: kv.PrefixEnd(prefix)})
	if err != nil {
		return false, err
	}
	for more = it.First(); more && *n < eraseAtOnce && err == nil; more = it.Next() {
		*n++
		e.place = append(e.place[:0], entryPlace(it.Key())...)
		err = p.eraseEntry(it.Key(), e, told)
	}
	return more, errors.Join(err, it.Error(), it.Close())
}

// eraseEntry erases the message of one entry.
func (p *Partition) eraseEntry(entry []byte, e *erased, told *eraseTeller) error {
	key := entryMessage(entry)
	s, err := p.cache.get(key)
	if err != nil {
		return err
	}
	if s == nil {
		return p.step.batch.Delete(entry, nil)
	}
	if s.ref.SentAt > e.at {
		return nil // he came back
	}
	told.add(s)
	if err := p.scrubOrders(s, e); err != nil {
		return err
	}
	for i := range s.tellings {
		if s.tellings[i].waiting {
			p.metrics.dropped(dropErased) // its timer will find nothing
		}
	}
	b := p.step.batch
	timeline := p.keys.timeline(nil, s.epoch, key)
	if err := errors.Join(
		b.Delete(entry, nil),
		p.unindex(s),
		b.Delete(p.keys.message(nil, s.epoch, key), nil),
		b.DeleteRange(timeline, kv.PrefixEnd(timeline), nil),
		p.entomb(key, s.ref.Account),
		p.eraseParked(key, s.ref.Message),
	); err != nil {
		return err
	}
	p.cache.forget(s)
	return nil
}

// scrubOrders has the orders about a message's recipient rewritten in logs, which name no contact: those of its account, and
// of all.
func (p *Partition) scrubOrders(s *state, e *erased) error {
	if s.recipient == "" {
		return nil
	}
	for _, account := range [...]string{s.ref.Account, ""} {
		row := p.keys.scrub(nil, event.AddressKeyOf(account, s.recipient), e.offset)
		if err := p.step.batch.Set(row, kv.AppendUint64(nil, uint64(e.at)), nil); err != nil {
			return err
		}
	}
	return nil
}

// eraseParked drops what is parked for a message: replies that wait for its registration, and all if it is not known.
func (p *Partition) eraseParked(key event.Key, message string) error {
	if p.parked.perID[prefixOf(key)] == 0 {
		return nil
	}
	waiting, err := p.parkedFor(key, nil)
	if err != nil {
		return err
	}
	var partial event.Key
	copy(partial[:], key[:len(prefix{})])
	if waiting, err = p.parkedFor(partial, waiting); err != nil {
		return err
	}
	message = event.CleanMessageID(message)
	for _, w := range waiting {
		if w.key == partial && event.CleanMessageID(w.Message) != message {
			continue
		}
		if err := p.unpark(w.key, w.offset); err != nil {
			return err
		}
		if err := p.timers.remove(p.step.batch, timerKey{due: w.due, offset: w.offset, what: timerPark}); err != nil {
			return err
		}
		p.metrics.dropped(dropErased)
	}
	return nil
}

// forget drops a state that was not changed since it was committed.
func (c *cache) forget(s *state) {
	c.unlink(s)
	delete(c.states, s.key)
}

// eraseTeller gathers messages of one sender and sequence, and tells of them in one event.
type eraseTeller struct {
	p  *Partition
	f  *fact
	n  *int32 // how many events were told
	of event.Refined

	addresses map[string]struct{} // that were told
}

func (t *eraseTeller) add(s *state) {
	t.addAddress(s)
	if t.of.Sender != s.ref.Sender || t.of.Sequence != s.ref.Sequence || t.of.Contact != s.ref.Contact {
		t.tell()
	}
	if t.of.Kind == 0 {
		t.of = event.Refined{
			Kind: event.Erase, Time: t.f.Time,
			Ref:    event.Ref{Account: s.ref.Account, Sender: s.ref.Sender, Sequence: s.ref.Sequence, Contact: s.ref.Contact},
			Origin: event.Origin{Node: t.f.source.Node},
		}
	}
	if s.standing != enrollment {
		t.of.Messages = append(t.of.Messages, s.ref.Message)
	}
}

// addAddress tells the log of addresses which ones the contact had.
func (t *eraseTeller) addAddress(s *state) {
	address := event.NormalAddress(s.recipient)
	if _, told := t.addresses[address]; told || address == "" {
		return
	}
	if t.addresses == nil {
		t.addresses = make(map[string]struct{})
	}
	t.addresses[address] = struct{}{}
	t.p.tellAddress(&event.AddressFact{
		ID: t.p.toldID(event.Erase), Kind: event.Erase, Time: t.f.Time, Ref: event.Ref{Account: s.ref.Account, Contact: s.ref.Contact},
		Recipient: address,
	}, t.f.source.Node)
}

func (t *eraseTeller) tell() {
	if t.of.Kind == 0 {
		return
	}
	t.of.ID = event.EraseID(t.f.source, t.p.number, *t.n)
	*t.n++
	t.p.emit(&t.of)
	t.of = event.Refined{}
}

// dropErased drops a fact of an erased contact, or of an erased message, that refine would else park or take for new. A
// message that was sent after the erase is not erased, even under the id of one that was.
func (p *Partition) dropErased(f *fact) (bool, error) {
	if !p.erased {
		return false, nil
	}
	gone, err := p.isErased(f)
	if gone {
		p.metrics.dropped(dropErased)
		if f.KnownBy == event.ByRef && err == nil {
			err = p.buryLate(f)
		}
	}
	if err != nil {
		return false, fmt.Errorf("look for what was erased: %w", err)
	}
	return gone, nil
}

// buryLate takes what waits for a message that was not known when its contact was erased, and what may come.
func (p *Partition) buryLate(f *fact) error {
	if ok, err := p.buried(f.Key); ok || err != nil {
		return err
	}
	p.erasing = true
	if err := p.entomb(f.Key, f.Account); err != nil {
		return err
	}
	return p.eraseParked(f.Key, f.Message)
}

func (p *Partition) isErased(f *fact) (bool, error) {
	switch f.KnownBy {
	case event.ByRef:
		e, ok, err := p.readErased(p.store.DB(), event.ContactKeyOf(f.Account, f.Contact))
		if ok || err != nil || f.Kind == event.Sent {
			return ok && f.sentAt() <= e.at, err
		}
		fallthrough // a token may name the contact otherwise than the message's registration
	case event.ByKey:
		return p.buried(f.Key)
	}
	return p.buriedBeside(f.Message, event.Key{})
}

// buriedBeside reports whether a message with an id was erased that has another key than the one given.
func (p *Partition) buriedBeside(message string, key event.Key) (gone bool, err error) {
	err = p.tombsOf(message, func(k event.Key) error {
		gone = gone || k != key
		return nil
	})
	return gone, err
}

// tombsOf calls fn with the keys of erased messages that had an id. A tomb has no id to compare, but with the account it
// gives the key that the id makes.
func (p *Partition) tombsOf(message string, fn func(event.Key) error) error {
	partial := event.PartialKey(message)
	table := p.keys.table(nil, tableTombs)
	it, err := p.store.DB().NewIter(&pebble.IterOptions{LowerBound: table, UpperBound: kv.PrefixEnd(table)})
	if err != nil {
		return err
	}
	for _, e := range p.epochs.live() {
		from := append(p.keys.epoch(nil, tableTombs, e.id), partial[:len(prefix{})]...)
		for ok := it.SeekGE(from); ok && err == nil && bytes.HasPrefix(it.Key(), from); ok = it.Next() {
			if key := event.Key(it.Key()[epochBytes:]); event.KeyOf(string(it.Value()), message) == key {
				err = fn(key)
			}
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

// sentAt is when the message of a fact with a whole ref was sent, 0 if that is not known. What is told of an enrollment
// has the time of its telling.
func (f *fact) sentAt() event.Millis {
	if f.Kind == event.Sent || f.aboutEnrollment() {
		return cmp.Or(f.SentAt, f.Time)
	}
	return f.SentAt
}
