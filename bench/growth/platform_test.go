package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	benchnode "carom/bench/node"
	"carom/edge/inbound"
	"carom/edge/ref"
	"carom/pipeline"
	"carom/pipeline/bot"
)

// What refine passes on while it is asked may be told of neither by it nor by rollup: once 0 is not yet drained.
func TestDrained(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var asked atomic.Int32
	var passed bool // between the first answer and the second
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		rollup := 0
		if asked.Add(1) == 2 && passed {
			cancel()
			rollup = 5
		}
		fmt.Fprintf(w, "carom_refine_lag_records 0\ncarom_rollup_lag_records %d\ncarom_refine_waiting_clicks 0\n", rollup)
	}))
	defer api.Close()
	p := &platform{node: &node{api: strings.TrimPrefix(api.URL, "http://")}}
	if err := p.drained(ctx); err != nil || asked.Load() != 2 {
		t.Errorf("asked %d times, want 2: %v", asked.Load(), err)
	}
	asked.Store(0)
	passed = true
	if err := p.drained(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("asked %d times, 5 records to be worked off: %v", asked.Load(), err)
	}
}

// A request that fails fails a soak, though all that was acknowledged is counted and nothing grows.
func TestFailedRequests(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/senders" {
			fmt.Fprint(w, `{"senders":[{"completed":2},{"completed":1}]}`)
			return
		}
		fmt.Fprint(w, "carom_refine_lag_records 0\n")
	}))
	defer api.Close()
	p, err := newPlatform(&node{api: strings.TrimPrefix(api.URL, "http://")}, "soak")
	if err != nil {
		t.Fatal(err)
	}
	p.registered.Store(3)
	samples := make([]sample, 100)
	for i := range samples {
		samples[i].Seconds = float64(i)
	}
	if err := p.verdict(t.Context(), io.Discard, samples); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	p.fail(errors.New("timed out"))
	p.fail(refused)
	p.heard() // as every sample does
	if err := p.verdict(t.Context(), io.Discard, samples); !errors.Is(err, refused) || !strings.Contains(err.Error(), "2 requests failed") {
		t.Errorf("%v: want how many failed, and why the last", err)
	}
}

// What is resident and not Go's is what RSS is more than what Go has and has not given back.
func TestOffGo(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "go_memstats_sys_bytes 3e+06\ngo_memstats_heap_released_bytes 1e+06\n")
	}))
	defer api.Close()
	n := &node{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}, api: strings.TrimPrefix(api.URL, "http://"), dir: t.TempDir()}
	p, err := newPlatform(n, "soak")
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.sample(t.Context(), time.Now(), &pace{at: time.Now()})
	if err != nil || s.RSS == 0 || s.RSS-s.OffGo != 2e6 {
		t.Errorf("%.0f of %.0f bytes are not Go's, want 2000000 fewer: %v", s.OffGo, s.RSS, err)
	}
}

// A mail edge takes so many mails over one connection, for so long: a person comes back with a new one before that.
func TestMailConnectionsAreRenewed(t *testing.T) {
	rules, err := bot.Load("")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := makeFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	accept, err := pipeline.New(pipeline.Default(), &capture{}, rules, keys.ClientKey(), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	o := inbound.Default()
	o.Listen, o.Hostname, o.PostmasterDir = "127.0.0.1:0", "mx.example.com", t.TempDir()
	o.BounceDomain, o.ReplyDomain, o.MaxMessagesPerConnection = "bounce.example.com", "reply.example.com", 1
	server, err := inbound.New(o, keys, accept, zap.NewNop(), prometheus.NewRegistry())
	if err == nil {
		err = server.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	p := &person{platform: &platform{node: &node{mail: server.Addr().String()}}}
	defer func() { p.mail.Close() }()
	r := messageRef("soak", 1)
	m := &sentMessage{registration: &benchnode.Registration{Message: r.Message, Sender: r.Sender, Recipient: "recipient.1@example.net"}}
	m.links.ReturnPath = string(keys.SealAddress([]byte("b-"), ref.ReturnPath, keyOf(&r))) + "@" + o.BounceDomain
	for range 2 {
		if err := p.bounce(ctx, m); err != nil {
			t.Fatal(err)
		}
		p.met = p.met.Add(-2 * mailLasts)
	}
	p.met = time.Now()
	if err := p.bounce(ctx, m); err == nil {
		t.Error("the edge took a second mail over a connection: this test shows nothing")
	}
}

// A late look tells no higher rate.
func TestPace(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	p := pace{at, 100}
	for _, look := range []struct {
		after time.Duration
		count int64
		rate  float64
	}{{10 * time.Second, 1100, 100}, {30 * time.Second, 3100, 100}, {35 * time.Second, 3100, 0}} {
		if got := p.rate(at.Add(look.after), look.count); got != look.rate {
			t.Errorf("after %v: %v, want %v", look.after, got, look.rate)
		}
	}
}

// The folder of a run may be on another disk than bin.
func TestKeep(t *testing.T) {
	const memory = "/dev/shm" // of Linux: hardly ever the disk of temporary folders
	from, err := os.MkdirTemp(memory, "carom-growth-test-")
	if err != nil {
		t.Skipf("no second disk: %v", err)
	}
	defer os.RemoveAll(from)
	file, kept := filepath.Join(from, "cpu.pprof"), filepath.Join(t.TempDir(), "bin", "stages.pprof")
	if err := os.WriteFile(file, []byte("profile"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := keep(file, kept); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(kept); err != nil || string(b) != "profile" {
		t.Errorf("%q, %v", b, err)
	}
}
