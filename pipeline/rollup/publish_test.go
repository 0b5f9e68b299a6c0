package rollup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/score"
)

// scores is a log of scores elsewhere.
type scores struct {
	t   testing.TB
	err error
	old atomic.Bool // somebody says that the numbers are

	mu   sync.Mutex // guards recs
	recs []log.Record
}

func (s *scores) Write(_ context.Context, _ *kv.Batch, recs []log.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recs = append(s.recs, recs...)
	return s.err
}

func (s *scores) Committed() {}

// take returns the keys and values that came since the last call.
func (s *scores) take() (keys []string, values []SenderScores) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.recs {
		var v SenderScores
		if err := json.Unmarshal(r.Value, &v); err != nil {
			s.t.Fatal(err)
		}
		keys, values = append(keys, string(r.Key)), append(values, v)
	}
	s.recs = nil
	return keys, values
}

// wantKeys fails unless just these came.
func (s *scores) wantKeys(want ...string) []SenderScores {
	s.t.Helper()
	keys, values := s.take()
	if !slices.Equal(keys, want) {
		s.t.Fatalf("published %v, want %v", keys, want)
	}
	return values
}

// publishing runs test with a partition that publishes, its clock at a whole hour.
func publishing(t *testing.T, o Options, test func(t *testing.T, f *fixture, out *scores, restart func())) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour)))
		f := &fixture{t: t, store: openStore(t, vfs.NewMem())}
		f.in = openLog(t, f.store)
		out := &scores{t: t}
		stop := func() {}
		start := func() {
			var err error
			if f.p, err = Open(o, score.Default(), f.store, f.in, out, zap.NewNop(), prometheus.NewRegistry()); err != nil {
				t.Fatal(err)
			}
			f.p.PublishWhen(func() bool { return !out.old.Load() })
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error)
			go func() { ended <- f.p.Run(ctx) }()
			stop = func() {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
		}
		start()
		test(t, f, out, func() { stop(); start() })
		stop()
		_ = f.store.Close()
	})
}

func (f *fixture) heard(events ...event.Refined) {
	f.t.Helper()
	for i := range events {
		events[i] = withOrigin(f, events[i])
	}
	f.publish(events)
	synctest.Wait()
}

// Senders that changed are published once a publish_every, with what Score answers; the others are not.
func TestPublishChanged(t *testing.T) {
	o := Default()
	o.CompleteAfter = 0
	publishing(t, o, func(t *testing.T, f *fixture, out *scores, _ func()) {
		now := event.Now()
		f.heard(ev(event.Sent, now, sender("z")), ev(event.Sent, now, sender("b"), sequence("q")), ev(event.Bounce, now, sender("b"), sequence("q")))
		f.heard(ev(event.Sent, now, sender("b"), message("m2")))
		out.wantKeys()
		time.Sleep(time.Minute)
		synctest.Wait()
		v := out.wantKeys("a/b", "a/z")[0]
		if v.Account != "a" || v.Sender != "b" || event.Millis(v.AsOf) != now+minute || len(v.Windows) != 3 {
			t.Errorf("got %+v", v)
		}
		for name, window := range map[string]time.Duration{"24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour} {
			want := f.ask(Query{Account: "a", Sender: "b", Window: window, AsOf: now + minute})
			want.Known = false // which no JSON says
			if got := v.Windows[name]; !reflect.DeepEqual(got, want) || got.Completed != 2 || got.Bounced != 1 {
				t.Errorf("%s: got  %+v\nwant %+v", name, got, want)
			}
		}
		time.Sleep(10 * time.Minute)
		out.wantKeys()
		// A fact that changes no number is no news.
		f.heard(ev(event.Bounce, now, sender("b"), sequence("q")))
		f.heard(ev(event.Sent, now+11*minute, sender("z"), message("m2")))
		time.Sleep(time.Minute)
		synctest.Wait()
		out.wantKeys("a/z")
	})
}

