package wire

import (
	"net"
	"sync"
)

// connection is the one connection of a client, which another goroutine may close while the client waits.
type connection struct {
	mu     sync.Mutex
	raw    net.Conn // guarded by mu: what was dialled, below TLS; nil without one
	busy   bool     // guarded by mu: the client works
	closed bool     // guarded by mu

	// conn is raw, or TLS on it; nil without a connection. The client's goroutine alone changes it, under mu.
	conn net.Conn
}

// begin says that the client works, until end. It returns false once the client is closed.
func (c *connection) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = !c.closed
	return c.busy
}

func (c *connection) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
}

// use takes a connection that was dialled.
func (c *connection) use(conn net.Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close()
		return net.ErrClosed
	}
	c.raw, c.conn = conn, conn
	return nil
}

// secure puts TLS on the connection.
func (c *connection) secure(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
}

// drop ends the connection at once.
func (c *connection) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.raw != nil {
		_ = c.raw.Close()
	}
	c.raw, c.conn = nil, nil
}

// close ends the connection for good. A client that rests says goodbye first.
func (c *connection) close(goodbye func(net.Conn)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.raw == nil {
		return
	}
	if !c.busy {
		goodbye(c.conn)
	}
	_ = c.raw.Close()
	c.raw = nil
}
