package refine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// The index of messages by sender and time of sending:
//
//	22 | epoch(4) | account's tag(4) | sender's tag(4) | sent_at(6) | message key(16)     empty: a message
//
// An entry without the epoch is a place in a list: lists are in this order, over all epochs and partitions. It is in the
// same batch as the state that it names. Enrollments have none.
const (
	sentBytes      = 6
	listPlaceBytes = 2*tagBytes + sentBytes + len(event.Key{})
	senderBytes    = 2 * tagBytes
)

func (k keyspace) sentEntry(dst []byte, s *state) []byte {
	dst = appendTag(k.epoch(dst, tableSent, s.epoch), tagOf(s.ref.Account))
	dst = appendTag(dst, senderTag(s.ref.Account, s.ref.Sender))
	return append(appendSent(dst, s.ref.SentAt), s.key[:]...)
}

func appendSent(dst []byte, at event.Millis) []byte {
	return kv.AppendUint32(kv.AppendUint16(dst, uint16(at>>32)), uint32(at))
}

func readSent(b []byte) event.Millis {
	return event.Millis(binary.BigEndian.Uint16(b))<<32 | event.Millis(binary.BigEndian.Uint32(b[2:]))
}

// Bounds of one page, so that a list which finds little answers soon, and says where to go on.
const (
	listSteps  = 1 << 17 // entries looked at
	listStates = 1 << 12 // messages read
)

// A ListQuery says which messages a list has. Empty members leave it to the others.
type ListQuery struct {
	Account  string
	Sender   string
	Sequence string
	Contact  string
	Status   string
	From, To event.Millis // the time of sending: from From, before To
	After    string       // a place
	Limit    int
}

// matches reports whether a message belongs to the list.
func (q *ListQuery) matches(m *Message) bool {
	return m.Account == q.Account && (q.Sender == "" || m.Sender == q.Sender) &&
		(q.Sequence == "" || m.Sequence == q.Sequence) && (q.Contact == "" || m.Contact == q.Contact) &&
		(q.Status == "" || m.Status == q.Status) && m.SentAt >= q.From && (q.To == 0 || m.SentAt < q.To)
}

// ListPage is a part of a list: by sender, of each by time of sending, the oldest first.
type ListPage struct {
	// Messages are without their events.
	Messages []Message
	// Places say where the list goes on after each of Messages.
	Places []string
	// Next is the place up to which this page looked, "" if that was the end. A page may have fewer messages than asked
	// for, or none, and yet not be the last.
	Next string
}

// MaxListPlaceBytes bounds a place in a list.
const MaxListPlaceBytes = 2 * listPlaceBytes

// List returns a page of a list of messages. Places are of one order in all partitions. It is safe while Run runs.
func (p *Partition) List(q ListQuery) (page ListPage, err error) {
	after, err := readPlace(q.After, listPlaceBytes)
	if err != nil {
		return page, err
	}
	err = p.look(func(r pebble.Reader) error {
		if q.Contact != "" {
			return p.listContact(r, &q, after, &page)
		}
		return p.list(r, &q, after, &page)
	})
	if err != nil {
		return ListPage{}, fmt.Errorf("list messages: %w", err)
	}
	return page, nil
}

func readPlace(text string, size int) ([]byte, error) {
	place, err := hex.DecodeString(text)
	if err != nil || len(place) != size && text != "" {
		return nil, fmt.Errorf("%w: %q", ErrPlace, text)
	}
	return place, nil
}

// look calls fn with the store as it is at one moment.
func (p *Partition) look(fn func(pebble.Reader) error) error {
	if err := p.store.Enter(); err != nil {
		return err
	}
	defer p.store.Leave()
	snapshot := p.store.DB().NewSnapshot()
	return errors.Join(fn(snapshot), snapshot.Close())
}

func (p *Partition) list(r pebble.Reader, q *ListQuery, after []byte, page *ListPage) error {
	scope := appendTag(nil, tagOf(q.Account))
	if q.Sender != "" {
		scope = appendTag(scope, senderTag(q.Account, q.Sender))
	}
	m, err := p.mergeEpochs(r, tableSent, scope)
	if err != nil {
		return err
	}
	from := scope
	if len(after) > 0 {
		from = append(bytes.Clone(after), 0)
	}
	m.seek(from)
	states := 0
	for steps := 0; m.rest != nil; steps++ {
		if len(m.rest) != listPlaceBytes {
			err = fmt.Errorf("%w: entry of a list", errDamaged)
			break
		}
		if len(page.Messages) == q.Limit || states == listStates || steps == listSteps {
			page.Next = hex.EncodeToString(m.before)
			break
		}
		sent := readSent(m.rest[senderBytes:])
		switch {
		case sent < q.From:
			m.seek(appendSent(bytes.Clone(m.rest[:senderBytes]), q.From))
			continue
		case q.To != 0 && sent >= q.To:
			m.seek(kv.PrefixEnd(m.rest[:senderBytes]))
			continue
		}
		states++
		var s state
		var ok bool
		if s, ok, err = p.readStateOf(r, m.epoch, entryMessage(m.rest)); err != nil {
			break
		}
		if found := s.summary(); ok && q.matches(&found) {
			page.Messages = append(page.Messages, found)
			page.Places = append(page.Places, hex.EncodeToString(m.rest))
		}
		m.next()
	}
	return errors.Join(err, m.close())
}

