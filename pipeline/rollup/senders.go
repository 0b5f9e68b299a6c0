package rollup

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"carom/kv"
	"carom/pipeline/event"
)

// Bounds of listings.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	// maxSorted bounds the senders that are read to sort them by a number: some seconds of work.
	maxSorted = 10_000
	// maxSequences bounds the sequences of which a trend says what they cost.
	maxSequences = 10_000
)

// SendersQuery asks for a page of the scores of an account's senders.
type SendersQuery struct {
	Account string
	Window  time.Duration
	AsOf    event.Millis
	// Sort is one of SortKeys, descending with "-" before it; empty for "sender".
	Sort string
	// Limit is 1 to MaxLimit; 0 is DefaultLimit.
	Limit int
	// After is the cursor that the page before returned, empty for the first. The pages that follow speak of the
	// time of the first, whatever AsOf says.
	After string
}

const bySender = "sender"

// sortValues are the numbers that senders can be sorted by. Those with equal numbers are sorted by name.
var sortValues = map[string]func(*Score) float64{
	"score":            func(s *Score) float64 { return s.Score.Value },
	"completed":        func(s *Score) float64 { return float64(s.Completed) },
	"replied":          func(s *Score) float64 { return float64(s.Replied) },
	"bounced":          func(s *Score) float64 { return float64(s.Bounced) },
	"complained":       func(s *Score) float64 { return float64(s.Complained) },
	"reply_rate":       func(s *Score) float64 { return s.Reply.Value },
	"bounce_rate":      func(s *Score) float64 { return s.Bounce.Value },
	"complaint_rate":   func(s *Score) float64 { return s.Complaint.Value },
	"unsubscribe_rate": func(s *Score) float64 { return s.Unsubscribe.Value },
	"open_rate":        func(s *Score) float64 { return s.Open.Value },
	"click_rate":       func(s *Score) float64 { return s.Click.Value },
}

