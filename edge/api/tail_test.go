package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
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
	ask("/v1/events?verdict=robot").problem(t, 400)
	ask("/v1/events?max_behind=0").problem(t, 400)
	ask("/v1/events", "Last-Event-ID", cursor{log: logEvents, offset: 1 << 30}.String()).problem(t, 410)

	f := w.follow(t, "/v1/events")
	ask("/v1/events").problem(t, 503)
	must(t, f.resp.Body.Close())
	w.await(func() bool { return len(w.server.tails) == 0 })
	w.follow(t, "/v1/events")
}

// A cursor of a cluster of another size, or of a node alone, is refused with what is the matter; it means other places.
func TestCursorOfAnotherShape(t *testing.T) {
	w := newWorld(t, nil)
	w.seed()
	of3 := cursor{log: logEvents, offsets: []int64{1, 2, 3}}.String()
	for _, a := range []answer{
		w.do("GET", "/v1/events", "", "Accept", "text/event-stream", "Last-Event-ID", of3),
		w.get("/v1/events?after=" + of3),
	} {
		if p := a.problem(t, 400); !strings.Contains(p.Detail, "of a log of 3 partitions, and this one has 1") {
			t.Errorf("%+v", p)
		}
	}
	f := newFleet(t, 1, 4, nil)
	of1 := cursor{log: logEvents, offset: 1}.String()
	if p := f.front.get("/v1/events?after="+of1).problem(t, 400); !strings.Contains(p.Detail, "of a log of 1 partitions, and this one has 4") {
		t.Errorf("%+v", p)
	}
	if p := w.get("/v1/events?after="+cursor{log: logJournal, offset: 1}.String()).problem(t, 400); p.Field != "after" {
		t.Errorf("%+v", p)
	}
}

// failingLog fails once, and then has nothing new.
type failingLog struct {
	scanLog
	failed atomic.Bool
}

func (l *failingLog) Read(ctx context.Context, from int64, most int, dst []log.Record) ([]log.Record, error) {
	if !l.failed.Swap(true) {
		return dst, errNoWait
	}
	return l.scanLog.Read(ctx, from, most, dst)
}

// After a part of the log was out of reach, whoever joins watches it anew, also where there is always somebody who has
// not left yet.
func TestWatchesAnew(t *testing.T) {
	w := newWatch(t.Context())
	w.readers = []log.Reader{&failingLog{}}
	rung := w.bell.Rung()
	defer w.join()()
	<-rung
	if w.failed() == nil {
		t.Fatal("it has not failed")
	}
	defer w.join()()
	if err := w.failed(); err != nil {
		t.Errorf("after another has joined: %v", err)
	}
}

