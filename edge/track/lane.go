package track

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/valyala/fasthttp"

	"carom/pipeline/event"
)

// The fast lane answers plain opens and clicks by itself, before fasthttp sees them. It lives in the connection's Read,
// which fasthttp calls to get its next request, and reads into fasthttp's own buffer:
//
//	fasthttp ─ Read(b) ─▶ wait for a request ◀─────────────┐
//	                            │                          │
//	                       plain, and its token opens? ─yes─▶ Sink.Hit, then the prepared answer
//	                            │ no
//	     the same bytes ◀───────┘ from here on the connection is fasthttp's
//
// So whatever is unusual, broken or hostile meets fasthttp as if the lane were not there, and the lane need not know HTTP.

// ride reads into b, which is empty, until what comes is not for the lane.
func (c *conn) ride(b []byte) (int, error) {
	if c.listener.closing.Load() { // accepted at the last moment, when closeIdle could not see it yet
		c.left = true
		return 0, io.EOF
	}
	for {
		n, err := c.await(b)
		if err != nil {
			c.left = true
			return n, err
		}
		switch c.listener.s.answerPlain(c, b[:n]) {
		case handed:
			c.left = true
			if c.rode {
				// fasthttp armed it when the connection began.
				_ = c.Conn.SetReadDeadline(time.Now().Add(c.listener.s.options.ReadTimeout))
			}
			return n, nil
		case ended:
			c.left = true
			return 0, io.EOF
		}
		c.rode = true
		if !c.rest() {
			c.left = true
			return 0, io.EOF
		}
	}
}

// await waits for what comes next. Until the first request, time-outs are fasthttp's, which has set them; after that, a
// connection that ends or says nothing for IdleTimeout ends quietly.
//
// The deadline is not set for every request: where it has passed, that of the last one is.
func (c *conn) await(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		switch {
		case n > 0 && !c.begin():
			return 0, io.EOF
		case n > 0:
			return n, nil
		case !c.rode:
			return 0, err
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, io.EOF
		}
		until := c.last.Add(c.listener.s.options.IdleTimeout)
		if !time.Now().Before(until) || c.Conn.SetReadDeadline(until) != nil {
			return 0, io.EOF
		}
	}
}

// send writes an answer. As with reading, the deadline is set where that of an earlier answer has passed.
func (c *conn) send(b []byte, began time.Time) error {
	until := began.Add(c.listener.s.options.WriteTimeout)
	if !c.limited {
		c.limited = true
		if err := c.Conn.SetWriteDeadline(until); err != nil {
			return err
		}
	}
	for {
		n, err := c.Conn.Write(b)
		b = b[n:]
		if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(until) {
			return err
		}
		if err := c.Conn.SetWriteDeadline(until); err != nil {
			return err
		}
	}
}

// outcome is what became of bytes that arrived.
type outcome int

const (
	handed   outcome = iota // they are fasthttp's
	answered                // the connection goes on
	ended                   // the connection is to be closed
)

// answerPlain answers a plain open or click.
func (s *Server) answerPlain(c *conn, b []byte) (out outcome) {
	var p plainRequest
	if !p.parse(b) || s.options.Self && p.seen&hasCookie != 0 {
		return handed
	}
	r, token := s.route(p.target)
	if r != routeOpen && r != routeClick {
		return handed
	}
	h := s.getHit()
	defer s.putHit(h)
	if s.keys.Open(purposes[r], token, &h.opened) != nil {
		return handed // it is opened once more, and counted, there
	}
	began := time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			s.bug(cause, r)
			s.metrics.answered(r, fasthttp.StatusInternalServerError)
			_ = c.send(appendBug(nil, began), began)
			out = ended
		}
	}()
	h.begin(r, began)
	s.readPlain(c, &p, &h.req)
	s.record(h)
	return s.sendPrepared(c, h, r, began)
}

// readPlain fills in what the verdict needs.
func (s *Server) readPlain(c *conn, p *plainRequest, req *event.Request) {
	req.Method = fasthttp.MethodGet
	req.IP = c.sender(p)
	req.UserAgent = alias(p.agent)
	req.Referer = alias(p.referer)
	req.Accept = alias(p.accept)
	req.Purpose = alias(p.purpose)
}

// sender returns the address that a request came from.
func (c *conn) sender(p *plainRequest) netip.Addr {
	if !c.peerKnown { // not before the first request: it stands in the PROXY header
		c.peer, c.peerKnown = addrOf(c.Conn.RemoteAddr()), true
	}
	proxies := c.listener.s.proxies
	if p.seen&hasForwarded == 0 || !proxies.trust(c.peer) {
		return c.peer
	}
	lines := [...][]byte{p.forwarded}
	return proxies.follow(c.peer, lines[:])
}

// sendPrepared answers with the pixel or the redirect.
func (s *Server) sendPrepared(c *conn, h *hit, r route, began time.Time) outcome {
	closing := c.listener.closing.Load()
	prepared := s.prepare(began)
	status, answer := fasthttp.StatusOK, prepared.pixel
	switch {
	case r == routeClick:
		status = fasthttp.StatusFound
		h.answer = append(append(append(h.answer[:0], prepared.found...), h.opened.Ref.URL...), foundEnd...)
		if closing {
			h.answer = append(h.answer, closeField...)
		}
		h.answer = append(h.answer, "\r\n"...)
		answer = h.answer
	case closing:
		h.answer = appendPixel(h.answer[:0], began, true)
		answer = h.answer
	}
	c.last = time.Now()
	s.metrics.answered(r, status)
	s.metrics.seconds[r].Observe(c.last.Sub(began).Seconds())
	if c.send(answer, c.last) != nil || closing {
		return ended
	}
	return answered
}
