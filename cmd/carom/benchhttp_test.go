package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"carom/bench/machine"
	"carom/bench/result"
)

// benchHTTP runs `carom bench http` in this process and returns what it measured.
func benchHTTP(t *testing.T, args ...string) (r result.Result, progress string, err error) {
	t.Helper()
	cmd := newRootCommand()
	var out, errs bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(append([]string{"bench", "http", "--warmup", "0s", "--json", "-"}, args...))
	err = cmd.ExecuteContext(t.Context())
	if out.Len() > 0 {
		if jsonErr := json.Unmarshal(out.Bytes(), &r); jsonErr != nil {
			t.Fatalf("%v: %s", jsonErr, out.Bytes())
		}
	}
	return r, errs.String(), err
}

func TestBenchHTTPOfItsOwnNode(t *testing.T) {
	t.Setenv(actAsCarom, "1") // the node is this binary
	t.Setenv("CAROM_DATA_DIR", "/nowhere")
	r, progress, err := benchHTTP(t, "--rate", "200", "--duration", "1s", "--connections", "5", "--clicks", "0.5")
	if err != nil {
		t.Fatalf("%v: %s", err, progress)
	}
	if r.Requests != 200 || r.Failed != 0 || r.Load.Mode != "open" || len(r.Answers) != 2 || r.Server == nil || r.Server.Seconds <= 0 {
		t.Errorf("want 200 opens and clicks, and the server's CPU time: %+v", r)
	}
}

// The node's folder is below --dir, as long as it lasts, and the result says what that stands on: here, memory.
func TestBenchHTTPDisk(t *testing.T) {
	t.Setenv(actAsCarom, "1")
	dir, err := os.MkdirTemp("/dev/shm", "carom-test-")
	if err != nil {
		t.Skipf("want a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	want, err := machine.LookAtDisk(dir)
	if err != nil || !want.InMemory() {
		t.Skipf("want a tmpfs: %v, %v", want, err)
	}
	r, progress, err := benchHTTP(t, "--rate", "20", "--duration", "100ms", "--connections", "1", "--dir", dir)
	if err != nil {
		t.Fatalf("%v: %s", err, progress)
	}
	if d := r.Machine.Disk; d == nil || d.FileSystem != want.FileSystem || d.Sync <= 0 {
		t.Errorf("disk %v, want %v", d, want)
	}
	if !slices.Contains(r.Notes, "the node's data lay on a "+want.FileSystem+": synced writes cost nothing here, so give --dir a folder on a disk") {
		t.Errorf("%q", r.Notes)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v are left in --dir: %v", left, err)
	}
}

func TestBenchHTTPHitsAreEvents(t *testing.T) {
	s := newServer(t)
	s.start()
	keys := filepath.Join(s.dir, "data", keysName)
	r, progress, err := benchHTTP(t, "http://"+s.track, "--keys", keys, "--rate", "100", "--duration", "1s", "--clicks", "0")
	if err != nil || r.Requests != 100 {
		t.Fatalf("%d requests, %v: %s", r.Requests, err, progress)
	}
	messages := make(map[string]bool)
	s.until("there are events of all hits", func() bool {
		for _, e := range s.events() {
			if e.Kind == "open" {
				messages[e.Message] = true
			}
		}
		return len(messages) == 100
	})
}

func TestBenchHTTPOfAnything(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer server.Close()
	page := filepath.Join(t.TempDir(), "page.html")
	r, _, err := benchHTTP(t, server.URL+"/good", "--duration", "200ms", "--connections", "2", "--name", "x", "--html", page)
	if err != nil || r.Requests == 0 || r.Failed != 0 || r.Load.Mode != "closed" || r.Name != "x" {
		t.Errorf("%v: %+v", err, r)
	}
	if text, err := os.ReadFile(page); err != nil || !bytes.Contains(text, []byte("<html")) {
		t.Errorf("%v: %d bytes of a page", err, len(text))
	}
	// What fails is in the result, and if nothing else happens the exit code tells, too.
	r, _, err = benchHTTP(t, server.URL+"/bad", "--rate", "50", "--duration", "200ms")
	if err == nil || r.Failed != 10 || r.Errors["get was answered with status 418"] != 10 {
		t.Errorf("%v: %+v", err, r)
	}
	// A file that can't be written costs no other form, and a long URL none at all.
	r, _, err = benchHTTP(t, server.URL+"/good?"+strings.Repeat("x", 8000), "--rate", "50", "--duration", "100ms", "--html", "/nowhere/page.html")
	if err == nil || !strings.Contains(err.Error(), "--html") || r.Requests != 5 || len(r.Target) > 2000 {
		t.Errorf("%v: %+v", err, r)
	}
	list := filepath.Join(t.TempDir(), "urls")
	if err := os.WriteFile(list, []byte(server.URL+"/bad\n"+server.URL+"/good\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, _, err = benchHTTP(t, "--urls", list, "--rate", "50", "--duration", "200ms")
	if err != nil || r.Failed != 5 || r.Requests != 5 {
		t.Errorf("%v: %+v", err, r)
	}
	// No answer is there within a microsecond: 4 a second is too much, 2, and 1.
	_, progress, err := benchHTTP(t, server.URL, "--find-rate", "max<1us", "--rate", "4", "--duration", "10ms", "--connections", "1")
	if err == nil || !strings.Contains(err.Error(), "none keeps max<1µs") || strings.Count(progress, "a second: too much") != 3 {
		t.Errorf("%v: %s", err, progress)
	}
}

// Requests are what the help says, and have no header that it does not name.
func TestBenchHTTPRequests(t *testing.T) {
	var mu sync.Mutex // guards seen
	var seen map[string]bool
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.Method], seen[r.Proto] = true, true
		for name := range r.Header {
			seen[name] = true
		}
		if r.ContentLength != 0 {
			seen["a body"] = true
		}
	}))
	defer server.Close()
	for _, tt := range []struct{ flags, want string }{
		{"--reuse", "Accept GET HTTP/1.1 User-Agent"},
		{"--reuse=false --forwarded-for --head", "Accept Connection HEAD HTTP/1.1 User-Agent X-Forwarded-For"},
	} {
		mu.Lock()
		seen = make(map[string]bool)
		mu.Unlock()
		if _, _, err := benchHTTP(t, append(strings.Fields(tt.flags), server.URL, "--rate", "20", "--duration", "100ms", "--connections", "1")...); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		if got := strings.Join(slices.Sorted(maps.Keys(seen)), " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.flags, got, tt.want)
		}
		mu.Unlock()
	}
	cmd, _, err := newRootCommand().Find([]string{"bench", "http"})
	if err != nil {
		t.Fatal(err)
	}
	help := strings.Join(strings.Fields(cmd.Long), " ")
	for _, want := range []string{
		"Requests are HTTP/1.1,", "GET, or with --head HEAD, without a body.",
		"Their headers are Host, Accept, the User-Agent of a browser or mail program, and what --forwarded-for and --reuse=false add;",
	} {
		if !strings.Contains(help, want) {
			t.Errorf("the help does not say %q", want)
		}
	}
}

