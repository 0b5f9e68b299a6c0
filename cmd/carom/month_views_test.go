package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// checkEdges looks at the two senders on the edge of a sufficient score, against what the issue says, not the model.
func (p *month) checkEdges(t *testing.T) {
	t.Helper()
	for sender, want := range map[string]struct {
		completed, unbounced int
		sufficient           bool
	}{"edge-97": {97, 94, false}, "edge-100": {100, 97, true}} {
		q := question{"account-4", sender, nil, "7d", p.on(6, 9*time.Hour)}
		var got scoreObject
		p.get(q.path(), &got)
		if got.Completed != want.completed || got.Sufficient != want.sufficient || got.Bounced != 3 || !near(got.ReplyRate.Value, 7/float64(want.unbounced)) {
			t.Errorf("%s: %+v, want %+v, and 7 replies of those that did not bounce", sender, got, want)
		}
		if low, high := fmt.Sprintf("%.1f", 100*got.BounceRate.Low), fmt.Sprintf("%.1f", 100*got.BounceRate.High); want.sufficient && (low != "1.0" || high != "8.5") {
			t.Errorf("%s: the bounce rate is between %s and %s %%", sender, low, high)
		}
	}
}

// checkViews looks at days, trends and lists as CSV of every fifth sender, and of those with a history.
func (p *month) checkViews(t *testing.T) {
	t.Helper()
	midnight, later := p.on(monthBoundary, 0), p.on(monthDays-1, 15*time.Hour+30*time.Minute)
	senders := p.allSenders()
	senders = slices.DeleteFunc(senders, func(s whom) bool {
		return !strings.HasSuffix(s.address, "3") && !p.watched(&letter{account: s.account, sender: s.address})
	})
	p.parallel(len(senders), func(i int) {
		s := senders[i]
		part := p.m.part(func(l *letter) bool { return l.account == s.account && l.sender == s.address })
		for n, at := range []time.Time{midnight, later, p.on(17, 12*time.Hour)} {
			window := []string{"30d", "7d"}[(i+n)%2]
			p.checkSeries(t, part, question{s.account, s.address, nil, window, at})
			p.checkTrend(t, part, question{s.account, s.address, nil, window, at})
		}
		p.checkTable(t, part, question{s.account, s.address, nil, "30d", midnight}, countNames[i%3])
	})
}

// checkSeries compares each day, and the days with the window that they are.
func (p *month) checkSeries(t *testing.T, part *model, q question) {
	t.Helper()
	path := q.view("series")
	var answer struct {
		Account, Sender, Window string

		Days []struct {
			scoreObject
			Day         string
			Sent        int
			SentBounced int `json:"sent_bounced"`
		}
		AsOf time.Time `json:"as_of"`
	}
	p.get(path, &answer)
	_, to := q.bounds()
	last := to.Add(-time.Millisecond).Truncate(day)
	if n := windowHours[q.window] / 24; len(answer.Days) != n || answer.Account != q.account || answer.Sender != q.sender || answer.Window != q.window || !answer.AsOf.Equal(q.asOf) {
		t.Errorf("%s: %d days, want %d: %+v", path, len(answer.Days), n, answer)
	}
	completed, bounced := 0, 0
	for i := range answer.Days {
		got := &answer.Days[i]
		begin := last.AddDate(0, 0, i+1-len(answer.Days))
		end := begin.Add(day)
		if end.After(to) {
			end = to
		}
		want := scoreOf(part.within(q, begin, end), slices.Contains(part.broadcast, q.account))
		var mail recent
		for _, passage := range part.passages(q) {
			for _, l := range passage.letters {
				if l.sentAt.After(begin) && !l.sentAt.After(end) {
					mail.count(l, passage.deeds, l.sentAt)
				}
			}
		}
		got.Account, got.Sender = "", ""
		differences := want.differencesOfDay(&got.scoreObject)
		if got.Day != begin.Format(time.DateOnly) || got.Sent != mail.Day.Sent || got.SentBounced != mail.Day.Bounced {
			differences = append(differences, fmt.Sprintf("%s, sent %d, of those bounced %d, want %s, %+v", got.Day, got.Sent, got.SentBounced, begin.Format(time.DateOnly), mail.Day))
		}
		for _, difference := range differences {
			t.Errorf("%s: %s: %s", path, got.Day, difference)
		}
		completed += got.Completed
		bounced += got.Bounced
	}
	if whole := part.expected(q); to.Equal(to.Truncate(day)) && (completed != whole.Completed || bounced != whole.Bounced) {
		t.Errorf("%s: the days have %d completed and %d bounced, the window %d and %d", path, completed, bounced, whole.Completed, whole.Bounced)
	}
}

