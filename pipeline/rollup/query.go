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
	s := scope{account: q.Account, sender: q.Sender}
	known := p.senderKey(s)
	if q.Sequence != nil {
		s.sequence = *q.Sequence
		known = p.sequenceKey(s)
	}
	answer, err := r.score(s, q.Sequence == nil, m)
	if err != nil {
		return Score{}, err
	}
	answer.Known, err = r.has(known)
	return answer, err
}

// score reads the rows of a scope and makes an answer of them.
func (r *reading) score(s scope, whole bool, m moment) (Score, error) {
	spans := [...]span{cohortSpan(m.minute, int64(m.window/time.Hour)), recentSpan(m.minute, hourMinutes), recentSpan(m.minute, dayMinutes)}
	var sums [len(spans)]counts
	if err := r.sums(s, whole, spans[:], sums[:]); err != nil {
		return Score{}, err
	}
	a := Score{
		Account: s.account, Sender: s.sender, Sequence: s.sequence, Window: m.windowName(),
		Counts: sums[0].score(),
		Recent: Recent{sums[1].period(), sums[2].period()},
		AsOf:   Stamp(m.asOf),
		Known:  true,
	}
	a.Result = r.p.scorer.For(s.account).Score(a.Counts)
	return a, nil
}
