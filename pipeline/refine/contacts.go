package refine

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// The index of messages by contact:
//
//	20 | epoch(4) | contact key(16) | passage(8) | message key(16)     empty: a message of the contact
//
// The passage is the tag of the sender and that of the sequence: it brings together what an erase tells at once. An entry is
// in the same batch as the state that it names.
const (
	passageBytes = 2 * tagBytes
	// placeBytes is an entry's part after the contact: the place in his list.
	placeBytes = passageBytes + len(event.Key{})
)

func (k keyspace) contact(dst []byte, e epochID, c event.ContactKey) []byte {
	return append(k.epoch(dst, tableContacts, e), c[:]...)
}

func (k keyspace) contactEntry(dst []byte, s *state) []byte {
	dst = k.contact(dst, s.epoch, event.ContactKeyOf(s.ref.Account, s.ref.Contact))
	dst = appendTag(dst, senderTag(s.ref.Account, s.ref.Sender))
	dst = appendTag(dst, tagOf(s.ref.Sequence))
	return append(dst, s.key[:]...)
}

// entryPlace is where a contact's list goes on: after the entry with that end.
func entryPlace(key []byte) []byte { return key[len(key)-placeBytes:] }

func entryMessage(key []byte) event.Key { return event.Key(key[len(key)-len(event.Key{}):]) }

// index puts a message that became known, or known better, into the lists.
func (p *Partition) index(s *state) error { return p.indexIn(p.step.batch, s) }

func (p *Partition) indexIn(b *kv.Batch, s *state) (err error) {
	if s.hasContact() {
		p.scratch = p.keys.contactEntry(p.scratch[:0], s)
		err = b.Set(p.scratch, nil, nil)
	}
	if s.listed() && err == nil {
		p.scratch = p.keys.sentEntry(p.scratch[:0], s)
		err = b.Set(p.scratch, nil, nil)
	}
	if err != nil {
		return fmt.Errorf("index a message: %w", err)
	}
	return nil
}

// unindex takes a message out of the lists, before it gets another identity.
func (p *Partition) unindex(s *state) (err error) {
	if s.hasContact() {
		p.scratch = p.keys.contactEntry(p.scratch[:0], s)
		err = p.step.batch.Delete(p.scratch, nil)
	}
	if s.listed() && err == nil {
		p.scratch = p.keys.sentEntry(p.scratch[:0], s)
		err = p.step.batch.Delete(p.scratch, nil)
	}
	if err != nil {
		return fmt.Errorf("index a message: %w", err)
	}
	return nil
}

func (s *state) hasContact() bool { return s.ref.Contact != "" }

// listed reports whether s is a message of which it is known whose.
func (s *state) listed() bool { return s.standing != enrollment && s.ref.Message != "" }

// loadErased finds out whether anybody was erased.
func (p *Partition) loadErased() error {
	erased := p.keys.table(nil, tableErased)
	it, err := p.store.DB().NewIter(&pebble.IterOptions{LowerBound: erased, UpperBound: kv.PrefixEnd(erased)})
	if err != nil {
		return fmt.Errorf("look for erased contacts: %w", err)
	}
	p.erased = it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("look for erased contacts: %w", err)
	}
	return nil
}

// ContactPage is a part of what a partition knows of a contact.
type ContactPage struct {
	// Messages are his, without their events, in the order of Places.
	Messages []Message
	// Places say where the list goes on after each of Messages.
	Places []string
	// More reports that there are messages beyond these.
	More bool
	// ErasedAt is when he was erased, 0 if he was not; Erasing is set while that is being done.
	ErasedAt event.Millis
	Erasing  bool
	// Facts are what those of his messages show, of statusMessages of each partition at most: his status.
	Facts Facts
}

const statusMessages = 1000