// differencesOfDay compares what a day has of a score object.
func (o *scoreObject) differencesOfDay(got *scoreObject) []string {
	o.AsOf, o.Recent = got.AsOf, got.Recent
	return o.differences(got)
}

// view is the path of what else is told of a sender.
func (q question) view(name string) string {
	return "/v1/senders/" + url.PathEscape(q.sender) + "/" + name + "?" + url.Values{"account": {q.account}, "window": {q.window}, "as_of": {q.asOf.Format(time.RFC3339Nano)}}.Encode()
}

// cause of a trend.
type costs struct {
	Kind, Name                     string
	Points                         float64
	Completed, Bounced, Complained int
	BounceRate                     rate `json:"bounce_rate"`
	GoalRate                       rate `json:"goal_rate"`
}

// checkTrend compares a window with the one before it, and what costs points.
func (p *month) checkTrend(t *testing.T, part *model, q question) {
	t.Helper()
	path := q.view("trend")
	var answer struct {
		Account, Sender, Window string

		Now, Before json.RawMessage
		Change      struct {
			Score         float64
			Completed     int
			GoalRate      float64 `json:"goal_rate"`
			BounceRate    float64 `json:"bounce_rate"`
			ComplaintRate float64 `json:"complaint_rate"`
		}
		Causes []costs
		AsOf   time.Time `json:"as_of"`
	}
	p.get(path, &answer)
	from, to := q.bounds()
	earlier := q
	earlier.asOf = from
	now, before := part.expected(q), part.expected(earlier)
	var wrong []string
	wrong = append(append(wrong, now.differencesIn(answer.Now)...), before.differencesIn(answer.Before)...)
	c := answer.Change
	if answer.Window != q.window || !near(c.Score, now.Score.Value-before.Score.Value) || c.Completed != now.Completed-before.Completed || !near(c.GoalRate, now.GoalRate.Value-before.GoalRate.Value) ||
		!near(c.BounceRate, now.BounceRate.Value-before.BounceRate.Value) || !near(c.ComplaintRate, now.ComplaintRate.Value-before.ComplaintRate.Value) {
		wrong = append(wrong, fmt.Sprintf("the change is %+v from %+v to %+v", c, before, now))
	}
	want := part.causesOf(q, from, to)
	for i, got := range answer.Causes {
		w, ok := want[got.Kind+" "+got.Name]
		if !ok || !near(got.Points, w.Points) || got.Completed != w.Completed || got.Bounced != w.Bounced || got.Complained != w.Complained || !near(got.BounceRate.Value, w.BounceRate.Value) || !near(got.GoalRate.Value, w.GoalRate.Value) {
			wrong = append(wrong, fmt.Sprintf("a cause is %+v, want %+v", got, w))
		}
		if i > 0 && got.Points > answer.Causes[i-1].Points {
			wrong = append(wrong, "the causes are not in order")
		}
		delete(want, got.Kind+" "+got.Name)
	}
	for _, w := range want {
		wrong = append(wrong, fmt.Sprintf("a cause is missing: %+v", w))
	}
	for _, one := range wrong {
		t.Errorf("%s: %s", path, one)
	}
}

// causesOf are the parts of what a sender sent without which its score would be higher.
func (m *model) causesOf(q question, from, to time.Time) map[string]costs {
	broadcast := slices.Contains(m.broadcast, q.account)
	all := m.done(q, from, to)
	sum := func(is func(done) bool) (c counts) {
		for _, one := range all {
			if is(one) {
				c.Completed += one.Completed
				c.Replied += one.Replied
				c.Bounced += one.Bounced
				c.Complained += one.Complained
				c.ClickedDelivered += one.ClickedDelivered
			}
		}
		return c
	}
	whole := scoreOf(sum(func(done) bool { return true }), broadcast)
	found := make(map[string]costs)
	for _, kind := range []struct {
		name string
		of   func(done) (string, bool)
	}{
		{"provider", func(d done) (string, bool) { return d.provider, true }},
		{"sequence", func(d done) (string, bool) { return d.sequence, true }},
		{"category", func(d done) (string, bool) { return d.category, d.Bounced > 0 }},
	} {
		names := make(map[string]bool)
		for _, d := range all {
			if name, ok := kind.of(d); ok {
				names[name] = true
			}
		}
		for name := range names {
			in := func(d done) bool { is, ok := kind.of(d); return ok && is == name }
			own, rest := scoreOf(sum(in), broadcast), scoreOf(sum(func(d done) bool { return !in(d) }), broadcast)
			if points := rest.Score.Value - whole.Score.Value; rest.Completed > 0 && points > 0 {
				found[kind.name+" "+name] = costs{kind.name, name, points, own.Completed, own.Bounced, own.Complained, own.BounceRate, own.GoalRate}
			}
		}
	}
	return found
}

