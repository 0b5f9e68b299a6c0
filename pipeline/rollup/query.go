package rollup

import (
	"fmt"
	"time"

	"carom/pipeline/event"
)

// Windows of DESIGN §10. Any whole number of hours up to the longest is answered.
const maxWindow = 30 * 24 * time.Hour

// Query asks for one score.
type Query struct {
	Account string
	Sender  string
	// Sequence is nil for the whole sender; a pointer to "" asks for the mail that has no sequence.
	Sequence *string
	// Provider is nil for all of them; a pointer to "" asks for the mail of which it is not known. Sequence is nil then.
	Provider *string
	// Window is 24h, 7d or 30d, or any other number of whole hours up to 30 days.
	Window time.Duration
	// AsOf is the time that the answer speaks of, rounded up to the minute. Later facts still correct the cohorts that
	// were complete by then; what completed later is left out.
	AsOf event.Millis
}

// QueryError says which part of a query can't be answered, in the words of the API.
type QueryError struct {
	Field   string // for example "window"
	Problem string
}

func (e *QueryError) Error() string { return "rollup: " + e.Field + ": " + e.Problem }

// moment is what a score is read at.
type moment struct {
	window time.Duration
	asOf   event.Millis
	minute uint32
}

func newMoment(window time.Duration, asOf event.Millis) (moment, error) {
	if window < time.Hour || window > maxWindow || window%time.Hour != 0 {
		return moment{}, &QueryError{"window", fmt.Sprintf("%v: want 24h, 7d or 30d", window)}
	}
	if asOf <= 0 {
		return moment{}, &QueryError{"as_of", "want a time after 1970"}
	}
	return moment{window, asOf, minuteOf(asOf)}, nil
}

// windowName returns the window as the API writes it: in days from two on.
func (m moment) windowName() string {
	if hours := int64(m.window / time.Hour); hours%24 != 0 || hours == 24 {
		return fmt.Sprintf("%dh", hours)
	}
	return fmt.Sprintf("%dd", m.window/(24*time.Hour))
}

// Score returns one score. Of a sender or sequence that nobody has heard of it is all zeros, with Known false.
func (p *Partition) Score(q Query) (Score, error) {
	m, err := newMoment(q.Window, q.AsOf)
	if err != nil {
		return Score{}, err
	}
	r, err := p.read()
	if err != nil {
		return Score{}, err
	}
	defer r.close()
	of, err := q.part()
	if err != nil {
		return Score{}, err
	}
	answer, err := r.score(of, m)
	if err != nil {
		return Score{}, err
	}
	answer.Known, err = r.has(p.nameKey(of))
	return answer, err
}

// part returns what q asks about.
func (q *Query) part() (part, error) {
	of := scope{account: q.Account, sender: q.Sender}.whole()
	switch {
	case q.Sequence != nil && q.Provider != nil:
		return of, &QueryError{"provider", "numbers are kept by sequence or by provider: want one of the two"}
	case q.Sequence != nil:
		of.kind, of.name = partSequence, *q.Sequence
	case q.Provider != nil:
		of.kind, of.name = partProvider, *q.Provider
	}
	return of, nil
}

// nameKey returns the key of the row that there is of a part that was heard of.
func (p *Partition) nameKey(of part) []byte {
	switch s := (scope{of.account, of.sender, of.name}); of.kind {
	case partSequence:
		return p.sequenceKey(s)
	case partProvider:
		return p.providerKey(of)
	default:
		return p.senderKey(s)
	}
}

// score reads the rows of a part and makes an answer of them.
func (r *reading) score(of part, m moment) (Score, error) {
	spans := [...]span{cohortSpan(m.minute, int64(m.window/time.Hour)), recentSpan(m.minute, hourMinutes), recentSpan(m.minute, dayMinutes)}
	var sums [len(spans)]counts
	if err := r.sums(&of, spans[:], sums[:]); err != nil {
		return Score{}, err
	}
	a := Score{
		Account: of.account, Sender: of.sender, Window: m.windowName(),
		Counts: sums[0].score(),
		Recent: Recent{sums[1].period(), sums[2].period()},
		AsOf:   Stamp(m.asOf),
		Known:  true,
	}
	switch of.kind {
	case partSequence:
		a.Sequence = of.name
	case partProvider:
		a.Provider = of.name
	}
	a.Result = r.p.scorer.For(of.account).Score(a.Counts)
	return a, nil
}
