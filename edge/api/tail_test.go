package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// follower reads server-sent events.
type follower struct {
	t     *testing.T
	resp  *http.Response
	lines *bufio.Scanner
	begin string // the id before the first event
}

// sse is one block of a stream.
type sse struct {
	id, event, data, comment string
}

func (w *world) follow(t *testing.T, path string, header ...string) *follower {
	t.Helper()
	r, err := http.NewRequest("GET", w.base+path, nil)
	must(t, err)
	r.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	f := &follower{t: t, resp: resp, lines: scanner(resp.Body)}
	b, ok := f.block()
	if !ok || b.comment == "" || b.id == "" {
		t.Fatalf("begins with %+v", b)
	}
	f.begin = b.id
	return f
}

// block reads up to an empty line; ok is false at the end.
func (f *follower) block() (b sse, ok bool) {
	f.t.Helper()
	for f.lines.Scan() {
		name, value, _ := strings.Cut(f.lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case f.lines.Text() == "":
			return b, true
		case name == "":
			b.comment = value
		case name == "id":
			b.id = value
		case name == "event":
			b.event = value
		case name == "data":
			b.data = value
		default:
			f.t.Fatalf("line %q", f.lines.Text())
		}
	}
	return b, false
}

// next reads the next event, past heartbeats.
func (f *follower) next() (b sse, e map[string]any) {
	f.t.Helper()
	for {
		b, ok := f.block()
		if !ok {
			f.t.Fatal("the tail has ended")
		}
		if b.data != "" {
			must(f.t, json.Unmarshal([]byte(b.data), &e))
			return b, e
		}
	}
}

func TestTailFollows(t *testing.T) {
	w := newWorld(t, nil)
	w.seed()
	f := w.follow(t, "/v1/events") // from now on
	for i := range 3 {
		w.post("/v1/messages", fmt.Sprintf(`{"sender":"live","message":"l-%d"}`, i)).ok(t, nil)
		b, e := f.next()
		if b.event != "sent" || e["message"] != fmt.Sprintf("l-%d", i) || e["cursor"] != b.id || b.id == "" {
			t.Fatalf("%+v", b)
		}
	}
}

func TestTailResumes(t *testing.T) {
	w := newWorld(t, nil)
	n := w.seed()
	all := w.get("/v1/events").lines(t)
	third := all[2]["cursor"].(string)
	// The header wins over the old cursor that a browser repeats in the URL.
	for _, f := range []*follower{
		w.follow(t, "/v1/events?after="+third),
		w.follow(t, "/v1/events?after="+all[0]["cursor"].(string), "Last-Event-ID", third),
	} {
		for i := 3; i < n; i++ {
			b, e := f.next()
			if e["id"] != all[i]["id"] || b.event != all[i]["kind"] || b.id != all[i]["cursor"] {
				t.Fatalf("event %d: %+v", i, b)
			}
		}
	}
	f := w.follow(t, "/v1/events?kind=reply&account=a1&after="+third)
	if _, e := f.next(); e["kind"] != "reply" {
		t.Errorf("%v", e)
	}
}

// Who loses the connection before the first event has an id to go on from.
func TestTailResumesFromItsBeginning(t *testing.T) {
	w := newWorld(t, nil)
	f := w.follow(t, "/v1/events")
	must(t, f.resp.Body.Close())
	w.post("/v1/messages", `{"sender":"live","message":"m-1"}`).ok(t, nil)
	again := w.follow(t, "/v1/events", "Last-Event-ID", f.begin)
	if _, e := again.next(); e["message"] != "m-1" {
		t.Errorf("got %v", e)
	}
}

