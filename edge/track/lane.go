package track

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"carom/pipeline/event"
)

// The fast lane answers plain opens and clicks by itself, before fasthttp sees them. It lives in the connection's Read,
// which fasthttp calls to get its next request, and reads into fasthttp's own buffer:
//
//	fasthttp ─ Read(b) ─▶ wait for a request ◀──────────┐
//	                            │                       │
//	                       plain, and its token opens? ─┴yes─▶ Sink.HitThen ┄┄ recorded: the prepared answer
//	                            │ no
//	     the same bytes ◀───────┘ from here on the connection is fasthttp's
//
// So whatever is unusual, broken or hostile meets fasthttp as if the lane were not there, and the lane need not know HTTP.
//
// Nobody waits for the disk: the goroutine that read the request goes back to reading, and whoever learns that the hit is on
// disk writes the answer. A connection has one request in hand at a time: its turn is held from the arrival of a request
// until its answer is out, and taken before anything is made of what Read returned.

// ride reads into b, which is empty, until what comes is not for the lane.
func (c *conn) ride(b []byte) (int, error) {
	if c.listener.closing.Load() { // accepted at the last moment, when closeIdle could not see it yet
		c.left = true
		return 0, io.EOF
	}
	for {
		n, err := c.await(b)
		if err == nil {
			switch c.listener.s.takePlain(c, b[:n]) {
			case taken:
				continue // the turn is the answer's
			case ended:
				n, err = 0, io.EOF
			case handed:
				if c.rode {
					// fasthttp armed it when the connection began.
					_ = c.Conn.SetReadDeadline(time.Now().Add(c.listener.s.options.ReadTimeout))
				}
			}
		}
		c.left = true
		c.turn.Unlock()
		return n, err
	}
}

// await waits for what comes next, and returns with the turn. Until the first request, time-outs are fasthttp's, which has
// set them; after that, a connection that ends or says nothing for IdleTimeout ends quietly.
//
// The deadline is not set for every request: where it has passed, that of the last one is.
func (c *conn) await(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		c.turn.Lock()
		switch {
		case c.over:
			return 0, io.EOF
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
		c.turn.Unlock()
	}
}

// outcome is what became of bytes that arrived.
type outcome int

const (
	handed outcome = iota // they are fasthttp's
	taken                 // they are, or will be, answered, which ends the turn
	ended                 // the connection is to be closed
)

// takePlain has a plain open or click recorded and then answered.
func (s *Server) takePlain(c *conn, b []byte) (out outcome) {
	var p plainRequest
	if !p.parse(b) || s.options.Self && p.seen&hasCookie != 0 {
		return handed
	}
	r, token := s.route(p.target)
	if r != routeOpen && r != routeClick {
		return handed
	}
	h := s.getHit()
	if s.keys.Open(purposes[r], token, &h.opened) != nil {
		s.putHit(h)
		return handed // it is opened once more, and counted, there
	}
	c.hit, c.route, c.began, c.rode = h, r, time.Now(), true
	defer func() {
		if cause := recover(); cause != nil {
			c.bug(cause)
			out = ended
		}
	}()
	h.begin(r, c.began)
	s.readPlain(c, &p, &h.req)
	s.sink.HitThen(&h.ev, &h.req, c.recorded)
	return taken
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

// answer answers the hit in hand, now that it is recorded, or can't be: the reader gets the pixel or the redirect all the
// same. It runs on whoever told so, and waits for nothing.
func (c *conn) answer(err error) {
	defer func() {
		if cause := recover(); cause != nil {
			c.bug(cause)
			c.end()
			c.turn.Unlock()
		}
	}()
	s, h := c.listener.s, c.hit
	if err != nil {
		s.notRecorded(h, err)
	}
	closing := c.listener.closing.Load()
	status, answer := s.preparedAnswer(c, closing)
	c.last = time.Now()
	s.metrics.answered(c.route, status)
	s.metrics.seconds[c.route].Observe(c.last.Sub(c.began).Seconds())
	n, err := c.out.try(answer)
	rest := slices.Clone(answer[n:]) // it may be the hit's
	c.hit = nil
	s.putHit(h)
	if len(rest) > 0 && err == nil {
		s.metrics.slow.Inc()
		go c.answerRest(rest)
		return
	}
	c.answered(err)
}

// answerRest writes what the peer had no room for. It does wait.
func (c *conn) answerRest(b []byte) {
	err := c.Conn.SetWriteDeadline(time.Now().Add(c.listener.s.options.WriteTimeout))
	if err == nil {
		_, err = c.Conn.Write(b)
	}
	if err == nil {
		err = c.Conn.SetWriteDeadline(time.Time{})
	}
	c.last = time.Now()
	c.answered(err)
}

// answered ends the turn, and the connection if it can't go on.
func (c *conn) answered(err error) {
	if !c.rest() || err != nil {
		c.end()
	}
	c.turn.Unlock()
}

// end has the goroutine that reads close the connection. The turn is held.
func (c *conn) end() {
	c.over = true
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // long ago
}

// bug answers a request that hit a bug, as far as possible.
func (c *conn) bug(cause any) {
	s := c.listener.s
	s.bug(cause, c.route)
	s.metrics.answered(c.route, fasthttp.StatusInternalServerError)
	_, _ = c.out.try(appendBug(nil, c.began))
}

// preparedAnswer returns the pixel or the redirect. It is valid as long as c's hit.
func (s *Server) preparedAnswer(c *conn, closing bool) (status int, answer []byte) {
	h, prepared := c.hit, s.prepare(c.began)
	switch {
	case c.route == routeClick:
		h.answer = append(append(append(h.answer[:0], prepared.found...), h.opened.Ref.URL...), foundEnd...)
		if closing {
			h.answer = append(h.answer, closeField...)
		}
		h.answer = append(h.answer, "\r\n"...)
		return fasthttp.StatusFound, h.answer
	case closing:
		h.answer = appendPixel(h.answer[:0], c.began, true)
		return fasthttp.StatusOK, h.answer
	}
	return fasthttp.StatusOK, prepared.pixel
}
