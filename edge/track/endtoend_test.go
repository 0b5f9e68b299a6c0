package track

import (
	"bufio"
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"carom/edge/ref"
	"carom/kv"
	"carom/pipeline"
	"carom/pipeline/bot"
	"carom/pipeline/event"
	"carom/pipeline/journal"
)

// whole is the way of a hit with all its real parts: handler, keyring, Accept, and a journal in memory.
type whole struct {
	*Server
	keys    *ref.Keyring
	journal *journal.Journal
}

func newWhole(tb testing.TB, accept pipeline.Options, o Options) *whole {
	tb.Helper()
	store, err := kv.Open("journal", kv.Options{FS: vfs.NewMem(), Role: "journal"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = store.Close() })
	j, err := journal.Open(store, journal.Default(), journal.Deps{Node: "n1", Logger: zap.NewNop(), Registerer: prometheus.NewRegistry()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = j.Close() })
	w := &whole{keys: newKeys(tb), journal: j}
	a, err := pipeline.New(accept, j, bot.Default(), w.keys.ClientKey(), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	if w.Server, err = New(o, w.keys, a, zap.NewNop(), prometheus.NewRegistry()); err != nil {
		tb.Fatal(err)
	}
	return w
}

// serve answers until the test ends, and returns the URL.
func (w *whole) serve(t *testing.T) string {
	t.Helper()
	if err := w.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		_ = w.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + w.Addr().String()
}

// recorded returns all events of the journal.
func (w *whole) recorded(t *testing.T) []event.Event {
	t.Helper()
	oldest, next := w.journal.Bounds()
	if oldest == next {
		return nil
	}
	records, err := w.journal.Read(context.Background(), oldest, int(next), nil)
	if err != nil {
		t.Fatal(err)
	}
	events := make([]event.Event, len(records))
	for i, r := range records {
		if err := events[i].DecodeBinary(r.Value); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

const browser = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"

// browserRequest is what a browser behind a proxy of ours sends.
func browserRequest(target string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: track.example.com\r\nUser-Agent: " + browser + "\r\n" +
		"Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.9\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\nReferer: https://mail.example.com/\r\nSec-Fetch-Dest: image\r\n" +
		"Sec-Fetch-Mode: no-cors\r\nX-Forwarded-For: 203.0.113.77, 10.0.0.2\r\n\r\n"
}

// inProcess returns a request as the handler gets it.
func inProcess(tb testing.TB, text string) *fasthttp.RequestCtx {
	tb.Helper()
	var req fasthttp.Request
	if err := req.Read(bufio.NewReaderSize(strings.NewReader(text), maxHeaderBytes)); err != nil {
		tb.Fatal(err)
	}
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(&req, proxyAddr, nil)
	return ctx
}

func behindProxies() Options {
	o := testOptions()
	o.TrustedProxies = []string{"10.0.0.0/8"}
	return o
}

// TestWhole follows hits from the request to the journal.
func TestWhole(t *testing.T) {
	w := newWhole(t, pipeline.Default(), behindProxies())
	open := "/o/" + seal(t, w.keys, ref.OpenPixel, typical) + ".gif"
	click := "/c/" + seal(t, w.keys, ref.Click, linkTo("https://example.com/?a=1&b=2#c"))
	unsubscribe := "/u/" + seal(t, w.keys, ref.Unsubscribe, typical)
	untracked := typical
	untracked.Flags = event.Untracked
	for _, request := range []string{
		browserRequest(open),
		browserRequest(open), // a repeat
		strings.Replace(browserRequest(open), browser, "curl/8.5.0", 1),
		browserRequest(click),
		strings.Replace(browserRequest(click), "GET", "HEAD", 1),
		browserRequest("/o/" + seal(t, w.keys, ref.OpenPixel, untracked)),
		browserRequest("/o/forged"),
		browserRequest(unsubscribe),
		strings.Replace(browserRequest(unsubscribe), "GET", "POST", 1),
	} {
		w.handle(inProcess(t, request))
	}
	want := []struct {
		kind    event.Kind
		verdict event.Verdict
		url     string
	}{
		{event.Open, event.Human, ""},
		{event.Open, event.Scanner, ""},
		{event.Click, event.Human, "https://example.com/?a=1&b=2#c"},
		{event.Click, event.Scanner, "https://example.com/?a=1&b=2#c"},
		{event.Unsubscribe, event.NoVerdict, ""},
	}
	got := w.recorded(t)
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d: %+v", len(got), len(want), got)
	}
	for i, ev := range got {
		if ev.Kind != want[i].kind || ev.Actor.Verdict != want[i].verdict || ev.URL != want[i].url {
			t.Errorf("event %d is %s %s %q, want %+v", i, ev.Kind, ev.Actor.Verdict, ev.URL, want[i])
		}
		if ev.Account != "acme" || ev.Message != typical.Message || ev.Key != event.KeyOf("acme", typical.Message) {
			t.Errorf("event %d speaks of %+v", i, ev.Ref)
		}
		if ev.Kind != event.Unsubscribe && ev.Client.IP != netip.MustParseAddr("203.0.113.0") {
			t.Errorf("event %d came from %s", i, ev.Client.IP)
		}
	}
}
