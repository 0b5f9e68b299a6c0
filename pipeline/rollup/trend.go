package rollup

import (
	"cmp"
	"slices"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/score"
)

// Trend compares a window with the one before it, and says what costs the sender points now.
type Trend struct {
	Account string `json:"account"`
	Sender  string `json:"sender"`
	Window  string `json:"window"`
	Now     Score  `json:"now"`
	// Before is of a window as long, that ends where the one of Now begins.
	Before Score   `json:"before"`
	Change Change  `json:"change"`
	Causes []Cause `json:"causes"` // those that cost most first; none that cost nothing
	AsOf   Stamp   `json:"as_of"`
}

// Change is Now less Before.
type Change struct {
	Score         float64 `json:"score"`
	Completed     int64   `json:"completed"`
	GoalRate      float64 `json:"goal_rate"`
	BounceRate    float64 `json:"bounce_rate"`
	ComplaintRate float64 `json:"complaint_rate"`
}

// Cause is a part of what a sender sent: enrollments to one mailbox provider, of one sequence, or that bounced for one
// reason.
type Cause struct {
	Kind string `json:"kind"` // provider, sequence or category
	Name string `json:"name"`
	// Points is what the score would be without these enrollments, less what it is.
	Points     float64    `json:"points"`
	Completed  int64      `json:"completed"`
	Bounced    int64      `json:"bounced"`
	Complained int64      `json:"complained"`
	BounceRate score.Rate `json:"bounce_rate"`
	GoalRate   score.Rate `json:"goal_rate"`
}

// maxCauses bounds the causes that are told.
const maxCauses = 50

// Trend answers of the whole sender: q.Sequence and q.Provider are not looked at.
func (p *Partition) Trend(q Query) (Trend, error) {
	m, err := newMoment(q.Window, q.AsOf)
	if err != nil {
		return Trend{}, err
	}
	r, err := p.read()
	if err != nil {
		return Trend{}, err
	}
	defer r.close()
	of := scope{account: q.Account, sender: q.Sender}.whole()
	a := Trend{Account: q.Account, Sender: q.Sender, Window: m.windowName(), AsOf: Stamp(m.asOf)}
	if a.Now, err = r.score(of, m); err != nil {
		return Trend{}, err
	}
	now := cohortSpan(m.minute, int64(m.window/time.Hour))
	before, err := newMoment(q.Window, max(1, event.Millis(now.from)*minuteMillis))
	if err != nil {
		return Trend{}, err
	}
	if a.Before, err = r.score(of, before); err != nil {
		return Trend{}, err
	}
	a.Change = Change{
		Score:         a.Now.Score.Value - a.Before.Score.Value,
		Completed:     a.Now.Completed - a.Before.Completed,
		GoalRate:      a.Now.Goal.Value - a.Before.Goal.Value,
		BounceRate:    a.Now.Bounce.Value - a.Before.Bounce.Value,
		ComplaintRate: a.Now.Complaint.Value - a.Before.Complaint.Value,
	}
	a.Causes, err = r.causes(scope{account: q.Account, sender: q.Sender}, now, &a.Now)
	return a, err
}

// causes finds what costs a sender points.
func (r *reading) causes(s scope, in span, now *Score) ([]Cause, error) {
	providers, err := r.providers(s)
	if err != nil {
		return nil, err
	}
	sequences, err := r.sequences(s, nil, maxSequences+1)
	if err != nil {
		return nil, err
	}
	if len(sequences) > maxSequences { // then none of them can cost much
		sequences = nil
	}
	causes := []Cause{}
	for _, kind := range [...]struct {
		name  string
		part  byte
		names []string
	}{
		{"provider", partProvider, append([]string{""}, providers...)},
		{"sequence", partSequence, sequences},
		{"category", partCategory, categories[:]},
	} {
		for _, name := range kind.names {
			var c counts
			if err := r.sum(&part{s.account, s.sender, kind.part, name}, in, &c); err != nil {
				return nil, err
			}
			if cause, ok := r.cause(kind.name, name, &c, now); ok {
				causes = append(causes, cause)
			}
		}
	}
	slices.SortStableFunc(causes, func(a, b Cause) int { return cmp.Compare(b.Points, a.Points) })
	return causes[:min(len(causes), maxCauses)], nil
}

// cause returns what a part of a sender's counts costs it; ok is false if nothing, or if there is nothing but that part.
func (r *reading) cause(kind, name string, c *counts, now *Score) (_ Cause, ok bool) {
	own := c.score()
	rest := now.Counts
	rest.Completed -= own.Completed
	rest.Replied -= own.Replied
	rest.Bounced -= own.Bounced
	rest.ClickedDelivered -= own.ClickedDelivered
	if own.Completed == 0 || rest.Completed <= 0 {
		return Cause{}, false
	}
	profile := r.p.scorer.For(now.Account)
	of := profile.Score(own)
	points := profile.Score(rest).Score.Value - now.Score.Value
	return Cause{
		Kind: kind, Name: name, Points: points, Completed: own.Completed, Bounced: own.Bounced, Complained: own.Complained,
		BounceRate: of.Bounce, GoalRate: of.Goal,
	}, points > 0
}
