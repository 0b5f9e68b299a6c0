package rollup

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"carom/kv"
	"carom/pipeline/event"
)

// EnrollmentsQuery asks for a page of the enrollments that a count of a score counts.
type EnrollmentsQuery struct {
	// Query as for the score; Sequence and Provider may be given both.
	Query
	// Category is nil for all; else those that bounced for this reason.
	Category *string
	// Count is one of CountNames; empty for "completed".
	Count string
	// Limit is 1 to MaxLimit; 0 is DefaultLimit.
	Limit int
	// After is the cursor that the page before returned, empty for the first. The pages that follow speak of the time
	// of the first, whatever AsOf says.
	After string
}

// Enrollment is one that is counted.
type Enrollment struct {
	Account  string `json:"account"`
	Sender   string `json:"sender"`
	Sequence string `json:"sequence"`
	// Contact is "erased" where all that was known of him is gone, and empty where no fact named one.
	Contact string `json:"contact"`
	// Message is the id of an enrollment that is a message of its own.
	Message     string `json:"message"`
	Provider    string `json:"provider"` // the name that it is counted under
	SentAt      *Stamp `json:"sent_at"`  // its first message; null if there is none
	CompletedAt Stamp  `json:"completed_at"`
	// Category of its bounce, if it is counted as bounced.
	Category string `json:"category"`
	// Counts are the names of all counts that count it.
	Counts []string `json:"counts"`
}

// countNames are the counts that can be opened, by counter.
var countNames = [...]struct {
	counter int
	name    string
}{
	{cCompleted, "completed"},
	{cReplied, "replied"},
	{cBounced, "bounced"},
	{cBouncedHard, "bounced_hard"},
	{cComplained, "complained"},
	{cUnsubscribed, "unsubscribed"},
	{cOpened, "opened"},
	{cClicked, "clicked"},
	{cClickedDelivered, "clicked_delivered"},
	{cMachineOpened, "machine_opened"},
	{cMachineClicked, "machine_clicked"},
}

// CountNames returns the names of the counts that can be opened.
func CountNames() (names []string) {
	for _, c := range countNames {
		names = append(names, c.name)
	}
	return names
}

// maxCompletions bounds the completions that are looked at for a page: some 0.1 s. A page that ends there may be short,
// or empty, and has a next.
const maxCompletions = 200_000

// Enrollments returns a page of enrollments, in the order of the minutes in which they completed, and the cursor of the
// next page: empty if there is none. All pages together are as many as the score says.
func (p *Partition) Enrollments(q EnrollmentsQuery) (page []Enrollment, next string, err error) {
	return p.enrollmentsPage(q, maxCompletions)
}

func (p *Partition) enrollmentsPage(q EnrollmentsQuery, most int) (page []Enrollment, next string, err error) {
	l, err := newOpening(q)
	if err != nil {
		return nil, "", err
	}
	r, err := p.read()
	if err != nil {
		return nil, "", err
	}
	defer r.close()
	keys, more, err := r.completions(l, most)
	if err != nil {
		return nil, "", err
	}
	e := &enrollment{texts: make(map[string]string)}
	for _, key := range keys {
		a, ok, err := r.enrollment(l, e, key)
		if err != nil {
			return nil, "", err
		}
		if ok {
			page = append(page, a)
		}
	}
	if more != nil {
		next = openingCursor{hash: l.hash, asOf: l.asOf, row: more}.String()
	}
	return page, next, nil
}

// opening is an EnrollmentsQuery that was understood.
type opening struct {
	moment
	q       EnrollmentsQuery
	counter int
	limit   int
	hash    uint64 // of what the cursor must be for
	after   []byte // the row that the page before ended with, as its key goes on after the sender
}

func newOpening(q EnrollmentsQuery) (*opening, error) {
	l := &opening{q: q, limit: cmp.Or(q.Limit, DefaultLimit)}
	if l.limit < 1 || l.limit > MaxLimit {
		return nil, &QueryError{"limit", fmt.Sprintf("%d: want 1 to %d", q.Limit, MaxLimit)}
	}
	name := cmp.Or(q.Count, countNames[0].name)
	at := slices.IndexFunc(countNames[:], func(c struct {
		counter int
		name    string
	},
	) bool {
		return c.name == name
	})
	if at < 0 {
		return nil, &QueryError{"count", fmt.Sprintf("%q: want one of %s", q.Count, strings.Join(CountNames(), ", "))}
	}
	if q.Category != nil && !slices.Contains(categories[:], *q.Category) {
		return nil, &QueryError{"category", fmt.Sprintf("%q: want one of %s", *q.Category, strings.Join(categories[1:], ", "))}
	}
	l.counter, l.hash = countNames[at].counter, q.hash(name)
	asOf := q.AsOf
	if q.After != "" {
		c, ok := parseOpeningCursor(q.After)
		if !ok || c.hash != l.hash {
			return nil, &QueryError{"after", "want what the page before returned as next, for the same query"}
		}
		asOf, l.after = c.asOf, c.row
	}
	var err error
	l.moment, err = newMoment(q.Window, asOf)
	return l, err
}

