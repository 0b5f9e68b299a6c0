package api

import (
	"errors"

	"carom/pipeline/rollup"
)

// ErrNotReady is answered by Messages and Scores that can't answer yet, or not here: clients get 503.
var ErrNotReady = errors.New("api: not ready")

// Cluster says who has what this node has not. Nodes ask each other over this same API, with the same token.
type Cluster struct {
	// Workers are the addresses, host:port, of the workers' APIs, in the order of kafka.workers.
	Workers []string
	// Self is this node's place among them, -1 if it is none.
	Self int
	// OwnerOfMessage returns the worker that has refined the message.
	OwnerOfMessage func(message string) int
	// OwnerOfSender returns the worker that keeps the sender's counts.
	OwnerOfSender func(account, sender string) int
	// OwnerOfEvents returns the worker that has materialised the partition of events.
	OwnerOfEvents func(partition int32) int
}

// MergeScores makes one of several Scores, each of which has senders of its own: owner says who has a sender.
func MergeScores(parts []Scores, owner func(account, sender string) int) Scores {
	return &mergedScores{parts: parts, owner: owner}
}

type mergedScores struct {
	parts []Scores
	owner func(account, sender string) int
}

func (m *mergedScores) Score(q rollup.Query) (rollup.Score, error) {
	return m.parts[m.owner(q.Account, q.Sender)].Score(q)
}

func (m *mergedScores) Sequences(q rollup.Query) ([]rollup.Score, error) {
	return m.parts[m.owner(q.Account, q.Sender)].Sequences(q)
}

func (m *mergedScores) Senders(rollup.SendersQuery) ([]rollup.Score, string, error) {
	panic("BUG: not there")
}
