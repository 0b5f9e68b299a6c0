package score

import "fmt"

// Profile is one way to make a score of counts. It is safe for concurrent use.
type Profile struct {
	Name string
	// Goal is Replies or Clicks.
	Goal string
	// AlertBounceRates, AlertComplaintRates and AlertBands say what to tell in alerts.
	AlertBounceRates, AlertComplaintRates []float64
	AlertBands                            bool

	o            Options
	goal, bounce curve
	from         [3]float64 // where fair, good and excellent begin
}

func newProfile(name string, o Options) (*Profile, error) {
	p := &Profile{
		Name: name, Goal: o.Goal, AlertBands: o.AlertBands,
		o: o, from: [3]float64{o.FairFrom, o.GoodFrom, o.ExcellentFrom},
	}
	replies, err := parseCurve(o.ReplyPoints, rising)
	if err != nil {
		return nil, fmt.Errorf("reply_points: %w", err)
	}
	clicks, err := parseCurve(o.ClickPoints, rising)
	if err != nil {
		return nil, fmt.Errorf("click_points: %w", err)
	}
	switch o.Goal {
	case Replies:
		p.goal = replies
	case Clicks:
		p.goal = clicks
	default:
		return nil, fmt.Errorf("goal: %q: want %s or %s", o.Goal, Replies, Clicks)
	}
	if p.bounce, err = parseCurve(o.BouncePoints, falling); err != nil {
		return nil, fmt.Errorf("bounce_points: %w", err)
	}
	if most := p.goal.highest() + p.bounce.highest(); most > 100 {
		return nil, fmt.Errorf("bounce_points: %v: want at most %v points, so that both parts stay within 100",
			p.bounce.highest(), 100-p.goal.highest())
	}
	if p.AlertBounceRates, err = parseLevels(o.AlertBounceRates); err != nil {
		return nil, fmt.Errorf("alert_bounce_rates: %w", err)
	}
	if p.AlertComplaintRates, err = parseLevels(o.AlertComplaintRates); err != nil {
		return nil, fmt.Errorf("alert_complaint_rates: %w", err)
	}
	return p, o.validateNumbers()
}

// Score computes what c says.
func (p *Profile) Score(c Counts) Result {
	r := Result{
		Profile: p.Name,
		Rates: Rates{
			Reply:       Wilson(c.Replied, c.Completed-c.Bounced),
			Bounce:      Wilson(c.Bounced, c.Completed),
			Complaint:   Wilson(c.Complained, c.Completed),
			Unsubscribe: Wilson(c.Unsubscribed, c.Completed),
			Open:        Wilson(c.Opened, c.Completed),
			Click:       Wilson(c.Clicked, c.Completed),
		},
		Sufficient: c.Completed >= p.o.Minimum,
	}
	r.Goal = r.Reply
	if p.Goal == Clicks {
		r.Goal = Wilson(c.ClickedDelivered, c.Completed-c.Bounced)
	}
	goal, bounce := p.goal.at(r.Goal.Value), p.bounce.at(r.Bounce.Value)
	r.Score = Score{
		Value:  goal + bounce,
		Goal:   p.Goal,
		Reply:  goal,
		Bounce: bounce,
		Low:    p.goal.at(r.Goal.Low) + p.bounce.at(r.Bounce.High),
		High:   p.goal.at(r.Goal.High) + p.bounce.at(r.Bounce.Low),
	}
	if r.Bounce.Value >= p.o.PoorBounceRate || r.Complaint.Value >= p.o.PoorComplaintRate {
		r.Score.Band, r.Score.Bands = Poor, []Band{Poor}
		return r
	}
	r.Score.Band = bandsFromWorst[p.band(r.Score.Value)]
	r.Score.Bands = p.bandsBetween(r.Score.Low, r.Score.High)
	return r
}
