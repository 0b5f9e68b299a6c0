package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"carom/bench/result"
)

// caromLoad is carom bench in a closed loop.
type caromLoad struct {
	carom string
	// arguments are the command, http or smtp, and what says where and what is asked.
	arguments func(addr string) []string
}

func (l *caromLoad) run(ctx context.Context, j job) (measure, error) {
	file := filepath.Join(j.dir, "load.json")
	args := append([]string{"bench"}, l.arguments(j.addr)...)
	args = append(args, "--connections", strconv.Itoa(j.connections), "--duration", j.duration.String(), "--warmup", "0s",
		"--server-pid", strconv.Itoa(j.server), "--name", j.name, "--json", file)
	_, cpu, err := command(ctx, l.carom, args...)
	if err != nil {
		return measure{}, err
	}
	r, err := result.ReadFile(file)
	if err != nil {
		return measure{}, err
	}
	m := measure{Answered: r.Requests, Failed: r.Failed, Seconds: r.Seconds, CPU: cpu, detail: r}
	m.P50, _ = r.Latency.At(50)
	m.P99, _ = r.Latency.At(99)
	if r.Seconds <= 0 || r.Requests <= 0 {
		return m, fmt.Errorf("carom bench: %d answers in %v s", r.Requests, r.Seconds)
	}
	return m, os.Remove(file)
}

// ownHTTP asks for pixels of messages that nobody has seen, of every peer alike.
func ownHTTP(t *tools) load {
	return &caromLoad{t.carom, func(addr string) []string {
		return []string{"http", "http://" + addr, "--keys", t.keys, "--clicks", "0"}
	}}
}

// ownSMTP sends a bounce about another message each time.
func ownSMTP(t *tools) load {
	return &caromLoad{t.carom, func(addr string) []string {
		return []string{"smtp", addr, "--keys", t.keys, "--bounce-domain", bounceDomain, "--mix", "bounce=1"}
	}}
}
