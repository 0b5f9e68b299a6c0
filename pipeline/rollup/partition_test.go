package rollup

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/score"
)

// TestRun counts what comes while others ask, and stops when it is told to.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{CompleteAfter: time.Hour, PublishEvery: time.Minute, Domains: 10, StepRecords: 3, CacheEnrollments: 8, CacheRows: 8})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.p.Run(ctx) }()
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			for range 100 {
				if got := f.score(hour0 + hour); got.Bounced > got.Completed {
					t.Errorf("got %+v", got.Counts)
				}
			}
		}()
		for range 20 {
			f.publish([]event.Refined{withOrigin(f, ev(event.Sent, hour0)), withOrigin(f, ev(event.Bounce, hour0))})
			synctest.Wait()
			if _, next := f.in.Bounds(); f.p.Passed() != next {
				t.Errorf("passed %d of %d", f.p.Passed(), next)
			}
		}
		<-asked
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stopped with %v", err)
		}
		_ = f.store.Close()
	})
}

func withOrigin(f *fixture, r event.Refined) event.Refined {
	r.Origin.Offset = f.n
	f.n++
	return r
}

func TestRunGivesUpWithTheStore(t *testing.T) {
	f := newFixture(t, Default())
	f.publish([]event.Refined{ev(event.Sent, hour0)})
	f.p.in = failingReader{f.in}
	if err := f.p.Run(t.Context()); !errors.Is(err, errReader) {
		t.Errorf("got %v", err)
	}
	f.p.in = f.in
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	recs := []log.Record{{Value: (&event.Refined{Kind: event.Sent}).AppendJSON(nil)}}
	if err := f.p.count(newStep(f.p), recs); err == nil || f.p.Passed() != 0 {
		t.Errorf("counted in a closed store: %v, passed %d", err, f.p.Passed())
	}
}

var errReader = errors.New("no log")

type failingReader struct{ log.Reader }

func (failingReader) Read(context.Context, int64, int, []log.Record) ([]log.Record, error) {
	return nil, errReader
}

func TestUnreadableEventsAreSkipped(t *testing.T) {
	f := newFixture(t, Default())
	f.p.log = zap.NewNop()
	f.publishRecords([]log.Record{{Value: []byte("{")}, {Value: nil}, {Value: []byte("\x00\xff")}})
	f.tell(ev(event.Completed, hour0))
	if got := f.score(hour0).Completed; got != 1 {
		t.Errorf("got %d completed, want 1", got)
	}
	if got := counterOf(t, f.p.metrics.skipped.WithLabelValues(skipRejected)); got != 3 {
		t.Errorf("got %v rejected, want 3", got)
	}
}

// TestTrimmedLog: what the log has lost is skipped and counted, whether nothing was counted yet or something.
func TestTrimmedLog(t *testing.T) {
	f := newFixture(t, Default())
	for i := range 10 {
		f.publish([]event.Refined{withOrigin(f, ev(event.Completed, hour0, message(string(rune('a'+i)))))})
	}
	if err := f.in.Trim(4); err != nil {
		t.Fatal(err)
	}
	f.p.log = zap.NewNop()
	ctx, cancel := context.WithCancel(t.Context())
	f.p.in = stopAt{f.in, 10, cancel}
	if err := f.p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got := f.score(hour0).Completed; got != 6 {
		t.Errorf("got %d completed, want 6", got)
	}
	if got := counterOf(t, f.p.metrics.skipped.WithLabelValues(skipTrimmed)); got != 4 {
		t.Errorf("got %v trimmed, want 4", got)
	}
}

// stopAt cancels when all before an offset was read.
type stopAt struct {
	log.Reader
	offset int64
	cancel func()
}

func (s stopAt) Read(ctx context.Context, from int64, most int, dst []log.Record) ([]log.Record, error) {
	if from == s.offset {
		s.cancel()
	}
	return s.Reader.Read(ctx, from, most, dst)
}

