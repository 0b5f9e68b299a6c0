package api

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
)

// TestDocsInChromium reads /docs at a desk and on a phone: it loads nothing else, the browser has nothing to say against it,
// no link within leads nowhere, and nothing runs over the edge.
func TestDocsInChromium(t *testing.T) {
	path := os.Getenv("CAROM_TEST_CHROMIUM")
	if path == "" {
		t.Skip("CAROM_TEST_CHROMIUM names no Chromium: `make test-pages` runs this test")
	}
	w := newWorld(t, nil)
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute) // of which only a failing test needs much
	defer stop()
	ctx, stop = chromedp.NewExecAllocator(ctx, chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-dev-shm-usage", true))
	defer stop()
	var mu sync.Mutex
	var complaints []string
	ctx, stop = chromedp.NewContext(ctx, chromedp.WithListener(func(ev any) {
		if ev, ok := ev.(*log.EventEntryAdded); ok {
			mu.Lock()
			defer mu.Unlock()
			complaints = append(complaints, fmt.Sprintf("%s %s", ev.Entry.Text, ev.Entry.URL))
		}
	}))
	defer stop()
	for _, width := range []int64{1280, 360} {
		must(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 800), chromedp.Navigate(w.base+"/docs")))
		for what, script := range map[string]string{
			"loads":               `performance.getEntriesByType("resource").map(e => e.name)`,
			"links that end here": `[...document.querySelectorAll("a[href^='#']")].map(a => a.hash).filter(h => !document.getElementById(h.slice(1)))`,
			// What scrolls by itself, an example or the list of endpoints, may be longer than the window is wide.
			"over the edge": `[...document.querySelectorAll("main *, nav *")].filter(e => !e.closest("pre") && e.getBoundingClientRect().right > innerWidth + 1)
				.map(e => e.localName + ": " + e.textContent.slice(0, 60))`,
			"too few operations": `[...document.querySelectorAll("main section h3 .method")].slice(40).length ? [] : ["fewer than 40"]`,
		} {
			found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](script))
			if must(t, err); len(found) > 0 {
				t.Errorf("%d wide: %s: %.10q", width, what, found)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}
