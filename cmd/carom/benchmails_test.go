package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"carom/bench/result"
)

// benched runs a load and returns its result.
func benched(t *testing.T, args ...string) *result.Result {
	t.Helper()
	t.Setenv(actAsCarom, "1") // a node that it starts by itself is this binary too
	cmd := newRootCommand()
	var out, progress bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&progress)
	cmd.SetArgs(append(append([]string{"bench"}, args...), "--duration", "300ms", "--warmup", "0s", "--connections", "4", "--json", "-"))
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("%v: %s", err, progress.Bytes())
	}
	r, err := result.Read(&out)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// As many events as a load was told of are in the node's journal, of the kinds that were sent.
func TestBenchMailsAndMessages(t *testing.T) {
	s := newServer(t)
	s.start()
	keys := filepath.Join(s.dir, "data", keysName)
	want := map[string]int64{}
	for _, flags := range []string{"", "--chunking --recipients 3 --size 1k..100k", "--pipelining=false --reuse=false --mix bounce=1,delay=1,unsubscribe=1"} {
		r := benched(t, append([]string{"smtp", s.mail, "--keys", keys}, strings.Fields(flags)...)...)
		if r.Failed > 0 || r.Requests == 0 {
			t.Errorf("%q: %d failed: %v", flags, r.Failed, r.Errors)
		}
		recipients := r.Items / r.Requests
		for _, a := range r.Answers {
			if a.Code != 250 {
				t.Errorf("%q: %+v", flags, a)
			}
			want[a.Kind] += a.Count * recipients
		}
	}
	for _, batch := range []string{"1", "100"} {
		r := benched(t, "api", "http://"+s.api, "--batch", batch)
		if r.Failed > 0 || r.Requests == 0 {
			t.Errorf("batch of %s: %d failed: %v", batch, r.Failed, r.Errors)
		}
		want["sent"] += r.Items
	}
	if code := s.stop(); code != 0 {
		t.Fatalf("the server ended with %d: %s", code, s.output)
	}
	out, errs, code := carom(t, nil, "events", "--data", filepath.Join(s.dir, "data"))
	if code != 0 {
		t.Fatal(errs)
	}
	got := map[string]int64{}
	for line := range strings.Lines(out) {
		var e struct{ Kind string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		got[e.Kind]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("events in the journal: %v, told of: %v", got, want)
	}
}

// Without a target a node is started and measured.
func TestBenchOwnNode(t *testing.T) {
	for _, what := range []string{"smtp", "api"} {
		r := benched(t, what)
		if r.Kind != what || r.Failed > 0 || r.Requests == 0 || r.Server == nil || r.Harness.Seconds <= 0 || r.Machine.Disk == nil {
			t.Errorf("%+v", r)
		}
	}
}

// A server that is not there is told at once, and not by a result full of failures.
func TestBenchMailsWithoutAServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	for _, args := range [][]string{{"api", "http://" + nobody}, {"smtp", nobody, "--mails", "benchmails_test.go", "--to", "a@example.com"}} {
		if out, errs, code := carom(t, nil, append([]string{"bench"}, args...)...); code != 1 || out != "" || !strings.Contains(errs, "refused") {
			t.Errorf("bench %s: exit code %d: %s%s", args, code, out, errs)
		}
	}
}

func TestBenchMailsUsage(t *testing.T) {
	for _, args := range []string{
		"smtp 127.0.0.1:25", "smtp 127.0.0.1 --keys x", "smtp --keys x", "smtp --mails x --to a@example.com", "smtp 127.0.0.1:25 --mails x",
		"smtp --to a@example.com", "smtp --mix letter=1", "smtp --size x", "smtp --recipients 0", "smtp --recipients 101", "smtp --starttls",
		"smtp --server-pid 1", "smtp --reuse=false --messages-per-connection 5", "smtp --rate x", "smtp --connections 0",
		"smtp 127.0.0.1:25 --mails /nowhere --to a@example.com", "smtp 127.0.0.1:25 --mails . --to nobody",
		"api 127.0.0.1:8081", "api --batch 0", "api --links 1000", "api --senders 0", "api --server-pid 1", "api x y",
		"smtp 127.0.0.1:25 --keys x --dir .", "api http://127.0.0.1:8081 --dir .",
	} {
		if _, errs, code := carom(t, nil, append([]string{"bench"}, strings.Fields(args)...)...); code != 2 || errs == "" {
			t.Errorf("bench %s: exit code %d: %s", args, code, errs)
		}
	}
}
