package track

import (
	"strings"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// hit is what one request needs beside fasthttp's own memory. It is pooled, and allocates nothing once it has been used.
type hit struct {
	opened ref.Opened
	ev     event.Event
	req    event.Request
	marks  ref.Marks // of the cookie, if there is one
	answer []byte    // of the fast lane, where it isn't prepared
}

func (s *Server) getHit() *hit { return s.hits.Get().(*hit) }

// putHit gives h back.
func (s *Server) putHit(h *hit) {
	// Nothing of one request may be seen in the next, and nothing of it kept from being collected.
	h.ev, h.req = event.Event{}, event.Request{}
	h.marks.Reset()
	s.hits.Put(h)
}

// read opens the token and makes the event and the request of it. It reports whether the token opened; if not, that
// is counted.
func (s *Server) read(ctx *fasthttp.RequestCtx, h *hit, r route, token []byte) bool {
	if err := s.keys.Open(purposes[r], token, &h.opened); err != nil {
		s.metrics.badToken(r, err)
		return false
	}
	h.begin(r, time.Now())
	s.readRequest(ctx, &h.req)
	h.req.Self = s.isSelf(ctx, h)
	return true
}

// begin fills in what is known of the event by its token and its time.
func (h *hit) begin(r route, at time.Time) {
	h.ev.Kind = kinds[r]
	h.ev.Time = event.FromTime(at)
	h.ev.KnownBy = event.ByRef
	h.ev.Key = h.opened.Key
	h.ev.Ref = h.opened.Ref
}

var (
	purposes = [routes]ref.Purpose{routeOpen: ref.OpenPixel, routeClick: ref.Click, routeUnsubscribe: ref.Unsubscribe}
	kinds    = [routes]event.Kind{routeOpen: event.Open, routeClick: event.Click, routeUnsubscribe: event.Unsubscribe}
)

// readRequest fills in what the verdict needs.
func (s *Server) readRequest(ctx *fasthttp.RequestCtx, req *event.Request) {
	h := &ctx.Request.Header
	req.Method = alias(h.Method())
	req.IP = s.proxies.client(ctx)
	req.UserAgent = alias(h.UserAgent())
	req.Referer = alias(h.PeekCanonical(headerReferer))
	req.Accept = alias(h.PeekCanonical(headerAccept))
	req.Purpose = purpose(h)
}

var (
	headerReferer = []byte("Referer")
	headerAccept  = []byte("Accept")
	// headersPurpose are those by which a request says that nobody asked for it.
	headersPurpose = [...][]byte{[]byte("Sec-Purpose"), []byte("Purpose"), []byte("X-Purpose"), []byte("X-Moz")}
)

// purpose joins the values of headersPurpose. Two of them at once are rare, so only then something is allocated.
func purpose(h *fasthttp.RequestHeader) string {
	joined := ""
	for _, name := range headersPurpose {
		switch v := h.PeekCanonical(name); {
		case len(v) == 0:
		case joined == "":
			joined = alias(v)
		default:
			joined = strings.Join([]string{joined, alias(v)}, ", ")
		}
	}
	return joined
}

// record hands an open or a click to the Sink. The reader gets the answer even if it can't be recorded: a broken image
// or a dead link would hurt the wrong person.
func (s *Server) record(h *hit) {
	if err := s.sink.Hit(&h.ev, &h.req); err != nil {
		s.notRecorded(h, err)
	}
}

func (s *Server) notRecorded(h *hit, err error) {
	s.metrics.notRecorded(err)
	s.log.Debug("hit not recorded", zap.Stringer("kind", h.ev.Kind), zap.Error(err))
}
