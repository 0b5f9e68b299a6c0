package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"carom/pipeline/rollup"
)

// MergeScores makes one of several Scores, each of which has senders of its own: owner says which has a sender.
func MergeScores(parts []Scores, owner func(account, sender string) int) Scores {
	if len(parts) == 1 {
		return parts[0]
	}
	return &mergedScores{parts: parts, owner: owner}
}

type mergedScores struct {
	parts []Scores
	owner func(account, sender string) int
}

// of returns who has the sender; ErrNotReady if none of the parts has it.
func (m *mergedScores) of(account, sender string) (Scores, error) {
	i := m.owner(account, sender)
	if i < 0 || i >= len(m.parts) || m.parts[i] == nil {
		return nil, ErrNotReady
	}
	return m.parts[i], nil
}

func (m *mergedScores) Score(q rollup.Query) (rollup.Score, error) {
	part, err := m.of(q.Account, q.Sender)
	if err != nil {
		return rollup.Score{}, err
	}
	return part.Score(q)
}

func (m *mergedScores) Sequences(q rollup.SequencesQuery) ([]rollup.Score, string, error) {
	part, err := m.of(q.Account, q.Sender)
	if err != nil {
		return nil, "", err
	}
	return part.Sequences(q)
}

func (m *mergedScores) Senders(q rollup.SendersQuery) ([]rollup.Score, string, error) {
	var parts []rollup.SendersFunc
	for _, part := range m.parts {
		if part != nil {
			parts = append(parts, part.Senders)
		}
	}
	return rollup.GatherSenders(q, parts)
}

// senders lists senders of the whole cluster: the lists of all workers that have events, merged. One that is away
// spoils all.
func (s *Server) senders(ctx context.Context, q rollup.SendersQuery) ([]rollup.Score, string, error) {
	var parts []rollup.SendersFunc
	asked := make(map[int]bool)
	for partition := range s.d.Events {
		place := s.d.Cluster.OwnerOfEvents(int32(partition))
		if asked[place] {
			continue
		}
		asked[place] = true
		if place == s.d.Cluster.Self {
			if s.d.Scores == nil {
				return nil, "", ErrNotReady
			}
			parts = append(parts, s.d.Scores.Senders)
			continue
		}
		p, err := s.peers.at(place)
		if err != nil {
			return nil, "", err
		}
		parts = append(parts, func(q rollup.SendersQuery) ([]rollup.Score, string, error) { return p.senders(ctx, q) })
	}
	return rollup.GatherSenders(q, parts)
}

// senders asks the worker for its senders.
func (p *peer) senders(ctx context.Context, q rollup.SendersQuery) ([]rollup.Score, string, error) {
	v := url.Values{
		"account": {q.Account}, "window": {windowName(q.Window)}, "as_of": {q.AsOf.Time().Format(timeLayout)},
		"sort": {q.Sort}, "after": {q.After},
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	answer, err := p.get(ctx, "/v1/senders?"+v.Encode(), maxPeerAnswer)
	if err != nil {
		return nil, "", err
	}
	if answer.status != http.StatusOK {
		var told problem
		if !answer.isJSON() || json.Unmarshal(answer.body, &told) != nil || told.Status != answer.status {
			return nil, "", p.away("bad", "answered "+strconv.Itoa(answer.status)+" with no problem object")
		}
		return nil, "", &problemError{&told}
	}
	var page struct {
		Senders []rollup.Score `json:"senders"`
		Next    *string        `json:"next"`
	}
	if answer.header.Get("Content-Type") != jsonType || json.Unmarshal(answer.body, &page) != nil || page.Next == nil {
		return nil, "", p.away("bad", "answered something else than a list of senders")
	}
	if err := rollup.CheckSenders(q, page.Senders); err != nil {
		return nil, "", p.away("bad", "answered a list of senders that can't be: "+err.Error())
	}
	return page.Senders, *page.Next, nil
}

func windowName(w time.Duration) string {
	for name, window := range windows {
		if window == w {
			return name
		}
	}
	return w.String()
}
