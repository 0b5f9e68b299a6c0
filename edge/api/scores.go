package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"

	"carom/pipeline/rollup"
)

// getSenders answers a page of the scores of an account's senders.
func (s *Server) getSenders(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "window", "as_of", "sort", "limit", "after")
	q := rollup.SendersQuery{
		Account: p.account(), Window: p.window(), AsOf: p.asOf(s.d.Clock()),
		Sort: p.text("sort", maxID), After: p.text("after", maxCursor),
	}
	if p.values.Get("limit") != "" {
		q.Limit = p.limit(0, s.o.MaxLimit)
	}
	if p.problem != nil {
		return p.problem
	}
	page, next, err := s.d.Scores.Senders(q)
	if err != nil {
		return s.scoreProblem(err)
	}
	return s.writeJSON(w, struct {
		Senders []rollup.Score `json:"senders"`
		Next    string         `json:"next"`
	}{orEmpty(page), next})
}

// getScore answers one score object. A sender that was never heard of has one too, all zero.
func (s *Server) getScore(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "sequence", "window", "as_of")
	q := s.scoreQuery(p, r)
	if sequence := p.text("sequence", maxID); sequence != "" {
		q.Sequence = &sequence
	}
	if p.problem != nil {
		return p.problem
	}
	score, err := s.d.Scores.Score(q)
	if err != nil {
		return s.scoreProblem(err)
	}
	return s.writeJSON(w, score)
}

// getSequences answers the scores of a sender's sequences, the mail without one among them.
func (s *Server) getSequences(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "window", "as_of")
	q := s.scoreQuery(p, r)
	if p.problem != nil {
		return p.problem
	}
	scores, err := s.d.Scores.Sequences(q)
	if err != nil {
		return s.scoreProblem(err)
	}
	return s.writeJSON(w, struct {
		Sequences []rollup.Score `json:"sequences"`
	}{orEmpty(scores)})
}

func (s *Server) scoreQuery(p *params, r *http.Request) rollup.Query {
	return rollup.Query{
		Account: p.account(), Sender: p.pathText(r, "sender", maxID), Window: p.window(), AsOf: p.asOf(s.d.Clock()),
	}
}

func (s *Server) scoreProblem(err error) *problem {
	var q *rollup.QueryError
	if errors.As(err, &q) {
		return badParameter(q.Field, q.Problem)
	}
	return s.fail("read scores", err)
}

// orEmpty makes the list of nothing [] in JSON.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// writeJSON answers 200 with v. Nothing is written before all of v is known to be good.
func (s *Server) writeJSON(w http.ResponseWriter, v any) *problem {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return s.fail("write the answer", err)
	}
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(b.Bytes()) // who is gone needs no answer
	return nil
}
