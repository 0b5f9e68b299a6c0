package api

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// seeded registers messages of two senders and two accounts, and waits until n events are there.
func (w *world) seed() (n int) {
	w.t.Helper()
	var b strings.Builder
	for i := range 20 {
		fmt.Fprintf(&b, `{"account":"a%d","sender":"s%d","message":"m-%d"}`+"\n", i%2, i%4, i)
	}
	w.bulk("/v1/messages", b.String()).lines(w.t)
	w.post("/v1/events", `{"kind":"reply","account":"a1","message":"m-1","report_id":"r"}`).ok(w.t, nil)
	n = 22 // the reply implies an open
	w.await(func() bool { _, next := w.events.Bounds(); return next == int64(n) })
	return n
}

func TestEventPages(t *testing.T) {
	w := newWorld(t, nil)
	// Before anything happened there is a cursor already.
	a := w.get("/v1/events")
	if len(a.lines(t)) != 0 || a.Header.Get(headerNext) == "" {
		t.Fatalf("%v %s", a.Header, a.body)
	}
	begin := a.Header.Get(headerNext)
	n := w.seed()

	all := w.get("/v1/events").lines(t)
	if len(all) != n {
		t.Fatalf("%d events, want %d", len(all), n)
	}
	// Page by page gives the same, by the header and by the cursor of the last event.
	for _, byHeader := range []bool{true, false} {
		var got []map[string]any
		for after := begin; ; {
			a := w.get("/v1/events?limit=3&after=" + after)
			page := a.lines(t)
			if len(page) == 0 {
				if a.Header.Get(headerNext) != after {
					t.Errorf("at the end the cursor moves from %s to %s", after, a.Header.Get(headerNext))
				}
				break
			}
			got = append(got, page...)
			after = a.Header.Get(headerNext)
			if last := page[len(page)-1]["cursor"]; last != after {
				t.Errorf("header %s, last event %s", after, last)
			}
			if !byHeader {
				after = page[len(page)-1]["cursor"].(string)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(all) {
			t.Errorf("pages (by header: %v) differ from the whole", byHeader)
		}
	}
	// HEAD is GET without a body.
	if h := w.do("HEAD", "/v1/events", ""); h.StatusCode != 200 || len(h.body) != 0 || h.Header.Get(headerNext) == "" || h.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("HEAD: %v %q", h.Header, h.body)
	}
}

func TestEventFilters(t *testing.T) {
	w := newWorld(t, nil)
	w.seed()
	for query, want := range map[string]int{
		"kind=reply": 1, "kind=open": 1, "kind=sent,reply": 21, "kind=bounce": 0,
		"account=a0": 10, "account=a1": 12, "account=a": 0, "sender=s1": 7, "sender=s2&account=a0": 5, "sender=s2&account=a1": 0,
		"message=m-1": 3, "message=%3Cm-1%3E": 3, "message=m-1&kind=sent": 1, "": 22,
		"kind=sent&limit=7": 7,
	} {
		a := w.get("/v1/events?" + query)
		got := a.lines(t)
		if len(got) != want {
			t.Errorf("%s: %d events, want %d", query, len(got), want)
		}
		for _, e := range got {
			for _, name := range []string{"account", "sender"} {
				if v, _ := url.ParseQuery(query); v.Get(name) != "" && e[name] != v.Get(name) {
					t.Errorf("%s: %v", query, e)
				}
			}
		}
	}
}

func TestEventsRefuse(t *testing.T) {
	w := newWorld(t, nil)
	n := w.seed()
	good := cursor{log: logEvents, offset: 1}
	for _, c := range []struct {
		query       string
		status      int
		kind, field string
	}{
		{"after=x", 400, "bad-cursor", "after"},
		{"after=" + good.String()[:15], 400, "bad-cursor", "after"},
		{"after=" + good.String()[:15] + "=", 400, "bad-cursor", "after"},
		{"after=" + good.String()[:15] + "%0A", 400, "bad-parameter", "after"},
		{"after=" + cursor{log: logJournal, offset: 1}.String(), 400, "bad-cursor", "after"},
		{"after=" + cursor{log: logEvents, partition: 1}.String(), 400, "bad-cursor", "after"},
		{"after=" + cursor{log: logEvents, offset: -1}.String(), 400, "bad-cursor", "after"},
		{"after=" + cursor{log: logEvents, offset: int64(n) + 1}.String(), 410, "cursor-gone", "after"},
		{"limit=0", 400, "bad-parameter", "limit"},
		{"limit=10001", 400, "bad-parameter", "limit"},
		{"limit=ten", 400, "bad-parameter", "limit"},
		{"kind=nope", 400, "bad-parameter", "kind"},
		{"kind=sent,", 400, "bad-parameter", "kind"},
		{"kind=tick", 400, "bad-parameter", "kind"},
		{"sendr=alice", 400, "bad-parameter", "sendr"},
		{"sender=a&sender=b", 400, "bad-parameter", "sender"},
		{"sender=%00", 400, "bad-parameter", "sender"},
		{"sender=%ff", 400, "bad-parameter", "sender"},
		{"sender=%f", 400, "bad-parameter", ""},
		{"a;b", 400, "bad-parameter", ""},
	} {
		p := w.get("/v1/events?"+c.query).problem(t, c.status)
		if p.Type != problemType+c.kind || p.Field != c.field {
			t.Errorf("%s: %+v", c.query, p)
		}
	}
	// A trimmed place tells where the log begins now.
	must(t, w.events.Trim(5))
	p := w.get("/v1/events?after="+good.String()).problem(t, 410)
	if p.Type != problemType+"cursor-gone" || p.Oldest == "" {
		t.Fatalf("%+v", p)
	}
	if got := w.get("/v1/events?after=" + p.Oldest).lines(t); len(got) != n-5 {
		t.Errorf("%d events from the oldest on", len(got))
	}
	if got := w.get("/v1/events").lines(t); len(got) != n-5 {
		t.Errorf("%d events from the beginning on", len(got))
	}
}

// scanLog is a log of n records of which the last alone matches.
type scanLog struct {
	n     int64
	value func(offset int64) []byte
}

func (l scanLog) Bounds() (oldest, next int64)  { return 0, l.n }
func (l scanLog) Partition() int32              { return 0 }
func (l scanLog) Refresh(context.Context) error { return nil }

func (l scanLog) Read(ctx context.Context, from int64, most int, dst []log.Record) ([]log.Record, error) {
	if from >= l.n {
		<-ctx.Done()
		return dst, ctx.Err()
	}
	for ; from < l.n && len(dst) < most; from++ {
		dst = append(dst, log.Record{Offset: from, Value: l.value(from)})
	}
	return dst, nil
}

// A page ends when it has looked at enough, or holds enough, and then too it says where to go on.
func TestPagesAreBounded(t *testing.T) {
	small, wanted := event.Refined{Kind: event.Sent}, event.Refined{Kind: event.Reply}
	other, match := small.AppendJSON(nil), wanted.AppendJSON(nil)
	l := scanLog{n: 2*maxPageScan + 2, value: func(o int64) []byte {
		if o == 2*maxPageScan+1 {
			return match
		}
		return other
	}}
	w := newWorld(t, func(_ *Options, d *Dependencies) { d.Events = []log.Reader{l} })
	after, pages, found := "", 0, 0
	for found == 0 && pages < 10 {
		a := w.get("/v1/events?kind=reply&after=" + after)
		found += len(a.lines(t))
		after = a.Header.Get(headerNext)
		pages++
	}
	if found != 1 || pages != 3 {
		t.Errorf("found %d in %d pages, want 1 in 3", found, pages)
	}

	big := event.Refined{Kind: event.Sent, Ref: event.Ref{Contact: strings.Repeat("x", 1<<20)}}
	value := big.AppendJSON(nil)
	w = newWorld(t, func(_ *Options, d *Dependencies) {
		d.Events = []log.Reader{scanLog{n: 100, value: func(int64) []byte { return value }}}
	})
	a := w.get("/v1/events")
	if got := len(a.lines(t)); got != 8 {
		t.Errorf("%d events of 1 MiB on a page", got)
	}
	if got := w.get("/v1/events?after=" + a.Header.Get(headerNext)); len(got.lines(t)) != 8 {
		t.Error("the next page differs")
	}
}

// failing is a log that can't be read.
type failing struct{ scanLog }

func (failing) Read(context.Context, int64, int, []log.Record) ([]log.Record, error) {
	return nil, errors.New("test: no disk")
}

func TestEventsFail(t *testing.T) {
	broken := func(int64) []byte { return []byte("{") }
	for _, l := range []log.Reader{failing{scanLog{n: 1}}, scanLog{n: 1, value: broken}} {
		w := newWorld(t, func(_ *Options, d *Dependencies) { d.Events, d.Journal = []log.Reader{l}, l })
		for _, path := range []string{"/v1/events", "/v1/events?kind=sent", "/v1/journal"} {
			w.get(path).problem(t, 500)
		}
	}
}

func TestJournal(t *testing.T) {
	w := newWorld(t, nil)
	w.seed()
	must(t, w.journal.Tick(t.Context()))
	a := w.get("/v1/journal")
	got := a.lines(t)
	if len(got) != 21 {
		t.Fatalf("%d records, want 21", len(got))
	}
	if e := got[20]; e["kind"] != "reply" || e["node"] != "edge-1" || e["known_by"] != "key" || e["message"] != "m-1" ||
		e["offset"] != float64(20) || len(e["incarnation"].(string)) != 32 || e["log_time"] == nil {
		t.Errorf("%v", e)
	}
	// The tick is no line, but the next page begins behind it.
	if next := a.Header.Get(headerNext); next != (cursor{log: logJournal, offset: 22}).String() {
		t.Errorf("next %s", next)
	}
	n := 0
	for after := ""; ; {
		a := w.get("/v1/journal?limit=4&after=" + after)
		page := a.lines(t)
		n += len(page)
		if after = a.Header.Get(headerNext); len(page) == 0 {
			break
		}
	}
	if n != 21 {
		t.Errorf("%d records page by page", n)
	}
	w.get("/v1/journal?after="+cursor{log: logEvents}.String()).problem(t, 400)
	w.get("/v1/journal?kind=sent").problem(t, 400)
}

func TestCursor(t *testing.T) {
	for _, c := range []cursor{{log: logEvents}, {log: logJournal, partition: 65535, offset: 1<<63 - 1}} {
		got, err := parseCursor(c.String(), c.log, c.partition)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%+v: %+v, %v", c, got, err)
		}
	}
	many := cursor{log: logEvents, offsets: make([]int64, 4096)}
	for _, offset := range []int64{0, 127, 128, 1 << 40, 1<<63 - 1} {
		for i := range many.offsets {
			many.offsets[i] = offset
		}
		for _, c := range []cursor{{log: logRejects, offsets: []int64{offset, 0}}, {log: logEvents, offsets: []int64{0, offset, 7}}, many} {
			text := c.String()
			got, err := parseCursors(text, c.log, len(c.offsets))
			if err != nil || !reflect.DeepEqual(got, c) {
				t.Errorf("%+v: %+v, %v", c, got, err)
			}
			if len(text) > longestCursor(len(c.offsets)) {
				t.Errorf("%d partitions: %d bytes, at most %d", len(c.offsets), len(text), longestCursor(len(c.offsets)))
			}
			if _, err := parseCursors(text, c.log, len(c.offsets)+1); err == nil {
				t.Error("a cursor of fewer partitions is read")
			}
			if _, err := parseCursors(text, logJournal, len(c.offsets)); err == nil {
				t.Error("a cursor of another log is read")
			}
		}
	}
}