// MergeContact makes one page of those of several partitions, which were asked after the same place.
func MergeContact(limit int, pages []ContactPage) ContactPage {
	var all ContactPage
	type entry struct {
		place string
		m     *Message
	}
	var entries []entry
	some, whole := false, true
	for i := range pages {
		p := &pages[i]
		for j := range p.Messages {
			entries = append(entries, entry{p.Places[j], &p.Messages[j]})
		}
		all.More = all.More || p.More
		all.Facts.Merge(p.Facts)
		all.Erasing = all.Erasing || p.Erasing
		all.ErasedAt = max(all.ErasedAt, p.ErasedAt)
		some, whole = some || p.ErasedAt != 0, whole && p.ErasedAt != 0
	}
	all.Erasing = all.Erasing || some && !whole
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.place, b.place) })
	if len(entries) > limit {
		entries, all.More = entries[:limit], true
	}
	for _, e := range entries {
		all.Messages, all.Places = append(all.Messages, *e.m), append(all.Places, e.place)
	}
	return all
}

// MaxPlaceBytes bounds a place.
const MaxPlaceBytes = 2 * placeBytes

// Contact returns at most limit messages of a contact, after the place that an earlier page gave, from the beginning if
// that is empty. An enrollment without a message is among them, with its events and no id. Places are of one order in all partitions. It is safe
// while Run runs.
func (p *Partition) Contact(account, contact, after string, limit int) (page ContactPage, err error) {
	place, err := hex.DecodeString(after)
	if err != nil || len(place) != placeBytes && after != "" {
		return page, fmt.Errorf("%w: %q", ErrPlace, after)
	}
	if err := p.store.Enter(); err != nil {
		return page, fmt.Errorf("read contact: %w", err)
	}
	defer p.store.Leave()
	snapshot := p.store.DB().NewSnapshot()
	err = p.readContact(snapshot, event.ContactKeyOf(account, contact), place, limit, &page)
	if err := errors.Join(err, snapshot.Close()); err != nil {
		return ContactPage{}, fmt.Errorf("read contact: %w", err)
	}
	return page, nil
}

// ErrPlace is returned for a place that no page gave.
var ErrPlace = errors.New("refine: not a place in a contact's list")

func (p *Partition) readContact(r pebble.Reader, c event.ContactKey, after []byte, limit int, page *ContactPage) error {
	e, ok, err := p.readErased(r, c)
	if err != nil {
		return err
	}
	if ok {
		page.ErasedAt, page.Erasing = e.at, e.running
	}
	if limit > 0 {
		if err := p.readFacts(r, c, statusMessages, &page.Facts); err != nil {
			return err
		}
	}
	places, err := p.contactPlaces(r, c, after, limit+1)
	if err != nil {
		return err
	}
	for _, at := range places {
		if len(page.Messages) == limit {
			page.More = true
			break
		}
		m, ok, err := p.readSummary(r, at.epoch, entryMessage(at.place))
		if err != nil {
			return err
		}
		if ok {
			page.Messages = append(page.Messages, m)
			page.Places = append(page.Places, hex.EncodeToString(at.place))
		}
	}
	return nil
}

// contactPlace is a place in a contact's list, and the epoch of its message.
type contactPlace struct {
	epoch epochID
	place []byte
}

// contactPlaces returns the places of a contact's list after one of them, in their order, at most so many.
func (p *Partition) contactPlaces(r pebble.Reader, c event.ContactKey, after []byte, most int) (list []contactPlace, err error) {
	for _, e := range p.epochs.live() {
		prefix := p.keys.contact(nil, e.id, c)
		from := prefix
		if len(after) > 0 {
			from = append(append(bytes.Clone(prefix), after...), 0)
		}
		it, err := r.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: kv.PrefixEnd(prefix)})
		if err != nil {
			return nil, err
		}
		n := 0
		for ok := it.First(); ok && n < most; ok = it.Next() {
			n++
			list = append(list, contactPlace{e.id, bytes.Clone(entryPlace(it.Key()))})
		}
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b contactPlace) int { return bytes.Compare(a.place, b.place) })
	return list[:min(len(list), most)], nil
}

// readSummary reads a message without its events, or an enrollment with them.
func (p *Partition) readSummary(r pebble.Reader, e epochID, key event.Key) (m Message, ok bool, err error) {
	s, ok, err := p.readStateOf(r, e, key)
	if err != nil || !ok {
		return m, false, err
	}
	if s.standing == enrollment {
		m.Ref = s.published()
		m.Events, err = readTimeline(r, p.keys.timeline(nil, e, key))
		return m, err == nil, err
	}
	return s.summary(), true, nil
}
