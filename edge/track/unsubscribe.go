package track

import (
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
)

// unsubscribe shows a page that asks, and unsubscribes on POST: by the page's form, or by a mailbox provider in one
// click (RFC 8058 §3.2, whose body "List-Unsubscribe=One-Click" says nothing that the method doesn't). Scanners follow
// links, so a GET changes nothing (RFC 8058 §1). There is no redirect, which §3.1 forbids.
func (s *Server) unsubscribe(ctx *fasthttp.RequestCtx, token []byte) {
	if !allow(ctx, allowReadPost) {
		return
	}
	h := s.getHit()
	defer s.putHit(h)
	if !s.read(ctx, h, routeUnsubscribe, token) {
		s.page(ctx, fasthttp.StatusNotFound, pageBadLink)
		return
	}
	if !ctx.Request.Header.IsPost() {
		s.page(ctx, fasthttp.StatusOK, pageAsk)
		return
	}
	if err := s.sink.Facts(&h.ev); err != nil {
		s.metrics.notRecorded(err)
		s.log.Debug("unsubscribe not recorded", zap.Error(err))
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, retryAfter)
		s.page(ctx, fasthttp.StatusServiceUnavailable, pageTryAgain)
		return
	}
	s.page(ctx, fasthttp.StatusOK, pageDone)
}

// retryAfter is in seconds: by then another node has the traffic, or this one has room again.
const retryAfter = "30"
