package track

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"carom/edge/ref"
	"carom/pipeline"
	"carom/pipeline/event"
)

// TestSelfInChromium marks a browser as a sender's own, and then reads a mail with it, and with another that isn't
// marked: in a web mail of the tracking domain's own site over http, and of another site over https.
func TestSelfInChromium(t *testing.T) {
	path := os.Getenv(chromiumEnv)
	if path == "" {
		t.Skip(chromiumEnv + " names no Chromium: `make test-pages` runs this test")
	}
	for _, c := range []struct {
		name string
		tls  bool
		mail string // the host of the web mail; the tracking domain is 127.0.0.1
		// blocks is Chromium's setting "block third-party cookies".
		blocks bool
		open   event.Verdict
	}{
		{"http, the same site", false, "127.0.0.1", true, event.Self},
		{"http, another site", false, "localhost", false, event.Human}, // the cookie of Lax comes with clicks only
		{"https, another site", true, "localhost", false, event.Self},
		{"https, another site, blocked", true, "localhost", true, event.Human}, // but clicks are known
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newWebMail(t, c.tls, c.mail)
			profile := chromedp.UserDataDir(newProfile(t, c.blocks))
			own := startChromium(t, path, profile, chromedp.UserAgent(browser), chromedp.Flag("ignore-certificate-errors", true))
			own.do(chromedp.EmulateViewport(360, 640))
			own.visit(m.track+"/self/"+seal(t, m.keys, ref.Self, selfRef(typical.Sender)), 200)
			own.wantPage("self-marked", "This browser is marked as yours", "Remove the mark", 360)
			own.wantNoComplaints()
			m.read(own)
			m.want(t, c.open, event.Self)

			other := startChromium(t, path, chromedp.UserAgent(browser), chromedp.Flag("ignore-certificate-errors", true))
			m.read(other)
			m.want(t, event.Human, event.Human)

			own.visit(m.track+"/self/"+seal(t, m.keys, ref.Self, selfRef(typical.Sender)), 200)
			own.click("button", 200)
			own.wantPage("self-removed", "The mark is removed", "Mark this browser", 360)
			m.read(own)
			m.want(t, event.Human, event.Human)
		})
	}
}

// newProfile returns the folder of a profile that blocks third-party cookies or not.
func newProfile(t *testing.T, blocks bool) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "Default"), 0o700); err != nil {
		t.Fatal(err)
	}
	mode := 0
	if blocks {
		mode = 1
	}
	preferences := fmt.Sprintf(`{"profile":{"cookie_controls_mode":%d}}`, mode)
	if err := os.WriteFile(filepath.Join(dir, "Default", "Preferences"), []byte(preferences), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// webMail is a page with a mail in it, and the tracking domain that its pixel and its link lead to.
type webMail struct {
	*whole
	track string // base URL of the tracking domain, as the browser sees it
	page  string
	told  int // events that were looked at
}

func newWebMail(t *testing.T, tls bool, host string) *webMail {
	t.Helper()
	o := testOptions()
	o.Self, o.BaseURL = true, "http://127.0.0.1"
	if tls {
		o.BaseURL = "https://127.0.0.1"
	}
	accept := pipeline.Default()
	accept.RepeatEntries = 0 // one after the other, the same mail is read several times
	m := &webMail{whole: newWhole(t, accept, o)}
	m.track = m.serve(t)
	if tls {
		behind, err := url.Parse(m.track)
		if err != nil {
			t.Fatal(err)
		}
		front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind) }})
		t.Cleanup(front.Close)
		m.track = front.URL
	}
	var target string
	body := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", typeHTML)
		link := linkTo(target)
		fmt.Fprintf(w, `<!doctype html><title>mail</title><link rel="icon" href="data:,"><img src="%s/o/%s.gif"><a href="%[1]s/c/%[3]s">Offer</a>`,
			m.track, seal(t, m.keys, ref.OpenPixel, typical), seal(t, m.keys, ref.Click, link))
	}
	site := httptest.NewServer(http.HandlerFunc(body))
	t.Cleanup(site.Close)
	m.page = strings.Replace(site.URL, "127.0.0.1", host, 1) + "/"
	target = m.page
	return m
}

// read opens the mail and follows its link, which leads to the mail again.
func (m *webMail) read(b *chromium) {
	b.t.Helper()
	m.told = len(m.recorded(b.t))
	b.visit(m.page, 200)
	b.click("a", 200)
	eventually(b.t, "two opens and a click", func() bool { return len(m.recorded(b.t)) >= m.told+3 })
}

// want checks who made the opens and the clicks of the last read.
func (m *webMail) want(t *testing.T, open, click event.Verdict) {
	t.Helper()
	for _, ev := range m.recorded(t)[m.told:] {
		want := open
		if ev.Kind == event.Click {
			want = click
		}
		if ev.Actor.Verdict != want {
			t.Errorf("%s: %+v, want %s", ev.Kind, ev.Actor, want)
		}
	}
}
