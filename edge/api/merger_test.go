package api

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// appender appends events of growing log times to random partitions. Messages are named by partition and number.
type appender struct {
	t      *testing.T
	random *rand.Rand
	parts  []*partition
	clock  event.Millis
	counts []int
}

func newAppender(t *testing.T, parts []*partition) *appender {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return &appender{t: t, random: rand.New(rand.NewPCG(seed, 0)), parts: parts, clock: event.FromTime(testNow), counts: make([]int, len(parts))}
}

func (a *appender) add(n int) {
	a.t.Helper()
	for range n {
		p := a.random.IntN(len(a.parts))
		a.clock += event.Millis(a.random.IntN(2)) // now and then two at the same time
		e := sentEvent("default", fmt.Sprint("s", p), fmt.Sprintf("%d-%d", p, a.counts[p]), a.clock)
		if a.counts[p]%3 == 2 {
			e.Kind = event.Delivered
		}
		a.counts[p]++
		a.parts[p].add(a.t, e, a.clock)
	}
}

// seen checks that every event comes once and in the order of its partition.
type seen struct {
	t      *testing.T
	counts []int
	times  []string
}

func (s *seen) take(e map[string]any) {
	s.t.Helper()
	var p, n int
	if _, err := fmt.Sscanf(e["message"].(string), "%d-%d", &p, &n); err != nil {
		s.t.Fatal(e)
	}
	if n != s.counts[p] {
		s.t.Fatalf("event %d of partition %d, want %d", n, p, s.counts[p])
	}
	s.counts[p]++
	s.times = append(s.times, e["time"].(string))
}

func TestPagesOverPartitions(t *testing.T) {
	f := newFleet(t, 3, 5, nil)
	a := newAppender(t, f.parts)
	nodes := f.all()
	got, at := &seen{t: t, counts: make([]int, 5)}, &seen{t: t, counts: make([]int, 5)}
	after, byEvent := "", ""
	for range 40 {
		a.add(a.random.IntN(60))
		for range 1 + a.random.IntN(3) {
			limit := 1 + a.random.IntN(30)
			answer := nodes[a.random.IntN(len(nodes))].get(fmt.Sprintf("/v1/events?limit=%d&after=%s", limit, after))
			page := answer.lines(t)
			for _, e := range page {
				got.take(e)
			}
			after = answer.Header.Get(headerNext)
			if len(page) > 0 && page[len(page)-1]["cursor"] != after {
				t.Fatalf("header %s, last event %v", after, page[len(page)-1]["cursor"])
			}
		}
		// The cursor of any event is a place to go on.
		for _, e := range nodes[a.random.IntN(len(nodes))].get("/v1/events?limit=20&after=" + byEvent).lines(t) {
			at.take(e)
			byEvent = e["cursor"].(string)
			if a.random.IntN(10) == 0 {
				break
			}
		}
	}
	for { // to the end
		answer := f.front.get("/v1/events?after=" + after)
		for _, e := range answer.lines(t) {
			got.take(e)
		}
		if next := answer.Header.Get(headerNext); next == after {
			break
		} else {
			after = next
		}
	}
	if !slices.Equal(got.counts, a.counts) {
		t.Errorf("read %v, appended %v", got.counts, a.counts)
	}
	// What is there from the beginning comes in the order of time, whatever the pages' size.
	whole := &seen{t: t, counts: make([]int, 5)}
	next := ""
	for n := 1; n > 0; {
		answer := f.workers[1].get(fmt.Sprintf("/v1/events?limit=%d&after=%s", 1+a.random.IntN(100), next))
		lines := answer.lines(t)
		for _, e := range lines {
			whole.take(e)
		}
		n, next = len(lines), answer.Header.Get(headerNext)
	}
	if !slices.IsSorted(whole.times) {
		t.Errorf("not in the order of time: %v", whole.times)
	}
	if !slices.Equal(whole.counts, a.counts) {
		t.Errorf("read %v, appended %v", whole.counts, a.counts)
	}
	// Filters pass over, and the cursor with them.
	n := 0
	for next := ""; ; {
		answer := f.front.get("/v1/events?kind=delivered&limit=7&after=" + next)
		n += len(answer.lines(t))
		if after := answer.Header.Get(headerNext); after == next {
			break
		} else {
			next = after
		}
	}
	want := 0
	for _, count := range a.counts {
		want += count / 3
	}
	if n != want {
		t.Errorf("%d deliveries, want %d", n, want)
	}
}

func TestPagesOfGaps(t *testing.T) {
	gaps := gapLog{2, 5, 6, 900}
	w := newWorld(t, func(_ *Options, d *Dependencies) { d.Events = []log.Reader{gaps, gaps} })
	var offsets []string
	for after := ""; ; {
		a := w.get("/v1/events?limit=1&after=" + after)
		for _, e := range a.lines(t) {
			offsets = append(offsets, e["message"].(string))
		}
		if next := a.Header.Get(headerNext); next == after {
			break
		} else {
			after = next
		}
	}
	if want := "2 2 5 5 6 6 900 900"; strings.Join(offsets, " ") != want {
		t.Errorf("got %v, want %s", offsets, want)
	}
}

