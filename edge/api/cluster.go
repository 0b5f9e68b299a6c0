package api

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"

	"carom/pipeline/suppress"
)

// ErrNotReady is answered by Messages and Scores that can't answer yet, or not here: clients get 503.
var ErrNotReady = errors.New("api: not ready")

// Cluster says who has what this node has not. Nodes ask each other over this same API, with the same token.
type Cluster struct {
	// Workers are the addresses, host:port, of the workers' APIs, in the same order on all nodes.
	Workers []string
	// Self is this node's place among them, -1 if it is none.
	Self int
	// Refiners are the places of those that refine: each has some of a contact's messages.
	Refiners []int
	// Counters are the places of those that count: each has copies of events, of any contact.
	Counters []int
	// OwnerOfMessage returns the worker that has refined the message.
	OwnerOfMessage func(message string) int
	// OwnerOfSender returns the worker that keeps the sender's counts.
	OwnerOfSender func(account, sender string) int
	// OwnerOfEvents returns the worker that has materialised the partition of events.
	OwnerOfEvents func(partition int32) int
}

// size is how many workers there are. A node without a Cluster is all of them, and so is one that is told of none.
func (c *Cluster) size() int {
	if c == nil {
		return 1
	}
	return max(1, len(c.Workers))
}

// self is this node's place.
func (c *Cluster) self() int {
	if c == nil {
		return 0
	}
	return c.Self
}

// headerPeer is sent by nodes that ask each other: who asks, who is meant, how many workers the asker knows, and what
// it makes of them (ownersTag). What has it is never passed on. So nodes whose settings differ find out before one of
// them tells half of something.
const headerPeer = "Carom-Peer"

// ownersTag stands for who has which partition of events.
func (s *Server) ownersTag() string {
	h := fnv.New64a()
	for p := range s.d.Events {
		owner := 0
		if s.d.Cluster != nil {
			owner = s.d.Cluster.OwnerOfEvents(int32(p))
		}
		fmt.Fprintf(h, "%d,", owner)
	}
	return strconv.FormatUint(h.Sum64(), 16)
}

// fromPeer reports whether another node asks, and the problem if it means another than this one.
func (s *Server) fromPeer(r *http.Request) (bool, *problem) {
	value := r.Header.Get(headerPeer)
	if value == "" {
		return false, nil
	}
	fields := strings.Fields(value)
	if len(fields) != 4 || len(value) > 128 {
		return true, newProblem(http.StatusBadRequest, "bad-field", "A field has a value that is not allowed",
			headerPeer+": is sent by nodes that ask each other, and by nobody else").at(headerPeer)
	}
	self, size := s.d.Cluster.self(), s.d.Cluster.size()
	switch {
	case fields[1] != strconv.Itoa(self) || fields[2] != strconv.Itoa(size):
		return true, workersDiffer(fmt.Sprintf("%s takes this one for worker %s of %s, but it is worker %d of %d",
			asker(fields[0]), quoteName(fields[1]), quoteName(fields[2]), self, size))
	case fields[3] != s.peers.tag:
		return true, workersDiffer(asker(fields[0]) + " gives the partitions of events to other workers")
	}
	return true, nil
}

// asker names a node that asks by its place among the workers.
func asker(place string) string {
	if place == "-1" {
		return "a node that is no worker"
	}
	return "worker " + quoteName(place)
}

// workersDiffer is for nodes that disagree on who has what.
func workersDiffer(detail string) *problem {
	p := newProblem(http.StatusServiceUnavailable, "workers-differ", "The nodes do not agree on who has what",
		detail+": kafka.workers, kafka.rollup_workers and kafka.partitions must be the same on all nodes, and kafka.worker each worker's own place.")
	p.retryAfter = retrySeconds
	return p
}

// notReadyHere is for what this node should have and has not.
func notReadyHere(what string) *problem {
	p := unavailable(what + ": this node is starting, has no connection to Kafka, or has not the role. /readyz says more.")
	p.Type = problemType + "not-ready"
	return p
}

// noRole is the answer of a node that answers other nodes only.
func noRole() *problem {
	return newProblem(http.StatusServiceUnavailable, "no-role", "This node does not answer that",
		"It runs without the role api: ask a node that has it in its roles, which asks this one where needed.")
}

// problemError is a problem that comes up where errors are returned.
type problemError struct{ problem *problem }

func (e *problemError) Error() string { return e.problem.Title + ": " + e.problem.Detail }

// failure is the answer to a request that failed through err while doing something.
func (s *Server) failure(doing string, err error) *problem {
	var told *problemError
	switch {
	case errors.As(err, &told):
		return told.problem
	case errors.Is(err, ErrNotReady), errors.Is(err, suppress.ErrNotReady):
		return notReadyHere("It can't " + doing)
	}
	return s.fail(doing, err)
}
