package score

import "fmt"

// Counts are the completed enrollments of a window, and how many of them did or suffered what: at most Completed. Opens
// and the three after it are of those enrollments' opens and clicks, each at least its count of enrollments above.
// AnonymousOpened is of opens that belong to no enrollment.
type Counts struct {
	Completed       int64 `json:"completed"`
	Replied         int64 `json:"replied"`
	Bounced         int64 `json:"bounced"`      // hard or soft; never one that replied
	BouncedHard     int64 `json:"bounced_hard"` // of Bounced
	Complained      int64 `json:"complained"`
	Unsubscribed    int64 `json:"unsubscribed"`
	Opened          int64 `json:"opened"`  // by a human
	Clicked         int64 `json:"clicked"` // by a human
	MachineOpened   int64 `json:"machine_opened"`
	MachineClicked  int64 `json:"machine_clicked"`
	Opens           int64 `json:"opens"`  // by a human, all: the first, and those again
	Clicks          int64 `json:"clicks"` // likewise
	MachineOpens    int64 `json:"machine_opens"`
	MachineClicks   int64 `json:"machine_clicks"`
	AnonymousOpened int64 `json:"anonymous_opened"`
}

// Rates are the counts over their denominators.
type Rates struct {
	Reply       Rate `json:"reply_rate"`  // of completed and not bounced
	Bounce      Rate `json:"bounce_rate"` // this and the rest: of completed
	Complaint   Rate `json:"complaint_rate"`
	Unsubscribe Rate `json:"unsubscribe_rate"`
	Open        Rate `json:"open_rate"`
	Click       Rate `json:"click_rate"`
}

// Score is the score with its parts, its range and its bands.
type Score struct {
	Value  float64 `json:"value"`  // 0 to 100: Reply + Bounce
	Reply  float64 `json:"reply"`  // the reply part
	Bounce float64 `json:"bounce"` // the bounce part
	Low    float64 `json:"low"`    // at the low end of the reply rate and the high end of the bounce rate
	High   float64 `json:"high"`   // the other way round
	Band   Band    `json:"band"`   // of Value, capped
	Bands  []Band  `json:"bands"`  // every band between Low and High, from the worst; poor alone if capped
}

// Result is all that counts say.
type Result struct {
	Rates
	Score Score `json:"score"`
	// Sufficient reports that enough enrollments have completed for the score to mean something.
	Sufficient bool `json:"sufficient"`
}

// Scorer computes results. It is safe for concurrent use.
type Scorer struct {
	o             Options
	reply, bounce curve
	from          [3]float64 // where fair, good and excellent begin
}

// New returns a Scorer.
func New(o Options) (*Scorer, error) {
	s := &Scorer{o: o, from: [3]float64{o.FairFrom, o.GoodFrom, o.ExcellentFrom}}
	var err error
	if s.reply, err = parseCurve(o.ReplyPoints, rising); err != nil {
		return nil, fmt.Errorf("reply_points: %w", err)
	}
	if s.bounce, err = parseCurve(o.BouncePoints, falling); err != nil {
		return nil, fmt.Errorf("bounce_points: %w", err)
	}
	if most := s.reply.highest() + s.bounce.highest(); most > 100 {
		return nil, fmt.Errorf("bounce_points: %v: want at most %v points, so that both parts stay within 100",
			s.bounce.highest(), 100-s.reply.highest())
	}
	if err := o.validateNumbers(); err != nil {
		return nil, err
	}
	return s, nil
}

// Score computes what c says.
func (s *Scorer) Score(c Counts) Result {
	r := Result{
		Rates: Rates{
			Reply:       Wilson(c.Replied, c.Completed-c.Bounced),
			Bounce:      Wilson(c.Bounced, c.Completed),
			Complaint:   Wilson(c.Complained, c.Completed),
			Unsubscribe: Wilson(c.Unsubscribed, c.Completed),
			Open:        Wilson(c.Opened, c.Completed),
			Click:       Wilson(c.Clicked, c.Completed),
		},
		Sufficient: c.Completed >= s.o.Minimum,
	}
	reply, bounce := s.reply.at(r.Reply.Value), s.bounce.at(r.Bounce.Value)
	r.Score = Score{
		Value:  reply + bounce,
		Reply:  reply,
		Bounce: bounce,
		Low:    s.reply.at(r.Reply.Low) + s.bounce.at(r.Bounce.High),
		High:   s.reply.at(r.Reply.High) + s.bounce.at(r.Bounce.Low),
	}
	if r.Bounce.Value >= s.o.PoorBounceRate || r.Complaint.Value >= s.o.PoorComplaintRate {
		r.Score.Band, r.Score.Bands = Poor, []Band{Poor}
		return r
	}
	r.Score.Band = bandsFromWorst[s.band(r.Score.Value)]
	r.Score.Bands = s.bandsBetween(r.Score.Low, r.Score.High)
	return r
}
