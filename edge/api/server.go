package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"carom/edge/ref"
	"carom/pipeline/control"
	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/net/netutil"
)

// Sink takes in facts.
type Sink interface {
	// Facts returns nil when all of evs are on disk. After an error some may be: they are sent again, and are the
	// same facts. It must not retain evs.
	Facts(evs ...*event.Event) error
}

// Minter makes what a message needs to be tracked.
type Minter interface {
	// AppendMembers appends what goes into the message, as members of a JSON object. It must not retain m.
	AppendMembers(dst []byte, m *ref.Message) ([]byte, error)
	SelfURL(account, sender string) (string, error)
}

// Messages knows every message.
type Messages interface {
	Message(account, message string) (refine.Message, bool, error)
}

// Scores knows every sender.
type Scores interface {
	Score(q rollup.Query) (rollup.Score, error)
	Senders(q rollup.SendersQuery) (page []rollup.Score, next string, err error)
	Sequences(q rollup.SequencesQuery) (page []rollup.Score, next string, err error)
	ScoreViews
}

// Controls is what is told of contacts beside their mail: who is denied. All nodes know the same.
type Controls interface {
	Set(ctx context.Context, entries ...control.Control) error
	Remove(ctx context.Context, entries ...control.Control) error
	Get(kind control.Kind, account, name string) (control.Control, bool, error)
	List(kind control.Kind, account, after string, limit int) (page []control.Control, next string, err error)
}

// Problem is one reason why the node should get no traffic now.
type Problem struct {
	Part   string `json:"part"`
	Reason string `json:"reason"`
}

// Dependencies are the parts that the API asks.
type Dependencies struct {
	Sink   Sink
	Minter Minter
	// SelfOpens is set where the links of Minter.SelfURL lead somewhere.
	SelfOpens bool
	// Events are the refined events by partition, all of which are in the list: nil where another node has it, and
	// then Cluster is set. Embedded there is one.
	Events []log.Reader
	// Rejects are what refine rejected, by partition. Every node can read all of them.
	Rejects []log.Reader
	// OpenEnvelope takes the event out of a whole raw record, which a reject may be; nil where there are none.
	OpenEnvelope func(value []byte) (event []byte, err error)
	Journal      log.Reader // raw events
	// Messages and Scores have what this node has materialised; nil if that is nothing.
	Messages Messages
	Scores   Scores
	Contacts Contacts
	// RawPartitions is how many partitions the raw log has, each of which must hear of an erase; 0 is one.
	RawPartitions int
	// Controls are this node's; nil where nobody can be denied.
	Controls Controls
	// Suppressions are nil on a node that does not follow them.
	Suppressions Suppressions
	// Webhooks are nil where there are none.
	Webhooks Webhooks
	// Cluster is nil where this node has everything.
	Cluster *Cluster
	// Rules are those by which this node judges requests; nil: it judges none.
	Rules Rules
	// Backup copies this node's stores; nil: there is nothing to copy.
	Backup Backup
	// PeersOnly is set on a node without the role api: it answers other nodes and whoever watches the process.
	PeersOnly bool
	// Ready returns why the node is not ready; nothing if it is.
	Ready      func() []Problem
	Gatherer   prometheus.Gatherer
	Registerer prometheus.Registerer
	Clock      func() time.Time
	Log        *zap.Logger
}

// Bounds that no operator needs to change.
const (
	// maxHeaderBytes leaves room for ids of 998 bytes, percent-encoded, in path and query.
	maxHeaderBytes = 16 << 10
	// shutdownGrace is how long requests may take to end after Run was told to stop.
	shutdownGrace = 10 * time.Second
	// pagesAtOnce bounds the memory of pages: each holds up to maxPageBytes. More wait.
	pagesAtOnce = 16
)

// Server serves the API.
type Server struct {
	o       Options
	d       Dependencies
	log     *zap.Logger
	metrics *metrics
	guard   *guard
	http    *http.Server

	bulks chan struct{} // one element per running bulk
	tails chan struct{} // one per open tail
	pages chan struct{} // one per page being read
	waits chan struct{} // one per node that waits for news

	peers  *peers
	events []log.Reader // by partition; those of other nodes too
	watch  *watch       // of events
	own    *watch       // of those of events that this node has

	budget *budget // of the answers to bulks

	heartbeat time.Duration // of tails; shorter in tests

	// stopping is done when Run is told to stop: bulks and tails end then.
	stopping context.Context
	stop     context.CancelFunc

	mu       sync.Mutex
	listener net.Listener // nil before Listen
}