// After a whole hour come those whose numbers time has changed.
func TestPublishHourly(t *testing.T) {
	o := Default()
	o.CompleteAfter = 90 * time.Minute
	publishing(t, o, func(t *testing.T, f *fixture, out *scores, _ func()) {
		now := event.Now()
		f.heard(ev(event.Sent, now-2*day), ev(event.Sent, now, sender("t")), ev(event.Completed, now-30*day+4*hour, sender("old")))
		time.Sleep(time.Minute)
		synctest.Wait()
		out.wantKeys("a/old", "a/s", "a/t")
		time.Sleep(time.Hour) // t's mail is no longer of the last hour
		synctest.Wait()
		out.wantKeys("a/t")
		time.Sleep(time.Hour) // t's enrollment is complete
		synctest.Wait()
		if v := out.wantKeys("a/t")[0]; v.Windows["24h"].Completed != 1 {
			t.Errorf("got %+v", v)
		}
		time.Sleep(8 * time.Hour) // old's has left the longest window
		synctest.Wait()
		if v := out.wantKeys("a/old")[0]; v.Windows["30d"].Completed != 0 {
			t.Errorf("got %+v", v)
		}
	})
}

// What was not published before the end is published with the next hour, and nothing else.
func TestPublishAfterRestart(t *testing.T) {
	publishing(t, Default(), func(t *testing.T, f *fixture, out *scores, restart func()) {
		now := event.Now()
		f.heard(ev(event.Completed, now-40*day, sender("old"))) // counts in no window
		f.heard(ev(event.Completed, now-10*day, sender("told")))
		time.Sleep(time.Minute)
		synctest.Wait()
		out.wantKeys("a/old", "a/told")
		f.heard(ev(event.Completed, now-10*day, sender("lost")))
		restart()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		out.wantKeys()
		time.Sleep(time.Hour)
		synctest.Wait()
		out.wantKeys("a/lost")
	})
}

// More senders than are remembered one by one, and more than a page, are all published, each once.
func TestPublishMany(t *testing.T) {
	f := newFixture(t, Default())
	out := &scores{t: t}
	p := newPublisher(f.p, out)
	f.p.publisher = p
	const senders = 3*publishPage + 7
	var events []event.Refined
	for i := range senders {
		events = append(events, ev(event.Completed, hour0, sender(fmt.Sprintf("s%04d", i))))
	}
	f.tell(events...)
	for i := len(p.senders); i <= maxChanged; i++ {
		p.changed([]scope{{account: "x", sender: fmt.Sprint(i)}})
	}
	if len(p.senders) != 0 || !p.overflow {
		t.Fatalf("%d senders are remembered", len(p.senders))
	}
	p.hour = time.Now().Add(time.Hour)
	if err := p.publish(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	keys, _ := out.take()
	if len(keys) != senders || !slices.IsSorted(keys) || len(slices.Compact(keys)) != senders {
		t.Errorf("%d senders were published", len(keys))
	}
	if got := counterOf(t, f.p.metrics.published); got != senders {
		t.Errorf("%v are counted", got)
	}
}

// Old numbers are not published while a backlog is counted.
func TestPublishNoBacklog(t *testing.T) {
	o := Default()
	o.StepRecords = 4
	publishing(t, o, func(t *testing.T, f *fixture, out *scores, _ func()) {
		f.p.passed.Store(-5) // as far behind as it looks
		f.p.publisher.changed([]scope{{account: "a", sender: "s"}})
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		out.wantKeys()
		f.p.passed.Store(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		out.wantKeys("a/s")
	})
}

// Nor while somebody says that they are old.
func TestPublishWhen(t *testing.T) {
	publishing(t, Default(), func(t *testing.T, f *fixture, out *scores, _ func()) {
		out.old.Store(true)
		f.heard(ev(event.Sent, event.Now()))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		out.wantKeys()
		out.old.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		out.wantKeys("a/s")
	})
}

// A log that fails ends Run.
func TestPublishFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Default())
		broken := errors.New("broken")
		f.p.publisher = newPublisher(f.p, &scores{t: t, err: broken})
		f.tell(ev(event.Sent, hour0))
		if err := f.p.Run(t.Context()); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		_ = f.store.Close()
	})
}
