package track

import (
	"bytes"
	"errors"
	"net"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"carom/edge/ref"
)

// handle answers one request.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	began := time.Now()
	r, token := s.route(ctx.Request.Header.RequestURI())
	defer s.answered(ctx, r, began)
	switch r {
	case routeOpen:
		s.open(ctx, token)
	case routeClick:
		s.click(ctx, token)
	case routeUnsubscribe:
		s.unsubscribe(ctx, token)
	case routeSelf:
		s.self(ctx, token)
	default:
		s.other(ctx, token)
	}
}

// answered ends a request, also one that hit a bug: fasthttp would let a panic end the process, and one hostile request
// all others with it.
func (s *Server) answered(ctx *fasthttp.RequestCtx, r route, began time.Time) {
	if cause := recover(); cause != nil {
		s.bug(cause, r)
		ctx.Response.Reset()
		setText(ctx, fasthttp.StatusInternalServerError)
		ctx.SetConnectionClose()
	}
	s.metrics.answered(r, ctx.Response.StatusCode())
	s.metrics.seconds[r].Observe(time.Since(began).Seconds())
}

// bug tells of a panic.
func (s *Server) bug(cause any, r route) {
	s.metrics.panics.Inc()
	s.log.Error("request hit a bug", zap.Any("cause", cause), zap.String("route", routeNames[r]), zap.Stack("stack"))
}

// closeIfChunked closes the connection after a request with Transfer-Encoding. fasthttp prefers it over a Content-Length
// beside it; a proxy before us may have done the other, and then what it takes for the next request would be somebody's
// body (RFC 9112 §6.1). It is called before the body is read: reading an empty one erases the trace.
func closeIfChunked(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	const chunked = -1
	if h.ContentLength() == chunked {
		h.SetConnectionClose()
	}
	return fasthttp.RequestConfig{} // the server's
}

// route tells what a request target asks for, and the token that follows; of routeOther the path.
func (s *Server) route(target []byte) (route, []byte) {
	path := pathOf(target)
	if rest, ok := bytes.CutPrefix(path, aliasBytes(s.basePath)); ok && len(rest) > 0 && rest[0] == '/' {
		path = rest
	}
	if len(path) > 2 && path[0] == '/' && path[2] == '/' {
		token := path[3:]
		switch ref.Purpose(path[1]) {
		case ref.OpenPixel:
			return routeOpen, token
		case ref.Click:
			return routeClick, token
		case ref.Unsubscribe:
			return routeUnsubscribe, token
		}
	}
	if token, ok := bytes.CutPrefix(path, selfPath); ok && s.options.Self {
		return routeSelf, token
	}
	return routeOther, path
}

var selfPath = []byte("/self/")

// pathOf returns the path of a request target as it was sent: nothing is decoded, collapsed or resolved. Of an
// absolute-form target (RFC 9112 §3.2.2) the authority is passed over: which host is asked for doesn't matter.
func pathOf(target []byte) []byte {
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		target = target[:i]
	}
	if len(target) == 0 || target[0] == '/' {
		return target
	}
	_, rest, ok := bytes.Cut(target, schemeEnd)
	if !ok {
		return target
	}
	if i := bytes.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return nil
}

var schemeEnd = []byte("://")

// robots keeps crawlers away. Those who don't ask get what everybody gets, and a verdict.
const robots = "User-agent: *\nDisallow: /\n"

// other answers what is no tracked link.
func (s *Server) other(ctx *fasthttp.RequestCtx, path []byte) {
	if string(path) != "/robots.txt" {
		setText(ctx, fasthttp.StatusNotFound)
		return
	}
	if !allow(ctx, allowRead) {
		return
	}
	setNoStore(ctx)
	ctx.SetContentType(typeText)
	ctx.SetBodyString(robots)
}

// The methods that routes take, as the Allow header has them.
const (
	allowRead     = "GET, HEAD"
	allowReadPost = "GET, HEAD, POST"
)

// allow reports whether the method is among those allowed; if not it answers 405.
func allow(ctx *fasthttp.RequestCtx, methods string) bool {
	h := &ctx.Request.Header
	if h.IsGet() || h.IsHead() || h.IsPost() && methods == allowReadPost {
		return true
	}
	setText(ctx, fasthttp.StatusMethodNotAllowed)
	ctx.Response.Header.Set(fasthttp.HeaderAllow, methods)
	return false
}

const (
	typeText = "text/plain; charset=utf-8"
	typeHTML = "text/html; charset=utf-8"
	typeGIF  = "image/gif"
)

// setNoStore keeps caches from answering for us. They would hide hits, and tokens are nobody else's.
func setNoStore(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetCanonical(headerCacheControl, valueNoStore)
}

var (
	headerCacheControl = []byte("Cache-Control")
	valueNoStore       = []byte("no-store, private")
)

// setText answers with a status and its name.
func setText(ctx *fasthttp.RequestCtx, status int) {
	ctx.SetStatusCode(status)
	setNoStore(ctx)
	ctx.SetContentType(typeText)
	ctx.SetBodyString(fasthttp.StatusMessage(status) + "\n")
}

// handleError answers a request that could not be read. The connection is closed after it.
func (s *Server) handleError(ctx *fasthttp.RequestCtx, err error) {
	status := errorStatus(err)
	setText(ctx, status)
	s.metrics.answered(routeOther, status)
}

func errorStatus(err error) int {
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.As(err, &small):
		return fasthttp.StatusRequestHeaderFieldsTooLarge
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return fasthttp.StatusRequestEntityTooLarge
	case errors.As(err, &timeout) && timeout.Timeout():
		return fasthttp.StatusRequestTimeout
	}
	return fasthttp.StatusBadRequest
}

// alias returns b as a string without copying it. It must not outlive b.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// aliasBytes returns s as bytes without copying it. They must not be written to.
func aliasBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