// New returns a server that does not listen yet.
func New(o Options, d Dependencies) (*Server, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("api.%w", err)
	}
	if d.Log == nil {
		d.Log = zap.NewNop()
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.Ready == nil {
		d.Ready = func() []Problem { return nil }
	}
	s := &Server{
		o: o, d: d, log: d.Log.Named("api"),
		bulks: make(chan struct{}, o.MaxBulks),
		tails: make(chan struct{}, o.MaxTails),
		pages: make(chan struct{}, pagesAtOnce),
		waits: make(chan struct{}, waitsAtOnce),

		budget:    newBudget(o.MaxBacklogBytes),
		heartbeat: heartbeatEvery,
	}
	var err error
	if s.guard, err = newGuard(&s.o); err != nil {
		return nil, fmt.Errorf("api.%w", err)
	}
	s.metrics = newMetrics(d.Registerer, s)
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.watch = newWatch(s.stopping)
	s.peers = newPeers(d.Cluster, o.Token, &s.watch.bell, s.metrics.peers)
	s.peers.tag = s.ownersTag()
	s.joinEvents()
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: o.HeaderTimeout,
		ReadTimeout:       o.RequestTimeout,
		WriteTimeout:      2 * o.RequestTimeout, // so that who was too slow to send still gets to read that
		IdleTimeout:       o.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes + 2*longestCursor(len(d.Events)), // in Last-Event-ID and in after=
		ErrorLog:          zap.NewStdLog(zap.NewNop()),
	}
	if l, err := zap.NewStdLogAt(s.log, zap.DebugLevel); err == nil {
		s.http.ErrorLog = l // what clients do wrong
	}
	return s, nil
}

// joinEvents makes one log of the partitions that are here and those of other nodes.
func (s *Server) joinEvents() {
	var own []log.Reader
	for i, r := range s.d.Events {
		if r != nil {
			s.events, own = append(s.events, r), append(own, r)
			continue
		}
		remote := &remoteReader{partition: int32(i)}
		switch c := s.d.Cluster; {
		case c == nil || c.OwnerOfEvents(int32(i)) == c.Self:
			remote.err = &problemError{notReadyHere(fmt.Sprintf("The partition %d of events should be here and is not", i))}
		default:
			remote.peer, remote.err = s.peers.at(c.OwnerOfEvents(int32(i)))
		}
		s.events = append(s.events, remote)
	}
	s.own = newWatch(s.stopping)
	s.watch.readers, s.own.readers = s.events, own
	for _, r := range s.events {
		if remote, ok := r.(*remoteReader); ok {
			remote.watch = s.watch
		}
	}
}

// Listen binds the address; nothing is served before Run.
func (s *Server) Listen() error {
	l, err := net.Listen("tcp", s.o.Listen)
	if err != nil {
		return fmt.Errorf("api.listen: %q: %w", s.o.Listen, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = l
	return nil
}

// Addr returns the address that Listen has bound, nil before.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Run serves until ctx is done, then lets requests end for shutdownGrace. It listens first if Listen was not called.
func (s *Server) Run(ctx context.Context) error {
	if s.Addr() == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	l := netutil.LimitListener(s.listener, s.o.MaxConnections)
	s.mu.Unlock()
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(l) }()
	select {
	case err := <-served:
		if errors.Is(err, http.ErrServerClosed) { // by Close
			return nil
		}
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	s.stop()
	grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if err := s.http.Shutdown(grace); err != nil {
		s.log.Warn("requests cut off at the end", zap.Error(err))
		return s.Close()
	}
	return nil
}

// Close cuts off whatever is open. It can be called twice.
func (s *Server) Close() error {
	s.stop()
	s.peers.close()
	s.mu.Lock()
	l := s.listener
	s.mu.Unlock()
	err := s.http.Close()
	if l != nil { // not known to http before Run
		if closeErr := l.Close(); !errors.Is(closeErr, net.ErrClosed) {
			err = errors.Join(err, closeErr)
		}
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
