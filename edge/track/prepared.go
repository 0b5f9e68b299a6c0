package track

import (
	"time"

	"github.com/valyala/fasthttp"
)

// prepared are the answers of the fast lane, as far as they are the same for everybody within one second. Byte for byte
// they are what fasthttp sends.
type prepared struct {
	second int64
	pixel  []byte // all of it
	found  []byte // the redirect's, up to its target
}

const (
	dateField      = "Date: "
	pixelFields    = "\r\nContent-Type: " + typeGIF + "\r\nContent-Length: 43\r\n" + noStoreField
	locationField  = "\r\nContent-Length: 0\r\nLocation: "
	foundEnd       = "\r\n" + noStoreField
	noStoreField   = "Cache-Control: no-store, private\r\n"
	closeField     = "Connection: close\r\n"
	pixelStatus    = "HTTP/1.1 200 OK\r\n"
	redirectStatus = "HTTP/1.1 302 Found\r\n"

	bugStatus = "HTTP/1.1 500 Internal Server Error\r\n"
	bugFields = "\r\nContent-Type: " + typeText + "\r\nContent-Length: 22\r\n"
	bugBody   = "Internal Server Error\n"
)

// prepare returns the answers of a time. They are made once a second, sometimes more often by requests at once.
func (s *Server) prepare(now time.Time) *prepared {
	p := s.prepared.Load()
	if p == nil || p.second != now.Unix() {
		p = &prepared{second: now.Unix(), pixel: appendPixel(nil, now, false), found: appendFound(nil, now)}
		s.prepared.Store(p)
	}
	return p
}

func appendPixel(dst []byte, now time.Time, closing bool) []byte {
	dst = append(fasthttp.AppendHTTPDate(append(append(dst, pixelStatus...), dateField...), now), pixelFields...)
	if closing {
		dst = append(dst, closeField...)
	}
	return append(append(dst, "\r\n"...), pixel...)
}

func appendFound(dst []byte, now time.Time) []byte {
	return append(fasthttp.AppendHTTPDate(append(append(dst, redirectStatus...), dateField...), now), locationField...)
}

// appendBug is the answer to a request that hit a bug.
func appendBug(dst []byte, now time.Time) []byte {
	dst = fasthttp.AppendHTTPDate(append(append(dst, bugStatus...), dateField...), now)
	return append(dst, bugFields+noStoreField+closeField+"\r\n"+bugBody...)
}