// listContact lists the messages of one contact, all of which it looks at.
func (p *Partition) listContact(r pebble.Reader, q *ListQuery, after []byte, page *ListPage) error {
	places, err := p.contactPlaces(r, event.ContactKeyOf(q.Account, q.Contact), nil, maxListed+1)
	if err != nil {
		return err
	}
	if len(places) > maxListed {
		return ErrCrowded
	}
	type entry struct {
		place []byte
		m     Message
	}
	var list []entry
	for _, at := range places {
		s, ok, err := p.readStateOf(r, at.epoch, entryMessage(at.place))
		if err != nil {
			return err
		}
		m := s.summary()
		if !ok || s.standing == enrollment || !q.matches(&m) {
			continue
		}
		if place := p.keys.sentEntry(nil, &s)[epochBytes:]; bytes.Compare(place, after) > 0 {
			list = append(list, entry{place, m})
		}
	}
	slices.SortFunc(list, func(a, b entry) int { return bytes.Compare(a.place, b.place) })
	for i, e := range list {
		if i == q.Limit {
			page.Next = page.Places[i-1]
			break
		}
		page.Messages, page.Places = append(page.Messages, e.m), append(page.Places, hex.EncodeToString(e.place))
	}
	return nil
}

// maxListed is how many messages a contact may have in a partition that are listed.
const maxListed = 1 << 16

// ErrCrowded is returned for the list of a contact who has too many messages.
var ErrCrowded = fmt.Errorf("refine: more than %d messages of one contact", maxListed)

// MergeList makes one page of those of several partitions, which were asked the same.
func MergeList(limit int, pages []ListPage) (all ListPage) {
	type entry struct {
		place string
		m     *Message
	}
	var entries []entry
	for i := range pages {
		pg := &pages[i]
		for j := range pg.Messages {
			entries = append(entries, entry{pg.Places[j], &pg.Messages[j]})
		}
		if pg.Next != "" && (all.Next == "" || pg.Next < all.Next) {
			all.Next = pg.Next
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.place, b.place) })
	for i, e := range entries {
		if all.Next != "" && e.place > all.Next {
			break // another partition has not looked so far
		}
		if i == limit {
			all.Next = all.Places[i-1]
			break
		}
		all.Messages, all.Places = append(all.Messages, *e.m), append(all.Places, e.place)
	}
	return all
}

// epochMerge reads the entries of all live epochs of a table in one order, that of what follows the epoch.
type epochMerge struct {
	keys   keyspace
	table  table
	epochs []liveEpoch
	its    []*pebble.Iterator

	at     int     // the iterator that has the entry
	epoch  epochID // the entry's
	rest   []byte  // the entry, nil at the end; valid until the next call
	before []byte  // the entry from which next or seek led here
}

// mergeEpochs reads the entries that start with prefix. Call seek first.
func (p *Partition) mergeEpochs(r pebble.Reader, t table, prefix []byte) (*epochMerge, error) {
	m := &epochMerge{keys: p.keys, table: t, epochs: p.epochs.live()}
	for _, e := range m.epochs {
		from := append(p.keys.epoch(nil, t, e.id), prefix...)
		it, err := r.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: kv.PrefixEnd(from)})
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		m.its = append(m.its, it)
	}
	return m, nil
}

// seek goes to the first entry from rest on; nil is beyond all.
func (m *epochMerge) seek(rest []byte) {
	rest = bytes.Clone(rest)
	m.before = append(m.before[:0], m.rest...)
	for i, it := range m.its {
		if rest == nil {
			it.SeekGE(kv.PrefixEnd(m.keys.epoch(nil, m.table, m.epochs[i].id)))
			continue
		}
		if key := append(m.keys.epoch(nil, m.table, m.epochs[i].id), rest...); !it.Valid() || bytes.Compare(it.Key(), key) < 0 {
			it.SeekGE(key)
		}
	}
	m.choose()
}

// next goes to the entry after this one.
func (m *epochMerge) next() {
	m.before = append(m.before[:0], m.rest...)
	m.its[m.at].Next()
	m.choose()
}

func (m *epochMerge) choose() {
	m.rest = nil
	for i, it := range m.its {
		if !it.Valid() {
			continue
		}
		if rest := it.Key()[epochBytes:]; m.rest == nil || bytes.Compare(rest, m.rest) < 0 {
			m.at, m.epoch, m.rest = i, m.epochs[i].id, rest
		}
	}
}

func (m *epochMerge) close() (err error) {
	for _, it := range m.its {
		err = errors.Join(err, it.Error(), it.Close())
	}
	return err
}
