package null

import (
	"bytes"
	"net"

	"github.com/valyala/fasthttp"
)

// pixel is some GIF of one pixel.
var pixel = []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")

// ServeHTTP answers /c/ with a redirect and everything else with a GIF, until the listener is closed.
func ServeHTTP(l net.Listener) error {
	s := &fasthttp.Server{
		NoDefaultServerHeader: true, NoDefaultDate: true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			if bytes.HasPrefix(ctx.RequestURI(), []byte("/c/")) {
				ctx.Response.Header.Set("Location", "https://example.com/")
				ctx.SetStatusCode(fasthttp.StatusFound)
				return
			}
			ctx.SetContentType("image/gif")
			ctx.Response.SetBodyRaw(pixel)
		},
	}
	return s.Serve(l)
}
