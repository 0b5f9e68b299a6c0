package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

//go:embed wrk.lua
var wrkScript []byte

// wrkLoad is wrk with a script that makes every request another one.
type wrkLoad struct {
	script, requests string // files
	length           int    // of a request, in bytes
	warmups, counted int    // how many requests there are for a warm-up and after it
	threads          int
}

// wrkRate is more requests a second than wrk makes on two cores, with a server beside it.
const wrkRate = 150_000

// newWrk mints requests enough for one server, which all servers are then asked: each starts with an empty folder.
func newWrk(dir string, m *minter, warmup, duration time.Duration, threads int) (*wrkLoad, error) {
	w := &wrkLoad{
		script: filepath.Join(dir, "wrk.lua"), requests: filepath.Join(dir, "requests"), threads: threads,
		warmups: int(warmup.Seconds() * wrkRate), counted: int(duration.Seconds() * wrkRate),
	}
	var err error
	if w.length, err = m.writeRequests(w.requests, w.warmups+w.counted); err != nil {
		return nil, fmt.Errorf("write the requests for wrk: %w", err)
	}
	return w, os.WriteFile(w.script, wrkScript, 0o644)
}

func (w *wrkLoad) run(ctx context.Context, j job) (measure, error) {
	first, count := w.warmups, w.counted
	if j.warmup {
		first, count = 0, w.warmups
	}
	n := strconv.Itoa
	out, cpu, err := command(ctx, "env", "WRK_THREADS="+n(w.threads), "wrk",
		"-t", n(w.threads), "-c", n(j.connections), "-d", n(int(j.duration.Seconds()))+"s", "-s", w.script,
		"http://"+j.addr+"/", "--", w.requests, n(w.length), n(first), n(count))
	if err != nil {
		return measure{}, err
	}
	m, err := readWrk(out)
	m.CPU, m.Cut = cpu, int64(j.connections) // it hangs up when its time is over
	return m, err
}

// readWrk reads the line that the script prints.
func readWrk(out []byte) (measure, error) {
	_, line, ok := bytes.Cut(out, []byte("\nJSON "))
	if !ok {
		return measure{}, fmt.Errorf("wrk: no result in %q", out)
	}
	var r struct{ Answered, Failed, Micros, P50, P99 int64 }
	if err := json.Unmarshal(line, &r); err != nil {
		return measure{}, fmt.Errorf("wrk: read the result: %w", err)
	}
	if r.Micros <= 0 || r.Answered <= 0 {
		return measure{}, errors.New("wrk: nothing was answered")
	}
	return measure{
		Answered: r.Answered, Failed: r.Failed, Seconds: float64(r.Micros) / 1e6, P50: float64(r.P50), P99: float64(r.P99),
	}, nil
}
