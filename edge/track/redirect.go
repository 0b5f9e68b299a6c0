package track

import "github.com/valyala/fasthttp"

var headerLocation = []byte("Location")

// click records a click and redirects to the URL of its token.
func (s *Server) click(ctx *fasthttp.RequestCtx, token []byte) {
	if !allow(ctx, allowRead) {
		return
	}
	h := s.getHit()
	defer s.putHit(h)
	if !s.read(ctx, h, routeClick, token) {
		s.page(ctx, fasthttp.StatusNotFound, pageBadLink)
		return
	}
	s.record(h)
	// Package ref lets no URL open that has a control character, so the header can't be split; fasthttp would turn a
	// line break into a blank.
	ctx.Response.Header.SetCanonical(headerLocation, aliasBytes(h.opened.Ref.URL))
	setNoStore(ctx)
	ctx.SetStatusCode(fasthttp.StatusFound)
}
