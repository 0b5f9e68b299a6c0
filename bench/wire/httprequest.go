package wire

import (
	"strconv"

	"carom/bench/targets"
)

// agents are what real programs say they are: of those that load pixels and follow links.
var agents = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
	"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
	"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.4.0",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
	"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
}

// request renders requests that differ in their path and in whose they are.
type request struct {
	method    string // with the blank behind it
	fields    [][]byte
	forwarded bool
	end       string
	buf       []byte
}

func newRequest(o *HTTPOptions, host string) *request {
	r := &request{method: "GET ", forwarded: o.ForwardedFor, end: "\r\n\r\n"}
	if o.Head {
		r.method = "HEAD "
	}
	if !o.Reuse {
		r.end = "\r\nConnection: close\r\n\r\n"
	}
	for _, agent := range agents {
		text := " HTTP/1.1\r\nHost: " + host + "\r\nAccept: */*\r\nUser-Agent: " + agent
		if r.forwarded {
			text += "\r\nX-Forwarded-For: "
		}
		r.fields = append(r.fields, []byte(text))
	}
	return r
}

// render returns the request for a hit, which is valid until the next one.
func (r *request) render(h *targets.Hit) []byte {
	b := append(r.buf[:0], r.method...)
	b = append(b, h.Path...)
	b = append(b, r.fields[h.Client%uint32(len(r.fields))]...)
	if r.forwarded {
		b = appendAddress(b, h.Client)
	}
	b = append(b, r.end...)
	r.buf = b
	return b
}

// appendAddress appends the address of a client, of those that are set apart for measurements (RFC 2544): 131,072 of them,
// and neighbours are far apart.
func appendAddress(b []byte, client uint32) []byte {
	n := client * 0x9e3779b1 >> 15 // the golden ratio's fraction scatters them over 17 bits
	b = append(b, "198."...)
	b = strconv.AppendUint(b, uint64(18+n>>16), 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(n>>8&0xff), 10)
	b = append(b, '.')
	return strconv.AppendUint(b, uint64(n&0xff), 10)
}
