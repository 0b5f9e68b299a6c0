package refine

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// A ListedContact is a contact of whom some messages belong to a list.
type ListedContact struct {
	Contact   string
	Recipient string       // of the latest of those messages
	SentAt    event.Millis // of that one
	Messages  int
	// Statuses are how many of them have which.
	Statuses map[string]int
	// More reports that he has more messages than are counted.
	More bool
}

// ContactsPage is a part of a list of contacts, by their keys.
type ContactsPage struct {
	Contacts []ListedContact
	// Places and Next are those of a ListPage.
	Places []string
	Next   string
}

// MaxContactPlaceBytes bounds a place in a list of contacts.
const MaxContactPlaceBytes = 2 * len(event.ContactKey{})

// contactStates is how many messages of one contact are read in a partition.
const contactStates = 1 << 12

// Contacts returns a page of the contacts who have messages in a list. Places are of one order in all partitions. It
// looks at all contacts one after the other, so the list of a narrow query comes in many small pages. It is safe while
// Run runs.
func (p *Partition) Contacts(q ListQuery) (page ContactsPage, err error) {
	after, err := readPlace(q.After, len(event.ContactKey{}))
	if err != nil {
		return page, err
	}
	err = p.look(func(r pebble.Reader) error { return p.contacts(r, &q, after, &page) })
	if err != nil {
		return ContactsPage{}, fmt.Errorf("list contacts: %w", err)
	}
	return page, nil
}

func (p *Partition) contacts(r pebble.Reader, q *ListQuery, after []byte, page *ContactsPage) error {
	m, err := p.mergeEpochs(r, tableContacts, nil)
	if err != nil {
		return err
	}
	from := []byte{}
	if len(after) > 0 {
		from = kv.PrefixEnd(after)
	}
	m.seek(from)
	l := contactLister{p: p, r: r, q: q, m: m}
	if q.Sender != "" {
		l.sender = appendTag(nil, senderTag(q.Account, q.Sender))
	}
	if q.Sequence != "" {
		l.sequence = appendTag(nil, tagOf(q.Sequence))
	}
	var last event.ContactKey
	for m.rest != nil {
		if len(page.Contacts) == q.Limit || l.states >= listStates || l.steps >= listSteps {
			page.Next = hex.EncodeToString(last[:])
			break
		}
		if len(m.rest) != len(last)+placeBytes {
			err = fmt.Errorf("%w: entry of a contact", errDamaged)
			break
		}
		copy(last[:], m.rest)
		var c ListedContact
		if c, err = l.contact(last); err != nil {
			break
		}
		if c.Messages > 0 {
			page.Contacts = append(page.Contacts, c)
			page.Places = append(page.Places, hex.EncodeToString(last[:]))
		}
	}
	return errors.Join(err, m.close())
}

type contactLister struct {
	p             *Partition
	r             pebble.Reader
	q             *ListQuery
	m             *epochMerge
	sender        []byte // its tag, nil for any
	sequence      []byte // its tag, nil for any
	steps, states int
}

// contact reads the messages of one contact, and goes to the next.
func (l *contactLister) contact(key event.ContactKey) (c ListedContact, err error) {
	steps, states := l.steps, l.states
	for ; l.m.rest != nil && bytes.HasPrefix(l.m.rest, key[:]); l.m.next() {
		if l.steps-steps == listSteps || l.states-states == contactStates {
			c.More = true
			l.m.seek(kv.PrefixEnd(key[:]))
			break
		}
		l.steps++
		if !l.mayMatch(l.m.rest[len(key):]) {
			continue
		}
		l.states++
		s, ok, err := l.p.readStateOf(l.r, l.m.epoch, entryMessage(l.m.rest))
		if err != nil {
			return c, err
		}
		if !ok || s.standing == enrollment {
			continue
		}
		if s.ref.Account != l.q.Account { // all his messages are of one account
			l.m.seek(kv.PrefixEnd(key[:]))
			break
		}
		if found := s.summary(); l.q.matches(&found) {
			c.add(&found)
		}
	}
	return c, nil
}

// mayMatch tells by an entry's passage whether its message can belong to the list.
func (l *contactLister) mayMatch(place []byte) bool {
	return bytes.HasPrefix(place, l.sender) && bytes.HasPrefix(place[tagBytes:], l.sequence)
}

// add counts a message of the contact.
func (c *ListedContact) add(m *Message) {
	if c.Statuses == nil {
		c.Statuses = make(map[string]int)
	}
	c.merge(&ListedContact{Contact: m.Contact, Recipient: m.Recipient, SentAt: m.SentAt, Messages: 1})
	c.Statuses[m.Status]++
}

func (c *ListedContact) merge(o *ListedContact) {
	c.Contact = o.Contact
	if c.Messages == 0 || cmp.Or(cmp.Compare(o.SentAt, c.SentAt), cmp.Compare(o.Recipient, c.Recipient)) > 0 {
		c.SentAt, c.Recipient = o.SentAt, o.Recipient
	}
	c.Messages += o.Messages
	c.More = c.More || o.More
}

// MergeContacts makes one page of those of several partitions, which were asked the same.
func MergeContacts(limit int, pages []ContactsPage) (all ContactsPage) {
	found := make(map[string]*ListedContact)
	for i := range pages {
		pg := &pages[i]
		for j := range pg.Contacts {
			c := found[pg.Places[j]]
			if c == nil {
				c = &ListedContact{Statuses: make(map[string]int)}
				found[pg.Places[j]] = c
			}
			c.merge(&pg.Contacts[j])
			for status, n := range pg.Contacts[j].Statuses {
				c.Statuses[status] += n
			}
		}
		if pg.Next != "" && (all.Next == "" || pg.Next < all.Next) {
			all.Next = pg.Next
		}
	}
	for i, place := range slices.Sorted(maps.Keys(found)) {
		if all.Next != "" && place > all.Next {
			break // another partition has not looked so far
		}
		if i == limit {
			all.Next = all.Places[i-1]
			break
		}
		all.Contacts, all.Places = append(all.Contacts, *found[place]), append(all.Places, place)
	}
	return all
}
