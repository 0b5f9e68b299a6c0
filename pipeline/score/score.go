package score

import "fmt"

// Counts are the completed enrollments of a window, and how many of them did or suffered what: at most Completed. Opens
// and the three after it are of those enrollments' opens and clicks, each at least its count of enrollments above.
// AnonymousOpened is of opens that belong to no enrollment.
type Counts struct {
	Completed    int64 `json:"completed"`
	Replied      int64 `json:"replied"`
	Bounced      int64 `json:"bounced"`      // hard or soft; never one that replied
	BouncedHard  int64 `json:"bounced_hard"` // of Bounced
	Complained   int64 `json:"complained"`
	Unsubscribed int64 `json:"unsubscribed"`
	Opened       int64 `json:"opened"`  // by a human
	Clicked      int64 `json:"clicked"` // by a human
	// ClickedDelivered are those of Clicked that did not bounce: at most Completed less Bounced.
	ClickedDelivered int64 `json:"clicked_delivered"`
	MachineOpened    int64 `json:"machine_opened"`
	MachineClicked   int64 `json:"machine_clicked"`
	Opens            int64 `json:"opens"`  // by a human, all: the first, and those again
	Clicks           int64 `json:"clicks"` // likewise
	MachineOpens     int64 `json:"machine_opens"`
	MachineClicks    int64 `json:"machine_clicks"`
	AnonymousOpened  int64 `json:"anonymous_opened"`
}

// Rates are the counts over their denominators.
type Rates struct {
	Reply       Rate `json:"reply_rate"`  // of completed and not bounced
	Bounce      Rate `json:"bounce_rate"` // this and the rest: of completed
	Complaint   Rate `json:"complaint_rate"`
	Unsubscribe Rate `json:"unsubscribe_rate"`
	Open        Rate `json:"open_rate"`
	Click       Rate `json:"click_rate"`
	Goal        Rate `json:"goal_rate"` // what the profile scores: Reply, or clicked of completed and not bounced
}

// Score is the score with its parts, its range and its bands.
type Score struct {
	Value  float64 `json:"value"`  // 0 to 100: Reply + Bounce
	Goal   string  `json:"goal"`   // what Reply is made of: replies or clicks
	Reply  float64 `json:"reply"`  // the part that the goal gives
	Bounce float64 `json:"bounce"` // the bounce part
	Low    float64 `json:"low"`    // at the low end of the goal rate and the high end of the bounce rate
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
	// Profile is by which one the score was made.
	Profile string `json:"profile"`
}

// Scorer computes results, each account's by its profile. It is safe for concurrent use.
type Scorer struct {
	own      *Profile
	accounts map[string]*Profile
}

// New returns a Scorer.
func New(o Options) (*Scorer, error) {
	own, err := newProfile(DefaultProfile, o) // first, for its keys have no other name
	if err != nil {
		return nil, err
	}
	s := &Scorer{own: own}
	all, err := o.profiles()
	if err != nil {
		return nil, err
	}
	profiles := map[string]*Profile{DefaultProfile: own}
	for name, settings := range all {
		if name == DefaultProfile || name == Broadcast && !o.names(Broadcast) {
			continue // nobody asked for clicks, so their points need not go with the rest
		}
		if profiles[name], err = newProfile(name, settings); err != nil {
			return nil, fmt.Errorf("profiles: %s: %w", name, err)
		}
	}
	s.accounts, err = o.accounts(profiles)
	return s, err
}

// For returns the profile by which an account's senders are scored.
func (s *Scorer) For(account string) *Profile {
	if p := s.accounts[account]; p != nil {
		return p
	}
	return s.own
}