func TestTailRefuses(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *Dependencies) { o.MaxTails = 1 })
	w.seed()
	ask := func(path string, header ...string) answer {
		t.Helper()
		return w.do("GET", path, "", append(header, "Accept", "text/event-stream")...)
	}
	ask("/v1/events?after=x").problem(t, 400)
	ask("/v1/events?limit=5").problem(t, 400)
	ask("/v1/events", "Last-Event-ID", "x").problem(t, 400)
	must(t, w.events.Trim(5))
	ask("/v1/events", "Last-Event-ID", cursor{log: logEvents, offset: 1}.String()).problem(t, 410)

	f := w.follow(t, "/v1/events")
	ask("/v1/events").problem(t, 503)
	must(t, f.resp.Body.Close())
	w.await(func() bool { return len(w.server.tails) == 0 })
	w.follow(t, "/v1/events")
}

func TestTailHeartbeat(t *testing.T) {
	w := newWorld(t, nil)
	w.server.heartbeat = time.Millisecond
	f := w.follow(t, "/v1/events?kind=bounce")
	if b, ok := f.block(); !ok || b.comment == "" || b.data != "" || b.id != (cursor{log: logEvents}).String() {
		t.Fatalf("%+v", b)
	}
	// The id moves on with what the filter passes over.
	n := w.seed()
	for {
		b, ok := f.block()
		if !ok || b.data != "" {
			t.Fatalf("%+v", b)
		}
		if b.id == (cursor{log: logEvents, offset: int64(n)}).String() {
			break
		}
	}
}

// On a log that is never silent, who follows something rare hears from the server all the same.
func TestTailHeartbeatOnABusyLog(t *testing.T) {
	sent := event.Refined{Kind: event.Sent}
	value := sent.AppendJSON(nil)
	w := newWorld(t, func(_ *Options, d *Dependencies) {
		d.Events = []log.Reader{scanLog{n: 1 << 40, value: func(int64) []byte { return value }}}
	})
	w.server.heartbeat = time.Millisecond
	f := w.follow(t, "/v1/events?kind=bounce&after="+cursor{log: logEvents}.String())
	if b, ok := f.block(); !ok || b.comment == "" || b.id == "" || b.data != "" {
		t.Fatalf("%+v", b)
	}
}

func TestTailEndsWhenTheServerStops(t *testing.T) {
	w := newWorld(t, nil)
	f := w.follow(t, "/v1/events")
	w.stop()
	if b, ok := f.block(); ok {
		t.Fatalf("%+v", b)
	}
}

// trimmedLog is a log that loses what a tail wants next.
type trimmedLog struct{ scanLog }

func (trimmedLog) Read(context.Context, int64, int, []log.Record) ([]log.Record, error) {
	return nil, log.ErrTrimmed
}

func TestTailTellsWhyItEnds(t *testing.T) {
	w := newWorld(t, func(_ *Options, d *Dependencies) { d.Events = []log.Reader{trimmedLog{scanLog{n: 9}}} })
	f := w.follow(t, "/v1/events?after="+cursor{log: logEvents, offset: 3}.String())
	b, e := f.next()
	if b.event != "problem" || b.id != "" || e["status"] != 410.0 {
		t.Errorf("%+v", b)
	}
	if b, ok := f.block(); ok {
		t.Errorf("goes on with %+v", b)
	}
}

// A tail that nobody reads ends; until then it holds nothing but its own connection.
func TestTailOfASlowReader(t *testing.T) {
	big := event.Refined{Kind: event.Sent, Ref: event.Ref{Contact: strings.Repeat("x", 1<<16)}}
	value := big.AppendJSON(nil)
	w := newWorld(t, func(o *Options, d *Dependencies) {
		o.StallTimeout = minTimeout
		d.Events = []log.Reader{scanLog{n: 1 << 40, value: func(int64) []byte { return value }}}
	})
	conn, err := net.Dial("tcp", w.server.Addr().String())
	must(t, err)
	defer conn.Close()
	must(t, conn.(*net.TCPConn).SetReadBuffer(4096))
	_, err = fmt.Fprintf(conn, "GET /v1/events?after=%s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n", cursor{log: logEvents})
	must(t, err)
	w.await(func() bool { return len(w.server.tails) == 1 })
	w.await(func() bool { return len(w.server.tails) == 0 })
}
