package inbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// Sink takes facts. When Facts returns without an error, they are on disk. It must not keep evs, and it may be called
// by many goroutines at once.
type Sink interface {
	Facts(evs ...*event.Event) error
}

// Server takes mail.
type Server struct {
	options Options
	keys    *ref.Keyring
	sink    Sink
	log     *zap.Logger
	metrics *metrics
	now     clock
	proxies []netip.Prefix
	fixed   map[string]role // in lower case
	budget  budget

	complained atomic.Int64 // when the log last heard of a fault, in nanoseconds since 1970

	// Set by Listen.
	mailbox     *mailbox
	certificate *certificate // nil: no STARTTLS
	gate        *gate
	library     *smtp.Server

	listening atomic.Pointer[gate] // gate, for the metrics
	closed    atomic.Bool
}

// New checks the options. It starts nothing. Its errors name the key as `inbound.<key>`.
func New(o Options, keys *ref.Keyring, sink Sink, log *zap.Logger, reg prometheus.Registerer) (*Server, error) {
	if o.Hostname == "" {
		o.Hostname = hostname()
	}
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("inbound.%w", err)
	}
	if o.PostmasterDir == "" {
		return nil, errors.New(`inbound.postmaster_dir: "": want a folder`)
	}
	proxies, err := parseProxies(o.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("inbound.%w", err)
	}
	s := &Server{options: o, keys: keys, sink: sink, log: log.Named("inbound"), now: event.Now, proxies: proxies, fixed: fixedAddresses(o)}
	s.budget.set(o.MaxMemoryBytes, o.MaxMessageBytes)
	s.metrics = newMetrics(reg, s)
	return s, nil
}

// hostname is the host's name as far as it can be said in SMTP.
func hostname() string {
	if name, err := os.Hostname(); err == nil && isDomain(name) {
		return name
	}
	return "localhost"
}

// Listen opens the operator's mailbox, reads the certificate and opens the port.
func (s *Server) Listen() error {
	// A client that is gone is told by the deadlines, which every wait has.
	config := net.ListenConfig{KeepAlive: -1}
	l, err := config.Listen(context.Background(), "tcp", s.options.Listen)
	if err != nil {
		return fmt.Errorf("inbound.listen: %q: %w", s.options.Listen, err)
	}
	if err := s.prepare(l); err != nil {
		_ = l.Close()
		return err
	}
	return nil
}

// prepare makes the server ready to serve on a listener.
func (s *Server) prepare(l net.Listener) (err error) {
	if s.mailbox, err = openMailbox(s.options); err != nil {
		return fmt.Errorf("inbound.postmaster_dir: %q: %w", s.options.PostmasterDir, err)
	}
	if s.options.TLSCertFile != "" {
		s.certificate, err = openCertificate(s.options.TLSCertFile, s.options.TLSKeyFile, s.log, s.metrics)
		if err != nil {
			return fmt.Errorf("inbound.tls_cert_file, inbound.tls_key_file: %w", err)
		}
	}
	s.gate = newGate(s, l)
	s.listening.Store(s.gate)
	s.library = smtp.NewServer(smtp.BackendFunc(newSession))
	s.library.Domain = s.options.Hostname
	// Sizes, lines and times are conn's to bound.
	s.library.MaxLineLength = 0
	s.library.ErrorLog = libraryLog{s.log, s.metrics}
	return nil
}

// Addr is where the server listens; nil before Listen.
func (s *Server) Addr() net.Addr {
	if s.gate == nil {
		return nil
	}
	return s.gate.Addr()
}

// Run takes mail until ctx is done. Then it tells idle clients to go, lets mails in flight finish for ShutdownTimeout,
// and cuts what is left. When it returns, nothing of it runs any more and the sink won't be called.
func (s *Server) Run(ctx context.Context) error {
	if s.gate == nil {
		return errors.New("inbound: run before listen")
	}
	served := make(chan error, 1)
	go func() { served <- s.library.Serve(s.gate) }()
	var failure error
	select {
	case failure = <-served:
		if s.closed.Load() {
			failure = nil
		}
	case <-ctx.Done():
		_ = s.gate.Close()
		<-served
	}
	s.stop()
	if failure != nil {
		return fmt.Errorf("accept SMTP connections: %w", failure)
	}
	return nil
}

// stop ends all connections. No more are accepted.
func (s *Server) stop() {
	s.gate.drain()
	bound := time.NewTimer(s.options.ShutdownTimeout)
	defer bound.Stop()
	if s.closed.Load() {
		s.gate.abort()
	}
	select {
	case <-s.gate.empty:
	case <-bound.C:
		s.log.Warn("mails in flight were cut off", zap.Int("connections", s.gate.count()))
		s.gate.abort()
	}
	// This waits for the goroutines of all connections, and so for calls to the sink.
	_ = s.library.Shutdown(context.Background())
}

// Close ends everything at once: Run returns when the mails that are being kept are kept. It can be called twice.
func (s *Server) Close() error {
	if s.closed.Swap(true) || s.gate == nil {
		return nil
	}
	err := s.gate.Close()
	s.gate.abort()
	if errors.Is(err, net.ErrClosed) {
		return nil // Run was first
	}
	return err
}

func (s *Server) openConnections() float64 {
	if g := s.listening.Load(); g != nil {
		return float64(g.count())
	}
	return 0
}

// libraryLog takes what the library logs. It names clients' addresses, so all but its panics is for debugging.
type libraryLog struct {
	log     *zap.Logger
	metrics *metrics
}

func (l libraryLog) Printf(format string, v ...any) {
	if strings.HasPrefix(format, "panic") && len(v) == 3 { // client, cause, stack
		l.metrics.panics.Inc()
		l.log.Error("panic in the SMTP library", zap.Any("cause", v[1]), zap.ByteString("stack", asBytes(v[2])))
		return
	}
	l.log.Debug("SMTP library", zap.String("text", fmt.Sprintf(format, v...)))
}

func (l libraryLog) Println(v ...any) {
	l.log.Debug("SMTP library", zap.String("text", fmt.Sprintln(v...)))
}

func asBytes(v any) []byte {
	b, _ := v.([]byte)
	return b
}