// SortKeys returns what senders can be sorted by.
func SortKeys() []string {
	keys := []string{bySender}
	for key := range sortValues {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Senders returns a page of scores, and the cursor of the next page: empty if there is none.
func (p *Partition) Senders(q SendersQuery) (page []Score, next string, err error) {
	l, err := newListing(q)
	if err != nil {
		return nil, "", err
	}
	r, err := p.read()
	if err != nil {
		return nil, "", err
	}
	defer r.close()
	var entries []entry
	if l.value == nil {
		entries, err = r.sendersByName(l)
	} else {
		entries, err = r.sendersByValue(l)
	}
	if err != nil {
		return nil, "", err
	}
	if len(entries) > l.limit {
		entries = entries[:l.limit]
		last := entries[l.limit-1]
		next = cursor{sort: l.sort, asOf: l.asOf, value: last.value, sender: last.sender}.String()
	}
	page = make([]Score, len(entries))
	for i, e := range entries {
		if page[i], err = r.score(scope{account: q.Account, sender: e.sender}.whole(), l.moment); err != nil {
			return nil, "", err
		}
	}
	return page, next, nil
}

// listing is a SendersQuery that was understood.
type listing struct {
	moment
	account    string
	sort       string
	descending bool
	value      func(*Score) float64 // nil: by name
	limit      int
	after      *entry // the last of the page before
}

// entry is a sender's place in a listing.
type entry struct {
	sender string
	value  float64
}

func newListing(q SendersQuery) (*listing, error) {
	l := &listing{account: q.Account, sort: cmp.Or(q.Sort, bySender), limit: cmp.Or(q.Limit, DefaultLimit)}
	if l.limit < 1 || l.limit > MaxLimit {
		return nil, &QueryError{"limit", fmt.Sprintf("%d: want 1 to %d", q.Limit, MaxLimit)}
	}
	key, descending := strings.CutPrefix(l.sort, "-")
	value, ok := sortValues[key]
	if !ok && key != bySender {
		return nil, &QueryError{"sort", fmt.Sprintf("%q: want one of %s, with - before it for the other way round",
			q.Sort, strings.Join(SortKeys(), ", "))}
	}
	l.descending, l.value = descending, value
	asOf := q.AsOf
	if q.After != "" {
		c, ok := parseCursor(q.After)
		if !ok || c.sort != l.sort {
			return nil, &QueryError{"after", "want what the page before returned as next, for the same sort"}
		}
		asOf, l.after = c.asOf, &entry{c.sender, c.value}
	}
	var err error
	l.moment, err = newMoment(q.Window, asOf)
	return l, err
}

// compare orders entries as the listing wants them.
func (l *listing) compare(a, b entry) int {
	order := cmp.Compare(a.value, b.value)
	if l.value == nil {
		order = strings.Compare(a.sender, b.sender)
	}
	if l.descending {
		order = -order
	}
	return cmp.Or(order, strings.Compare(a.sender, b.sender))
}

// sendersByName returns one sender more than the limit, if there are so many.
func (r *reading) sendersByName(l *listing) ([]entry, error) {
	prefix := kv.AppendName(appendHeader(nil, r.p.number, tableSender), l.account)
	from, to, step := prefix, kv.PrefixEnd(prefix), r.it.Next
	if l.descending {
		step = r.it.Prev
	}
	var ok bool
	switch {
	case l.after == nil && l.descending:
		ok = r.it.SeekLT(to)
	case l.after == nil:
		ok = r.it.SeekGE(from)
	case l.descending:
		ok = r.it.SeekLT(kv.AppendName(prefix, l.after.sender))
	default:
		ok = r.it.SeekGE(append(kv.AppendName(prefix, l.after.sender), 0))
	}
	var entries []entry
	for ; ok && len(entries) <= l.limit; ok = step() {
		sender, in, err := r.name(prefix)
		if err != nil {
			return nil, err
		}
		if !in {
			break
		}
		entries = append(entries, entry{sender: sender})
	}
	return entries, r.it.Error()
}

// name returns the name that follows prefix in the iterator's key; in is false if the key does not start so.
func (r *reading) name(prefix []byte) (name string, in bool, err error) {
	rest, in := bytes.CutPrefix(r.it.Key(), prefix)
	if !in {
		return "", false, nil
	}
	name, _, err = kv.CutName(rest)
	return name, true, err
}

// sendersByValue reads the scores of all senders of the account and returns those after the cursor, one more than the
// limit if there are so many.
func (r *reading) sendersByValue(l *listing) ([]entry, error) {
	all := *l
	all.limit, all.after, all.value, all.descending = maxSorted, nil, nil, false
	entries, err := r.sendersByName(&all)
	if err != nil {
		return nil, err
	}
	if len(entries) > maxSorted {
		return nil, &QueryError{"sort", fmt.Sprintf("the account has more than %d senders: want sender", maxSorted)}
	}
	kept := entries[:0]
	for _, e := range entries {
		s, err := r.score(scope{account: l.account, sender: e.sender}.whole(), l.moment)
		if err != nil {
			return nil, err
		}
		e.value = l.value(&s)
		if l.after == nil || l.compare(e, *l.after) > 0 {
			kept = append(kept, e)
		}
	}
	slices.SortFunc(kept, l.compare)
	return kept[:min(len(kept), l.limit+1)], nil
}

// SequencesQuery asks for a page of the scores of a sender's sequences, by name; Sequence and Provider are not looked at.
type SequencesQuery struct {
	Query
	// Limit is 1 to MaxLimit; 0 is MaxLimit.
	Limit int
	// After is as in SendersQuery.
	After string
}

const bySequence = "sequence"

// Sequences returns a page of scores, and the cursor of the next page: empty if there is none. Mail without a sequence comes
// first, under the name "", so that the scores add up to the sender's.
func (p *Partition) Sequences(q SequencesQuery) (page []Score, next string, err error) {
	limit := cmp.Or(q.Limit, MaxLimit)
	if limit < 1 || limit > MaxLimit {
		return nil, "", &QueryError{"limit", fmt.Sprintf("%d: want 1 to %d", q.Limit, MaxLimit)}
	}
	var after *string
	if q.After != "" {
		c, ok := parseCursor(q.After)
		if !ok || c.sort != bySequence {
			return nil, "", &QueryError{"after", "want what the page before returned as next"}
		}
		q.AsOf, after = c.asOf, &c.sender
	}
	m, err := newMoment(q.Window, q.AsOf)
	if err != nil {
		return nil, "", err
	}
	r, err := p.read()
	if err != nil {
		return nil, "", err
	}
	defer r.close()
	names, err := r.sequences(scope{account: q.Account, sender: q.Sender}, after, limit+1)
	if err != nil {
		return nil, "", err
	}
	if len(names) > limit {
		names = names[:limit]
		next = cursor{sort: bySequence, asOf: m.asOf, sender: names[limit-1]}.String()
	}
	page = make([]Score, len(names))
	for i, sequence := range names {
		if page[i], err = r.score(scope{q.Account, q.Sender, sequence}.inSequence(), m); err != nil {
			return nil, "", err
		}
	}
	return page, next, nil
}

// sequences lists the names of a sender's sequences, at most so many, behind one or from the first on.
func (r *reading) sequences(s scope, after *string, most int) ([]string, error) {
	prefix := s.appendSender(appendHeader(nil, r.p.number, tableSequence))
	from := prefix
	if after != nil {
		from = append(kv.AppendName(bytes.Clone(prefix), *after), 0)
	}
	var names []string
	for ok := r.it.SeekGE(from); ok && len(names) < most; ok = r.it.Next() {
		name, in, err := r.name(prefix)
		if err != nil {
			return nil, err
		}
		if !in {
			break
		}
		names = append(names, name)
	}
	return names, r.it.Error()
}
