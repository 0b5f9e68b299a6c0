package track

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// chromiumEnv names the browser to test with. Without it, the test is skipped: `make test-pages` sets it.
const chromiumEnv = "CAROM_TEST_CHROMIUM"

// chromiumPatience is how long the whole visit may take on a busy machine; only a failing test waits that long.
const chromiumPatience = 3 * time.Minute

// TestUnsubscribeInChromium unsubscribes as a reader does, on a desk and on a phone. `-artifacts` keeps its pictures.
func TestUnsubscribeInChromium(t *testing.T) {
	path := os.Getenv(chromiumEnv)
	if path == "" {
		t.Skip(chromiumEnv + " names no Chromium: `make test-pages` runs this test")
	}
	for _, screen := range []struct {
		name          string
		width, height int64
		options       []chromedp.EmulateViewportOption
	}{
		{"desk", 1280, 800, nil},
		{"phone", 360, 640, []chromedp.EmulateViewportOption{chromedp.EmulateMobile, chromedp.EmulateTouch}},
	} {
		t.Run(screen.name, func(t *testing.T) {
			r := start(t, testOptions())
			b := startChromium(t, path)
			b.do(chromedp.EmulateViewport(screen.width, screen.height, screen.options...))

			b.visit(r.url(t, ref.Unsubscribe, typical), 200)
			b.wantPage("ask", "Unsubscribe?", "Unsubscribe", screen.width)
			b.wantNoComplaints()
			r.sink.wantNone(t) // a scanner loads pages too

			b.click("button", 200)
			b.wantPage("done", "You are unsubscribed", "", screen.width)
			b.wantNoComplaints()
			if h := r.sink.take1(t); h.ev.Kind != event.Unsubscribe || h.ev.Ref != typical || !h.facts {
				t.Errorf("the button made %+v", h)
			}

			bad := "http://" + r.addr + "/u/forged"
			b.visit(bad, 404)
			b.wantPage("bad-link", "This link does not work", "", screen.width)
			b.wantNoComplaints("network error: Failed to load resource: the server responded with a status of 404 (Not Found) " + bad)
			r.sink.wantNone(t)

			b.wantWatchful()
		})
	}
}

// chromium is a running browser with one tab.
type chromium struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // what the browser had to say against our pages
}

func startChromium(t *testing.T, path string, options ...chromedp.ExecAllocatorOption) *chromium {
	t.Helper()
	b := &chromium{t: t}
	limited, cancel := context.WithTimeout(t.Context(), chromiumPatience)
	t.Cleanup(cancel)
	// It makes an empty profile of its own, and removes it. It must ask nobody but our server for anything.
	allocator, stop := chromedp.NewExecAllocator(limited, append(options, chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true))...) // a container's /dev/shm is small
	t.Cleanup(stop)
	var closeTab context.CancelFunc
	b.ctx, closeTab = chromedp.NewContext(allocator, chromedp.WithListener(b.listen))
	t.Cleanup(closeTab)
	call(b, audits.Enable.Method, func() error { _, err := chromedp.Call(b.ctx, audits.Enable, struct{}{}); return err })
	return b
}

// call fails the test with the name of what failed.
func call(b *chromium, what string, f func() error) {
	b.t.Helper()
	if err := f(); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

func (b *chromium) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// run returns the value of an action.
func run[T any](b *chromium, a chromedp.Action[T]) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, a)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// visit loads a page, and click one that a button leads to.
func (b *chromium) visit(url string, status int64) {
	b.t.Helper()
	b.load(chromedp.Navigate(url), status)
}

func (b *chromium) click(selector chromedp.CSS, status int64) {
	b.t.Helper()
	b.load(chromedp.Click(selector), status)
}

func (b *chromium) load(a chromedp.Action[chromedp.Void], status int64) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, a)
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.t.Fatalf("no page came: %v; the browser complains %q", err, b.complaints)
	}
	if int64(resp.Status) != status {
		b.t.Fatalf("the status is %d, want %d", resp.Status, status)
	}
}

// listen runs on the goroutine that reads from the browser.
func (b *chromium) listen(ev any) {
	var what string
	switch ev := ev.(type) {
	case *log.EventEntryAdded:
		what = fmt.Sprintf("%s %s: %s %s", ev.Entry.Source, ev.Entry.Level, ev.Entry.Text, ev.Entry.URL)
	case *runtime.EventExceptionThrown:
		what = "exception: " + ev.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		what = "console: " + string(ev.Type)
	case *audits.EventIssueAdded:
		what = "issue: " + string(ev.Issue.Code)
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, what)
}

// wantNoComplaints checks that the browser complained of nothing but this, and forgets it.
func (b *chromium) wantNoComplaints(but ...string) {
	b.t.Helper()
	// A page that was drawn twice has said what it has to say, and answers come in the order of events.
	run(b, chromedp.Evaluate[bool](`new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))`,
		chromedp.EvalAwaitPromise))
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.complaints, but) {
		b.t.Errorf("the browser complains %q, want %q", b.complaints, but)
	}
	b.complaints = nil
}

