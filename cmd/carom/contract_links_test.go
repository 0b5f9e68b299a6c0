package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a link leads to is what was registered, byte for byte; what leads nowhere safe is refused.
func TestContractLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.redirects(t)
	w.refusals(t)
	w.pages(t)
	w.offline(t)
	w.checkEvents(t)
}

// offline mints with `carom link`, which answers what POST /v1/messages does.
func (w *world) offline(t *testing.T) {
	t.Helper()
	_, online := w.post("/v1/messages", "application/json", `{"account":"acme","sender":"offline","message":"offline@example.org","links":["https://example.com/"]}`)
	l := &letter{account: "acme", sender: "offline", name: "offline@example.org", sentAt: time.Now()}
	w.letters = append(w.letters, l)
	stdout, stderr, code := carom(t, w.env(), "link", "--dev", "--account", l.account, "--sender", l.sender, "--message", l.name, "--url", "https://example.com/")
	var offline map[string]any
	if err := json.Unmarshal([]byte(stdout), &offline); code != exitDone || err != nil {
		t.Fatalf("exit code %d, %v, %s%s", code, err, stdout, stderr)
	}
	if got, want := slices.Sorted(maps.Keys(offline)), slices.Sorted(maps.Keys(online)); !slices.Equal(got, want) {
		t.Errorf("carom link answers %q, POST /v1/messages %q", got, want)
	}
	for _, same := range []string{"message", "return_path", "reply_to"} {
		if offline[same] != online[same] {
			t.Errorf("%s is %v, registered %v", same, offline[same], online[same])
		}
	}
}

func (w *world) redirects(t *testing.T) {
	t.Helper()
	l := &letter{account: "acme", sender: "links", name: "links@example.org", recipient: "u@example.com", sentAt: w.ago(80 * time.Hour), links: []string{
		"https://example.com",
		"https://example.com/",
		"HTTPS://EXAMPLE.com:443/Path",
		"http://example.com:8080/a/../b/./c//d",
		"https://example.com/?",
		"https://example.com/#",
		"https://example.com/?a=1&b=2&&c&d==;e=%26#f?g#h",
		"https://example.com/?u=https%3A%2F%2Fexample.net%2F%3Fx%3D1%26y%3D2&t=%E2%9C%93",
		"https://example.com/100%/%zz/%/%2",
		"https://example.com/%00%0d%0a%0D%0ASet-Cookie:%20a=b",
		"https://example.com/a+b%20c%2Bd",
		"https://example.com/ünïcödé/日本語?q=Привет#ß",
		"https://bücher.example.com/",
		"https://xn--bcher-kva.example.com/",
		"https://example.com/'single'\"double\"`back`",
		"https://example.com/a;b=c;d,e!f*g(h)i$j@k:l|m^n{o}p~q[r]\\s",
		"https://example.com/<b>&lt;&amp;</b>",
		"https://user:pa%40ss@example.com/",
		"https://192.0.2.1/", "https://[2001:db8::1]:8443/x",
		"https://example.com/?redirect=javascript:alert(1)",
		"https://example.com/" + strings.Repeat("a%20b/", 1365)[:8170],
	}}
	w.send(l)
	if len(l.minted.ClickURLs) != len(l.links) {
		t.Fatalf("%d links for %d URLs", len(l.minted.ClickURLs), len(l.links))
	}
	for i, target := range l.links {
		for _, v := range []visitor{person, headOnly} {
			answer, _, err := v.visit(l.minted.ClickURLs[i])
			if err != nil || answer.StatusCode != http.StatusFound {
				t.Errorf("%.100s: %v, %v", target, answer, err)
				continue
			}
			if got := answer.Header["Location"]; len(got) != 1 || got[0] != target {
				t.Errorf("leads to %.200q, want %.200q", got, target)
			}
			w.hit(deedDone{kind: "click", letter: l, link: i, url: target, verdict: v.click, agent: v.agent})
		}
	}
}