func TestOpenRefuses(t *testing.T) {
	f := newFixture(t, Default())
	f.tell(ev(event.Sent, hour0))
	other := openStore(t, vfs.NewMem())
	open := func(o Options, so score.Options, in log.Reader) error {
		p, err := Open(o, so, f.store, in, nil, zap.NewNop(), prometheus.NewRegistry())
		if err != nil {
			return err
		}
		return p.Run(t.Context())
	}
	bad := score.Default()
	bad.Minimum = 0
	for _, tt := range []struct {
		err  error
		want string
	}{
		{open(Options{CompleteAfter: -1}, score.Default(), f.in), "rollup: complete_after: -1ns: want whole milliseconds from 0 to 2160h"},
		{open(Default(), bad, f.in), "score: minimum: 0: want 1 or more"},
		{open(Default(), score.Default(), openLog(t, other)), "rollup 0: counted up to offset 1, but the log ends at 0: it is not the log that was counted"},
	} {
		if tt.err == nil || tt.err.Error() != tt.want {
			t.Errorf("got %v, want %s", tt.err, tt.want)
		}
	}
	b := f.store.NewBatch()
	if err := b.Set(f.p.metaKey(metaPosition), []byte{9}, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.store.Commit(b); err != nil {
		t.Fatal(err)
	}
	if err := open(Default(), score.Default(), f.in); err == nil || !strings.Contains(err.Error(), "position has version 9") {
		t.Errorf("got %v", err)
	}
}

func TestPartitionsShareARegistry(t *testing.T) {
	f := newFixture(t, Default())
	reg := prometheus.NewRegistry()
	for _, partition := range []int32{0, 1, 1} { // the last takes the place of the one before
		p, err := Open(Default(), score.Default(), f.store, numbered{f.in, partition}, nil, zap.NewNop(), reg)
		if err != nil {
			t.Fatal(err)
		}
		p.metrics.events.Inc()
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if len(family.GetMetric()) < 2 {
			t.Errorf("%s is not told by partition", family.GetName())
		}
		for _, m := range family.GetMetric() {
			if family.GetName() == "carom_rollup_events_total" && m.GetCounter().GetValue() != 1 {
				t.Errorf("got %v", m)
			}
		}
	}
	if len(families) < 6 {
		t.Errorf("got %v", families)
	}
}

// numbered is a log that calls itself another partition.
type numbered struct {
	log.Reader
	partition int32
}

func (n numbered) Partition() int32 { return n.partition }

// TestOffsetsWithGaps: a log that was copied from a topic has the topic's offsets, and those have gaps.
func TestOffsetsWithGaps(t *testing.T) {
	f := newFixture(t, Default())
	gaps := &gapped{Reader: f.in}
	for i, offset := range []int64{7, 8, 400, 1000} {
		r := withOrigin(f, ev(event.Completed, hour0, message(string(rune('a'+i)))))
		gaps.recs = append(gaps.recs, log.Record{Offset: offset, Value: r.AppendJSON(nil)})
	}
	for most := range 3 {
		f.p.o.StepRecords = most + 1
		ctx, cancel := context.WithCancel(t.Context())
		f.p.in = stopAt{gaps, 1001, cancel}
		if err := f.p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if got := f.score(hour0).Completed; got != 4 || f.p.Passed() != 1001 || f.p.lag() != 0 {
			t.Errorf("got %d completed, passed %d", got, f.p.Passed())
		}
		f.open(Default())
	}
}

// gapped is a log with recs and no others.
type gapped struct {
	log.Reader
	recs []log.Record
}

func (g *gapped) Bounds() (oldest, next int64) {
	return g.recs[0].Offset, g.recs[len(g.recs)-1].Offset + 1
}

func (g *gapped) Read(ctx context.Context, from int64, most int, dst []log.Record) ([]log.Record, error) {
	if from < g.recs[0].Offset {
		return dst, log.ErrTrimmed
	}
	for _, r := range g.recs {
		if r.Offset >= from && len(dst) < most {
			dst = append(dst, r)
		}
	}
	if len(dst) == 0 {
		<-ctx.Done()
	}
	return dst, ctx.Err()
}

// TestRunWaitsForTheLog: Run begins when the log is to be had.
func TestRunWaitsForTheLog(t *testing.T) {
	f := newFixture(t, Default())
	f.p.in = away{f.in}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.p.Run(ctx); err != nil {
		t.Error(err)
	}
}

// away is a log that is not to be had.
type away struct{ log.Reader }

func (away) Refresh(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestShare: a partition's part is what the node has, divided, and never less than what is allowed.
func TestShare(t *testing.T) {
	o := Default()
	o.CacheEnrollments, o.CacheRows = 1000, 10
	for _, tt := range []struct{ partitions, enrollments, rows int }{{0, 1000, 10}, {1, 1000, 10}, {3, 333, 3}, {1 << 16, 2, 2}} {
		s := o.Share(tt.partitions)
		if s.CacheEnrollments != tt.enrollments || s.CacheRows != tt.rows {
			t.Errorf("%d partitions: %d enrollments, %d rows", tt.partitions, s.CacheEnrollments, s.CacheRows)
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%d partitions: %v", tt.partitions, err)
		}
	}
}

func TestOptions(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.CompleteAfter = 2161 * time.Hour }, "complete_after: 2161h0m0s: want whole milliseconds from 0 to 2160h"},
		{func(o *Options) { o.CompleteAfter = time.Microsecond }, "complete_after: 1µs: want"},
		{func(o *Options) { o.PublishEvery = time.Millisecond }, "publish_every: 1ms: want 1s to 1h"},
		{func(o *Options) { o.PublishEvery = 2 * time.Hour }, "publish_every: 2h0m0s: want 1s to 1h"},
		{func(o *Options) { o.StepRecords = 0 }, "step_records: 0: want 1 to 65536"},
		{func(o *Options) { o.StepRecords = 65537 }, "step_records: 65537: want 1 to 65536"},
		{func(o *Options) { o.CacheEnrollments = 1 }, "cache_enrollments: 1: want 2 to 16777216"},
		{func(o *Options) { o.CacheRows = 1 << 30 }, "cache_rows: 1073741824: want 2 to 16777216"},
	} {
		o := Default()
		tt.change(&o)
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

// TestCompleteAfterCanBeChanged between two starts; nameless opens and sends stay.
func TestCompleteAfterCanBeChanged(t *testing.T) {
	f := newFixture(t, Default())
	f.tell(ev(event.Sent, hour0), ev(event.Open, hour0+hour, someone), ev(event.Bounce, hour0+1))
	o := Default()
	for i, d := range []time.Duration{time.Hour, 0, 72 * time.Hour} {
		o.CompleteAfter = d
		f.open(o)
		at := hour0 + event.Millis(d/time.Millisecond)
		if got := f.score(at); got.Completed != 1 || got.Bounced != 1 {
			t.Errorf("%v: got %+v", d, got.Counts)
		}
		if got := f.score(at - minute).Completed; got != 0 {
			t.Errorf("%v: completed too soon", d)
		}
		if got := f.score(hour0 + hour); got.AnonymousOpened != 1 || got.Recent.Day != (Period{1, 1}) {
			t.Errorf("%v: got %+v", d, got)
		}
		m := message("m" + d.String())
		f.tell(ev(event.Sent, hour0+day, m), ev(event.Reply, hour0+day+1, m))
		if got := f.score(at + day); got.Completed != int64(i+1) || got.Replied != int64(i+1) {
			t.Errorf("%v: what came since: got %+v", d, got.Counts)
		}
	}
}

func TestCache(t *testing.T) {
	c := newCache(2)
	put := func(key, value string) { c.put([]byte(key), []byte(value)) }
	want := func(key, want string) {
		t.Helper()
		if got, ok := c.get([]byte(key)); string(got) != want || ok != (want != "") {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	put("a", "1")
	put("a", "22")
	want("a", "22")
	put("a", "3")
	want("a", "3")
	put("b", "1")
	put("c", "1") // a and b grow old
	want("a", "3")
	put("d", "1") // a and c grow old, b is forgotten
	want("b", "")
	put("a", "4")
	want("a", "4")
	if n := len(c.young.index) + len(c.old.index); n > 4 {
		t.Errorf("holds %d values", n)
	}
}
