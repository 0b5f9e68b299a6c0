package scrub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

const (
	sentAt   event.Millis = 1795219200000
	erasedAt              = sentAt + 1000
)

// source tells of erases until they are done.
type source struct {
	jobs  []Job
	asked []int // limits
	done  [][]Job
}

func (s *source) Jobs(limit int) ([]Job, error) {
	s.asked = append(s.asked, limit)
	return slices.Clone(s.jobs[:min(limit, len(s.jobs))]), nil
}

func (s *source) Done(jobs []Job) error {
	s.done = append(s.done, jobs)
	s.jobs = slices.DeleteFunc(s.jobs, func(j Job) bool { return slices.Contains(jobs, j) })
	return nil
}

func (s *source) Buried(*event.Event) (bool, error) { return false, nil }

func jobOf(contact string) Job { return Job{event.ContactKeyOf("acme", contact), erasedAt} }

func openStore(t *testing.T, fs vfs.FS) *kv.Store {
	t.Helper()
	s, err := kv.Open("state", kv.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func click(contact, message string) []byte {
	r := event.Refined{
		Kind: event.Click, Time: erasedAt, Ref: event.Ref{Account: "acme", Sender: "alice", Contact: contact, Message: message, SentAt: sentAt},
		Actor: event.Actor{Verdict: event.Human}, Origin: event.Origin{Node: "n1"},
	}
	return r.AppendJSON(nil)
}

// fill writes n events, in turns of bob and of eve.
func fill(t *testing.T, s *kv.Store, partition int32, n int) *log.Local {
	t.Helper()
	l, err := log.NewLocal(s, kv.LogEvents, partition)
	if err != nil {
		t.Fatal(err)
	}
	var recs []log.Record
	for i := range n {
		recs = append(recs, log.Record{Time: erasedAt, Key: []byte("acme/alice"), Value: click([]string{"bob", "eve"}[i%2], fmt.Sprint("m-", i))})
	}
	b := s.NewBatch()
	if err := errors.Join(l.Write(context.Background(), b, recs), s.Commit(b), b.Close()); err != nil {
		t.Fatal(err)
	}
	l.Committed()
	return l
}

// named returns how many events of a log name a contact.
func named(t *testing.T, l *log.Local, contact string) (n int) {
	t.Helper()
	for next, end := l.Bounds(); next < end; {
		recs, err := l.Read(context.Background(), next, 1000, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range recs {
			if strings.Contains(string(rec.Value), `"`+contact+`"`) {
				n++
			}
		}
		next += int64(len(recs))
	}
	return n
}

// scrubs runs a scrubber over logs until it has nothing to do, or rest ends it.
func scrubs(t *testing.T, s *kv.Store, source *source, rest func(n int, d time.Duration) error, logs ...Log) *Scrubber {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := New(s, source, logs, zaptest.NewLogger(t), nil)
	n := 0
	c.rest = func(_ context.Context, d time.Duration) error {
		n++
		err := rest(n, d)
		if len(source.jobs) == 0 && err == nil {
			err = context.Canceled
		}
		if err != nil {
			cancel()
		}
		return err
	}
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

func steadily(int, time.Duration) error { return nil }

// visited is a log that tells which offsets it was asked for.
func visited(name string, l *log.Local, seen *[]int64) Log {
	return Log{
		Name: name,
		End: func() int64 {
			_, end := l.Bounds()
			return end
		},
		Rewrite: func(from, end int64, most int, w *Work) (int64, int, error) {
			if most > recordsAtOnce {
				return 0, 0, fmt.Errorf("%d at once", most)
			}
			*seen = append(*seen, from)
			return l.Rewrite(from, end, most, w.Event)
		},
	}
}

func TestScrub(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	a, b := fill(t, s, 0, 2*recordsAtOnce+10), fill(t, s, 1, 100)
	var seenA, seenB []int64
	src := &source{jobs: []Job{jobOf("bob"), jobOf("nobody")}}
	scrubs(t, s, src, steadily, visited("a", a, &seenA), visited("b", b, &seenB))
	if named(t, a, "bob")+named(t, b, "bob") != 0 {
		t.Error("events name him still")
	}
	if named(t, a, "eve") != recordsAtOnce+5 || named(t, b, "eve") != 50 {
		t.Error("another's events are gone")
	}
	if want := []int64{0, recordsAtOnce, 2 * recordsAtOnce}; !slices.Equal(seenA, want) || !slices.Equal(seenB, []int64{0}) {
		t.Errorf("read from %v, %v", seenA, seenB)
	}
	if len(src.done) != 1 || len(src.done[0]) != 2 {
		t.Errorf("done: %v", src.done)
	}
	for _, limit := range src.asked {
		if limit != maxAtOnce {
			t.Errorf("asked for %d jobs", limit)
		}
	}
}

// It works a fifth of the time at most, whatever a step takes.
func TestScrubRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := kv.Open("state", kv.Options{FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		const steps, step = 7, 3 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		src := &timed{source: source{jobs: []Job{jobOf("bob")}}}
		c := New(s, src, []Log{{Name: "a", End: func() int64 { return steps }, Rewrite: func(from, _ int64, _ int, _ *Work) (int64, int, error) {
			time.Sleep(step)
			return from + 1, 0, nil
		}}}, zap.NewNop(), nil)
		begun, ended := time.Now(), make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		time.Sleep(2 * steps * step * (1 + restTimes))
		cancel()
		if err := errors.Join(<-ended, s.Close()); err != nil {
			t.Error(err)
		}
		if got := src.at.Sub(begun); got != steps*step*(1+restTimes) {
			t.Errorf("%d steps of %v took %v", steps, step, got)
		}
	})
}

// timed notes when all was done.
type timed struct {
	source
	at time.Time
}

func (s *timed) Done(jobs []Job) error {
	s.at = time.Now()
	return s.source.Done(jobs)
}

// A restart goes on where the pass was, unless other erases have come: those need all.
func TestScrubResumes(t *testing.T) {
	for _, more := range []bool{false, true} {
		fs := vfs.NewMem()
		s := openStore(t, fs)
		a, b := fill(t, s, 0, 3*recordsAtOnce), fill(t, s, 1, 2*recordsAtOnce)
		var seenA, seenB []int64
		src := &source{jobs: []Job{jobOf("bob")}}
		scrubs(t, s, src, func(n int, _ time.Duration) error {
			if n == 4 {
				return context.Canceled
			}
			return nil
		}, visited("a", a, &seenA), visited("b", b, &seenB))
		if len(src.done) != 0 || len(seenA) != 3 || len(seenB) != 1 {
			t.Fatalf("done %v, read %v, %v", src.done, seenA, seenB)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, fs)
		a, b = reopened(t, s, 0), reopened(t, s, 1)
		seenA, seenB = nil, nil
		wantA, wantB := []int64(nil), []int64{recordsAtOnce}
		if more {
			src.jobs = append(src.jobs, jobOf("eve"))
			wantA, wantB = []int64{0, recordsAtOnce, 2 * recordsAtOnce}, []int64{0, recordsAtOnce}
		}
		scrubs(t, s, src, steadily, visited("a", a, &seenA), visited("b", b, &seenB))
		if !slices.Equal(seenA, wantA) || !slices.Equal(seenB, wantB) {
			t.Errorf("more %v: read from %v, %v", more, seenA, seenB)
		}
		if named(t, a, "bob")+named(t, b, "bob") != 0 || len(src.done) != 1 {
			t.Error("not done")
		}
		if got := named(t, a, "eve") > 0; got == more {
			t.Errorf("more %v: the other is there: %v", more, got)
		}

		// The next pass begins at the beginning.
		src.jobs, seenA = []Job{jobOf("bob")}, nil
		scrubs(t, s, src, steadily, visited("a", a, &seenA), visited("b", b, &seenB))
		if len(seenA) != 3 {
			t.Errorf("read from %v", seenA)
		}
		_ = s.Close()
	}
}

func reopened(t *testing.T, s *kv.Store, partition int32) *log.Local {
	t.Helper()
	l, err := log.NewLocal(s, kv.LogEvents, partition)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// While its reader is in the middle of records that are rewritten together, the log is waited for: what is left of it
// then would stay for ever.
func TestScrubWaitsForTheReader(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	passed := int64(7) // of a batch that goes up to 10
	var bounds []int64
	l := Log{Name: "journal", End: func() int64 { return passed }, Rewrite: func(from, end int64, _ int, _ *Work) (int64, int, error) {
		bounds = append(bounds, end)
		if end < 10 {
			return min(from+5, 5), 0, nil
		}
		return 10, 1, nil
	}}
	src := &source{jobs: []Job{jobOf("bob")}}
	scrubs(t, s, src, func(n int, _ time.Duration) error {
		if n < 4 && len(src.done) > 0 {
			t.Error("done too early")
		}
		if n == 4 {
			passed = 12
		}
		return nil
	}, l)
	if len(src.done) != 1 || bounds[len(bounds)-1] != 12 {
		t.Errorf("done %v, ends %v", src.done, bounds)
	}
}

// One pass serves a bounded number of erases; the next ones follow.
func TestScrubManyJobs(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	l := fill(t, s, 0, 10)
	var seen []int64
	src := &source{}
	for i := range maxAtOnce + 5 {
		src.jobs = append(src.jobs, jobOf(fmt.Sprint("c-", i)))
	}
	scrubs(t, s, src, steadily, visited("a", l, &seen))
	if len(src.done) != 2 || len(src.done[0]) != maxAtOnce || len(src.done[1]) != 5 || len(seen) != 2 {
		t.Errorf("%d passes, read from %v", len(src.done), seen)
	}
}

func TestScrubSaysWhatFailed(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	wrong := errors.New("wrong")
	src := &source{jobs: []Job{jobOf("bob")}}
	c := New(s, src, []Log{{Name: "events", End: func() int64 { return 1 }, Rewrite: func(int64, int64, int, *Work) (int64, int, error) { return 0, 0, wrong }}}, zaptest.NewLogger(t), nil)
	if err := c.Run(t.Context()); !errors.Is(err, wrong) || !strings.Contains(err.Error(), "events") {
		t.Error(err)
	}
	if len(src.done) != 0 {
		t.Error("done nevertheless")
	}
}

// What was sent after the erase stays, whichever form it has; what was sent before keeps what it counts as.
func TestWork(t *testing.T) {
	w := newWork([]Job{jobOf("bob"), {event.ContactKeyOf("acme", "bob"), erasedAt - 500}}, &source{})
	key, value, changed, err := w.Event([]byte("acme/alice"), click("bob", "m-1"))
	var r event.Refined
	if err := errors.Join(err, r.DecodeJSON(value)); err != nil || !changed || string(key) != "acme/alice" {
		t.Fatal(err, changed, string(key))
	}
	if !r.Erased || r.Contact != event.ErasedContact || r.Sender != "alice" || r.Kind != event.Click || r.Actor.Verdict != event.Human || r.Origin.Node != "n1" || r.Message != "" {
		t.Errorf("%+v", r)
	}
	if _, _, changed, _ := w.Event(key, value); changed {
		t.Error("blanked again")
	}
	later := event.Refined{Kind: event.Open, Time: erasedAt + 2, Ref: event.Ref{Account: "acme", Sender: "alice", Contact: "bob", Message: "m-2", SentAt: erasedAt + 1}}
	for name, value := range map[string][]byte{
		"sent later": later.AppendJSON(nil), "another": click("eve", "m-1"), "no event": []byte("nonsense"), "nothing": nil,
	} {
		if _, _, changed, err := w.Event(nil, value); changed || err != nil {
			t.Errorf("%s: %v, %v", name, changed, err)
		}
	}
	raw := event.Event{Kind: event.Open, Time: erasedAt, KnownBy: event.ByRef, Ref: event.Ref{Account: "acme", Sender: "alice", Contact: "bob", Message: "m-1", SentAt: sentAt}}
	raw.Key = event.KeyOf("acme", "m-1")
	stored := raw.AppendBinary(nil)
	blank, err := w.Raw(stored)
	if err != nil || len(blank) != len(stored) || strings.Contains(string(blank), "bob") || strings.Contains(string(blank), "m-1") {
		t.Errorf("%v: %q", err, blank)
	}
	raw.SentAt = erasedAt + 1
	if blank, err := w.Raw(raw.AppendBinary(nil)); blank != nil || err != nil {
		t.Errorf("sent later: %q, %v", blank, err)
	}
	asked := event.Event{
		Kind: event.Inquiry, Time: erasedAt, KnownBy: event.ByKey, Key: event.Key{3}, Ref: event.Ref{Account: "acme", Contact: "bob", Message: event.ID{1}.String()},
		Recipient: "bob@example.com", Body: []byte("{}"),
	}
	stored = asked.AppendBinary(nil)
	var left event.Event
	if blank, err = w.Raw(stored); err != nil || len(blank) != len(stored) || left.DecodeBinary(blank) != nil || left.Kind != event.Tick {
		t.Errorf("an inquiry: %v: %q", err, blank)
	}
	order := event.Event{
		Kind: event.Order, Time: erasedAt, KnownBy: event.ByKey, Key: event.OrderKey("acme", "bob@example.com"), Ref: event.Ref{Account: "acme", Message: event.ID{1}.String()},
		Recipient: "bob@EXAMPLE.com", Body: []byte(`{"op":"add","address":"bob@EXAMPLE.com"}`),
	}
	fact := event.AddressFact{ID: event.ID{1}, Kind: event.Order, Time: erasedAt, Ref: event.Ref{Account: "acme"}, Recipient: order.Recipient, Body: order.Body}
	if blank, err := w.Raw(order.AppendBinary(nil)); blank != nil || err != nil {
		t.Errorf("an order about an address of nobody: %q, %v", blank, err)
	}
	ofBob := newWork([]Job{{event.AddressKeyOf("acme", "bob@example.com"), erasedAt}}, &source{})
	stored = order.AppendBinary(nil)
	if blank, err = ofBob.Raw(stored); err != nil || len(blank) != len(stored) || left.DecodeBinary(blank) != nil || left.Kind != event.Tick || strings.Contains(string(blank), "bob") {
		t.Errorf("an order: %v: %q", err, blank)
	}
	if key, value, changed, err := ofBob.Address(fact.AppendKey(nil), fact.AppendJSON(nil)); err != nil || !changed || key != nil || strings.Contains(string(value), "bob") {
		t.Errorf("an order: %v: %q", err, value)
	}
	order.Account, fact.Account = "umbra", "umbra"
	if blank, err := ofBob.Raw(order.AppendBinary(nil)); blank != nil || err != nil {
		t.Errorf("another account's order: %q, %v", blank, err)
	}
	if _, _, changed, err := ofBob.Address(nil, fact.AppendJSON(nil)); changed || err != nil {
		t.Errorf("another account's order: %v", err)
	}
	asked.Contact = "eve"
	if blank, err := w.Raw(asked.AppendBinary(nil)); blank != nil || err != nil {
		t.Errorf("an inquiry about another: %q, %v", blank, err)
	}
	if blank, err := w.Raw([]byte("nonsense")); blank != nil || err != nil {
		t.Errorf("nonsense: %q, %v", blank, err)
	}
}