// What a tail reads ahead, and a slow one keeps, is bounded whatever the number of partitions.
func TestTailIsFrugal(t *testing.T) {
	value := (&event.Refined{Kind: event.Sent}).AppendJSON(nil)
	readers := make([]log.Reader, 32)
	for i := range readers {
		readers[i] = scanLog{n: 1 << 20, value: func(int64) []byte { return value }}
	}
	m := newMerger(logEvents, readers)
	m.frugal()
	_, err := m.look()
	must(t, err)
	for range 50_000 {
		_, err := m.next(t.Context())
		must(t, err)
	}
	kept := 0
	for i := range m.parts {
		kept += cap(m.parts[i].buf)
	}
	if kept > 2*firstBuffered {
		t.Errorf("%d records are kept", kept)
	}
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

// readMissed reads what a tail says that its reader missed.
func (f *follower) readMissed() (b sse, m missed) {
	f.t.Helper()
	b, ok := f.block()
	if !ok || b.event != "missed" {
		f.t.Fatalf("%+v, want what was missed", b)
	}
	must(f.t, json.Unmarshal([]byte(b.data), &m))
	return b, m
}

// Who comes back after the log was trimmed learns what he missed, and goes on.
func TestTailTellsWhatWasTrimmed(t *testing.T) {
	w := newWorld(t, nil)
	n := w.seed()
	all := w.get("/v1/events").lines(t)
	must(t, w.events.Trim(3))
	from, to := (cursor{log: logEvents, offset: 1}).String(), (cursor{log: logEvents, offset: 3}).String()
	f := w.follow(t, "/v1/events", "Last-Event-ID", from)
	b, m := f.readMissed()
	if m != (missed{2, "trimmed", from, to}) || b.id != to || f.begin != to {
		t.Fatalf("%+v, %+v, begins at %s", b, m, f.begin)
	}
	for i := 3; i < n; i++ {
		if b, _ := f.next(); b.id != all[i]["cursor"] {
			t.Fatalf("event %d: %+v", i, b)
		}
	}
	if got := w.metric("carom_api_tail_missed_total", "trimmed"); got != 2 {
		t.Errorf("metric %v", got)
	}
}

// trimmedLog is a log that loses what a tail wants next, up to its offset 7.
type trimmedLog struct {
	scanLog
	lost atomic.Bool
}

func (l *trimmedLog) Bounds() (oldest, next int64) {
	if l.lost.Load() {
		return 7, 9
	}
	return 0, 9
}

func (l *trimmedLog) Read(ctx context.Context, from int64, most int, dst []log.Record) ([]log.Record, error) {
	l.lost.Store(true)
	if from < 7 {
		return nil, log.ErrTrimmed
	}
	return l.scanLog.Read(ctx, from, most, dst)
}

// So does who is so slow that it is trimmed under him.
func TestTailTellsWhatIsTrimmedUnderIt(t *testing.T) {
	sent := event.Refined{Kind: event.Sent}
	w := newWorld(t, func(_ *Options, d *Dependencies) {
		d.Events = []log.Reader{&trimmedLog{scanLog: scanLog{n: 9, value: func(int64) []byte { return sent.AppendJSON(nil) }}}}
	})
	f := w.follow(t, "/v1/events?after="+cursor{log: logEvents, offset: 3}.String())
	if _, m := f.readMissed(); m.Count != 4 || m.Reason != "trimmed" {
		t.Fatalf("%+v", m)
	}
	for _, next := range []int64{8, 9} {
		if b, _ := f.next(); b.id != (cursor{log: logEvents, offset: next}).String() {
			t.Fatalf("%+v, want the cursor of %d", b, next)
		}
	}
}

// Who wants no old news is taken to the end when he falls behind.
func TestTailDropsBack(t *testing.T) {
	w := newWorld(t, nil)
	n := w.seed()
	begin := (cursor{log: logEvents}).String()
	f := w.follow(t, "/v1/events?max_behind=2&after="+begin)
	if b, m := f.readMissed(); m.Count != int64(n) || m.Reason != "behind" || m.From != begin || m.To != b.id {
		t.Fatalf("%+v", m)
	}
	w.post("/v1/messages", `{"sender":"live","message":"l-1"}`).ok(t, nil)
	if _, e := f.next(); e["message"] != "l-1" {
		t.Fatalf("%v", e)
	}
	whole := w.follow(t, fmt.Sprintf("/v1/events?max_behind=%d&after=%s", n+1, begin))
	if b, _ := whole.next(); b.id != (cursor{log: logEvents, offset: 1}).String() {
		t.Fatalf("%+v", b)
	}
}

// A page and a tail select by verdict: of those that were judged, and with none those that nobody needs to judge.
func TestEventsByVerdict(t *testing.T) {
	w := newWorld(t, nil)
	w.seed()
	count := make(map[string]int)
	all := w.get("/v1/events").lines(t)
	for _, e := range all {
		verdict := "none"
		if actor, ok := e["actor"].(map[string]any); ok {
			verdict = actor["verdict"].(string)
		}
		count[verdict]++
	}
	if len(count) < 2 {
		t.Fatalf("only %v", count)
	}
	for verdict, want := range count {
		if got := w.get("/v1/events?verdict=" + verdict).lines(t); len(got) != want {
			t.Errorf("%s: %d, want %d", verdict, len(got), want)
		}
	}
	if got := w.get("/v1/events?verdict=none,unknown,self,scanner,proxy,human").lines(t); len(got) != len(all) {
		t.Errorf("%d of %d", len(got), len(all))
	}
	if got := w.get("/v1/events?kind=erase").lines(t); len(got) != 0 {
		t.Errorf("erases: %v", got)
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
