package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"carom/pipeline/rollup"
)

// ScoreViews are the other ways to look at what Scores counts.
type ScoreViews interface {
	Providers(q rollup.Query) ([]rollup.ProviderScore, error)
	Series(q rollup.Query) (rollup.Series, error)
	Trend(q rollup.Query) (rollup.Trend, error)
	Enrollments(q rollup.EnrollmentsQuery) (page []rollup.Enrollment, next string, err error)
}

// Providers returns the scores of what a sender sent by mailbox provider.
func (m *mergedScores) Providers(q rollup.Query) ([]rollup.ProviderScore, error) {
	part, err := m.of(q.Account, q.Sender)
	if err != nil {
		return nil, err
	}
	return part.Providers(q)
}

// Series returns a sender's days.
func (m *mergedScores) Series(q rollup.Query) (rollup.Series, error) {
	part, err := m.of(q.Account, q.Sender)
	if err != nil {
		return rollup.Series{}, err
	}
	return part.Series(q)
}

// Trend returns a sender's trend.
func (m *mergedScores) Trend(q rollup.Query) (rollup.Trend, error) {
	part, err := m.of(q.Account, q.Sender)
	if err != nil {
		return rollup.Trend{}, err
	}
	return part.Trend(q)
}

// Enrollments opens a count of a sender.
func (m *mergedScores) Enrollments(q rollup.EnrollmentsQuery) ([]rollup.Enrollment, string, error) {
	part, err := m.of(q.Account, q.Sender)
	if err != nil {
		return nil, "", err
	}
	return part.Enrollments(q)
}

// part reads which part of a sender is asked about. An empty parameter is none, so without= asks for what has none.
func (p *params) part(q *rollup.Query) {
	for _, of := range []struct {
		name string
		into **string
	}{{"sequence", &q.Sequence}, {"provider", &q.Provider}} {
		if text := p.text(of.name, maxID); text != "" {
			*of.into = &text
		}
		if p.values.Get("without") == of.name {
			if *of.into != nil {
				p.fail("without", of.name+" is asked for")
			}
			*of.into = new(string)
		}
	}
	if without := p.values.Get("without"); without != "" && without != "sequence" && without != "provider" {
		p.fail("without", "want sequence or provider")
	}
}

// view answers a query about one sender on the node that counts it.
func (s *Server) view(w http.ResponseWriter, r *http.Request, q rollup.Query, read func() (any, error)) *problem {
	if done, p := s.elsewhere(w, r, s.ownerOfSender(q)); done {
		return p
	}
	if s.d.Scores == nil {
		return s.scoreProblem(ErrNotReady)
	}
	answer, err := read()
	if err != nil {
		return s.scoreProblem(err)
	}
	return s.writeJSON(w, answer)
}

// getProviders answers the scores of what a sender sent by mailbox provider.
func (s *Server) getProviders(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "window", "as_of")
	q := s.scoreQuery(p, r)
	if p.problem != nil {
		return p.problem
	}
	return s.view(w, r, q, func() (any, error) {
		scores, err := s.d.Scores.Providers(q)
		return struct {
			Providers []rollup.ProviderScore `json:"providers"`
		}{orEmpty(scores)}, err
	})
}

// getTrend answers how a sender stands against the window before, and what costs it points.
func (s *Server) getTrend(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "window", "as_of")
	q := s.scoreQuery(p, r)
	if p.problem != nil {
		return p.problem
	}
	return s.view(w, r, q, func() (any, error) { return s.d.Scores.Trend(q) })
}

// getSeries answers how a sender stood day by day.
func (s *Server) getSeries(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "sequence", "provider", "without", "window", "as_of")
	q := s.scoreQuery(p, r)
	if p.values.Get("window") == "" {
		q.Window = windows["30d"]
	}
	p.part(&q)
	if p.problem != nil {
		return p.problem
	}
	if streamForm(r.Header.Get("Accept")) != csvType {
		return s.view(w, r, q, func() (any, error) { return s.d.Scores.Series(q) })
	}
	series, err := counted(r.Context(), s, r, q, "/series?"+partValues(&q).Encode(), func() (rollup.Series, error) { return s.d.Scores.Series(q) })
	if err != nil {
		return s.scoreProblem(err)
	}
	days := make([]dayRow, len(series.Days))
	for i := range series.Days {
		days[i] = dayRow{&series.Days[i]}
	}
	return streamList(s, w, r, csvType, dayColumns, "", 0, func(string, int) ([]dayRow, string, error) { return days, "", nil })
}

// partValues are the parameters that say what q does.
func partValues(q *rollup.Query) url.Values {
	v := url.Values{"account": {q.Account}, "window": {windowName(q.Window)}, "as_of": {q.AsOf.Time().Format(timeLayout)}}
	for name, text := range map[string]*string{"sequence": q.Sequence, "provider": q.Provider} {
		switch {
		case text == nil:
		case *text == "":
			v.Add("without", name)
		default:
			v.Set(name, *text)
		}
	}
	return v
}

// counted asks the node that counts the sender of q for JSON: by here, if that is this one, else at the sender's path.
func counted[T any](ctx context.Context, s *Server, r *http.Request, q rollup.Query, path string, here func() (T, error)) (v T, err error) {
	owner := s.ownerOfSender(q)
	asked, differ := s.fromPeer(r)
	switch {
	case differ != nil:
		return v, &problemError{differ}
	case s.d.Cluster == nil || owner == s.d.Cluster.Self:
		if s.d.Scores == nil {
			return v, ErrNotReady
		}
		return here()
	case asked:
		return v, &problemError{workersDiffer(fmt.Sprintf("node asks worker %d for what worker %d has", s.d.Cluster.Self, owner))}
	}
	p, err := s.peers.at(owner)
	if err != nil {
		return v, err
	}
	answer, err := p.get(ctx, "/v1/senders/"+url.PathEscape(q.Sender)+path, maxPeerAnswer)
	if err != nil {
		return v, err
	}
	if answer.status != http.StatusOK {
		var told problem
		if !answer.isJSON() || json.Unmarshal(answer.body, &told) != nil || told.Status != answer.status {
			return v, p.away("bad", "answered "+strconv.Itoa(answer.status)+" with no problem object")
		}
		return v, &problemError{&told}
	}
	if !answer.isJSON() || json.Unmarshal(answer.body, &v) != nil {
		return v, p.away("bad", "answered something else than was asked for")
	}
	return v, nil
}

// dayRow is a day as a row of a table.
type dayRow struct{ *rollup.Day }

var dayColumns = []string{
	"day", "sent", "sent_bounced", "completed", "replied", "bounced", "bounced_hard", "complained", "unsubscribed", "opened", "clicked",
	"reply_rate", "bounce_rate", "complaint_rate", "open_rate", "click_rate", "score", "band", "sufficient",
}

func (d dayRow) cells() []string {
	cells := []string{d.Day.Day}
	for _, n := range []int64{d.Sent, d.SentBounced, d.Completed, d.Replied, d.Bounced, d.BouncedHard, d.Complained, d.Unsubscribed, d.Opened, d.Clicked} {
		cells = append(cells, strconv.FormatInt(n, 10))
	}
	for _, f := range []float64{d.Reply.Value, d.Rates.Bounce.Value, d.Complaint.Value, d.Open.Value, d.Click.Value, d.Score.Value} {
		cells = append(cells, strconv.FormatFloat(f, 'g', -1, 64))
	}
	return append(cells, string(d.Score.Band), strconv.FormatBool(d.Sufficient))
}
