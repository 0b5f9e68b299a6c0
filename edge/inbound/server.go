package inbound

import (
	"context"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// Sink takes facts. When it returns without an error, they are on disk.
type Sink interface {
	Facts(evs ...*event.Event) error
}

// Server takes mail.
type Server struct {
	options Options
}

// New checks the options. It starts nothing.
func New(o Options, keys *ref.Keyring, sink Sink, log *zap.Logger, reg prometheus.Registerer) (*Server, error) {
	return &Server{options: o}, nil
}

// Listen opens the port.
func (s *Server) Listen() error { return nil }

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return nil }

// Run serves until ctx is done.
func (s *Server) Run(ctx context.Context) error { return nil }

// Close ends everything at once.
func (s *Server) Close() error { return nil }
