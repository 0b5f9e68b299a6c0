package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestMain lets the test binary be the peers that are written in Go, as the real one is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serveWord {
		exit(runServe(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// someChecks is a load that asks what the check asks.
type someChecks struct {
	peer   *peer
	minter *minter
	times  int
}

func (l *someChecks) run(_ context.Context, j job) (measure, error) {
	m := measure{Seconds: 1}
	for n := range l.times {
		if err := check(l.peer, j.addr, l.minter, n); err != nil {
			return m, err
		}
		m.Answered++
	}
	return m, nil
}

// testBench measures one peer with a load that asks it times times in each of its two runs.
func testBench(t *testing.T, p *peer, times int) cell {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m, _ := testMinter(t)
	dir := t.TempDir()
	b := bench{
		tools: tools{self: self}, minter: m, dir: dir, cores: 2, settle: func() {},
		loads: map[string]load{p.protocol: &someChecks{p, m, times}},
	}
	c := b.run(t.Context(), p, 1, 1)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%s leaves %v behind, %v", p.name, left, err)
	}
	return c
}

func TestGoPeers(t *testing.T) {
	for _, p := range []peer{fasthttpPeer(), rawFilePeer(), goSMTP()} {
		t.Run(p.name, func(t *testing.T) {
			const times = 20
			c := testBench(t, &p, times)
			if c.Error != "" || c.Answered != times || c.Asked != 2*times+1 {
				t.Errorf("%+v", c)
			}
			if p.kept != nil && (c.Kept == nil || *c.Kept != c.Asked) {
				t.Errorf("kept %v of %d", c.Kept, c.Asked)
			}
		})
	}
}

func TestPeersThatFail(t *testing.T) {
	command := func(args ...string) func(*place) (*exec.Cmd, error) {
		return func(*place) (*exec.Cmd, error) { return exec.Command(args[0], args[1:]...), nil }
	}
	forgetful := fasthttpPeer()
	forgetful.kept = func(*place) (int64, error) { return 20, nil }
	for _, c := range []struct {
		peer peer
		want string
	}{
		{peer{name: "missing", protocol: overHTTP, command: command("/nonexistent/server")}, "no such file"},
		{peer{name: "broken", protocol: overHTTP, command: command("sh", "-c", "echo no licence >&2; exit 3")}, "exit status 3; it said: no licence"},
		{peer{name: "stranger", protocol: overHTTP, command: goSMTP().command}, "check: "},
		{forgetful, "kept 20 records of 21 requests"},
	} {
		if got := testBench(t, &c.peer, 10); !strings.Contains(got.Error, c.want) {
			t.Errorf("%s: %q, want %q", c.peer.name, got.Error, c.want)
		}
	}
}

func TestCheckPixel(t *testing.T) {
	m, _ := testMinter(t)
	right := "HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: 43\r\n"
	for _, c := range []struct {
		answer string
		ok     bool
	}{
		{right + "\r\n" + string(pixel), true},
		{right + "Connection: close\r\n\r\n" + string(pixel), false},
		{strings.Replace(right, "200 OK", "404 Not Found", 1) + "\r\n" + string(pixel), false},
		{strings.Replace(right, "image/gif", "text/html", 1) + "\r\n" + string(pixel), false},
		{strings.Replace(right, "43", "42", 1) + "\r\n" + string(pixel), false},
		{right + "\r\n" + strings.Repeat("x", 43), false},
		{right + "\r\n", false},
	} {
		client, server := net.Pipe()
		go func() {
			_, _ = http.ReadRequest(bufio.NewReader(server))
			_, _ = io.WriteString(server, c.answer)
			_ = server.Close()
		}()
		if err := checkPixel(client, m, 1); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.answer, err)
		}
		_ = client.Close()
	}
}

func TestKeptIsExact(t *testing.T) {
	for kept, ok := range map[int64]bool{99: false, 100: true, 108: true, 109: false} {
		c := cell{measure: measure{Cut: 8}, Asked: 100, Kept: &kept}
		if err := checkKept(&c); (err == nil) != ok {
			t.Errorf("%d records of 100 answers, 8 cut off: %v", kept, err)
		}
	}
}

// What append has returned for is in the file, whole.
func TestRawFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "raw")
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f := newRawFile(file)
	ended := make(chan error, 1)
	go func() { ended <- f.write() }()
	const clients, each = 8, 25
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for n := range each {
				text := fmt.Sprintf("%d of %d%s", n, client, strings.Repeat("!", 2*rawRecord*(n%2)))
				if err := f.append([]byte(text)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	text, err := os.ReadFile(name)
	if err != nil || len(text) != clients*each*rawRecord {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	seen := map[string]bool{}
	for at := 0; at < len(text); at += rawRecord {
		record, _, _ := strings.Cut(strings.TrimSpace(string(text[at:at+rawRecord])), "!")
		seen[record] = true
	}
	if len(seen) != clients*each {
		t.Errorf("%d different records", len(seen))
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.append([]byte("too late")); err == nil {
		t.Error("a record is kept in a file that is closed")
	}
	if err := <-ended; err == nil {
		t.Error("a file that fails is written on")
	}
	if err := f.append([]byte("later still")); err == nil {
		t.Error("a record is kept after a failure")
	}
}

func TestReadWrk(t *testing.T) {
	got, err := readWrk([]byte("Running 1s test\n  9 requests\n\nJSON {\"answered\":90,\"failed\":1,\"micros\":1500000,\"p50\":300,\"p99\":4000}\n"))
	if want := (measure{Answered: 90, Failed: 1, Seconds: 1.5, P50: 300, P99: 4000}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{"", "\nJSON {", "\nJSON {}", "\nJSON {\"answered\":0,\"micros\":7}"} {
		if got, err := readWrk([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := readOptions([]string{"-connections", "1,20", "-sessions", "none", "-peers", "carom,nginx-off"}, io.Discard)
	if err != nil || o.Connections.String() != "1,20" || len(o.Sessions) != 0 || o.Peers.String() != "carom,nginx-off" {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"-rounds", "0"}, {"-seconds", "601"}, {"-connections", "0"}, {"-connections", "1,,2"}, {"-calm", "2s"}, {"now"}} {
		if _, err := readOptions(args, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