// wantWatchful makes a page break its policy: silence before means something only if that is heard.
func (b *chromium) wantWatchful() {
	b.t.Helper()
	run(b, chromedp.Evaluate[bool](`document.body.appendChild(new Image()).src = "/o/x.gif", true`))
	eventually(b.t, "the browser to complain of a forbidden picture", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.Contains(b.complaints, "issue: ContentSecurityPolicyIssue") &&
			slices.ContainsFunc(b.complaints, func(c string) bool { return strings.HasPrefix(c, "security error: ") })
	})
}

// look is how a page is drawn.
type look struct {
	Lang     string   `json:"lang"`
	Inner    int64    `json:"inner"` // the width of the window, in CSS pixels
	Scroll   int64    `json:"scroll"`
	Overflow []string `json:"overflow"` // the elements that the window cuts off
	Texts    []struct {
		What       string     `json:"what"`
		Color      [3]float64 `json:"color"`
		Background [3]float64 `json:"background"`
	} `json:"texts"`
}

const lookScript = `(() => {
	const rgb = c => c.match(/[\d.]+/g).map(Number);
	const behind = e => {
		for (; e; e = e.parentElement) {
			const c = rgb(getComputedStyle(e).backgroundColor);
			if (c.length == 3 || c[3] == 1) return c.slice(0, 3);
		}
		return [255, 255, 255];
	};
	const all = [...document.body.querySelectorAll("*")];
	return {
		lang: document.documentElement.lang, inner: innerWidth, scroll: document.documentElement.scrollWidth,
		overflow: all.filter(e => {
			const r = e.getBoundingClientRect();
			return r.left < 0 || r.right > innerWidth;
		}).map(e => e.localName),
		texts: all.filter(e => e.matches("h1, p, strong, button")).map(e => ({
			what: e.localName, color: rgb(getComputedStyle(e).color).slice(0, 3), background: behind(e),
		})),
	};
})()`

// minContrast is what text of common size needs (WCAG 2.2 §1.4.3, level AA).
const minContrast = 4.5

// wantPage checks what a reader sees of a page, and what a screen reader tells of it. A page without a button has none.
func (b *chromium) wantPage(name, title, button string, width int64) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS("h1")))
	if button != "" {
		b.do(chromedp.WaitVisible(chromedp.CSS("button")))
	}
	told := b.told()
	for role, want := range map[string][]string{"RootWebArea": {title}, "heading": {title}, "button": {button}, "main": {""}} {
		if role == "button" && button == "" {
			want = nil
		}
		if !slices.Equal(told[role], want) {
			b.t.Errorf("%s: a screen reader tells of %s %q, want %q", name, role, told[role], want)
		}
	}
	for _, scheme := range []string{"light", "dark"} {
		call(b, "the "+scheme+" scheme", func() error {
			_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		})
		b.wantLook(name+"-"+scheme, run(b, chromedp.Evaluate[look](lookScript)), width)
		picture := filepath.Join(b.t.ArtifactDir(), name+"-"+scheme+".png")
		if err := os.WriteFile(picture, run(b, chromedp.CaptureScreenshot()), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *chromium) wantLook(name string, l look, width int64) {
	b.t.Helper()
	if l.Lang != "en" {
		b.t.Errorf("%s: the language is %q", name, l.Lang)
	}
	if l.Inner != width || l.Scroll > width || len(l.Overflow) > 0 {
		b.t.Errorf("%s: a window of %d, wanted %d, scrolls over %d and cuts off %q", name, l.Inner, width, l.Scroll, l.Overflow)
	}
	if len(l.Texts) < 2 {
		b.t.Errorf("%s: only %d texts", name, len(l.Texts))
	}
	for _, text := range l.Texts {
		if c := contrast(text.Color, text.Background); c < minContrast {
			b.t.Errorf("%s: the contrast of %s is %.1f, want %.1f", name, text.What, c, minContrast)
		}
	}
}

// told returns the names by role of what a screen reader gets of the page.
func (b *chromium) told() map[string][]string {
	b.t.Helper()
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		b.t.Fatal(err)
	}
	told := map[string][]string{}
	for _, n := range tree.Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		var name string
		if n.Name != nil {
			name = strings.Trim(string(n.Name.Value), `"`)
		}
		role := strings.Trim(string(n.Role.Value), `"`)
		told[role] = append(told[role], name)
	}
	return told
}

// contrast is WCAG's ratio of two sRGB colours, 1 to 21.
func contrast(a, b [3]float64) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(c [3]float64) float64 {
	for i, v := range c {
		if v /= 255; v <= 0.04045 {
			c[i] = v / 12.92
		} else {
			c[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]
}