func TestCursorsOfPartitions(t *testing.T) {
	f := newFleet(t, 2, 3, nil)
	a := newAppender(t, f.parts)
	a.add(30)
	for cursor, status := range map[string]int{
		"x": 400,
		cursor{log: logEvents, offset: 1}.String():                          400, // of one partition
		cursor{log: logEvents, offsets: []int64{0, 0}}.String():             400,
		cursor{log: logRejects, offsets: []int64{0, 0, 0}}.String():         400,
		cursor{log: logEvents, offsets: []int64{0, 0, 1 << 40}}.String():    503, // its copy is behind
		cursor{log: logEvents, offsets: []int64{0, 0, 0}}.String():          200,
		cursor{log: logEvents, offsets: []int64{0, 0, 0}}.String() + "AAAA": 400,
	} {
		if got := f.front.get("/v1/events?after=" + cursor); got.StatusCode != status {
			t.Errorf("%s: %d %s, want %d", cursor, got.StatusCode, got.body, status)
		}
	}
	// One partition of one worker was trimmed: the nearest place keeps the others.
	_, next := f.parts[1].Bounds()
	must(t, f.parts[1].Trim(next))
	p := f.front.get("/v1/events?after="+(cursor{log: logEvents, offsets: []int64{2, 0, 3}}).String()).problem(t, 410)
	oldest, err := parseCursors(p.Oldest, logEvents, 3)
	must(t, err)
	if want := []int64{2, next - 1, 3}; !slices.Equal(oldest.offsets, want) {
		t.Errorf("oldest is %v, want %v", oldest.offsets, want)
	}
	f.front.get("/v1/events?after=" + p.Oldest).lines(t)
}

// The most partitions that there can be, with offsets as far as they go: header and line still pass.
func TestLongestCursor(t *testing.T) {
	many := make([]log.Reader, 4096)
	for i := range many {
		many[i] = gapLog{1<<62 + int64(i)}
	}
	w := newWorld(t, func(_ *Options, d *Dependencies) { d.Events = many })
	a := w.get("/v1/events?limit=2")
	if len(a.lines(t)) != 2 {
		t.Fatalf("%s", a.body)
	}
	next := a.Header.Get(headerNext)
	b := w.get("/v1/events?limit=1&after=" + url.QueryEscape(next))
	if len(b.lines(t)) != 1 {
		t.Fatalf("%s", b.body)
	}
	f := w.follow(t, "/v1/events?after="+next, "Last-Event-ID", next)
	if blk, _ := f.next(); blk.id != b.Header.Get(headerNext) {
		t.Error("a tail differs from a page")
	}
}

func TestTailsOverPartitions(t *testing.T) {
	f := newFleet(t, 2, 3, nil)
	a := newAppender(t, f.parts)
	a.add(50)
	live := f.front.follow(t, "/v1/events")
	before := slices.Clone(a.counts)
	for _, w := range f.all() {
		old := w.follow(t, "/v1/events?after="+(cursor{log: logEvents, offsets: []int64{0, 0, 0}}).String())
		got := &seen{t: t, counts: make([]int, 3)}
		last := ""
		for range 30 {
			b, e := old.next()
			got.take(e)
			last = b.id
		}
		must(t, old.resp.Body.Close())
		// A client that comes back elsewhere goes on where it was.
		again := f.front.follow(t, "/v1/events", "Last-Event-ID", last)
		a.add(10)
		for got.counts[0]+got.counts[1]+got.counts[2] < a.counts[0]+a.counts[1]+a.counts[2] {
			_, e := again.next()
			got.take(e)
		}
	}
	news := &seen{t: t, counts: before}
	for range 30 {
		_, e := live.next()
		news.take(e)
	}
	if !slices.Equal(news.counts, a.counts) {
		t.Errorf("told %v, appended %v", news.counts, a.counts)
	}
	// An owner that goes away ends the tails, so that their clients come back.
	f.doors[1].do(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	f.doors[1].CloseClientConnections()
	b, e := live.next()
	if b.event != "problem" || b.id != "" || e["status"] != 503.0 {
		t.Errorf("%+v", b)
	}
	if b, ok := live.block(); ok {
		t.Errorf("goes on with %+v", b)
	}
	if got := f.front.do("GET", "/v1/events", "", "Accept", "text/event-stream"); got.StatusCode != 503 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	f.doors[1].do(nil)
	f.front.follow(t, "/v1/events")
}

// Many tails watch a partition once.
func TestTailsShareAWatch(t *testing.T) {
	f := newFleet(t, 2, 2, nil)
	for range 5 {
		f.front.follow(t, "/v1/events")
	}
	f.workers[1].await(func() bool { return len(f.workers[1].server.waits) == 1 && len(f.workers[0].server.waits) == 1 })
}

// Garbage of a peer is refused whole.
func TestPeerRecords(t *testing.T) {
	good := log.Record{Offset: 7, Time: 1000, Key: []byte("k"), Value: []byte(`{"a":1}`)}
	b := appendPeerRecord(nil, &good)
	recs, err := readPeerRecords(b, 7, 1, nil)
	if err != nil || len(recs) != 1 || recs[0].Offset != 7 || recs[0].Time != 1000 || string(recs[0].Value) != `{"a":1}` || string(recs[0].Key) != "k" {
		t.Fatalf("%+v, %v", recs, err)
	}
	for i := 1; i < len(b); i++ {
		if _, err := readPeerRecords(b[:i], 0, 9, nil); err == nil {
			t.Errorf("%d bytes are read", i)
		}
	}
	twoLines := log.Record{Offset: 7, Value: []byte("{}\n{}")}
	for name, c := range map[string]struct {
		b    []byte
		from int64
		most int
	}{
		"before":   {b, 8, 1},
		"too many": {append(slices.Clone(b), appendPeerRecord(nil, &log.Record{Offset: 9, Value: []byte("{}")})...), 0, 1},
		"again":    {append(slices.Clone(b), b...), 0, 9},
		"no JSON":  {appendPeerRecord(nil, &log.Record{Offset: 1, Value: []byte("}")}), 0, 9},
		"lines":    {appendPeerRecord(nil, &twoLines), 0, 9},
		"huge":     {[]byte{1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1}, 0, 9},
		"overflow": {[]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1, 0, 2, '{', '}'}, 0, 9},
	} {
		if recs, err := readPeerRecords(c.b, c.from, c.most, nil); err == nil || len(recs) > 0 {
			t.Errorf("%s: %v", name, recs)
		}
	}
}