// hash stands for all of q that its pages must have in common.
func (q *EnrollmentsQuery) hash(count string) uint64 {
	h := fnv.New64a()
	for _, text := range []*string{&q.Account, &q.Sender, &count, q.Sequence, q.Provider, q.Category} {
		if text == nil {
			h.Write([]byte{0})
			continue
		}
		h.Write(kv.AppendName([]byte{1}, *text))
	}
	fmt.Fprint(h, q.Window)
	return h.Sum64()
}

// completions returns the rows that l asks for, and the last one that was looked at if there may be more.
func (r *reading) completions(l *opening, most int) (keys [][]byte, more []byte, err error) {
	in := cohortSpan(l.minute, int64(l.window.Hours()))
	prefix := scope{account: l.q.Account, sender: l.q.Sender}.appendSender(appendHeader(nil, r.p.number, tableCompletion))
	from := kv.AppendUint32(bytes.Clone(prefix), uint32(in.from+1))
	if l.after != nil {
		from = append(append(bytes.Clone(prefix), l.after...), 0)
	}
	var c completion
	looked := 0
	for ok := r.it.SeekGE(from); ok; ok = r.it.Next() {
		row, found := bytes.CutPrefix(r.it.Key(), prefix)
		if !found || len(row) < 4 || binary.BigEndian.Uint32(row) > uint32(in.to) {
			break
		}
		if looked == most || len(keys) == l.limit {
			return keys, more, nil
		}
		looked++
		more = append(more[:0], row...)
		value, err := r.it.ValueAndErr()
		if err == nil {
			err = c.decode(value)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read completions: %w", err)
		}
		asked, err := l.asksFor(&c, row[4:])
		if err != nil {
			return nil, nil, err
		}
		if asked {
			keys = append(keys, bytes.Clone(r.it.Key()))
		}
	}
	return keys, nil, r.it.Error()
}

// asksFor reports whether l asks for c, whose key goes on with rest.
func (l *opening) asksFor(c *completion, rest []byte) (bool, error) {
	if c.flags&(1<<l.counter) == 0 || l.q.Provider != nil && string(c.provider) != *l.q.Provider {
		return false, nil
	}
	if l.q.Category != nil && (c.flags&(1<<cBounced) == 0 || categories[c.category] != *l.q.Category) {
		return false, nil
	}
	if l.q.Sequence == nil {
		return true, nil
	}
	sequence, _, err := kv.CutName(rest)
	return sequence == *l.q.Sequence, err
}

// enrollment reads the enrollment that a row of completions lists.
func (r *reading) enrollment(l *opening, e *enrollment, row []byte) (a Enrollment, ok bool, err error) {
	sender := headerSize + len(scope{account: l.q.Account, sender: l.q.Sender}.appendSender(nil))
	r.key, _ = r.p.enrollmentKey(r.key[:0], row, sender)
	if ok, err = r.has(r.key); err != nil || !ok {
		return a, false, err
	}
	value, err := r.it.ValueAndErr()
	if err == nil {
		err = e.decode(value)
	}
	if err != nil {
		return a, false, fmt.Errorf("read enrollment: %w", err)
	}
	in, rest, err := cutScope(r.key[headerSize:])
	if err != nil || len(rest) == 0 {
		return a, false, errKey
	}
	name, _, err := kv.CutName(rest[1:])
	if err != nil {
		return a, false, err
	}
	var c contribution
	e.contribution(&c, basisOf(r.p.o).completeAfter, nil)
	a = Enrollment{
		Account: in.account, Sender: in.sender, Sequence: in.sequence, Contact: string(e.contact), Provider: c.provider,
		CompletedAt: Stamp(c.at), Category: categories[c.category], Counts: c.names(),
	}
	switch rest[0] {
	case formContact:
		a.Contact = name
	case formMessage:
		a.Message = name
	default:
		a.Contact = event.ErasedContact
	}
	if at, sent := e.firstSend(); sent {
		stamp := Stamp(at)
		a.SentAt = &stamp
	}
	return a, true, nil
}

// names returns the names of the counts that count c.
func (c *contribution) names() (names []string) {
	for _, n := range countNames {
		if c.has(n.counter) {
			names = append(names, n.name)
		}
	}
	return names
}

// openingCursor is where a page of enrollments ended. In text it is base64url of
//
//	┌─────────┬─────────┬────────┬──────────────────────────────────────────────┐
//	│ version │ hash(8) │ as of  │ the key of the row after its sender, to the  │
//	│ 2       │         │ varint │ end                                          │
//	└─────────┴─────────┴────────┴──────────────────────────────────────────────┘
type openingCursor struct {
	hash uint64
	asOf event.Millis
	row  []byte
}

const openingCursorVersion byte = 2 // a cursor of senders is 1

func (c openingCursor) String() string {
	b := appendUint([]byte{openingCursorVersion}, c.hash, 8)
	b = binary.AppendVarint(b, int64(c.asOf))
	return base64.RawURLEncoding.EncodeToString(append(b, c.row...))
}

func parseOpeningCursor(text string) (c openingCursor, ok bool) {
	if len(text) > maxCursor {
		return c, false
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return c, false
	}
	s := openValue(b, openingCursorVersion, "cursor")
	c.hash, c.asOf, c.row = s.uint(8), s.millis(), s.rest
	return c, s.err == nil && len(c.row) > 4
}
