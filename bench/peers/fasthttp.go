package main

import (
	"net"
	"os/exec"

	"github.com/valyala/fasthttp"
)

// fasthttpPeer is a bare server of the library that Carom's edge is built on: the same answer, and nothing done for it.
func fasthttpPeer() peer {
	return peer{
		name: "fasthttp", protocol: overHTTP,
		promise: "nothing: the request is forgotten",
		command: func(at *place) (*exec.Cmd, error) { return at.serve(serveFasthttp) },
	}
}

// pixel has as many bytes as Carom's.
var pixel = []byte("GIF89a" +
	"\x01\x00\x01\x00\x80\x00\x00" +
	"\x00\x00\x00\xff\xff\xff" +
	"\x21\xf9\x04\x01\x00\x00\x00\x00" +
	"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00" +
	"\x3b")

// answerPixel answers with the headers that Carom's edge sends, and no others.
func answerPixel(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetCanonical(cacheControl, noStore)
	ctx.SetContentType("image/gif")
	ctx.Response.SetBodyRaw(pixel)
}

var (
	cacheControl = []byte("Cache-Control")
	noStore      = []byte("no-store, private")
)

func bareHTTP(handler fasthttp.RequestHandler) *fasthttp.Server {
	return &fasthttp.Server{Handler: handler, NoDefaultServerHeader: true, NoDefaultContentType: true}
}

func runFasthttp(ln net.Listener, _ string) error { return bareHTTP(answerPixel).Serve(ln) }