func FuzzPeerRecords(f *testing.F) {
	f.Add(appendPeerRecord(nil, &log.Record{Offset: 7, Time: 1000, Key: []byte("k"), Value: []byte(`{"a":1}`)}), int64(3))
	f.Fuzz(func(t *testing.T, b []byte, from int64) {
		from = max(0, from)
		recs, err := readPeerRecords(b, from, 4, nil)
		if err != nil && len(recs) > 0 || len(recs) > 4 {
			t.Fatalf("%d records, %v", len(recs), err)
		}
		for i := range recs {
			if recs[i].Offset < from || recs[i].Time < 0 {
				t.Fatalf("%+v after %d", recs[i], from)
			}
			from = recs[i].Offset + 1
		}
	})
}

func TestPeerEvents(t *testing.T) {
	f := newFleet(t, 2, 3, nil)
	w := f.workers[0]
	for _, path := range []string{
		"/v1/peer/events?wait=x", "/v1/peer/events?wait=-1s", "/v1/peer/events?known=" + strings.Repeat("0", 17), "/v1/peer/events/x?from=0",
		"/v1/peer/events/0", "/v1/peer/events/0?from=-1", "/v1/peer/events/0?from=0&limit=513", "/v1/peer/events/70000?from=0",
	} {
		w.get(path).problem(t, 400)
	}
	if p := w.get("/v1/peer/events/1?from=0").problem(t, 503); p.Type != problemType+"workers-differ" {
		t.Errorf("%+v", p)
	}
	w.get("/v1/peer/events/3?from=0").problem(t, 503)
	f.parts[0].add(t, sentEvent("a", "s", "m", 1), 1)
	if a := w.get("/v1/peer/events"); string(a.body) != `{"bounds":[[0,0,1],[2,0,0]],"known":"`+tagOf(t, a)+"\"}\n" {
		t.Errorf("%s", a.body)
	}
	if a := w.get("/v1/peer/events/0?from=0"); a.Header.Get("Content-Type") != recordsType || len(a.body) == 0 {
		t.Errorf("%s", a.body)
	}
	if a := w.get("/v1/peer/events/0?from=1"); a.StatusCode != 200 || len(a.body) != 0 {
		t.Errorf("%s", a.body)
	}
}

func tagOf(t *testing.T, a answer) string {
	t.Helper()
	var told boundsAnswer
	a.ok(t, &told)
	if !isTag(told.Known) {
		t.Errorf("tag %q", told.Known)
	}
	return told.Known
}

// gapLog is a log of records at these offsets alone.
type gapLog []int64

func (l gapLog) Bounds() (oldest, next int64)  { return 0, l[len(l)-1] + 1 }
func (l gapLog) Partition() int32              { return 0 }
func (l gapLog) Refresh(context.Context) error { return nil }

func (l gapLog) Read(ctx context.Context, from int64, most int, dst []log.Record) ([]log.Record, error) {
	had := len(dst)
	for _, offset := range l {
		if offset >= from && len(dst)-had < most {
			e := sentEvent("a", "s", fmt.Sprint(offset), 1)
			dst = append(dst, log.Record{Offset: offset, Time: event.Millis(offset), Value: e.AppendJSON(nil)})
		}
	}
	if len(dst) == had {
		<-ctx.Done()
		return dst, ctx.Err()
	}
	return dst, nil
}
