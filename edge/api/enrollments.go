package api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"carom/pipeline/event"
	"carom/pipeline/rollup"
)

// enrollmentsPage is the answer of GET /v1/senders/{sender}/enrollments.
type enrollmentsPage struct {
	Enrollments []rollup.Enrollment `json:"enrollments"`
	Next        string              `json:"next"`
}

// getEnrollments opens a count of a score: who is counted.
func (s *Server) getEnrollments(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "count", "sequence", "provider", "without", "category", "window", "as_of", "limit", "after")
	form := streamForm(r.Header.Get("Accept"))
	q := rollup.EnrollmentsQuery{Query: s.scoreQuery(p, r), Count: p.text("count", maxID), After: p.text("after", maxCursor)}
	p.part(&q.Query)
	if category := p.text("category", maxID); category != "" {
		q.Category = &category
	}
	limit := 0
	if form != "" {
		limit = p.limit(0, 1<<31-1)
	} else {
		q.Limit = s.rollupLimit(p, r, rollup.DefaultLimit)
	}
	if p.problem != nil {
		return p.problem
	}
	if form == "" {
		return s.view(w, r, q.Query, func() (any, error) {
			page, next, err := s.d.Scores.Enrollments(q)
			return enrollmentsPage{orEmpty(page), next}, err
		})
	}
	return streamList(s, w, r, form, enrollmentColumns, q.After, limit, func(after string, most int) ([]enrollmentRow, string, error) {
		q.After, q.Limit = after, min(most, rollup.MaxLimit)
		return s.enrollments(r, q)
	})
}

// enrollments reads a page on the node that has it.
func (s *Server) enrollments(r *http.Request, q rollup.EnrollmentsQuery) (rows []enrollmentRow, next string, err error) {
	v := partValues(&q.Query)
	v.Set("count", q.Count)
	v.Set("after", q.After)
	v.Set("limit", strconv.Itoa(q.Limit))
	if q.Category != nil {
		v.Set("category", *q.Category)
	}
	page, err := counted(r.Context(), s, r, q.Query, "/enrollments?"+v.Encode(), func() (enrollmentsPage, error) {
		list, next, err := s.d.Scores.Enrollments(q)
		return enrollmentsPage{list, next}, err
	})
	var wrong *rollup.QueryError
	if errors.As(err, &wrong) {
		err = &problemError{badParameter(wrong.Field, wrong.Problem)}
	}
	for i := range page.Enrollments {
		rows = append(rows, enrollmentRow{&page.Enrollments[i]})
	}
	return rows, page.Next, err
}

// enrollmentRow is an enrollment as a row of a table.
type enrollmentRow struct{ *rollup.Enrollment }

var enrollmentColumns = []string{"account", "sender", "sequence", "contact", "message", "provider", "sent_at", "completed_at", "category", "counts"}

func (e enrollmentRow) cells() []string {
	sent := ""
	if e.SentAt != nil {
		sent = event.Millis(*e.SentAt).Time().Format(timeLayout)
	}
	return []string{
		e.Account, e.Sender, e.Sequence, e.Contact, e.Message, e.Provider, sent, event.Millis(e.CompletedAt).Time().Format(timeLayout),
		e.Category, strings.Join(e.Counts, " "),
	}
}
