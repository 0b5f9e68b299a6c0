package rollup

import (
	"reflect"
	"slices"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/score"
)

// model is what the rollup should say, computed the slow way: it keeps every event and starts from nothing at each
// question. It shares no code with the rollup but the arithmetic of scores.
type model struct {
	completeAfter event.Millis
	events        map[event.ID]event.Refined // in their last revision

	counted map[modelEnrollment]modelCounted // by the last score
}

type modelCounted struct {
	counts   score.Counts
	category string
}

func addCounts(to, c *score.Counts) {
	sum, add := reflect.ValueOf(to).Elem(), reflect.ValueOf(c).Elem()
	for i := range sum.NumField() {
		sum.Field(i).SetInt(sum.Field(i).Int() + add.Field(i).Int())
	}
}

// modelProvider is the provider of the first send.
func modelProvider(events []event.Refined) (name string) {
	at := event.Millis(1 << 60)
	for _, e := range events {
		if e.Kind == event.Sent && (e.Time < at || e.Time == at && e.Provider < name) {
			at, name = e.Time, e.Provider
		}
	}
	return name
}

// modelCategory is the category of the last bounce; at one time a hard one's, and of several the last in the list.
func modelCategory(events []event.Refined) string {
	var last event.Refined
	place := func(e event.Refined) int {
		i := slices.Index(categories[:], e.Bounce.Category)
		if i < 0 {
			i = slices.Index(categories[:], "other")
		}
		return i
	}
	for _, e := range events {
		if e.Kind != event.Bounce {
			continue
		}
		later := e.Time > last.Time || last.Kind != event.Bounce
		same := e.Time == last.Time && last.Kind == event.Bounce
		if later || same && (e.Bounce.Hard && !last.Bounce.Hard || e.Bounce.Hard == last.Bounce.Hard && place(e) > place(last)) {
			last = e
		}
	}
	return categories[place(last)]
}

func newModel(completeAfter event.Millis) *model {
	return &model{completeAfter: completeAfter, events: make(map[event.ID]event.Refined)}
}

func (m *model) tell(events ...event.Refined) {
	for _, e := range events {
		if before, ok := m.events[e.ID]; !ok || e.Revision > before.Revision {
			m.events[e.ID] = e
		}
	}
}

type modelEnrollment struct{ sender, sequence, contact, message string }

func (m *model) score(q Query) Score {
	m.counted = make(map[modelEnrollment]modelCounted)
	a := Score{Account: q.Account, Sender: q.Sender, AsOf: Stamp(q.AsOf)}
	a.Window = map[time.Duration]string{24 * time.Hour: "24h", 168 * time.Hour: "7d", 720 * time.Hour: "30d"}[q.Window]
	if q.Sequence != nil {
		a.Sequence = *q.Sequence
	}
	if q.Provider != nil {
		a.Provider = *q.Provider
	}
	enrollments := make(map[modelEnrollment][]event.Refined)
	messages := make(map[modelEnrollment][]event.Refined)
	to := roundUp(q.AsOf, minute)
	from := roundUp(q.AsOf, hour) - event.Millis(q.Window/time.Millisecond)
	for _, e := range m.events {
		if e.Account != q.Account || e.Sender != q.Sender || q.Sequence != nil && e.Sequence != *q.Sequence {
			continue
		}
		a.Known = true
		if e.Contact == event.Someone {
			if q.Provider == nil && e.Kind == event.Open && e.Actor.Verdict == event.Human && from < e.Time && e.Time <= to {
				a.AnonymousOpened++
			}
			continue
		}
		who := modelEnrollment{e.Sender, e.Sequence, e.Contact, ""}
		if e.Sequence == "" {
			who = modelEnrollment{e.Sender, "", "", e.Message}
			if e.Message == "" {
				who.contact = e.Contact
			}
		}
		enrollments[who] = append(enrollments[who], e)
		if e.Message != "" {
			who.message = e.Message
			messages[who] = append(messages[who], e)
		}
	}
	for who, events := range enrollments {
		if q.Provider == nil || *q.Provider == modelProvider(events) {
			var c score.Counts
			m.count(events, from, to, &c)
			addCounts(&a.Counts, &c)
			if c.Completed > 0 {
				m.counted[who] = modelCounted{c, modelCategory(events)}
			}
		}
	}
	for who, events := range messages {
		who.message = ""
		if who.sequence == "" {
			who.message, who.contact = events[0].Message, ""
		}
		if q.Provider != nil && *q.Provider != modelProvider(enrollments[who]) {
			continue
		}
		recent(events, to, hour, &a.Recent.Hour)
		recent(events, to, day, &a.Recent.Day)
	}
	scorer, err := score.New(score.Default())
	if err != nil {
		panic(err)
	}
	a.Result = scorer.For(q.Account).Score(a.Counts)
	return a
}

