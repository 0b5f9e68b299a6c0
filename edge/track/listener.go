package track

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
	"go.uber.org/zap"
)

// listener bounds the connections, reads PROXY headers, and outlives a lack of file descriptors.
type listener struct {
	net.Listener
	s       *Server
	once    sync.Once
	closed  chan struct{}
	closing atomic.Bool // closeIdle was called

	mu      sync.Mutex // guards what follows
	conns   map[*conn]struct{}
	clients map[netip.Prefix]int // connections of each client that is no proxy, if they are bounded
}

func newListener(ln net.Listener, s *Server) *listener {
	return &listener{
		Listener: ln, s: s, closed: make(chan struct{}),
		conns: map[*conn]struct{}{}, clients: map[netip.Prefix]int{},
	}
}

// The waits after an error of Accept: doubled from the first to the last, as net/http does.
const (
	firstAcceptWait = 5 * time.Millisecond
	lastAcceptWait  = time.Second
)

// Accept returns the next connection that may be served.
func (l *listener) Accept() (net.Conn, error) {
	wait := firstAcceptWait
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			if !isTemporary(err) {
				return nil, err
			}
			l.s.log.Warn("connections can't be accepted", zap.Error(err), zap.Duration("next-try", wait))
			select {
			case <-l.closed:
				return nil, net.ErrClosed
			case <-time.After(wait):
			}
			wait = min(2*wait, lastAcceptWait)
			continue
		}
		wait = firstAcceptWait
		if tracked := l.admit(c); tracked != nil {
			return tracked, nil
		}
	}
}

// isTemporary reports whether Accept may succeed later: out of descriptors or memory, or the peer has gone already.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary() || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// admit returns c ready to be served, or refuses it and returns nil.
func (l *listener) admit(c net.Conn) net.Conn {
	peer := addrOf(c.RemoteAddr())
	proxy := l.s.proxies.trust(peer)
	tracked := &conn{Conn: c, listener: l}
	tracked.recorded = tracked.answer
	tracked.left = !tracked.out.open(c) || l.s.options.MaxRequestsPerConnection > 0
	if l.s.options.MaxConnectionsPerClient > 0 && !proxy && peer.IsValid() {
		tracked.client = clientPrefix(peer)
	}
	if reason := l.add(tracked); reason != "" {
		l.s.metrics.refused(reason)
		refuse(c)
		return nil
	}
	if proxy && l.s.options.ProxyProtocol {
		tracked.Conn = proxyproto.NewConn(c,
			proxyproto.WithPolicy(proxyproto.REQUIRE),
			proxyproto.SetReadHeaderTimeout(l.s.options.ReadTimeout))
	}
	return tracked
}

// clientPrefix is what counts as one client: an IPv6 user has a /64 at least.
func clientPrefix(ip netip.Addr) netip.Prefix {
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // can't fail for a valid address
	return p
}

// The reasons for refusing a connection.
const (
	refusedTotal  = "total"
	refusedClient = "client"
)

// add takes a connection into account, unless there are too many; then it says which.
func (l *listener) add(c *conn) (refused string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= l.s.options.MaxConnections {
		return refusedTotal
	}
	if c.client.IsValid() {
		if l.clients[c.client] >= l.s.options.MaxConnectionsPerClient {
			return refusedClient
		}
		l.clients[c.client]++
	}
	l.conns[c] = struct{}{}
	l.s.metrics.connections.Inc()
	return ""
}

func (l *listener) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	if c.client.IsValid() {
		if l.clients[c.client]--; l.clients[c.client] == 0 {
			delete(l.clients, c.client)
		}
	}
	l.s.metrics.connections.Dec()
}

// refusal is the answer to a connection too many.
const refusal = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nCache-Control: no-store, private\r\nContent-Length: 0\r\n\r\n"

// refuse answers without waiting: the send buffer of a new connection has room for it.
func refuse(c net.Conn) {
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte(refusal))
	_ = c.Close()
}

// Close stops accepting. It may be called twice.
func (l *listener) Close() error {
	var err error
	l.once.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
	})
	return err
}

// closeIdle closes the connections over which nothing came yet, and those that wait in the fast lane for a request; no
// other will wait there from now on.
func (l *listener) closeIdle() {
	l.closing.Store(true)
	for _, c := range l.list() {
		if c.phase.CompareAndSwap(phaseIdle, phaseClosed) {
			_ = c.Close()
		}
	}
}

// cut closes all connections.
func (l *listener) cut() {
	for _, c := range l.list() {
		_ = c.Close()
	}
}

func (l *listener) list() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		list = append(list, c)
	}
	return list
}

// open returns how many connections are open.
func (l *listener) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// conn is a connection that is counted until it is closed.
type conn struct {
	net.Conn
	listener *listener
	client   netip.Prefix // not valid if clients are not bounded
	phase    atomic.Int32
	once     sync.Once

	// The rest is the fast lane's. First, of the goroutine that reads:
	left      bool // all further bytes are fasthttp's
	rode      bool // the lane has taken a request
	peerKnown bool
	peer      netip.Addr

	turn     sync.Mutex // guards what follows; held while there is a request in hand
	hit      *hit
	route    route
	began    time.Time
	recorded func(error) // answer, as a value
	out      trial
	last     time.Time // when the lane answered last
	over     bool      // the connection is to be closed
}

// The phases of a connection.
const (
	phaseIdle   int32 = iota // nothing came yet, or the lane has answered all that came
	phaseBusy                // something came, and isn't answered or is fasthttp's
	phaseClosed              // by closeIdle
)

func (c *conn) Read(b []byte) (int, error) {
	if !c.left {
		return c.ride(b)
	}
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.begin() // where the lane never had the connection: closeIdle is to leave it to fasthttp
	}
	return n, err
}

// begin notes that something came; false if the connection is being closed.
func (c *conn) begin() bool { return c.phase.CompareAndSwap(phaseIdle, phaseBusy) }

// rest notes that all that came is answered; false if the server is being stopped. Either closeIdle sees the phase, or
// this sees that it was called.
func (c *conn) rest() bool {
	c.phase.Store(phaseIdle)
	return !c.listener.closing.Load()
}

// Close closes the connection. fasthttp calls it twice at times.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		c.listener.remove(c)
	})
	return err
}
