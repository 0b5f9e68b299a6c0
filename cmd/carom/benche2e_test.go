package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	benchnode "carom/bench/node"
	"carom/bench/scenario"
)

// endToEnd runs `carom bench e2e` and returns its report.
func endToEnd(t *testing.T, args ...string) *scenario.Report {
	t.Helper()
	out, errs, code := carom(t, nil, append([]string{"bench", "e2e", "--json", "-", "--settle", "200ms"}, args...)...)
	var r scenario.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("exit code %d, %v\n%s", code, err, errs)
	}
	if code != exitDone {
		for _, c := range r.Checks {
			t.Errorf("%s: %v\n%s", c.What, c.Differences, strings.Join(c.Named, "\n"))
		}
		t.Fatalf("exit code %d", code)
	}
	return &r
}

// A node that is killed twice, with topics, has kept all that it acknowledged: at the API, in the scores and on Kafka.
func TestEndToEndKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := endToEnd(t, "small", "--messages", "200", "--kill", "2", "--brokers", startFake(t), "--dir", dir)
	checkKilled(t, r)
	if r.Machine.Disk == nil || r.Machine.Disk.Sync <= 0 || r.Behind != nil {
		t.Errorf("disk %v, behind a rate that was not there: %v", r.Machine.Disk, r.Behind)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v are left in --dir: %v", left, err)
	}
}

func TestBrokerEndToEnd(t *testing.T) {
	checkKilled(t, endToEnd(t, "small", "--kill", "2", "--brokers", sharedBroker(t)))
}

func checkKilled(t *testing.T, r *scenario.Report) {
	t.Helper()
	checkChecks(t, r)
	if r.Kills != 2 || r.Acknowledged < int64(r.Messages) || r.Server == nil {
		t.Errorf("%d kills, %d acknowledged, server %v", r.Kills, r.Acknowledged, r.Server)
	}
}

func checkChecks(t *testing.T, r *scenario.Report) {
	t.Helper()
	var checks []string
	for _, c := range r.Checks {
		what := c.What[strings.LastIndexByte(c.What, '.')+1:]
		checks = append(checks, what)
		if c.Facts == 0 || c.Arrived != c.Facts {
			t.Errorf("%s: %d of %d", c.What, c.Arrived, c.Facts)
		}
	}
	if want := []string{"events of the API", "scores of senders", "events", "raw"}; !slices.Equal(checks, want) {
		t.Errorf("checks %q, want %q", checks, want)
	}
}

// liar is a node whose stream of events is not what it was: one event is withheld, one is told under another id as well,
// one has another verdict and one another sender.
type liar struct {
	proxy *httputil.ReverseProxy
	lies  map[string]func(line []byte) [][]byte // by kind of the event, each told once
}

func newLiar(t *testing.T, api string) string {
	t.Helper()
	target, err := url.Parse(api)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{proxy: httputil.NewSingleHostReverseProxy(target)}
	l.lies = map[string]func([]byte) [][]byte{
		"bounce":      func([]byte) [][]byte { return nil },
		"unsubscribe": func(line []byte) [][]byte { return [][]byte{line, replaced(line, `"id":"`, `"id":"another-`)} },
		"open":        func(line []byte) [][]byte { return [][]byte{replaced(line, `"verdict":"`, `"verdict":"un`)} },
		"reply":       func(line []byte) [][]byte { return [][]byte{replaced(line, `"sender":"`, `"sender":"another-`)} },
	}
	l.proxy.ModifyResponse = l.tell
	server := httptest.NewServer(l.proxy)
	t.Cleanup(server.Close)
	return server.URL
}

func replaced(line []byte, old, by string) []byte {
	return bytes.Replace(line, []byte(old), []byte(by), 1)
}

func (l *liar) tell(answer *http.Response) error {
	if answer.Request.URL.Path != benchnode.Events {
		return nil
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	var lines [][]byte
	for line := range bytes.Lines(body) {
		var e struct {
			Kind     string
			Inferred bool
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if lie := l.lies[e.Kind]; lie != nil && !e.Inferred {
			delete(l.lies, e.Kind)
			lines = append(lines, lie(line)...)
			continue
		}
		lines = append(lines, line)
	}
	answer.Body = io.NopCloser(bytes.NewReader(bytes.Join(lines, nil)))
	answer.Header.Del("Content-Length")
	answer.ContentLength = -1
	return nil
}

// What a node withholds, tells twice, or tells wrongly is found, and nothing else.
func TestEndToEndFindsLies(t *testing.T) {
	t.Parallel()
	s, err := scenario.Load("small")
	if err != nil {
		t.Fatal(err)
	}
	s.Messages = 300
	s.Senders[0].Late = 0 // nothing is minted here
	configure := func(c *Config) {
		c.Refine.Settle = 100 * time.Millisecond
		c.Track.TrustedProxies = []string{"127.0.0.0/8"}
	}
	err = withNode(t.Context(), configure, func(n *node, c *Config) error {
		api := newLiar(t, "http://"+n.api.Addr().String())
		target := benchnode.Target{API: api, Mail: n.inbound.Addr().String(), Feedback: c.Inbound.FeedbackAddresses[0]}
		r, err := scenario.Play(t.Context(), target, scenario.Options{
			Scenario: s, Settle: c.Refine.Settle, Patience: 2 * time.Second, Progress: io.Discard,
		})
		if err != nil {
			return err
		}
		want := map[string]int64{
			"acknowledged and not there": 1, "there twice": 1, "with another verdict": 1, "of another sender": 1,
		}
		if got := r.Checks[0]; !maps.Equal(got.Differences, want) || r.Err() == nil {
			t.Errorf("%v, want %v\n%s", got.Differences, want, strings.Join(got.Named, "\n"))
		}
		if scores := r.Checks[1]; scores.Differences["counted otherwise"] == 0 {
			t.Errorf("a bounce is withheld, and the scores agree: %v", scores.Differences)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEndToEndUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want string }{
		{"nowhere", "--list"},
		{"--messages -1", "--messages: -1"},
		{"--kill 1 --api http://127.0.0.1:1 --mail x:1", "--kill"},
		{"--api http://127.0.0.1:1", "--mail"},
		{"--mail x:1", "--api"},
		{"--patience 0s", "--patience"},
		{"--dir . --api http://127.0.0.1:1 --mail x:1", "--dir: want no --api"},
	} {
		_, errs, code := carom(t, nil, append([]string{"bench", "e2e"}, strings.Fields(tt.args)...)...)
		if code != exitUsage || !strings.Contains(errs, tt.want) {
			t.Errorf("%s: exit code %d: %s", tt.args, code, errs)
		}
	}
	if out, _, code := carom(t, nil, "bench", "e2e", "--list"); code != exitDone || !strings.Contains(out, "burst-of-bounces  20000 messages") {
		t.Errorf("--list: exit code %d: %s", code, out)
	}
}
