package result

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var pictures = flag.String("pictures", "", "folder for pictures of the pages, of all sorts and on all screens")

// screen is what a page is looked at on.
type screen struct {
	name, scheme string
	width        int64
}

// TestPageInChromium looks at the pages on a desk, on a phone and in the dark: every plot is drawn, nothing is fetched or
// runs over the edge, and the browser has nothing to say against it.
func TestPageInChromium(t *testing.T) {
	path := os.Getenv("CAROM_TEST_CHROMIUM")
	if path == "" {
		t.Skip("CAROM_TEST_CHROMIUM names no Chromium: `make test-pages` runs this test")
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute) // of which only a failing test needs much
	defer stop()
	ctx, stop = chromedp.NewExecAllocator(ctx, chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-dev-shm-usage", true))
	defer stop()
	var mu sync.Mutex
	var complaints, asked []string
	ctx, stop = chromedp.NewContext(ctx, chromedp.WithListener(func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			complaints = append(complaints, fmt.Sprintf("%s %s", ev.Entry.Text, ev.Entry.URL))
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, ev.ExceptionDetails.Text)
		case *network.EventRequestWillBeSent:
			asked = append(asked, ev.Request.URL)
		}
	}))
	defer stop()
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	screens := []screen{{"light", "light", 1280}, {"narrow", "dark", 360}}
	all := pages(t)
	if *pictures != "" {
		screens = append(screens, screen{"dark", "dark", 1280}, screen{"tablet", "light", 768})
	} else {
		maps.DeleteFunc(all, func(name string, _ written) bool {
			return !slices.Contains([]string{"search", "rounds", "hostile"}, name)
		})
	}
	for name, p := range all {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = w.Write(p.html)
			}))
			defer server.Close()
			for _, screen := range screens {
				_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}},
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := chromedp.Do(ctx, chromedp.EmulateViewport(screen.width, 900), chromedp.Navigate(server.URL)); err != nil {
					t.Fatal(err)
				}
				for what, script := range map[string]string{
					"loads": `performance.getEntriesByType("resource").map(e => e.name)`,
					"plots": fmt.Sprintf(`(n => n == %d ? [] : [String(n)])([...document.querySelectorAll("svg.plot")].filter(e => e.getBoundingClientRect().width > 200).length)`, p.plots),
					// What is drawn for nobody: a plot without a line, a dot or a bar of some size.
					"empty plots": `[...document.querySelectorAll("svg.plot")].filter(e => e.getBoundingClientRect().width > 0)
						.filter(e => ![...e.querySelectorAll(".line, .dot, .cross, .bar")].some(l => { const r = l.getBoundingClientRect(); return r.width + r.height > 3; })).map(e => e.textContent.slice(0, 60))`,
					"outside of its plot": `[...document.querySelectorAll("svg.plot")].filter(e => e.getBoundingClientRect().width > 0).flatMap(e => {
						const r = e.getBoundingClientRect();
						return [...e.querySelectorAll("text, .line, .dot, .bar")].filter(x => { const b = x.getBoundingClientRect(); return b.left < r.left - 2 || b.right > r.right + 2 || b.top < r.top - 2 || b.bottom > r.bottom + 2; })
							.map(x => e.querySelector("title").textContent + ": " + x.localName + " " + x.textContent);
					})`,
					"one label on another": `[...document.querySelectorAll("svg.plot")].filter(e => e.getBoundingClientRect().width > 0).flatMap(e => {
						const texts = [...e.querySelectorAll("text")].map(x => [x, x.getBoundingClientRect()]);
						return texts.flatMap(([a, r], i) => texts.slice(i + 1).filter(([b, s]) => r.left < s.right - 1 && s.left < r.right - 1 && r.top < s.bottom - 3 && s.top < r.bottom - 3)
							.map(([b]) => e.querySelector("title").textContent + ": " + a.textContent + " | " + b.textContent));
					})`,
					"without title and description": `[...document.querySelectorAll("svg.plot")].filter(e => e.getAttribute("aria-labelledby").split(" ").some(id => !document.getElementById(id)?.textContent)).map(e => e.outerHTML.slice(0, 80))`,
					"ids twice":                     `[...document.querySelectorAll("[id]")].map(e => e.id).filter((id, i, all) => all.indexOf(id) != i)`,
					"numbers":                       `[...document.querySelectorAll("figure")].filter(f => f.parentElement.querySelectorAll("details td").length == 0).map(f => f.textContent.slice(0, 60))`,
					"over the edge": `document.documentElement.scrollWidth > innerWidth ? [...document.querySelectorAll("main *")].filter(e => !e.closest(".scroll") && e.getBoundingClientRect().right > innerWidth + 1)
						.map(e => e.localName + ": " + e.textContent.slice(0, 60)).concat("the page") : []`,
					"from the file": `[...document.querySelectorAll("script, img, b i, a")].map(e => e.outerHTML)`,
				} {
					found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](script))
					if err != nil {
						t.Fatal(err)
					}
					if len(found) > 0 {
						t.Errorf("%s: %s: %q", screen.name, what, found[:min(len(found), 10)])
					}
				}
				if *pictures == "" {
					continue
				}
				picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(*pictures, name+"-"+screen.name+".png"), picture, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if len(complaints) > 0 {
				t.Errorf("the browser complains: %q", complaints)
			}
			asked = slices.DeleteFunc(asked, func(u string) bool { return u == server.URL+"/" || u == "data:," })
			if len(asked) > 0 {
				t.Errorf("the page asks for %q", asked)
			}
			complaints, asked = nil, nil
		})
	}
}
