package track

import (
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"carom/edge/ref"
	"carom/pipeline"
	"carom/pipeline/event"
)

// selfOptions switch self-opens on, over http.
func selfOptions() Options {
	o := testOptions()
	o.Self, o.BaseURL = true, "http://track.example.com"
	return o
}

// selfRef is what a token of purpose s seals.
func selfRef(sender string) event.Ref { return event.Ref{Account: "acme", Sender: sender} }

func (r *running) selfURL(t *testing.T, sender string) string {
	t.Helper()
	return "http://" + r.addr + "/self/" + seal(t, r.keys, ref.Self, selfRef(sender))
}

// cookieOf returns the only cookie that an answer sets.
func cookieOf(t *testing.T, a answer) *http.Cookie {
	t.Helper()
	all := a.Cookies()
	if len(all) != 1 || all[0].Name != selfCookie {
		t.Fatalf("%s with the cookies %v, want %s", a.Status, all, selfCookie)
	}
	return all[0]
}

// isSelf loads the pixel of a sender's mail with a cookie, and reports what the Sink was told.
func (r *running) isSelf(t *testing.T, cookie, sender string) bool {
	t.Helper()
	mail := typical
	mail.Sender = sender
	if a := do(t, "GET", r.url(t, ref.OpenPixel, mail), "", "Cookie", "a=b; "+cookie+"; c=d"); a.StatusCode != 200 || len(a.Cookies()) > 0 {
		t.Fatalf("the pixel is %s with %v", a.Status, a.Cookies())
	}
	return r.sink.take1(t).req.Self
}

func TestSelf(t *testing.T) {
	r := start(t, selfOptions())
	first := do(t, "GET", r.selfURL(t, "alice"), "")
	if first.StatusCode != 200 || !strings.Contains(first.body, "This browser is marked as yours") {
		t.Fatalf("%s: %s", first.Status, first.body)
	}
	alice := cookieOf(t, first)
	if alice.MaxAge != int(selfLasts/time.Second) || !alice.HttpOnly || alice.Secure || alice.SameSite != http.SameSiteLaxMode || alice.Path != "/" || alice.Domain != "" {
		t.Errorf("over http: %+v", alice)
	}
	if strings.Contains(alice.Value, "alice") || strings.Contains(alice.Value, "acme") {
		t.Errorf("the cookie tells %s", alice.Value)
	}
	both := cookieOf(t, do(t, "GET", r.selfURL(t, "bob"), "", "Cookie", selfCookie+"="+alice.Value))
	r.sink.wantNone(t) // to mark is no event

	for _, c := range []struct {
		what, cookie, sender string
		want                 bool
	}{
		{"alice's own", alice.Value, "alice", true},
		{"alice's, by bob", alice.Value, "bob", false},
		{"one person's who is two senders", both.Value, "alice", true},
		{"the same, of the other sender", both.Value, "bob", true},
		{"nobody's", "", "alice", false},
		{"forged", alice.Value[:40] + "AAAA" + alice.Value[44:], "alice", false},
		{"a self token", seal(t, r.keys, ref.Self, selfRef("alice")), "alice", false},
		{"of another Carom", cookieOf(t, do(t, "GET", start(t, selfOptions()).selfURL(t, "alice"), "")).Value, "alice", false},
	} {
		if r.isSelf(t, selfCookie+"="+c.cookie, c.sender) != c.want {
			t.Errorf("%s: want %v", c.what, c.want)
		}
	}
	other := typical
	other.Account, other.Sender = "other", "alice"
	do(t, "GET", r.url(t, ref.OpenPixel, other), "", "Cookie", selfCookie+"="+alice.Value)
	if r.sink.take1(t).req.Self {
		t.Error("a sender of the same name in another account is taken for this one")
	}
	link := linkTo("https://example.com/")
	link.Sender = "alice"
	if a := do(t, "GET", r.url(t, ref.Click, link), "", "Cookie", selfCookie+"="+alice.Value); a.StatusCode != 302 || !r.sink.take1(t).req.Self {
		t.Errorf("a click: %s, not self", a.Status)
	}

	less := do(t, "POST", r.selfURL(t, "alice"), "", "Cookie", selfCookie+"="+both.Value)
	if c := cookieOf(t, less); r.isSelf(t, selfCookie+"="+c.Value, "alice") || !r.isSelf(t, selfCookie+"="+c.Value, "bob") || !strings.Contains(less.body, "The mark is removed") {
		t.Errorf("removing alice's mark left %+v, %s", c, less.body)
	}
	if c := cookieOf(t, do(t, "POST", r.selfURL(t, "alice"), "", "Cookie", selfCookie+"="+alice.Value)); c.Value != "" || c.MaxAge >= 0 {
		t.Errorf("removing the last mark left %+v", c)
	}
}

