package track

import (
	"bytes"
	"image/gif"
	"net/netip"
	"strings"
	"testing"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// wantHeaders are on every answer.
func wantHeaders(t *testing.T, a answer) {
	t.Helper()
	if got := a.Header.Get("Cache-Control"); got != "no-store, private" {
		t.Errorf("Cache-Control is %q", got)
	}
	for _, h := range []string{"Set-Cookie", "Server"} {
		if got := a.Header.Values(h); len(got) > 0 {
			t.Errorf("%s is %q, want none", h, got)
		}
	}
	if a.Header.Get("Date") == "" {
		t.Error("no Date")
	}
}

func wantPixel(t *testing.T, a answer) {
	t.Helper()
	wantHeaders(t, a)
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "image/gif" || a.ContentLength != 43 {
		t.Errorf("the answer is %s, %q, %d bytes", a.Status, a.Header.Get("Content-Type"), a.ContentLength)
	}
}

func TestPixelIsATransparentGIF(t *testing.T) {
	img, err := gif.Decode(bytes.NewReader(pixel))
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() != 1 || b.Dy() != 1 || len(pixel) != 43 {
		t.Errorf("%d bytes of %s, want 43 of one pixel", len(pixel), b)
	}
	if _, _, _, alpha := img.At(0, 0).RGBA(); alpha != 0 {
		t.Error("it can be seen")
	}
}

func TestOpen(t *testing.T) {
	r := start(t, testOptions())
	url := r.url(t, ref.OpenPixel, typical)
	for _, u := range []string{url, url + ".gif", url + "?utm_source=x", url + ".gif?a/b"} {
		before := event.Now()
		a := do(t, "GET", u, "", "User-Agent", "agent", "Referer", "https://mail.example.com/", "Accept", "image/*",
			"X-Purpose", "preview")
		wantPixel(t, a)
		if a.body != string(pixel) {
			t.Errorf("the body is %q", a.body)
		}
		h := r.sink.take1(t)
		if h.facts || h.ev.Kind != event.Open || h.ev.KnownBy != event.ByRef || h.ev.Ref != typical ||
			h.ev.Key != event.KeyOf("acme", typical.Message) {
			t.Errorf("heard %+v", h.ev)
		}
		if h.ev.Time < before || h.ev.Time > event.Now() {
			t.Errorf("its time is %d, want %d or a little later", h.ev.Time, before)
		}
		want := event.Request{
			Method: "GET", IP: netip.MustParseAddr("127.0.0.1"), UserAgent: "agent", Referer: "https://mail.example.com/",
			Accept: "image/*", Purpose: "preview",
		}
		if h.req != want {
			t.Errorf("the request is %+v, want %+v", h.req, want)
		}
	}
	if n := r.metric(t, `carom_track_requests_total{route="open",status="200"}`); n != 4 {
		t.Errorf("%v requests are counted, want 4", n)
	}
}

func TestPurposesAreJoined(t *testing.T) {
	r := start(t, testOptions())
	do(t, "GET", r.url(t, ref.OpenPixel, typical), "", "sec-purpose", "prefetch;prerender", "X-MOZ", "prefetch", "Purpose", "p")
	if got, want := r.sink.take1(t).req.Purpose, "prefetch;prerender, p, prefetch"; got != want {
		t.Errorf("the purpose is %q, want %q", got, want)
	}
}

func TestHead(t *testing.T) {
	r := start(t, testOptions())
	a := do(t, "HEAD", r.url(t, ref.OpenPixel, typical), "")
	wantPixel(t, a)
	if h := r.sink.take1(t); h.req.Method != "HEAD" || h.ev.Kind != event.Open {
		t.Errorf("heard %+v", h)
	}
	a = do(t, "HEAD", r.url(t, ref.Click, linkTo("https://example.com/")), "")
	if a.StatusCode != 302 || a.Header.Get("Location") != "https://example.com/" {
		t.Errorf("the answer is %s to %q", a.Status, a.Header.Get("Location"))
	}
	if h := r.sink.take1(t); h.req.Method != "HEAD" || h.ev.Kind != event.Click {
		t.Errorf("heard %+v", h)
	}
	a = do(t, "HEAD", r.url(t, ref.Unsubscribe, typical), "")
	if a.StatusCode != 200 || a.ContentLength != int64(len(pageAsk)) {
		t.Errorf("the answer is %s of %d bytes", a.Status, a.ContentLength)
	}
	r.sink.wantNone(t)
	// A client that reads on behind the header of a HEAD would take a body for the next response.
	target := strings.TrimPrefix(r.url(t, ref.OpenPixel, typical), "http://"+r.addr)
	parse(t, r.exchange(t, "HEAD "+target+" HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "HEAD", "GET")
}

func TestClickRedirectsByteForByte(t *testing.T) {
	r := start(t, testOptions())
	for _, url := range []string{
		"https://example.com",
		"http://example.com/",
		"HTTPS://EXAMPLE.com/a/../b//c/./d",
		"https://example.com/?a=1&b=2&amp;c=%20%2f%2F+x",
		"https://example.com/#fragment?not=query",
		"https://example.com/a?b#c#d",
		"https://bücher.example/straße?größe=ü#ö",
		"https://xn--bcher-kva.example/",
		"https://example.com/\x80\xfe\xff",
		"https://user:secret@example.com:8443/p;a=1/q,r'(s)*t\"u<v>[w]{x}|y\\z^`",
		"https://example.com/%",
		"https://example.com/%zz%00%0d%0aSet-Cookie:%20a=b",
		"https://example.com/" + strings.Repeat("x", ref.MaxURL-len("https://example.com/")),
	} {
		target := strings.TrimPrefix(r.url(t, ref.Click, linkTo(url)), "http://"+r.addr)
		text := r.exchange(t, "GET "+target+" HTTP/1.1\r\nHost: track.example.com\r\nConnection: close\r\n\r\n")
		head, body, _ := strings.Cut(text, "\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.1 302 Found\r\n") || !strings.Contains(head+"\r\n", "\r\nLocation: "+url+"\r\n") || body != "" {
			t.Errorf("%.200q: the answer is %.300q", url, text)
		}
		wantHeaders(t, parse(t, text, "GET")[0])
		h := r.sink.take1(t)
		if h.ev.Kind != event.Click || h.ev.Ref != linkTo(url) {
			t.Errorf("heard %+v", h.ev)
		}
	}
}

func TestBadTokens(t *testing.T) {
	r := start(t, testOptions())
	other := newKeys(t)
	for _, tt := range []struct{ token, reason string }{
		{"", "malformed"},
		{"x", "malformed"},
		{strings.Repeat("A", 200), "version"},
		{seal(t, other, ref.OpenPixel, typical), "forged"},
		{seal(t, r.keys, ref.Header, typical), "forged"},
		{seal(t, r.keys, ref.Header, typical) + "/x", "malformed"},
	} {
		for _, route := range []string{"open", "click", "unsubscribe"} {
			before := r.metric(t, `carom_track_bad_tokens_total{reason="`+tt.reason+`",route="`+route+`"}`)
			a := do(t, "GET", "http://"+r.addr+"/"+route[:1]+"/"+tt.token, "")
			if route == "open" {
				wantPixel(t, a)
			} else {
				wantPage(t, a, 404, "This link does not work", false)
			}
			if n := r.metric(t, `carom_track_bad_tokens_total{reason="`+tt.reason+`",route="`+route+`"}`); n != before+1 {
				t.Errorf("%s of %q: %v are counted as %s, want %v", route, tt.token, n, tt.reason, before+1)
			}
		}
		wantPage(t, do(t, "POST", "http://"+r.addr+"/u/"+tt.token, ""), 404, "This link does not work", false)
	}
	// A token serves for its own purpose only.
	token := seal(t, r.keys, ref.Unsubscribe, typical)
	wantPixel(t, do(t, "GET", "http://"+r.addr+"/o/"+token, ""))
	wantPage(t, do(t, "GET", "http://"+r.addr+"/c/"+token, ""), 404, "This link does not work", false)
	r.sink.wantNone(t)
}

func TestMethods(t *testing.T) {
	r := start(t, testOptions())
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "get"} {
		for p, url := range map[string]string{
			"GET, HEAD":       r.url(t, ref.OpenPixel, typical),
			"GET, HEAD, POST": r.url(t, ref.Unsubscribe, typical),
		} {
			if method == "POST" && strings.Contains(p, "POST") {
				continue
			}
			a := do(t, method, url, "")
			wantHeaders(t, a)
			if a.StatusCode != 405 || a.Header.Get("Allow") != p {
				t.Errorf("%s %s: %s, Allow %q, want 405 and %q", method, url, a.Status, a.Header.Get("Allow"), p)
			}
		}
		if a := do(t, method, r.url(t, ref.Click, linkTo("https://example.com/")), ""); a.StatusCode != 405 || a.Header.Get("Location") != "" {
			t.Errorf("%s on a click: %s to %q", method, a.Status, a.Header.Get("Location"))
		}
		if a := do(t, method, "http://"+r.addr+"/robots.txt", ""); a.StatusCode != 405 {
			t.Errorf("%s on robots.txt: %s", method, a.Status)
		}
	}
	r.sink.wantNone(t)
}

func TestOther(t *testing.T) {
	r := start(t, testOptions())
	a := do(t, "GET", "http://"+r.addr+"/robots.txt", "")
	wantHeaders(t, a)
	if a.StatusCode != 200 || a.body != "User-agent: *\nDisallow: /\n" || a.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("robots.txt: %s %q", a.Status, a.body)
	}
	for _, path := range []string{"/", "/favicon.ico", "/o", "/o/..", "/x/y", "/metrics", "/robots.txt/"} {
		// net/http's client cleans no path; the server mustn't either.
		a := do(t, "GET", "http://"+r.addr+path, "")
		if path == "/o/.." {
			wantPixel(t, a) // a bad token
			continue
		}
		wantHeaders(t, a)
		if a.StatusCode != 404 || a.body != "Not Found\n" {
			t.Errorf("%s: %s %q", path, a.Status, a.body)
		}
	}
	r.sink.wantNone(t)
}

func TestUnrecordedHitsAreAnswered(t *testing.T) {
	r := start(t, testOptions())
	for reason, err := range map[string]error{
		"shed": reasonError("shed"), "full": reasonError("full"), "stalled": reasonError("stalled"),
		"error": reasonError("whatever"),
	} {
		r.sink.err = err
		wantPixel(t, do(t, "GET", r.url(t, ref.OpenPixel, typical), ""))
		if a := do(t, "GET", r.url(t, ref.Click, linkTo("https://example.com/x")), ""); a.StatusCode != 302 || a.Header.Get("Location") != "https://example.com/x" {
			t.Errorf("%s: a click is answered %s to %q", reason, a.Status, a.Header.Get("Location"))
		}
		if n := r.metric(t, `carom_track_unrecorded_total{reason="`+reason+`"}`); n != 2 {
			t.Errorf("%v are counted as %s, want 2", n, reason)
		}
	}
}

// TestAnswerWaitsForTheSink is the promise: no answer before the event is on disk.
func TestAnswerWaitsForTheSink(t *testing.T) {
	r := start(t, testOptions())
	called, release := make(chan struct{}), make(chan struct{})
	r.sink.before = func() {
		called <- struct{}{}
		<-release
	}
	for _, url := range []string{r.url(t, ref.OpenPixel, typical), r.url(t, ref.Click, linkTo("https://example.com/"))} {
		answered := make(chan answer)
		go func() { answered <- do(t, "GET", url, "") }()
		<-called
		select {
		case a := <-answered:
			t.Fatalf("%s is answered %s before the sink returned", url, a.Status)
		default:
		}
		release <- struct{}{}
		if a := <-answered; a.StatusCode >= 400 {
			t.Errorf("%s: %s", url, a.Status)
		}
	}
}

// TestBugInTheSink shows that one bad request takes nobody else with it.
func TestBugInTheSink(t *testing.T) {
	r := start(t, testOptions())
	r.sink.before = func() { panic("BUG: for the test") }
	if a := do(t, "GET", r.url(t, ref.OpenPixel, typical), ""); a.StatusCode != 500 || !a.Close {
		t.Errorf("the answer is %s, connection closed: %v", a.Status, a.Close)
	}
	if n := r.metric(t, "carom_track_panics_total"); n != 1 {
		t.Errorf("%v panics are counted, want 1", n)
	}
	r.sink.before = nil
	wantPixel(t, do(t, "GET", r.url(t, ref.OpenPixel, typical), ""))
	r.sink.take1(t)
}

func TestBaseURLWithAPath(t *testing.T) {
	o := testOptions()
	o.BaseURL = "https://example.com/mail/t/"
	r := start(t, o)
	token := seal(t, r.keys, ref.OpenPixel, typical)
	for _, path := range []string{"/mail/t/o/", "/o/"} { // the proxy may have taken the path off
		wantPixel(t, do(t, "GET", "http://"+r.addr+path+token, ""))
		r.sink.take1(t)
	}
	for _, path := range []string{"/mail/to/", "/mail/t/mail/t/o/", "/t/o/"} {
		if a := do(t, "GET", "http://"+r.addr+path+token, ""); a.StatusCode != 404 {
			t.Errorf("%s: %s", path, a.Status)
		}
	}
	r.sink.wantNone(t)
}
