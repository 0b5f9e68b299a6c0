package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

type rate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

type points struct {
	Value  float64  `json:"value"`
	Goal   string   `json:"goal"`
	Reply  float64  `json:"reply"`
	Bounce float64  `json:"bounce"`
	Low    float64  `json:"low"`
	High   float64  `json:"high"`
	Band   string   `json:"band"`
	Bands  []string `json:"bands"`
}

// scoreObject is what §11 of the design promises, field by field, and the other rates of its §10.
type scoreObject struct {
	Account  string `json:"account"`
	Sender   string `json:"sender"`
	Sequence string `json:"sequence"`
	Window   string `json:"window"`
	counts
	Recent          recent    `json:"recent"`
	ReplyRate       rate      `json:"reply_rate"`
	BounceRate      rate      `json:"bounce_rate"`
	ComplaintRate   rate      `json:"complaint_rate"`
	UnsubscribeRate rate      `json:"unsubscribe_rate"`
	OpenRate        rate      `json:"open_rate"`
	ClickRate       rate      `json:"click_rate"`
	GoalRate        rate      `json:"goal_rate"`
	Score           points    `json:"score"`
	Sufficient      bool      `json:"sufficient"`
	Profile         string    `json:"profile"`
	AsOf            time.Time `json:"as_of"`
}

// expected is the whole score object that q must be answered with.
func (m *model) expected(q question) scoreObject {
	c, r := m.score(q)
	o := scoreOf(c, slices.Contains(m.broadcast, q.account))
	o.Account, o.Sender, o.Window, o.Recent, o.AsOf = q.account, q.sender, q.window, r, q.asOf
	if q.sequence != nil {
		o.Sequence = *q.sequence
	}
	return o
}

// scoreOf is what follows from counts alone.
func scoreOf(c counts, broadcast bool) scoreObject {
	o := scoreObject{
		counts:          c,
		ReplyRate:       share(c.Replied, c.Completed-c.Bounced),
		BounceRate:      share(c.Bounced, c.Completed),
		ComplaintRate:   share(c.Complained, c.Completed),
		UnsubscribeRate: share(c.Unsubscribed, c.Completed),
		OpenRate:        share(c.Opened, c.Completed),
		ClickRate:       share(c.Clicked, c.Completed),
		GoalRate:        share(c.Replied, c.Completed-c.Bounced),
		Sufficient:      c.Completed >= 100,
		Profile:         "default",
	}
	if broadcast {
		o.Profile, o.GoalRate = "broadcast", share(c.ClickedDelivered, c.Completed-c.Bounced)
	}
	o.Score = o.points()
	return o
}

// share is k of n with the Wilson interval, here as the roots of (p - k/n)² = z² p (1-p) / n.
func share(k, n int) rate {
	if n == 0 {
		return rate{0, 0, 1} // nothing is known
	}
	const z = 1.959963984540054
	p, f := float64(k)/float64(n), z*z/float64(n)
	a, b, c := 1+f, -(2*p + f), p*p
	root := math.Sqrt(b*b - 4*a*c)
	return rate{p, max(0, (-b-root)/(2*a)), min(1, (-b+root)/(2*a))}
}

var (
	replyPoints  = [][2]float64{{0, 0}, {0.03, 20}, {0.07, 35}, {0.13, 50}}
	clickPoints  = [][2]float64{{0, 0}, {0.01, 20}, {0.025, 35}, {0.05, 50}}
	bouncePoints = [][2]float64{{0, 50}, {0.03, 35}, {0.05, 15}, {0.08, 0}}
)

// along is the height at x of the line through the corners.
func along(corners [][2]float64, x float64) float64 {
	for i := 1; i < len(corners); i++ {
		if left, right := corners[i-1], corners[i]; x <= right[0] {
			return left[1] + (right[1]-left[1])*(x-left[0])/(right[0]-left[0])
		}
	}
	return corners[len(corners)-1][1]
}

var bandNames = []string{"poor", "fair", "good", "excellent"}

func bandOf(value float64) int {
	n := 0
	for _, from := range []float64{40, 60, 80} {
		if value > from-1e-9 {
			n++
		}
	}
	return n
}

