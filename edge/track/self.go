package track

import (
	"cmp"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// selfCookie is the name of the cookie by which a sender's own browser is known. Package ref seals what is in it.
const selfCookie = "carom_self"

// selfLasts is how long a browser counts as a sender's own: as long as browsers keep a cookie, by the draft that follows
// RFC 6265, section "Limitations on Max-Age".
const selfLasts = 400 * 24 * time.Hour

// self marks the browser as the sender's own and shows a page that says so; the page's form takes that back by POST. To
// mark by a GET is safe: the link is the sender's, and who follows it again changes nothing.
//
// What loads a page without anybody looking changes nothing either. A browser that has been here completes the address
// in its bar and loads it in advance, which would mark it anew right after the mark was taken back; an image in some
// page or mail could fill the cookie with other senders.
func (s *Server) self(ctx *fasthttp.RequestCtx, token []byte) {
	if !allow(ctx, allowReadPost) {
		return
	}
	h := s.getHit()
	defer s.putHit(h)
	if err := s.keys.Open(ref.Self, token, &h.opened); err != nil {
		s.metrics.badToken(routeSelf, err)
		s.page(ctx, fasthttp.StatusNotFound, pageBadLink)
		return
	}
	req := &ctx.Request.Header
	if unseen(req) {
		setText(ctx, fasthttp.StatusServiceUnavailable) // browsers then load it when somebody asks
		return
	}
	marks, r, now := &h.marks, &h.opened.Ref, event.Now()
	if err := s.keys.OpenMarks(req.Cookie(selfCookie), now, marks); err != nil {
		marks.Reset() // none, or none that we can read: it begins anew
	}
	if req.IsPost() {
		marks.Remove(r.Account, r.Sender)
		s.setMarks(ctx, marks)
		s.page(ctx, fasthttp.StatusOK, pageNotSelf)
		return
	}
	if !req.IsHead() {
		marks.Add(r.Account, r.Sender, now, selfLasts)
		s.setMarks(ctx, marks)
	}
	s.page(ctx, fasthttp.StatusOK, pageSelf)
}

// unseen reports whether a browser says that nobody will see the answer as a page: it loads it in advance, or as a part
// of another page.
func unseen(h *fasthttp.RequestHeader) bool {
	dest := h.PeekCanonical(headerFetchDest)
	return purpose(h) != "" || len(dest) > 0 && string(dest) != "document"
}

var headerFetchDest = []byte("Sec-Fetch-Dest")

// setMarks sends the cookie; without a mark it is removed.
//
// Over https it is SameSite=None, which must be Secure: the pixel in a web mail is a request of another site's page, and
// no other cookie comes with it. Over http only Lax is possible, and comes with clicks, and with images on pages of the
// same site. It isn't Partitioned: then the one set here, on a page of our own, would not come with pages of others.
func (s *Server) setMarks(ctx *fasthttp.RequestCtx, marks *ref.Marks) {
	c := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(c)
	c.SetKey(selfCookie)
	c.SetPath(cmp.Or(s.basePath, "/"))
	c.SetHTTPOnly(true)
	c.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	if strings.HasPrefix(s.options.BaseURL, "https:") {
		c.SetSecure(true)
		c.SetSameSite(fasthttp.CookieSameSiteNoneMode)
	}
	if marks.Len() == 0 {
		c.SetMaxAge(-1) // ends at once
	} else {
		c.SetValueBytes(s.keys.SealMarks(nil, marks))
		c.SetMaxAge(int(selfLasts.Seconds()))
	}
	ctx.Response.Header.SetCookie(c)
}

// isSelf reports whether the request comes from a browser that the sender of the hit marked as its own.
func (s *Server) isSelf(ctx *fasthttp.RequestCtx, h *hit) bool {
	if !s.options.Self {
		return false
	}
	text := ctx.Request.Header.Cookie(selfCookie)
	if len(text) == 0 || s.keys.OpenMarks(text, h.ev.Time, &h.marks) != nil {
		return false
	}
	return h.marks.Has(h.ev.Account, h.ev.Sender)
}
