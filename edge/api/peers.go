package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"carom/pipeline/log"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of what nodes ask each other. A worker that breaks one of them counts as away.
const (
	// peerTimeout is how long a worker may take to answer, from the first byte sent to the last received.
	peerTimeout = 10 * time.Second
	peerDial    = 3 * time.Second
	// peerAtOnce bounds the requests to one worker; more wait, for peerTimeout at most.
	peerAtOnce = 16
	// maxPeerAnswer bounds an answer: 10,000 sequences of long names.
	maxPeerAnswer = 32 << 20
	// maxPeerHeader bounds an answer's header.
	maxPeerHeader = 64 << 10
	peerIdle      = time.Minute
)

// peers are the workers of a cluster, as the others see them.
type peers struct {
	cluster  *Cluster
	token    string
	client   *http.Client
	timeout  time.Duration // shorter in tests
	requests *prometheus.CounterVec
	list     []*peer
	tag      string // Server.ownersTag
}

// peer is one worker.
type peer struct {
	*peers
	place   int
	address string
	slots   chan struct{}
	news    *log.Bell // rung when the bounds were learnt

	mu     sync.Mutex
	bounds map[int32]bounds // of its partitions of events, as it told last
	known  string           // the tag of that answer
}

func newPeers(c *Cluster, token string, news *log.Bell, requests *prometheus.CounterVec) *peers {
	ps := &peers{
		cluster: c, token: token, timeout: peerTimeout, requests: requests,
		client: &http.Client{
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: peerDial}).DialContext,
				DisableCompression:     true, // so that bounds of bytes are bounds of memory
				MaxIdleConnsPerHost:    peerAtOnce,
				IdleConnTimeout:        peerIdle,
				MaxResponseHeaderBytes: maxPeerHeader,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if c != nil {
		for i, address := range c.Workers {
			ps.list = append(ps.list, &peer{peers: ps, place: i, address: address, slots: make(chan struct{}, peerAtOnce), news: news})
		}
	}
	return ps
}

func (ps *peers) close() { ps.client.CloseIdleConnections() }

// at returns a worker by its place.
func (ps *peers) at(place int) (*peer, error) {
	if place < 0 || place >= len(ps.list) {
		return nil, &problemError{workersDiffer(fmt.Sprintf("worker %d has what was asked for, and this node's list names %d", place, len(ps.list)))}
	}
	return ps.list[place], nil
}

// peerAnswer is what a worker answered, read to its end.
type peerAnswer struct {
	status int
	header http.Header
	body   []byte
}

// get asks the worker. An error is always a problemError that names it.
func (p *peer) get(ctx context.Context, uri string, most int64) (*peerAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return nil, p.away("busy", fmt.Sprintf("has %d requests of this node to answer already", peerAtOnce))
	}
	return p.ask(ctx, uri, most)
}

// ask is get without its bounds of time and number.
func (p *peer) ask(ctx context.Context, uri string, most int64) (*peerAnswer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+uri, nil)
	if err != nil {
		return nil, p.away("unreachable", "can't be asked: "+err.Error())
	}
	r.Header.Set(headerPeer, fmt.Sprintf("%d %d %d %s", p.cluster.Self, p.place, p.cluster.size(), p.tag))
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return nil, p.unreachable(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
	switch {
	case err != nil:
		return nil, p.unreachable(err)
	case int64(len(body)) > most:
		return nil, p.away("bad", fmt.Sprintf("answered more than %d bytes", most))
	}
	if err := p.refusal(answer, body); err != nil {
		return nil, err
	}
	p.count("ok")
	return &peerAnswer{answer.StatusCode, answer.Header, body}, nil
}

// refusal is an answer that says nothing about what was asked.
func (p *peer) refusal(answer *http.Response, body []byte) error {
	switch answer.StatusCode {
	case http.StatusOK, http.StatusBadRequest, http.StatusNotFound, http.StatusGone:
		return nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return p.away("refused", "refuses this node with "+strconv.Itoa(answer.StatusCode)+": api.token must be the same on all nodes")
	}
	// What stops it may be told where it is bounded and a problem of ours.
	var told problem
	detail := "answered " + strconv.Itoa(answer.StatusCode)
	if answer.Header.Get("Content-Type") == problemMediaType && len(body) <= 4<<10 && json.Unmarshal(body, &told) == nil {
		detail += ": " + told.Title + ": " + told.Detail
		if told.Type == problemType+"workers-differ" {
			p.count("refused")
			problem := workersDiffer("")
			problem.Detail = p.name() + " says: " + told.Detail // which ends as ours would
			return &problemError{problem}
		}
	}
	return p.away("refused", detail)
}

func (p *peer) name() string { return fmt.Sprintf("Worker %d, %s,", p.place, p.address) }

// unreachable is for a worker that did not answer.
func (p *peer) unreachable(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return p.away("timeout", fmt.Sprintf("did not answer within %v", p.timeout))
	}
	if errors.Is(err, context.Canceled) { // by this node or its client; no fault of the worker
		return &problemError{unavailable("The request was given up.")}
	}
	var inner interface{ Unwrap() error } // url.Error repeats the whole URL
	if errors.As(err, &inner) && inner.Unwrap() != nil {
		err = inner.Unwrap()
	}
	return p.away("unreachable", "can't be reached: "+err.Error())
}

// away is the problem of a worker that does not answer as it should.
func (p *peer) away(result, detail string) error {
	p.count(result)
	problem := newProblem(http.StatusServiceUnavailable, "owner-away", "The node that has this can't be asked",
		p.name()+" "+detail+". Ask again when it runs; if it has moved, correct kafka.workers or kafka.rollup_workers on all nodes.")
	problem.retryAfter = retrySeconds
	return &problemError{problem}
}

func (p *peer) count(result string) { p.requests.WithLabelValues(strconv.Itoa(p.place), result).Inc() }

// forward asks the worker what r asks, and answers with its answer.
func (p *peer) forward(w http.ResponseWriter, r *http.Request) *problem {
	uri := r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		uri += "?" + r.URL.RawQuery
	}
	answer, err := p.get(r.Context(), uri, maxPeerAnswer)
	if err == nil && !answer.isJSON() {
		err = p.away("bad", "answered something else than JSON")
	}
	if err != nil {
		return problemOf(err)
	}
	w.Header().Set("Content-Type", answer.header.Get("Content-Type"))
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body) // who is gone needs no answer
	return nil
}

func (a *peerAnswer) isJSON() bool {
	want := jsonType
	if a.status != http.StatusOK {
		want = problemMediaType
	}
	return a.header.Get("Content-Type") == want && json.Valid(a.body)
}

// problemOf returns the problem that a request to a worker has come back with.
func problemOf(err error) *problem {
	var told *problemError
	if errors.As(err, &told) {
		return told.problem
	}
	return unavailable(err.Error())
}

// elsewhere answers for the owner if that is another node; then done is true.
func (s *Server) elsewhere(w http.ResponseWriter, r *http.Request, owner int) (done bool, p *problem) {
	peer, p := s.fromPeer(r)
	switch {
	case p != nil:
		return true, p
	case s.d.Cluster == nil || owner == s.d.Cluster.Self:
		return false, nil
	case peer:
		return true, workersDiffer(fmt.Sprintf("node asks worker %d for what worker %d has", s.d.Cluster.Self, owner))
	}
	at, err := s.peers.at(owner)
	if err != nil {
		return true, problemOf(err)
	}
	return true, at.forward(w, r)
}