// checkTable compares the lists of enrollments, messages and contacts of a sender as CSV.
func (p *month) checkTable(t *testing.T, part *model, q question, count string) {
	t.Helper()
	path := q.view("enrollments") + "&count=" + count
	from, to := q.bounds()
	want := countedBy(part.done(q, from, to), count)
	var got []string
	for _, row := range p.table(path) {
		got = append(got, row["sequence"]+"/"+row["contact"]+"/"+row["message"])
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", path, got, want)
	}
	values := url.Values{"account": {q.account}, "sender": {q.sender}, "from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}}
	messages, contacts := 0, make(map[string]int)
	for _, l := range p.m.letters {
		if l.account == q.account && l.sender == q.sender && !l.sentAt.Before(from) && l.sentAt.Before(to) {
			messages++
			contacts[l.contact]++
		}
	}
	path = "/v1/messages?" + values.Encode()
	if rows := p.table(path); len(rows) != messages {
		t.Errorf("%s: %d messages, want %d", path, len(rows), messages)
	}
	path = "/v1/contacts?" + values.Encode()
	listed := make(map[string]int)
	for _, row := range p.table(path) {
		listed[row["contact"]], _ = strconv.Atoi(row["messages"])
	}
	if !maps.Equal(listed, contacts) {
		t.Errorf("%s: %v, want %v", path, listed, contacts)
	}
}

// table reads CSV.
func (p *month) table(path string) (rows []map[string]string) {
	answer, body, err := call(http.MethodGet, "http://"+p.api+path, http.Header{"Accept": {"text/csv"}}, "", nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		p.t.Errorf("%s: %v, %v, %.300s", path, answer, err, body)
		return nil
	}
	all, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil || len(all) == 0 {
		p.t.Errorf("%s: %d rows, %v", path, len(all), err)
		return nil
	}
	for _, record := range all[1:] {
		row := make(map[string]string)
		for i, name := range all[0] {
			row[name] = record[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// checkEnrollments opens counts into whom they count, in pages and as a stream.
func (p *month) checkEnrollments(t *testing.T) {
	t.Helper()
	at := p.on(monthDays-1, 23*time.Hour+59*time.Minute)
	senders := p.allSenders()
	p.parallel(len(senders), func(i int) {
		s := senders[i]
		part := p.m.part(func(l *letter) bool { return l.account == s.account && l.sender == s.address })
		for n := range 3 {
			q := question{s.account, s.address, nil, []string{"24h", "7d", "30d"}[n], at}
			count := countNames[(i+n*4)%len(countNames)]
			from, to := q.bounds()
			want := countedBy(part.done(q, from, to), count)
			path := q.view("enrollments") + "&count=" + count
			lines := p.stream(path)
			if n == 1 {
				lines = p.pages(path+"&limit=7", "enrollments")
			}
			var got []string
			for _, line := range lines {
				var one struct{ Sequence, Contact, Message string }
				if err := json.Unmarshal(line, &one); err != nil {
					t.Error(err)
				}
				got = append(got, one.Sequence+"/"+one.Contact+"/"+one.Message)
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", path, got, want)
			}
		}
	})
}

// pages reads a list page by page.
func (p *month) pages(path, name string) (all [][]byte) {
	for after := ""; ; {
		var page map[string]json.RawMessage
		p.get(path+"&after="+url.QueryEscape(after), &page)
		var items []json.RawMessage
		if err := json.Unmarshal(page[name], &items); err != nil {
			p.t.Errorf("%s: %v", path, err)
			return all
		}
		for _, item := range items {
			all = append(all, item)
		}
		after = ""
		if err := json.Unmarshal(page["next"], &after); err != nil || after == "" {
			return all
		}
	}
}