func (w *world) refusals(t *testing.T) {
	t.Helper()
	for _, target := range []string{
		"javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "ftp://example.com/", "mailto:a@example.com",
		"//example.com/", "/path", "example.com", "", " ", "https://", "https:///path", "http:", "https://?x", "https://#x", "https:example.com",
		"https://example.com/\r\nSet-Cookie: a=b", "https://example.com/\n", "\nhttps://example.com/", "https://example.com/\x00", "https://example.com/a\tb", " https://example.com/",
		"https://example.com/\x7f", "https://exa\rmple.com/",
	} {
		status, answer := w.post("/v1/messages", "application/json", mustJSON(map[string]any{"sender": "links", "message": "refused@example.org", "links": []string{"https://example.com/", target}}))
		if status != http.StatusBadRequest {
			t.Errorf("a link to %q: %d %v", target, status, answer)
		}
	}
	if m, _, err := call(http.MethodGet, "http://"+w.api+"/v1/messages/refused@example.org", nil, "", nil); err != nil || m.StatusCode != http.StatusNotFound {
		t.Errorf("a refused message is known: %v, %v", m, err)
	}
}

// pages are what the tracking edge answers.
func (w *world) pages(t *testing.T) {
	t.Helper()
	l := w.set("pages", 1)[0]
	base := "http://" + w.track
	for _, c := range []struct {
		method, target string
		status         int
		contentType    string
		body           string
	}{
		{http.MethodGet, base + "/robots.txt", 200, "text/plain", "Disallow: /\n"},
		{http.MethodGet, l.minted.OpenURL, 200, "image/gif", "GIF8"},
		{http.MethodGet, l.minted.OpenURL + ".gif", 200, "image/gif", "GIF8"},
		{http.MethodGet, base + "/o/nonsense", 200, "image/gif", "GIF8"},
		{http.MethodGet, base + "/c/nonsense", 404, "text/", ""},
		{http.MethodGet, base + "/u/nonsense", 404, "text/", ""},
		{http.MethodPost, base + "/u/nonsense", 404, "text/", ""},
		{http.MethodGet, l.minted.UnsubscribeURL, 200, "text/html", "<form"},
		{http.MethodGet, base + "/", 404, "text/", ""},
		{http.MethodGet, base + "/favicon.ico", 404, "text/", ""},
		{http.MethodGet, base + "/" + url.PathEscape("../../etc/passwd"), 404, "text/", ""},
		{http.MethodPost, l.minted.OpenURL, 405, "text/", ""},
		{http.MethodDelete, l.minted.ClickURLs[0], 405, "text/", ""},
		{http.MethodPut, l.minted.UnsubscribeURL, 405, "text/", ""},
	} {
		answer, body, err := call(c.method, c.target, nil, curl.agent, nil)
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.target, err)
			continue
		}
		h := answer.Header
		if answer.StatusCode != c.status || !strings.HasPrefix(h.Get("Content-Type"), c.contentType) || !strings.Contains(string(body), c.body) {
			t.Errorf("%s %s: %s %s %.80q, want %d %s %q", c.method, c.target, answer.Status, h.Get("Content-Type"), body, c.status, c.contentType, c.body)
		}
		if cache := h.Get("Cache-Control"); !strings.Contains(cache, "no-store") || !strings.Contains(cache, "private") || h.Get("Set-Cookie") != "" {
			t.Errorf("%s %s: Cache-Control %q, Set-Cookie %q", c.method, c.target, cache, h.Get("Set-Cookie"))
		}
		if c.method == http.MethodGet {
			w.head(t, c.target, answer)
		}
	}
	w.add(deedDone{kind: "open", letter: l, verdict: "scanner", agent: curl.agent})
}

// head asks for the header alone, which must be that of GET.
func (w *world) head(t *testing.T, target string, get *http.Response) {
	t.Helper()
	answer, body, err := call(http.MethodHead, target, nil, curl.agent, nil)
	if err != nil || answer.StatusCode != get.StatusCode || len(body) != 0 {
		t.Errorf("HEAD %s: %v, %v, want what GET says", target, answer, err)
		return
	}
	for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control", "Location"} {
		if got, want := answer.Header.Get(name), get.Header.Get(name); got != want {
			t.Errorf("HEAD %s: %s, want %s", target, fmt.Sprint(name, " ", got), want)
		}
	}
}
