package track

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// wantPage checks an answer that is one of our pages: its structure, its look, and that it can do nothing but send its
// form back here.
func wantPage(t *testing.T, a answer, status int, title string, form bool) {
	t.Helper()
	wantHeaders(t, a)
	if a.StatusCode != status || a.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("the answer is %s, %q, want %d and a page", a.Status, a.Header.Get("Content-Type"), status)
	}
	for name, want := range map[string]string{
		"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Robots-Tag": "noindex, nofollow", "Location": "",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	p := parsePage(t, a.body)
	if p.title != title || p.h1 != title {
		t.Errorf("the title is %q, the heading %q, want %q", p.title, p.h1, title)
	}
	if p.lang != "en" || p.mains != 1 || p.viewport == "" {
		t.Errorf("lang %q, %d main elements, viewport %q", p.lang, p.mains, p.viewport)
	}
	if p.external > 0 {
		t.Errorf("it refers to %d other resources", p.external)
	}
	hash := sha256.Sum256([]byte(p.style))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	if got := a.Header.Get("Content-Security-Policy"); got != policy {
		t.Errorf("the policy is %q, want %q", got, policy)
	}
	if !form {
		if p.forms != 0 {
			t.Error("it has a form")
		}
		return
	}
	if p.forms != 1 || p.method != "post" || p.action != "" || p.submits != 1 || p.label == "" {
		t.Errorf("%d forms, method %q, action %q, %d buttons, the last %q", p.forms, p.method, p.action, p.submits, p.label)
	}
}

// pageParts is what a page consists of.
type pageParts struct {
	title, h1, lang, viewport, style string
	method, action, label            string
	mains, forms, submits, external  int
}

func parsePage(t *testing.T, text string) (p pageParts) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	attr := func(n *html.Node, key string) string {
		for _, a := range n.Attr {
			if a.Key == key {
				return a.Val
			}
		}
		return ""
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		inner := ""
		if n.FirstChild != nil {
			inner = n.FirstChild.Data
		}
		if attr(n, "src") != "" || attr(n, "href") != "" || strings.HasPrefix(n.Data, "script") || attr(n, "style") != "" {
			p.external++
		}
		switch n.Data {
		case "html":
			p.lang = attr(n, "lang")
		case "title":
			p.title = inner
		case "h1":
			p.h1 = inner
		case "main":
			p.mains++
		case "style":
			p.style = inner
		case "meta":
			if attr(n, "name") == "viewport" {
				p.viewport = attr(n, "content")
			}
		case "form":
			p.forms++
			p.method, p.action = attr(n, "method"), attr(n, "action")
		case "button":
			if attr(n, "type") == "submit" {
				p.submits++
				p.label = inner
			}
		}
	}
	return p
}

func TestUnsubscribeAsks(t *testing.T) {
	r := start(t, testOptions())
	url := r.url(t, ref.Unsubscribe, typical)
	for _, u := range []string{url, url + "?List-Unsubscribe=One-Click"} {
		a := do(t, "GET", u, "")
		wantPage(t, a, 200, "Unsubscribe?", true)
	}
	r.sink.wantNone(t)
}

func TestUnsubscribe(t *testing.T) {
	r := start(t, testOptions())
	url := r.url(t, ref.Unsubscribe, typical)
	multipart := "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n"
	for name, body := range map[string][2]string{
		"one-click":           {"application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"},
		"one-click multipart": {"multipart/form-data; boundary=b", multipart},
		"the form":            {"application/x-www-form-urlencoded", ""},
		"anything":            {"application/json", "{"},
	} {
		a := do(t, "POST", url, body[1], "Content-Type", body[0], "User-Agent", "")
		wantPage(t, a, 200, "You are unsubscribed", false)
		h := r.sink.take1(t)
		if !h.facts || h.ev.Kind != event.Unsubscribe || h.ev.KnownBy != event.ByRef || h.ev.Ref != typical ||
			h.ev.Key != event.KeyOf("acme", typical.Message) || h.ev.Time == 0 {
			t.Errorf("%s: heard %+v", name, h)
		}
		if h.ev.Actor.Verdict != event.NoVerdict || h.ev.Client != (event.Client{}) {
			t.Errorf("%s: judged as %+v", name, h.ev.Actor)
		}
	}
}

// TestUnsubscribeInChunks sends a body whose length isn't told beforehand.
func TestUnsubscribeInChunks(t *testing.T) {
	r := start(t, testOptions())
	resp, err := client.Post(r.url(t, ref.Unsubscribe, typical), "application/x-www-form-urlencoded",
		io.MultiReader(strings.NewReader("List-Unsubscribe="), strings.NewReader("One-Click")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || !resp.Close {
		t.Errorf("the answer is %s, connection closed: %v", resp.Status, resp.Close)
	}
	r.sink.take1(t)
}

// TestUnsubscribeIsNeverLost shows the page when the event could not be recorded.
func TestUnsubscribeIsNeverLost(t *testing.T) {
	r := start(t, testOptions())
	r.sink.err = reasonError("full")
	a := do(t, "POST", r.url(t, ref.Unsubscribe, typical), "List-Unsubscribe=One-Click")
	wantPage(t, a, 503, "That did not work", true)
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if n := r.metric(t, `carom_track_unrecorded_total{reason="full"}`); n != 1 {
		t.Errorf("%v are counted, want 1", n)
	}
}
