package bot

import (
	"testing"

	"carom/pipeline/event"
)

func BenchmarkJudge(b *testing.B) {
	rules := Default()
	for _, bb := range []struct {
		name string
		req  event.Request
	}{
		{"browser", event.Request{Method: "GET", UserAgent: chrome, Referer: "https://mail.example.com/"}},
		{"image-proxy", event.Request{Method: "GET", UserAgent: gmail}},
		{"privacy-proxy", event.Request{Method: "GET", UserAgent: "Mozilla/5.0"}},
		{"prefetch", event.Request{Method: "GET", UserAgent: prefetch, Referer: "https://mail.google.com/mail/u/0"}},
		{"library", event.Request{Method: "GET", UserAgent: "python-requests/2.32.3"}},
		{"purpose", event.Request{Method: "GET", UserAgent: chrome, Purpose: "prefetch;prerender"}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.req.UserAgent)))
			b.ReportAllocs()
			room := make([]string, 0, MaxReasons)
			for b.Loop() {
				rules.Judge(event.Open, &bb.req, room[:0])
			}
		})
	}
}

func BenchmarkDefault(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Default()
	}
}
