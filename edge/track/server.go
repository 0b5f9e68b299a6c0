package track

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// Sink is where events go. Its methods return nil when the event is on disk, or needn't be. They must retain neither
// the events nor the request, nor any string of theirs.
type Sink interface {
	// Hit takes an open or a click. It may fill in ev.
	Hit(ev *event.Event, req *event.Request) error
	// HitThen does the same without waiting: it calls done, which doesn't wait either, once, with what Hit would return,
	// maybe before it returns itself. If it panics, it doesn't.
	HitThen(ev *event.Event, req *event.Request, done func(error))
	// Facts takes an unsubscribe.
	Facts(evs ...*event.Event) error
}

// Server is the HTTP edge.
type Server struct {
	options  Options
	basePath string
	keys     *ref.Keyring
	sink     Sink
	proxies  *proxies
	metrics  *metrics
	log      *zap.Logger
	http     *fasthttp.Server
	hits     sync.Pool // of *hit
	prepared atomic.Pointer[prepared]

	mu       sync.Mutex
	listener *listener // nil before Listen
	closed   bool
}

// New returns a Server that opens tokens with keys. It starts nothing.
func New(o Options, keys *ref.Keyring, sink Sink, log *zap.Logger, reg prometheus.Registerer) (*Server, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("track: %w", err)
	}
	basePath, err := parseBaseURL(o.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("track: base_url: %w", err)
	}
	p, err := newProxies(o.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("track: trusted_proxies: %w", err)
	}
	s := &Server{
		options:  o,
		basePath: basePath,
		keys:     keys,
		sink:     sink,
		proxies:  p,
		metrics:  newMetrics(reg),
		log:      log.Named("track"),
		hits:     sync.Pool{New: func() any { return new(hit) }},
	}
	s.http = s.newHTTP()
	return s, nil
}

func (s *Server) newHTTP() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:        s.handle,
		ErrorHandler:   s.handleError,
		HeaderReceived: closeIfChunked,
		Logger:         debugLogger{s.log},
		// The listener bounds the connections. fasthttp gives a worker back a moment after its connection was closed,
		// so its own bound must be higher, or it would refuse what the listener let in.
		Concurrency:                  2 * s.options.MaxConnections,
		ReadBufferSize:               s.options.MaxHeaderBytes,
		MaxRequestBodySize:           s.options.MaxBodyBytes,
		MaxRequestsPerConn:           s.options.MaxRequestsPerConnection,
		ReadTimeout:                  s.options.ReadTimeout,
		WriteTimeout:                 s.options.WriteTimeout,
		IdleTimeout:                  s.options.IdleTimeout,
		DisablePreParseMultipartForm: true, // no form is read; parsing it could write temporary files
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true,
		CloseOnShutdown:              true,
	}
}

// Listen opens the port. Addr tells which one it is.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("track: listen: the server is closed")
	}
	ln, err := net.Listen("tcp", s.options.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("track.listen: %q: another program listens there already: %w", s.options.Listen, err)
	}
	if err != nil {
		return fmt.Errorf("track.listen: %q: %w", s.options.Listen, err)
	}
	s.listener = newListener(ln, s)
	return nil
}

// Addr returns the address that Listen opened, nil before.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Run serves until ctx is done; then it lets the requests in flight end and closes all connections. Listen comes first.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	ln := s.listener
	s.mu.Unlock()
	if ln == nil {
		return errors.New("BUG: track: Run before Listen")
	}
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(ln) }()
	select {
	case err := <-served:
		ln.cut()
		if err != nil {
			return fmt.Errorf("track: accept connections: %w", err)
		}
		return nil // closed
	case <-ctx.Done():
	}
	s.shutdown(ln)
	if err := <-served; err != nil {
		return fmt.Errorf("track: accept connections: %w", err)
	}
	return nil
}

func (s *Server) shutdown(ln *listener) {
	_ = ln.Close()
	// fasthttp would wait five seconds for the first byte of a connection that browsers opened in advance, and knows
	// nothing of those that the fast lane serves.
	ln.closeIdle()
	ctx, cancel := context.WithTimeout(context.Background(), s.options.ShutdownTimeout)
	defer cancel()
	if err := s.http.ShutdownWithContext(ctx); err != nil {
		s.log.Warn("connections cut at shutdown", zap.Int("connections", ln.open()), zap.Error(err))
		ln.cut()
	}
}

// Close closes the port and all connections at once. It may be called twice, and while Run runs.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.listener != nil {
		_ = s.listener.Close()
		s.listener.cut()
	}
	return nil
}

// debugLogger takes what fasthttp logs: one line about every connection that ended badly, with addresses.
type debugLogger struct{ log *zap.Logger }

func (l debugLogger) Printf(format string, args ...any) {
	if ce := l.log.Check(zap.DebugLevel, "connection ended"); ce != nil {
		ce.Write(zap.String("cause", fmt.Sprintf(format, args...)))
	}
}