// A server that answers the first step of a search well, and of all others half of the requests: the rate that it has kept
// does not hold when it is measured once more. That is in the exit code, and in the result.
func TestBenchHTTPUnconfirmed(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n := asked.Add(1); n > 10 && n%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	page := filepath.Join(t.TempDir(), "page.html")
	r, _, err := benchHTTP(t, server.URL, "--find-rate", "max<1m", "--rate", "1000", "--duration", "10ms", "--connections", "2", "--html", page)
	var usage usageError
	if err == nil || errors.As(err, &usage) || !strings.Contains(err.Error(), "1000 a second kept max<1m0s in the search and not when measured once more") {
		t.Errorf("%v", err)
	}
	if n := len(r.Search); n < 3 || !r.Search[0].Held || r.Search[n-1].Held || r.Failed == 0 || r.Requests == 0 {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(page); err != nil {
		t.Error(err)
	}
}

func TestBenchHTTPErrors(t *testing.T) {
	t.Setenv(actAsCarom, "1") // if one of these starts a node after all
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	l.Close()
	for _, c := range []struct {
		args  string
		usage bool
		says  string
	}{
		{"--rate x http://127.0.0.1/", true, "--rate"},
		{"--rate 1..5 --find-rate p99<1ms", true, "begins at one rate"},
		{"--find-rate p99", true, "--find-rate"},
		{"--connections 0", true, "--connections"},
		{"--duration 0s", true, "--duration"},
		{"--timeout 0s", true, "--timeout"},
		{"--threads 0", true, "--threads"},
		{"--keys k", true, "base URL"},
		{"--dir . --keys k", true, "base URL"},
		{"--urls u http://127.0.0.1/", true, "one of them"},
		{"--clicks 0.5 http://127.0.0.1/", true, "want --keys"},
		{"--html - http://127.0.0.1/", true, "both print"},
		{"ftp://127.0.0.1/", true, "want a URL"},
		{"--dir . http://127.0.0.1/", true, "--dir: want no target"},
		{"--dir . --urls u", true, "--dir: want no target"},
		{"--server-pid 1", true, "--server-pid: want a target"},
		{"--dir /nowhere", false, "--dir: "},
		{"--urls /nowhere", false, "/nowhere"},
		{"--keys /nowhere http://127.0.0.1", false, "/nowhere"},
		{nobody, false, "connection 1 of 64"},
	} {
		_, _, err := benchHTTP(t, strings.Fields(c.args)...)
		var usage usageError
		if err == nil || errors.As(err, &usage) != c.usage || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v: want %q", c.args, err, c.says)
		}
	}
}
