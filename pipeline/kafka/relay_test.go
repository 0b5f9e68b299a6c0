package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/journal"
	"carom/pipeline/log"
)

func openState(t testing.TB) *kv.Store {
	t.Helper()
	s, err := kv.Open("state", kv.Options{FS: vfs.NewMem(), MemTableBytes: 256 << 10, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openJournal(t testing.TB) *journal.Journal {
	t.Helper()
	s, err := kv.Open("journal", kv.Options{FS: vfs.NewMem(), Role: kv.RoleJournal, MemTableBytes: 256 << 10, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(s, journal.Default(), journal.Deps{Node: "edge-1", Logger: zap.NewNop(), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = j.Close(), s.Close() })
	return j
}

// hear journals n events, and a tick after every tenth.
func hear(t testing.TB, j *journal.Journal, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		message := fmt.Sprintf("m-%d", i)
		if err := j.Append(journal.Essential, &event.Event{
			Kind: event.Open, Time: event.Millis(1 + i), KnownBy: event.ByRef, Key: event.KeyOf("acme", message),
			Ref: event.Ref{Account: "acme", Message: message},
		}); err != nil {
			t.Fatal(err)
		}
		if i%10 == 9 {
			if err := j.Tick(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func newRelay(t testing.TB, p *Producer, j log.Reader, incarnation [16]byte, state *kv.Store) *Relay {
	t.Helper()
	r, err := p.NewRelay(j, incarnation, state, zaptest.NewLogger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// start runs a relay; stop ends it and checks how.
func start(t testing.TB, r *Relay) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func waitPassed(t testing.TB, r *Relay, want int64) {
	t.Helper()
	eventually(t, func(context.Context) error {
		if got := r.Passed(); got < want {
			return fmt.Errorf("the cursor is at %d, want %d", got, want)
		}
		return nil
	})
}

// relayed checks what is in the raw topic: of each message of the journal the sequence, in order within a partition;
// with repeats only if they are allowed.
func relayed(t testing.TB, o Options, j *journal.Journal, events, records int) {
	t.Helper()
	last := make(map[int32]uint64)
	seen := make(map[uint64]bool)
	for _, r := range consume(t, o, Raw, records) {
		src, ev, err := decodeRaw(r.Value)
		var e event.Event
		if err == nil {
			err = e.DecodeBinary(ev)
		}
		if err != nil {
			t.Fatal(err)
		}
		if src.Node != "edge-1" || src.Incarnation != j.Incarnation() || r.Key != nil || e.Kind != event.Open ||
			e.Key != event.KeyOf("acme", e.Message) || r.Partition != RawPartition(e.Key, int32(o.Partitions)) {
			t.Fatalf("got %+v of %+v in partition %d", e, src, r.Partition)
		}
		if records == events && last[r.Partition] > src.Sequence {
			t.Fatalf("partition %d: %d comes after %d", r.Partition, src.Sequence, last[r.Partition])
		}
		last[r.Partition] = src.Sequence
		seen[src.Sequence] = true
	}
	if len(seen) != events {
		t.Errorf("got %d different records, want %d", len(seen), events)
	}
}

func TestRelay(t *testing.T) {
	cluster := fake(t)
	c, p := producing(t, cluster, nil)
	j, state := openJournal(t), openState(t)
	hear(t, j, 0, 500)
	r := newRelay(t, p, j, j.Incarnation(), state)
	var passed []int64
	r.OnPassed(func(offset int64) { passed = append(passed, offset) })
	stop := start(t, r)
	waitPassed(t, r, 550)
	hear(t, j, 500, 500)
	waitPassed(t, r, 1100)
	stop()
	relayed(t, c.options, j, 1000, 1000)
	if !slices.IsSorted(passed) || passed[0] != 0 || passed[len(passed)-1] != 1100 {
		t.Errorf("OnPassed was told %d", passed)
	}
	// The next run goes on there. At its end it takes along what came last.
	r = newRelay(t, p, j, j.Incarnation(), state)
	if r.Passed() != 1100 {
		t.Errorf("the cursor is at %d, want 1100", r.Passed())
	}
	hear(t, j, 1000, 100)
	start(t, r)()
	relayed(t, c.options, j, 1100, 1100)
	// Another journal has another cursor.
	if r = newRelay(t, p, j, [16]byte{1}, state); r.Passed() != 0 {
		t.Errorf("the cursor of another journal is at %d, want 0", r.Passed())
	}
}

// The cursor never passes what is not acknowledged: one partition is refused, the others get through.
func TestRelayCursor(t *testing.T) {
	cluster := fake(t)
	c, p := producing(t, cluster, func(o *Options) { o.BatchBytes = minBatchBytes })
	j, state := openJournal(t), openState(t)
	hear(t, j, 0, 300)
	var open atomic.Bool
	var acked [4]atomic.Int64 // requests
	answerProduce(cluster, func(r *kmsg.ProduceRequest) (*kerr.Error, bool) {
		partition := r.Topics[0].Partitions[0].Partition
		if partition != 1 || open.Load() {
			acked[partition].Add(1)
			return nil, false
		}
		return kerr.NotEnoughReplicas, true
	})
	var first int64 // sequence of partition 1
	for i := range 300 {
		if RawPartition(event.KeyOf("acme", fmt.Sprintf("m-%d", i)), 4) == 1 {
			first = int64(i + i/10)
			break
		}
	}
	r := newRelay(t, p, j, j.Incarnation(), state)
	stop := start(t, r)
	waitPassed(t, r, first)
	eventually(t, func(context.Context) error {
		for _, partition := range []int32{0, 2, 3} {
			if _, waiting := r.lanes[partition].oldest(); waiting || acked[partition].Load() == 0 {
				return fmt.Errorf("partition %d did not get through", partition)
			}
		}
		return nil
	})
	r.move()
	if got := r.Passed(); got != first {
		t.Errorf("the cursor is at %d, want %d", got, first)
	}
	// The process dies; the next one starts from the cursor, and repeats.
	stop()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	open.Store(true)
	p = newProducer(t, c)
	r = newRelay(t, p, j, j.Incarnation(), state)
	if got := r.Passed(); got != first {
		t.Errorf("the next cursor is at %d, want %d", got, first)
	}
	before := 0
	for partition := range int32(4) {
		before += int(cluster.PartitionInfo(c.options.TopicName(Raw), partition).HighWatermark)
	}
	stop = start(t, r)
	waitPassed(t, r, 330)
	stop()
	again := 0
	for i := range 300 {
		if int64(i+i/10) >= first {
			again++
		}
	}
	relayed(t, c.options, j, 300, before+again)
}

// The broker goes away for a while; the journal goes on.
func TestRelayOutage(t *testing.T) {
	cluster, door := gated(t)
	c, p := producing(t, cluster, nil)
	j, state := openJournal(t), openState(t)
	r := newRelay(t, p, j, j.Incarnation(), state)
	stop := start(t, r)
	hear(t, j, 0, 100)
	waitPassed(t, r, 110)
	door.close()
	hear(t, j, 100, 500)
	eventually(t, func(context.Context) error {
		if !p.trouble.some() {
			return errors.New("no trouble yet")
		}
		return nil
	})
	if got := r.Passed(); got >= 660 {
		t.Errorf("the cursor is at %d", got)
	}
	door.reopen()
	waitPassed(t, r, 660)
	hear(t, j, 600, 100)
	waitPassed(t, r, 770)
	stop()
	// What was under way when the door closed may have come twice.
	total := 0
	for partition := range int32(4) {
		total += int(cluster.PartitionInfo(c.options.TopicName(Raw), partition).HighWatermark)
	}
	relayed(t, c.options, j, 700, total)
}

// bounded is a journal that ends, and was trimmed.
type bounded struct {
	*memory
	oldest int64
}

func (b *bounded) Bounds() (oldest, next int64) { return b.oldest, int64(len(b.recs)) }

func (b *bounded) Read(ctx context.Context, from int64, max int, dst []log.Record) ([]log.Record, error) {
	if from < b.oldest {
		return dst, fmt.Errorf("read from %d: %w", from, log.ErrTrimmed)
	}
	return b.memory.Read(ctx, from, max, dst)
}

func TestRelayTrimmed(t *testing.T) {
	c, p := producing(t, fake(t), nil)
	j := &bounded{memory: memoryJournal(100)}
	r := newRelay(t, p, j, [16]byte{1}, openState(t))
	j.oldest = 40 // after the relay has looked
	j.recs[50].Value = []byte("no event")
	stop := start(t, r)
	waitPassed(t, r, 100)
	stop()
	got := consume(t, c.options, Raw, 60)
	if len(got) != 60 || counted(t, r.metrics.skipped) != 40 || counted(t, r.metrics.unreadable) != 1 {
		t.Errorf("%d records, %v skipped, %v unreadable; want 60, 40, 1", len(got), counted(t, r.metrics.skipped), counted(t, r.metrics.unreadable))
	}
	if i := slices.IndexFunc(got, func(r *kgo.Record) bool { return strings.HasSuffix(string(r.Value), "no event") }); i < 0 || got[i].Partition != 0 {
		t.Error("what is no event is not in partition 0")
	}
}

// A journal that was put back from an older copy would reuse sequences, and refine drop what has them.
func TestRelayRestored(t *testing.T) {
	_, p := producing(t, fake(t), nil)
	state := openState(t)
	r := newRelay(t, p, memoryJournal(100), [16]byte{1}, state)
	stop := start(t, r)
	waitPassed(t, r, 100)
	stop()
	_, err := p.NewRelay(memoryJournal(99), [16]byte{1}, state, zap.NewNop(), prometheus.NewRegistry())
	if err == nil || !strings.Contains(err.Error(), "ends at 99, but was relayed up to 100") {
		t.Errorf("got %v", err)
	}
	// A later Carom's cursor, and what is none.
	for _, value := range []string{"\x02", "", "\x01short", "\x01\xff\xff\xff\xff\xff\xff\xff\xff"} {
		b := state.NewBatch()
		if err := errors.Join(b.Set(r.key, []byte(value), nil), state.Commit(b), b.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := p.NewRelay(memoryJournal(99), [16]byte{1}, state, zap.NewNop(), prometheus.NewRegistry()); err == nil {
			t.Errorf("%x was taken for a cursor", value)
		}
	}
}

// A local failure ends the relay: without a cursor the journal is not trimmed.
func TestRelayLocalFailure(t *testing.T) {
	_, p := producing(t, fake(t), nil)
	j, state := openJournal(t), openState(t)
	r := newRelay(t, p, j, j.Incarnation(), state)
	done := make(chan error, 1)
	go func() { done <- r.Run(context.Background()) }()
	hear(t, j, 0, 10)
	waitPassed(t, r, 11)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, journal.ErrClosed) {
		t.Errorf("got %v, want journal.ErrClosed", err)
	}
}

// What waits is bounded, whatever the journal holds.
func TestRelayRoom(t *testing.T) {
	cluster := fake(t)
	_, p := producing(t, cluster, nil)
	var requests atomic.Int64
	answerProduce(cluster, func(*kmsg.ProduceRequest) (*kerr.Error, bool) {
		requests.Add(1)
		return kerr.NotEnoughReplicas, true
	})
	const n = 2 * relayRoom / 200
	r := newRelay(t, p, memoryJournal(n), [16]byte{1}, openState(t))
	stop := start(t, r)
	eventually(t, func(context.Context) error {
		if r.room.TryAcquire(relayCredit) {
			r.room.Release(relayCredit)
			return errors.New("there is room")
		}
		return nil
	})
	waiting := int64(0)
	for _, l := range r.lanes {
		l.mu.Lock()
		for _, b := range append(slices.Clone(l.sealed), l.open, l.flight) {
			if b != nil {
				waiting += int64(b.size())
			}
		}
		l.mu.Unlock()
	}
	if waiting == 0 || waiting > relayRoom || r.next.Load() >= n {
		t.Errorf("%d bytes wait, of records up to %d", waiting, r.next.Load())
	}
	stop()
}

// With a backlog the relay rests between batches, but only while new records come in.
func TestRelayPace(t *testing.T) {
	_, p := producing(t, fake(t), nil)
	j := memoryJournal(10)
	r := newRelay(t, p, j, [16]byte{1}, openState(t))
	for i, test := range []struct {
		more, steps int
		full, paced bool
	}{
		{0, 1, false, false},
		{1, paceSteps, true, true},
		{0, paceSteps, true, false},
		{1, 1, true, true},
		{0, paceSteps - 1, true, true},
		{1, 1, false, false},
	} {
		j.recs = append(j.recs, j.recs[:test.more]...)
		for range test.steps {
			r.pace(test.full)
		}
		if got := p.paced.Load(); got != test.paced {
			t.Errorf("%d: paced %v, want %v", i, got, test.paced)
		}
	}
}

// In steady state a record costs no allocation.
func TestRelayAllocations(t *testing.T) {
	_, p := producing(t, fake(t), nil)
	l := &lane{p: p, kind: Raw, kick: make(chan struct{}, 1)}
	j := memoryJournal(1000)
	r := &Relay{p: p, lanes: []*lane{l, l, l}, credit: 1 << 40}
	at := 0
	if n := testing.AllocsPerRun(1000, func() {
		if err := r.append(context.Background(), &j.recs[at%1000]); err != nil {
			t.Fatal(err)
		}
		at++
	}); n != 0 {
		t.Errorf("%v allocations a record, want none", n)
	}
}
