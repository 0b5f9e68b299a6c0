package rollup

import (
	"time"

	"carom/pipeline/event"
	"carom/pipeline/score"
)

// Series is how a sender, one of its sequences or one of its mailbox providers stood day by day.
type Series struct {
	Account  string `json:"account"`
	Sender   string `json:"sender"`
	Sequence string `json:"sequence"`
	Provider string `json:"provider,omitempty"`
	Window   string `json:"window"`
	Days     []Day  `json:"days"` // oldest first, without gaps
	AsOf     Stamp  `json:"as_of"`
}

// Day is what completed on one day of UTC, and what was sent on it.
type Day struct {
	Day string `json:"day"` // 2006-01-02
	score.Counts
	Sent        int64 `json:"sent"`         // messages, by when they were sent
	SentBounced int64 `json:"sent_bounced"` // of those
	score.Result
}

// Series returns one day for every 24 hours of the window; the last is the one that AsOf lies in, up to it.
func (p *Partition) Series(q Query) (Series, error) {
	m, err := newMoment(q.Window, q.AsOf)
	if err != nil {
		return Series{}, err
	}
	of, err := q.part()
	if err != nil {
		return Series{}, err
	}
	r, err := p.read()
	if err != nil {
		return Series{}, err
	}
	defer r.close()
	a := Series{Account: q.Account, Sender: q.Sender, Window: m.windowName(), AsOf: Stamp(m.asOf)}
	switch of.kind {
	case partSequence:
		a.Sequence = of.name
	case partProvider:
		a.Provider = of.name
	}
	profile := p.scorer.For(q.Account)
	last := (int64(m.minute)-1)/dayMinutes + 1 // days are closed on the right too
	for day := max(1, last-int64(q.Window/(24*time.Hour))+1); day <= last; day++ {
		var c counts
		if err := r.sum(&of, span{(day - 1) * dayMinutes, min(day*dayMinutes, int64(m.minute))}, &c); err != nil {
			return Series{}, err
		}
		d := Day{Day: (event.Millis(day-1) * dayMinutes * minuteMillis).Time().Format(time.DateOnly), Counts: c.score()}
		d.Sent, d.SentBounced = c.floor(cSent), c.floor(cSentBounced)
		d.Result = profile.Score(d.Counts)
		a.Days = append(a.Days, d)
	}
	return a, nil
}