func (o *scoreObject) points() points {
	goal, curve := "replies", replyPoints
	if o.Profile == "broadcast" {
		goal, curve = "clicks", clickPoints
	}
	p := points{
		Goal: goal, Reply: along(curve, o.GoalRate.Value), Bounce: along(bouncePoints, o.BounceRate.Value),
		Low:  along(curve, o.GoalRate.Low) + along(bouncePoints, o.BounceRate.High),
		High: along(curve, o.GoalRate.High) + along(bouncePoints, o.BounceRate.Low),
	}
	p.Value = p.Reply + p.Bounce
	p.Band, p.Bands = bandNames[bandOf(p.Value)], bandNames[bandOf(p.Low):bandOf(p.High)+1]
	if o.BounceRate.Value >= 0.08 || o.ComplaintRate.Value >= 0.003 {
		p.Band, p.Bands = "poor", []string{"poor"}
	}
	return p
}

// differences lists the fields in which a score object is not what it must be.
func (o *scoreObject) differences(got *scoreObject) (all []string) {
	say := func(field string, got, want any) {
		all = append(all, fmt.Sprintf("%s is %v, want %v", field, got, want))
	}
	for _, f := range []struct {
		name      string
		got, want any
	}{
		{"account", got.Account, o.Account},
		{"sender", got.Sender, o.Sender},
		{"sequence", got.Sequence, o.Sequence},
		{"window", got.Window, o.Window},
		{"sufficient", got.Sufficient, o.Sufficient},
		{"completed", got.Completed, o.Completed},
		{"replied", got.Replied, o.Replied},
		{"bounced", got.Bounced, o.Bounced},
		{"bounced_hard", got.BouncedHard, o.BouncedHard},
		{"complained", got.Complained, o.Complained},
		{"unsubscribed", got.Unsubscribed, o.Unsubscribed},
		{"opened", got.Opened, o.Opened},
		{"clicked", got.Clicked, o.Clicked},
		{"clicked_delivered", got.ClickedDelivered, o.ClickedDelivered},
		{"machine_opened", got.MachineOpened, o.MachineOpened},
		{"machine_clicked", got.MachineClicked, o.MachineClicked},
		{"opens", got.Opens, o.Opens},
		{"clicks", got.Clicks, o.Clicks},
		{"machine_opens", got.MachineOpens, o.MachineOpens},
		{"machine_clicks", got.MachineClicks, o.MachineClicks},
		{"anonymous_opened", got.AnonymousOpened, o.AnonymousOpened},
		{"recent", got.Recent, o.Recent},
		{"profile", got.Profile, o.Profile},
		{"score.goal", got.Score.Goal, o.Score.Goal},
		{"score.band", got.Score.Band, o.Score.Band},
		{"score.bands", fmt.Sprint(got.Score.Bands), fmt.Sprint(o.Score.Bands)},
		{"as_of", got.AsOf.UnixMilli(), o.AsOf.UnixMilli()},
	} {
		if f.got != f.want {
			say(f.name, f.got, f.want)
		}
	}
	for _, f := range []struct {
		name      string
		got, want rate
	}{
		{"reply_rate", got.ReplyRate, o.ReplyRate},
		{"bounce_rate", got.BounceRate, o.BounceRate},
		{"complaint_rate", got.ComplaintRate, o.ComplaintRate},
		{"unsubscribe_rate", got.UnsubscribeRate, o.UnsubscribeRate},
		{"open_rate", got.OpenRate, o.OpenRate},
		{"click_rate", got.ClickRate, o.ClickRate},
		{"goal_rate", got.GoalRate, o.GoalRate},
		{"score.value, low, high", rate{got.Score.Value, got.Score.Low, got.Score.High}, rate{o.Score.Value, o.Score.Low, o.Score.High}},
		{"score.reply, bounce", rate{got.Score.Reply, got.Score.Bounce, 0}, rate{o.Score.Reply, o.Score.Bounce, 0}},
	} {
		if !near(f.got.Value, f.want.Value) || !near(f.got.Low, f.want.Low) || !near(f.got.High, f.want.High) {
			say(f.name, f.got, f.want)
		}
	}
	return all
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-7 }
