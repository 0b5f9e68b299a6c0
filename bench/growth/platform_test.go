package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
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
