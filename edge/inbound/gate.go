package inbound

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// refuseTime bounds the reply to a connection that is refused at once.
const refuseTime = time.Second

// clientBits is how much of an IPv6 address tells clients apart: whoever has one has its /64.
const clientBits = 64

// gate is the listener that the library accepts from. It knows all connections: it bounds them, wakes them when the
// server stops, and cuts them when that takes too long.
type gate struct {
	net.Listener
	server *Server

	draining atomic.Bool
	empty    chan struct{} // closed when draining and no connection is left

	mu      sync.Mutex
	conns   map[*conn]struct{}
	clients map[netip.Addr]int
}

func newGate(s *Server, l net.Listener) *gate {
	return &gate{Listener: l, server: s, empty: make(chan struct{}), conns: map[*conn]struct{}{}, clients: map[netip.Addr]int{}}
}

// Accept waits for the next connection there is room for.
func (g *gate) Accept() (net.Conn, error) {
	for {
		raw, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := newConn(g.server, raw)
		if g.enter(c) {
			g.server.metrics.accepted.Inc()
			return c, nil
		}
		g.server.metrics.closed.WithLabelValues("connections").Inc()
		_ = raw.SetWriteDeadline(time.Now().Add(refuseTime))
		_, _ = raw.Write(appendReply(nil, replyTooManyConns))
		_ = raw.Close()
	}
}

// enter registers a connection.
func (g *gate) enter(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.conns) >= g.server.options.MaxConnections {
		return false
	}
	g.conns[c] = struct{}{}
	return true
}

// admit registers whose connection it is, once that is known.
func (g *gate) admit(c *conn, client netip.Addr) bool {
	if !client.IsValid() {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	key := clientKey(client)
	if g.clients[key] >= g.server.options.MaxConnectionsPerClient {
		return false
	}
	g.clients[key]++
	c.client = client
	return true
}

// leave forgets a connection.
func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
	if c.client.IsValid() {
		key := clientKey(c.client)
		if g.clients[key]--; g.clients[key] == 0 {
			delete(g.clients, key)
		}
	}
	g.checkEmpty()
}

func clientKey(a netip.Addr) netip.Addr {
	if a.Is6() {
		p, _ := a.Prefix(clientBits)
		return p.Addr()
	}
	return a
}

// drain tells idle clients to go, now, and the others after their mail.
func (g *gate) drain() {
	g.draining.Store(true)
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		c.wake()
	}
	g.checkEmpty()
}

// checkEmpty closes empty, once. The lock must be held.
func (g *gate) checkEmpty() {
	if !g.draining.Load() || len(g.conns) > 0 {
		return
	}
	select {
	case <-g.empty:
	default:
		close(g.empty)
	}
}

// abort cuts all connections.
func (g *gate) abort() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		c.abort()
	}
}

// count is how many connections there are.
func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.conns)
}
