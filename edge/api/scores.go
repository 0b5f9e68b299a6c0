package api

import (
	"bytes"
	"context"
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
	peer, differ := s.fromPeer(r)
	if differ != nil {
		return differ
	}
	q.Limit = s.rollupLimit(p, r, rollup.DefaultLimit)
	if p.problem != nil {
		return p.problem
	}
	page, next, err := s.listSenders(r.Context(), q, peer)
	if err != nil {
		return s.scoreProblem(err)
	}
	return s.writeJSON(w, struct {
		Senders []rollup.Score `json:"senders"`
		Next    string         `json:"next"`
	}{orEmpty(page), next})
}

// listSenders lists those of the whole cluster, or this node's own if another node asks.
func (s *Server) listSenders(ctx context.Context, q rollup.SendersQuery, peer bool) ([]rollup.Score, string, error) {
	switch {
	case s.d.Cluster != nil && !peer:
		return s.senders(ctx, q)
	case s.d.Scores == nil:
		return nil, "", ErrNotReady
	}
	return s.d.Scores.Senders(q)
}

// ownerOfSender is who keeps the counts that q asks for.
func (s *Server) ownerOfSender(q rollup.Query) int {
	if s.d.Cluster == nil {
		return 0
	}
	return s.d.Cluster.OwnerOfSender(q.Account, q.Sender)
}

// getScore answers one score object. A sender that was never heard of has one too, all zero.
func (s *Server) getScore(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "sequence", "provider", "without", "window", "as_of")
	q := s.scoreQuery(p, r)
	p.part(&q)
	if p.problem != nil {
		return p.problem
	}
	if done, p := s.elsewhere(w, r, s.ownerOfSender(q)); done {
		return p
	}
	if s.d.Scores == nil {
		return s.scoreProblem(ErrNotReady)
	}
	score, err := s.d.Scores.Score(q)
	if err != nil {
		return s.scoreProblem(err)
	}
	return s.writeJSON(w, score)
}

// getSequences answers a page of the scores of a sender's sequences, the mail without one among them.
func (s *Server) getSequences(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "window", "as_of", "limit", "after")
	q := rollup.SequencesQuery{Query: s.scoreQuery(p, r), After: p.text("after", maxCursor)}
	q.Limit = s.rollupLimit(p, r, rollup.MaxLimit)
	if p.problem != nil {
		return p.problem
	}
	return s.view(w, r, q.Query, func() (any, error) {
		page, next, err := s.d.Scores.Sequences(q)
		return struct {
			Sequences []rollup.Score `json:"sequences"`
			Next      string         `json:"next"`
		}{orEmpty(page), next}, err
	})
}

// rollupLimit is the limit of a page. Where another node asks, its client had that node's bound.
func (s *Server) rollupLimit(p *params, r *http.Request, usual int) int {
	if r.Header.Get(headerPeer) != "" {
		return p.limit(usual, rollup.MaxLimit)
	}
	return p.limit(usual, min(rollup.MaxLimit, s.o.MaxLimit))
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
	return s.failure("read scores", err)
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