func roundUp(at, size event.Millis) event.Millis {
	if at%size == 0 {
		return at
	}
	return (at/size + 1) * size
}

func (m *model) count(events []event.Refined, from, to event.Millis, c *score.Counts) {
	at := event.Millis(1 << 60)
	for _, e := range events {
		switch e.Kind {
		case event.Sent:
			at = min(at, e.Time+m.completeAfter)
		case event.Completed:
			at = min(at, e.Time)
		}
	}
	if at <= from || at > to {
		return
	}
	c.Completed++
	has := func(match func(event.Refined) bool) bool { return !lastOf(events, match).missing }
	for _, e := range events {
		human, machine := e.Actor.Verdict == event.Human, e.Actor.Verdict == event.Proxy || e.Actor.Verdict == event.Scanner
		switch {
		case e.Kind == event.Open && human:
			c.Opens++
		case e.Kind == event.Open && machine:
			c.MachineOpens++
		case e.Kind == event.Click && human:
			c.Clicks++
		case e.Kind == event.Click && machine:
			c.MachineClicks++
		}
	}
	bounced, hard := isBounced(events)
	for _, f := range []struct {
		counter *int64
		set     bool
	}{
		{&c.Replied, has(isReply)},
		{&c.Bounced, bounced},
		{&c.BouncedHard, hard},
		{&c.Complained, has(func(e event.Refined) bool {
			return isComplaint(e) && !has(func(b event.Refined) bool { return takesBack(b, e) })
		})},
		{&c.Unsubscribed, has(func(e event.Refined) bool { return e.Kind == event.Unsubscribe })},
		{&c.Opened, has(func(e event.Refined) bool { return isHit(e, event.Open, event.Human) })},
		{&c.Clicked, has(func(e event.Refined) bool { return isHit(e, event.Click, event.Human) })},
		{&c.ClickedDelivered, !bounced && has(func(e event.Refined) bool { return isHit(e, event.Click, event.Human) })},
		{&c.MachineOpened, has(func(e event.Refined) bool {
			return isHit(e, event.Open, event.Proxy) || isHit(e, event.Open, event.Scanner)
		})},
		{&c.MachineClicked, has(func(e event.Refined) bool {
			return isHit(e, event.Click, event.Proxy) || isHit(e, event.Click, event.Scanner)
		})},
	} {
		if f.set {
			*f.counter++
		}
	}
}

func recent(events []event.Refined, to, length event.Millis, p *Period) {
	for _, e := range events {
		if e.Kind != event.Sent || e.Time <= to-length || e.Time > to {
			continue
		}
		p.Sent++
		if bounced, _ := isBounced(events); bounced {
			p.Bounced++
		}
	}
}

func isComplaint(e event.Refined) bool {
	return e.Kind == event.Complaint && e.FeedbackType != "not-spam"
}

func takesBack(b, complaint event.Refined) bool {
	return b.Kind == event.Complaint && b.FeedbackType == "not-spam" && b.Message == complaint.Message && b.Time > complaint.Time
}

func isReply(e event.Refined) bool { return isHit(e, event.Reply, event.Human) }

func isHit(e event.Refined, k event.Kind, v event.Verdict) bool {
	return e.Kind == k && e.Actor.Verdict == v
}

func isBounced(events []event.Refined) (bounced, hard bool) {
	lift := lastOf(events, func(e event.Refined) bool {
		return e.Kind == event.Delivered || isHit(e, event.Open, event.Human) || isHit(e, event.Click, event.Human)
	})
	stands := func(match func(event.Refined) bool) bool {
		b := lastOf(events, match)
		return !b.missing && (lift.missing || lift.at <= b.at) && lastOf(events, isReply).missing
	}
	bounced = stands(func(e event.Refined) bool { return e.Kind == event.Bounce })
	hard = stands(func(e event.Refined) bool { return e.Kind == event.Bounce && e.Bounce.Hard })
	return bounced, hard
}

type instant struct {
	at      event.Millis
	missing bool
}

func lastOf(events []event.Refined, match func(event.Refined) bool) instant {
	last := instant{missing: true}
	for _, e := range events {
		if match(e) && (last.missing || e.Time > last.at) {
			last = instant{at: e.Time}
		}
	}
	return last
}
