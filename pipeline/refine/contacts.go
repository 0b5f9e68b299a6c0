package refine

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
)

// The index of messages by contact, and what is left of erased ones:
//
//	16                                                          1: the index is complete
//	16 | contact key(16) | passage(8) | message key(16)         empty: a message of the contact
//	17 | contact key(16)                                        when he was erased, see erased
//	18 | message key(16)                                        account: the message was erased
//	19 | contact key(16) | offset(8)                            time(8): copies of what he left are to be rewritten
//
// The passage is the first 8 bytes of SHA-256 over sender, 0x00 and sequence: it brings together what an erase tells at
// once. An entry is in the same batch as the state that it names.
const (
	tableContacts table = iota + 16
	tableErased
	tableTombs
	tableScrubs
)

const (
	passageBytes = 8
	// placeBytes is an entry's part after the contact: the place in his list.
	placeBytes = passageBytes + len(event.Key{})
)

func (k keyspace) contact(dst []byte, c event.ContactKey) []byte {
	return append(k.table(dst, tableContacts), c[:]...)
}

func (k keyspace) contactEntry(dst []byte, s *state) []byte {
	dst = k.contact(dst, event.ContactKeyOf(s.ref.Account, s.ref.Contact))
	dst = appendPassage(dst, s.ref.Sender, s.ref.Sequence)
	return append(dst, s.key[:]...)
}

func appendPassage(dst []byte, sender, sequence string) []byte {
	h := sha256.Sum256([]byte(sender + "\x00" + sequence))
	return append(dst, h[:passageBytes]...)
}

// place is where a contact's list goes on: after the entry with that end.
func entryPlace(key []byte) []byte { return key[len(key)-placeBytes:] }

func entryMessage(key []byte) event.Key { return event.Key(key[len(key)-len(event.Key{}):]) }

// indexContact puts a message that became known, or known better, into its contact's list.
func (p *Partition) indexContact(s *state) error {
	if s.ref.Contact == "" {
		return nil
	}
	p.scratch = p.keys.contactEntry(p.scratch[:0], s)
	if err := p.step.batch.Set(p.scratch, nil, nil); err != nil {
		return fmt.Errorf("index a contact: %w", err)
	}
	return nil
}

// unindexContact takes a message out before it gets another identity.
func (p *Partition) unindexContact(s *state) error {
	if s.ref.Contact == "" {
		return nil
	}
	p.scratch = p.keys.contactEntry(p.scratch[:0], s)
	if err := p.step.batch.Delete(p.scratch, nil); err != nil {
		return fmt.Errorf("index a contact: %w", err)
	}
	return nil
}

// loadContacts makes the index of a store that has none, and finds out whether anybody was erased.
func (p *Partition) loadContacts() error {
	if err := p.indexAll(); err != nil {
		return fmt.Errorf("index contacts: %w", err)
	}
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

const (
	indexFormat byte = 1
	// indexAtOnce is how many messages one commit of indexAll covers, indexSay after how many it says how far it is.
	indexAtOnce = 4096
	indexSay    = 1 << 20
)

// indexAll makes the index that an earlier Carom did not keep. If it is cut short it begins again: it writes the same.
func (p *Partition) indexAll() error {
	mark := p.keys.table(nil, tableContacts)
	value, ok, err := p.store.Get(nil, mark)
	if err != nil {
		return err
	}
	if ok {
		return checkFormat("index of contacts", value, indexFormat)
	}
	if p.store.ReadOnly() {
		return nil
	}
	b := p.store.NewBatch()
	defer func() { _ = b.Close() }()
	n, err := p.indexStates(b)
	if err != nil {
		return err
	}
	if n > 0 {
		p.log.Info("the messages are indexed by contact", zap.Int("messages", n))
	}
	if err := b.Set(mark, []byte{indexFormat}, nil); err != nil {
		return err
	}
	return p.store.Commit(b)
}

// indexStates indexes all states that there are; the last of it is left in b.
func (p *Partition) indexStates(b *kv.Batch) (n int, err error) {
	messages := p.keys.table(nil, tableMessages)
	it, err := p.store.DB().NewIter(&pebble.IterOptions{LowerBound: messages, UpperBound: kv.PrefixEnd(messages)})
	if err != nil {
		return 0, err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if len(it.Key()) != tableBytes+len(event.Key{}) {
			continue
		}
		if n == 0 {
			p.log.Info("messages were kept before there was an index by contact: making it")
		}
		s := state{key: event.Key(it.Key()[tableBytes:])}
		if err = s.decode(it.Value()); err != nil || s.ref.Contact == "" {
			continue
		}
		if err = b.Set(p.keys.contactEntry(nil, &s), nil, nil); err != nil {
			break
		}
		if n++; n%indexAtOnce == 0 {
			err = p.store.CommitNoSync(b)
			b.Reset()
		}
		if n%indexSay == 0 {
			p.log.Info("indexing messages by contact", zap.Int("messages", n))
		}
	}
	return n, errors.Join(err, it.Error(), it.Close())
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
}

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
	prefix := p.keys.contact(nil, c)
	from := prefix
	if len(after) > 0 {
		from = append(append(bytes.Clone(prefix), after...), 0)
	}
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: kv.PrefixEnd(prefix)})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if len(page.Messages) == limit {
			page.More = true
			break
		}
		var m Message
		if m, ok, err = p.readSummary(r, entryMessage(it.Key())); ok {
			page.Messages = append(page.Messages, m)
			page.Places = append(page.Places, hex.EncodeToString(entryPlace(it.Key())))
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}

// readSummary reads a message without its events, or an enrollment with them.
func (p *Partition) readSummary(r pebble.Reader, key event.Key) (m Message, ok bool, err error) {
	value, closer, err := r.Get(p.keys.message(nil, key))
	if isNotFound(err) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	s := state{key: key}
	if err := errors.Join(s.decode(value), closer.Close()); err != nil {
		return m, false, err
	}
	if s.standing == enrollment {
		m.Ref = s.published()
		m.Events, err = readTimeline(r, p.keys.timeline(nil, key))
		return m, err == nil, err
	}
	living := s.living()
	return Message{
		Ref: s.ref, Recipient: s.recipient, Registered: s.standing == registered,
		Status: living.status(s.standing == registered), Truncated: s.truncated,
	}, true, nil
}