// What nobody looks at sets no cookie: what a browser loads in advance, parts of other pages, HEAD.
func TestSelfUnseen(t *testing.T) {
	r := start(t, selfOptions())
	url := r.selfURL(t, "alice")
	for _, c := range []struct {
		method string
		status int
		header []string
	}{
		{"GET", 503, []string{"Sec-Purpose", "prefetch;prerender", "Sec-Fetch-Dest", "document"}},
		{"GET", 503, []string{"Purpose", "prefetch"}},
		{"GET", 503, []string{"X-Moz", "prefetch"}},
		{"GET", 503, []string{"Sec-Fetch-Dest", "image"}},
		{"GET", 503, []string{"Sec-Fetch-Dest", "iframe"}},
		{"POST", 503, []string{"Sec-Fetch-Dest", "empty"}},
		{"HEAD", 200, nil},
		{"PUT", 405, nil},
	} {
		if a := do(t, c.method, url, "", c.header...); a.StatusCode != c.status || len(a.Cookies()) > 0 {
			t.Errorf("%s %q: %s with %v, want %d and no cookie", c.method, c.header, a.Status, a.Cookies(), c.status)
		}
	}
	if a := do(t, "GET", url, "", "Sec-Fetch-Dest", "document"); len(a.Cookies()) != 1 {
		t.Errorf("a page: %v", a.Cookies())
	}
	for _, token := range []string{"", "forged", seal(t, r.keys, ref.OpenPixel, typical)} {
		if a := do(t, "GET", "http://"+r.addr+"/self/"+token, ""); a.StatusCode != 404 || len(a.Cookies()) > 0 {
			t.Errorf("%q: %s with %v", token, a.Status, a.Cookies())
		}
	}
	if n := r.metric(t, `carom_track_bad_tokens_total{reason="forged",route="self"}`); n != 1 {
		t.Errorf("%v forged tokens are counted", n)
	}
}

// Without the option there are no cookies, whatever comes.
func TestSelfOff(t *testing.T) {
	on := start(t, selfOptions())
	cookie := cookieOf(t, do(t, "GET", on.selfURL(t, typical.Sender), "")).Value
	w := newWhole(t, pipeline.Default(), testOptions())
	w.Server.keys, w.keys = on.keys, on.keys
	ctx := inProcess(t, "GET /self/"+seal(t, on.keys, ref.Self, selfRef("alice"))+" HTTP/1.1\r\nHost: a\r\n\r\n")
	w.handle(ctx)
	if ctx.Response.StatusCode() != 404 || len(ctx.Response.Header.PeekCookie(selfCookie)) > 0 {
		t.Errorf("switched off: %s", &ctx.Response)
	}
	w.handle(inProcess(t, strings.Replace(browserRequest("/o/"+seal(t, on.keys, ref.OpenPixel, typical)), "Referer:", "Cookie: "+selfCookie+"="+cookie+"\r\nReferer:", 1)))
	if got := w.recorded(t); len(got) != 1 || got[0].Actor.Verdict != event.Human {
		t.Errorf("switched off, a cookie of before gives %+v", got)
	}
}

// The pixel of a web mail is another site's request: it needs SameSite=None, which needs https.
func TestSelfCookieOverHTTPS(t *testing.T) {
	o := selfOptions()
	o.BaseURL = "https://example.com/track"
	r := start(t, o)
	c := cookieOf(t, do(t, "GET", r.selfURL(t, "alice"), ""))
	if !c.Secure || c.SameSite != http.SameSiteNoneMode || !c.HttpOnly || c.Path != "/track" || c.Partitioned {
		t.Errorf("over https: %+v", c)
	}
}

// TestSelfWhole follows a client that keeps cookies to the journal: the verdict stands above all others.
func TestSelfWhole(t *testing.T) {
	w := newWhole(t, pipeline.Default(), selfOptions())
	r := w.serve(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	own := &http.Client{Jar: jar, Timeout: patience, CheckRedirect: client.CheckRedirect}
	get := func(c *http.Client, url, agent string) {
		t.Helper()
		req, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", agent)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	honeypot := linkTo("https://example.com/trap")
	honeypot.Flags = event.Honeypot
	get(own, r+"/self/"+seal(t, w.keys, ref.Self, selfRef(typical.Sender)), browser)
	get(own, r+"/o/"+seal(t, w.keys, ref.OpenPixel, typical), browser)
	get(client, r+"/o/"+seal(t, w.keys, ref.OpenPixel, typical), browser) // hides nothing, and isn't hidden
	get(own, r+"/c/"+seal(t, w.keys, ref.Click, linkTo("https://example.com/")), "curl/8.5.0")
	get(own, r+"/c/"+seal(t, w.keys, ref.Click, honeypot), browser)
	got := w.recorded(t)
	want := []event.Verdict{event.Self, event.Human, event.Self, event.Self}
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d: %+v", len(got), len(want), got)
	}
	for i, ev := range got {
		if ev.Actor.Verdict != want[i] {
			t.Errorf("event %d: %+v, want %s", i, ev.Actor, want[i])
		}
		if self := strings.Join(ev.Actor.Reasons, " ") == "self_cookie"; self != (want[i] == event.Self) {
			t.Errorf("event %d: the reasons are %q", i, ev.Actor.Reasons)
		}
	}
}
