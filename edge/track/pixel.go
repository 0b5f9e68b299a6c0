package track

import "github.com/valyala/fasthttp"

// pixel is a transparent GIF of one pixel: the smallest that all mail programs show.
//
//	signature GIF89a │ 1 × 1, a table of 2 colours │ black, white │ colour 0 is transparent │ image │ end
var pixel = []byte("GIF89a" +
	"\x01\x00\x01\x00\x80\x00\x00" +
	"\x00\x00\x00\xff\xff\xff" +
	"\x21\xf9\x04\x01\x00\x00\x00\x00" +
	"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00" +
	"\x3b")

// open records an open and answers with the pixel, whatever became of it: a reader can do nothing about a bad token.
func (s *Server) open(ctx *fasthttp.RequestCtx, token []byte) {
	if !allow(ctx, allowRead) {
		return
	}
	h := s.getHit()
	defer s.putHit(h)
	if s.read(ctx, h, routeOpen, token) {
		s.record(h)
	}
	setNoStore(ctx)
	ctx.SetContentType(typeGIF)
	ctx.Response.SetBodyRaw(pixel)
}
