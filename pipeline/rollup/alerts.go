package rollup

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/score"
)

// Teller journals what rollup says itself. It returns when that is durable.
type Teller interface {
	Facts(evs ...*event.Event) error
}

const (
	// alertEvery is the least pause between two looks at senders that changed; one that takes long has it longer, so that
	// looking takes a twentieth of a core at most.
	alertEvery = time.Second
	alertShare = 20
	// alertReach is how far back the figures of a sender are looked at that were not looked at before, or not for long.
	alertReach = 31 * 24
	// alertMemory is how long after its last fact a sender's figures can still change: until what was sent then has
	// completed and left the window of 7 days.
	alertMemory = 11 * 24 * time.Hour

	alertDay, alertWeek = 24, 7 * 24 // the windows of the rules, in hours
)

// Alert is the body of an event of kind alert that rollup tells.
type Alert struct {
	Rule string `json:"rule"` // bounce_rate, complaint_rate or score_band
	// Level is the share that was passed, of bounce_rate and complaint_rate.
	Level float64 `json:"level,omitempty"`
	// From and To are bands, of score_band.
	From   score.Band `json:"from,omitempty"`
	To     score.Band `json:"to,omitempty"`
	Window string     `json:"window"`
	// Value with its interval: of the share, or the score.
	Value   float64 `json:"value"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	Of      int64   `json:"of"`      // messages sent, or enrollments completed
	Count   int64   `json:"count"`   // of those bounced, complained; of score_band 0
	Profile string  `json:"profile"` // by which thresholds
	AsOf    Stamp   `json:"as_of"`
}

// pendingAlert is one that is to be told.
type pendingAlert struct {
	Crossing string `json:"crossing"`
	Alert
}

// alerter looks at the figures of senders and tells which of them cross a threshold:
//
//	counted ─▶ senders that changed ─▶ as of their latest fact, and every whole hour before it ─┐
//	clock ───▶ every whole hour, all senders ─▶ as of that hour ────────────────────────────────┴▶ state ─▶ Teller
//
// What crossed is put into the sender's state before it is told, and taken out afterwards. So a crash between the two tells
// it again, under the same id, which refine drops. It looks beside the counting, when that has no backlog: hours that went
// by meanwhile are looked at one by one.
type alerter struct {
	p      *Partition
	teller Teller
	when   func() bool

	mu       sync.Mutex // guards what follows
	senders  map[scope]event.Millis
	overflow bool

	hours []counts // memory to work in
}

// TellAlerts has alerts told, while fn says that the counts are about how things stand. Call it before Run.
func (p *Partition) TellAlerts(t Teller, fn func() bool) {
	p.alerter = &alerter{p: p, teller: t, when: fn, senders: make(map[scope]event.Millis)}
}

// changed notes senders that may have new figures.
func (a *alerter) changed(list []heard) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range list {
		s := scope{account: h.account, sender: h.sender}
		if _, known := a.senders[s]; !known && len(a.senders) >= maxChanged {
			a.overflow = true
			continue
		}
		a.senders[s] = max(a.senders[s], h.latest)
	}
}

func (a *alerter) take() (senders map[scope]event.Millis, overflow bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	senders, overflow = a.senders, a.overflow
	a.senders, a.overflow = make(map[scope]event.Millis), false
	return senders, overflow
}

// run looks until ctx is done, which is no error.
func (a *alerter) run(ctx context.Context) error {
	all, hour := true, time.Now().Truncate(time.Hour)
	for pause := alertEvery; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		if a.p.lag() > int64(a.p.o.StepRecords) || !a.when() {
			continue
		}
		begun := time.Now()
		senders, overflow := a.take()
		err := a.look(senders)
		if now := begun.Truncate(time.Hour); err == nil && (all || overflow || now.After(hour)) {
			at, timely := begun, !all && now.After(hour)
			if timely {
				at = now
			}
			err = a.lookAtAll(ctx, event.FromTime(at), timely)
			all, hour = false, now
		}
		if err != nil {
			return unlessDone(ctx, fmt.Errorf("look for alerts: %w", err))
		}
		pause = max(alertEvery, alertShare*time.Since(begun))
	}
}

// look looks at senders as of their latest facts.
func (a *alerter) look(senders map[scope]event.Millis) error {
	for s, latest := range senders {
		if err := a.sender(s, latest, 0); err != nil {
			return err
		}
	}
	return nil
}

// lookAtAll looks at all senders as of a time, or else as of their latest facts before it: what was counted before a
// restart may not have been looked at.
func (a *alerter) lookAtAll(ctx context.Context, asOf event.Millis, timely bool) error {
	table := appendHeader(nil, a.p.number, tableSender)
	for from := table; from != nil && ctx.Err() == nil; {
		page, next, err := a.p.sendersFrom(table, from)
		if err != nil {
			return err
		}
		for _, s := range page {
			latest, at := event.Millis(0), asOf
			if !timely {
				at = 0
				if latest, err = a.lastSent(s, asOf); err != nil {
					return err
				}
			}
			if err := a.sender(s, latest, at); err != nil {
				return err
			}
		}
		from = next
	}
	return nil
}

// lastSent is the end of the last hour in which a sender has sent, a time at most; 0 if it never has. The figures of that
// time have in them whatever came back since.
func (a *alerter) lastSent(s scope, most event.Millis) (event.Millis, error) {
	r, err := a.p.read()
	if err != nil {
		return 0, err
	}
	defer r.close()
	of := s.whole()
	rows := a.p.appendCohort(nil, &of)
	for ok := r.it.SeekLT(kv.AppendUint32(slices.Clone(rows), math.MaxUint32)); ok; ok = r.it.Prev() {
		hour, found := cutHour(r.it.Key(), rows)
		if !found {
			break
		}
		value, err := r.it.ValueAndErr()
		if err != nil {
			return 0, err
		}
		var c counts
		if err := c.addStoredHour(value); err != nil {
			return 0, err
		}
		if c[cSent] > 0 { // and else others have completed in it
			return min(most, event.Millis(hour)*hourMinutes*minuteMillis), nil
		}
	}
	return 0, r.it.Error()
}

// sender looks at one sender as of a time, 0 for that of its latest fact, and tells what crosses.
func (a *alerter) sender(s scope, latest, asOf event.Millis) error {
	key := s.appendSender(appendHeader(nil, a.p.number, tableAlert))
	var state alertState
	value, known, err := a.p.store.Get(nil, key)
	if err == nil && known {
		err = state.decode(value)
	}
	if err != nil {
		return fmt.Errorf("read state of alerts: %w", err)
	}
	state.heard = max(state.heard, latest)
	if asOf == 0 {
		asOf = state.heard
	}
	if asOf > 0 && asOf-state.heard <= event.Millis(alertMemory/time.Millisecond) {
		if err := a.figures(s, &state, asOf); err != nil {
			return err
		}
	}
	after := state.append(nil)
	if string(after) == string(value) && len(state.untold) == 0 || !known && state.heard == 0 {
		return nil
	}
	if err := a.keep(key, after); err != nil {
		return err
	}
	return a.tell(s, key, &state)
}

func (a *alerter) keep(key, value []byte) error {
	b := a.p.store.NewBatch()
	defer func() { _ = b.Close() }()
	if err := b.Set(key, value, nil); err != nil {
		return fmt.Errorf("write state of alerts: %w", err)
	}
	return a.p.store.Commit(b)
}

// tell journals what was not told. What can't be journaled now is told at a later look.
func (a *alerter) tell(s scope, key []byte, state *alertState) error {
	if len(state.untold) == 0 {
		return nil
	}
	for _, text := range state.untold {
		e, err := alertEvent(s, text)
		if err != nil {
			return err
		}
		if err := a.teller.Facts(e); err != nil {
			a.p.log.Warn("an alert can't be journaled; it is tried again", zap.Error(err))
			a.changed([]heard{{s.account, s.sender, state.heard}})
			return nil
		}
		a.p.metrics.alerts.Inc()
	}
	state.untold = nil
	return a.keep(key, state.append(nil))
}

// alertEvent makes an event of a pendingAlert's text.
func alertEvent(s scope, text []byte) (*event.Event, error) {
	var p pendingAlert
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("read an alert: %w", err)
	}
	body, err := json.Marshal(p.Alert)
	if err != nil {
		return nil, fmt.Errorf("write an alert: %w", err)
	}
	return &event.Event{
		Kind: event.Alert, Time: event.Millis(p.AsOf), Ref: event.Ref{Account: s.account, Sender: s.sender},
		Key: event.Key(event.AlertID(s.account, s.sender, p.Rule, p.Crossing)), KnownBy: event.ByKey, Body: body,
	}, nil
}

// figures looks at a sender's figures at every whole hour since they were looked at, and at a time.
func (a *alerter) figures(s scope, state *alertState, asOf event.Millis) error {
	r, err := a.p.read()
	if err != nil {
		return err
	}
	defer r.close()
	of := s.whole()
	if last := event.Millis(minuteOf(asOf)) / hourMinutes; state.looked < last*hourMinutes*minuteMillis {
		first := max(last-alertReach, state.looked/(hourMinutes*minuteMillis)) + 1
		if err := a.hoursOf(r, &of, first, last, s, state); err != nil {
			return err
		}
	}
	minute := minuteOf(asOf)
	var day, week counts
	if err := r.sum(&of, recentSpan(minute, dayMinutes), &day); err != nil {
		return err
	}
	if err := r.sum(&of, cohortSpan(minute, alertWeek), &week); err != nil {
		return err
	}
	a.check(s, state, asOf, &day, &week)
	state.looked = max(state.looked, asOf)
	return nil
}

// hoursOf looks at a sender's figures at the ends of the hours from first to last.
func (a *alerter) hoursOf(r *reading, of *part, first, last event.Millis, s scope, state *alertState) error {
	from := max(1, first-alertWeek+1)
	n := int(last - from + 1)
	a.hours = slices.Grow(a.hours[:0], n)[:n]
	clear(a.hours)
	if err := r.eachHour(of, uint32(from), uint32(last), func(hour uint32, c *counts) { a.hours[int64(hour)-int64(from)] = *c }); err != nil {
		return err
	}
	var day, week counts
	for i := range a.hours {
		day.add(&a.hours[i])
		week.add(&a.hours[i])
		if i >= alertDay {
			day.subtract(&a.hours[i-alertDay])
		}
		if i >= alertWeek {
			week.subtract(&a.hours[i-alertWeek])
		}
		if hour := from + event.Millis(i); hour >= first {
			a.check(s, state, hour*hourMinutes*minuteMillis, &day, &week)
		}
	}
	return nil
}

// check notes in state what crosses a threshold.
func (a *alerter) check(s scope, state *alertState, at event.Millis, day, week *counts) {
	profile := a.p.scorer.For(s.account)
	note := func(crossing string, alert Alert) {
		alert.Profile, alert.AsOf = profile.Name, Stamp(at)
		hour := (at + rearm - 1) / rearm // the end of the hour: two crossings are further apart
		text, err := json.Marshal(pendingAlert{crossing + " " + strconv.FormatInt(int64(hour), 10), alert})
		if err != nil {
			panic("BUG: an alert that JSON can't hold: " + err.Error())
		}
		state.untold = append(state.untold, text)
	}
	sent, bounced := day.floor(cSent), day.floor(cSentBounced)
	share := score.Wilson(bounced, sent)
	for _, level := range profile.AlertBounceRates {
		if state.crosses(ruleBounce, level, sent > 0 && share.Low > level, at) {
			note(fmt.Sprint(level), Alert{Rule: "bounce_rate", Level: level, Window: "24h", Value: share.Value, Low: share.Low, High: share.High, Of: sent, Count: bounced})
		}
	}
	c := week.score()
	result := profile.Score(c)
	for _, level := range profile.AlertComplaintRates {
		rate := result.Complaint
		if state.crosses(ruleComplaint, level, rate.Value > level, at) {
			note(fmt.Sprint(level), Alert{Rule: "complaint_rate", Level: level, Window: "7d", Value: rate.Value, Low: rate.Low, High: rate.High, Of: c.Completed, Count: c.Complained})
		}
	}
	if !profile.AlertBands || !result.Sufficient {
		state.better = 0
		return
	}
	place := byte(result.Score.Band.Place() + 1)
	if from := state.drops(place, at); from != 0 {
		v := result.Score
		left := score.Bands()[from-1]
		note(string(left)+">"+string(v.Band), Alert{Rule: "score_band", From: left, To: v.Band, Window: "7d", Value: v.Value, Low: v.Low, High: v.High, Of: c.Completed})
	}
}

func (c *counts) subtract(d *counts) {
	for i := range c {
		c[i] -= d[i]
	}
}

// eachHour calls fn with the counts of each whole hour of a part that has any.
func (r *reading) eachHour(of *part, first, last uint32, fn func(hour uint32, c *counts)) error {
	r.key = r.p.appendCohort(r.key[:0], of)
	rows := len(r.key)
	r.key = kv.AppendUint32(r.key, first)
	for ok := r.it.SeekGE(r.key); ok; ok = r.it.Next() {
		hour, found := cutHour(r.it.Key(), r.key[:rows])
		if !found || hour > last {
			break
		}
		value, err := r.it.ValueAndErr()
		if err != nil {
			return err
		}
		var c counts
		if err := c.addStoredHour(value); err != nil {
			return err
		}
		fn(hour, &c)
	}
	return r.it.Error()
}
