package suppress

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/zap/zaptest"

	"carom/pipeline/event"
	"carom/pipeline/kafka"
	"carom/pipeline/log"
)

// TestBooksOverKafka has two nodes follow what one decides, and one of them be away until the topic has forgotten a removal.
func TestBooksOverKafka(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	o := kafka.Default()
	o.Development()
	o.Brokers, o.Partitions, o.TopicPrefix = cluster.ListenAddrs(), 2, "suppress-"+rand.Text()[:8]
	ctx := t.Context()
	dialled, err := kafka.Dial(ctx, o, zaptest.NewLogger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := dialled.Plan(ctx)
	if err == nil {
		err = errors.Join(dialled.Apply(ctx, plan), dialled.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	client, err := kafka.New(o, zaptest.NewLogger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	producer := client.NewProducer(prometheus.NewRegistry())
	t.Cleanup(func() { _ = errors.Join(producer.Close(), client.Close()) })

	f := newFixture(t, Default())
	f.p.out = producer.Suppressions()
	decide := func(facts ...event.AddressFact) {
		t.Helper()
		recs := make([]log.Record, len(facts))
		for i := range facts {
			facts[i].Origin = event.Origin{Offset: f.n}
			recs[i] = log.Record{Offset: f.n, Time: f.now, Value: facts[i].AppendJSON(nil)}
			f.n++
		}
		err := f.p.step(ctx, func() (err error) {
			for i := range recs {
				err = errors.Join(err, f.p.take(&recs[i]))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	books := make([]*Book, 2)
	stops := make([]func(), 2)
	begin := func(i int) {
		store := openStore(t, vfs.NewMem())
		if books[i] != nil {
			store = books[i].store
		}
		reader := client.NewReader(kafka.Suppressions, 0, nil)
		b, err := OpenBook(Default(), secret, store, Log{In: reader, Compacted: true}, zaptest.NewLogger(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Check("a", bob, t0, false); books[i] == nil && !errors.Is(err, ErrNotReady) {
			t.Errorf("a book that has read nothing: %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		books[i] = b
		stops[i] = func() {
			cancel()
			if err := errors.Join(<-ended, reader.Close()); err != nil {
				t.Error(err)
			}
		}
	}
	until := func(what string, isTrue func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !isTrue(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("never:", what)
			}
		}
	}
	knows := func(i int, address, want string) func() bool {
		return func() bool {
			s, ok, err := books[i].Check("a", address, t0+dayMS, false)
			return err == nil && (ok && string(s.Reason) == want || !ok && want == "")
		}
	}
	begin(0)
	begin(1)
	decide(f.bounce("a", "m1", bob, t0, true), f.fact(event.Complaint, "a", "m2", "eve@example.com", t0))
	for i := range books {
		until("both know", func() bool { return knows(i, bob, "bounce")() && knows(i, "eve@example.com", "complaint")() })
	}
	stops[1]()

	// Eve is erased, which removes her record; Bob is reactivated by an order whose decision the book waits for.
	order := Order{ID: f.id(), Op: OpReactivate, Account: "a", Address: bob, Time: t0 + hourMS, Confirmed: true}
	ev := order.Event()
	decide(event.AddressFact{Kind: event.Erase, Time: t0, Recipient: "eve@example.com", Ref: event.Ref{Account: "a"}},
		event.AddressFact{Kind: event.Order, Time: order.Time, Recipient: bob, Ref: event.Ref{Account: "a"}, Body: ev.Body})
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if d, err := books[0].Decision(wait, order.ID); err != nil || !d.OK {
		t.Fatalf("%+v %v", d, err)
	}
	if !knows(0, bob, "")() || !knows(0, "eve@example.com", "complaint")() {
		t.Error("the decision came before what it decided")
	}

	// What the other knew is too old to go on from: it reads all anew. A row that the topic does not have goes.
	at := books[1].follow.place
	at.end = event.Now().Add(-2 * staleAfter)
	b := books[1].store.NewBatch()
	ghost := entry{account: "a", name: "ghost@example.com", Added: []wireCause{{Reason: Manual, Since: stamp(t0)}}}
	s, _ := ghost.suppression(&f.o, 0)
	err = errors.Join(b.Set(bookPlace(), at.append(), nil), b.Set(bookEntry("a", ghost.name), appendBookRow(at.generation, encode(s.wire())), nil), books[1].store.Commit(b), b.Close())
	if err != nil {
		t.Fatal(err)
	}
	begin(1)
	until("the second has read all anew", func() bool {
		return knows(1, bob, "")() && knows(1, "ghost@example.com", "")() && knows(1, "eve@example.com", "complaint")()
	})
	list, next, err := books[1].List(Query{Account: "a", At: t0 + dayMS, Limit: 10})
	if err != nil || len(list) != 2 || next != "" || !list[0].Hashed() || list[1].Address != bob {
		t.Errorf("%+v %q %v", list, next, err)
	}
	stops[0]()
	stops[1]()
}

func TestList(t *testing.T) {
	f := newFixture(t, Default())
	f.hear(f.bounce("a", "m1", "x@b.example.com", t0, true), f.bounce("a", "m2", "y@a.example.com", t0+dayMS, true),
		f.fact(event.Complaint, "a", "m3", "z@a.example.com", t0+2*dayMS), f.bounce("b", "m4", "w@a.example.com", t0, true))
	f.order(Order{Op: OpRemove, Account: "a", Address: "z@a.example.com", Time: t0 + 3*dayMS})
	yes, no := true, false
	for name, c := range map[string]struct {
		q    Query
		want []string
	}{
		"all":        {Query{}, []string{"y@a.example.com", "z@a.example.com", "x@b.example.com"}},
		"domain":     {Query{Domain: "A.example.com"}, []string{"y@a.example.com", "z@a.example.com"}},
		"reason":     {Query{Reason: Complaint}, []string{"z@a.example.com"}},
		"category":   {Query{Category: "invalid_recipient"}, []string{"y@a.example.com", "x@b.example.com"}},
		"active":     {Query{Active: &yes}, []string{"y@a.example.com", "x@b.example.com"}},
		"not active": {Query{Active: &no}, []string{"z@a.example.com"}},
		"then":       {Query{Active: &yes, At: t0 + 2*dayMS}, []string{"y@a.example.com", "z@a.example.com", "x@b.example.com"}},
		"from to":    {Query{From: t0 + 1, To: t0 + 2*dayMS}, []string{"y@a.example.com"}},
	} {
		c.q.Account, c.q.Limit = "a", 1
		if c.q.At == 0 {
			c.q.At = t0 + 10*dayMS
		}
		var got []string
		for pages := 0; pages < 10; pages++ {
			page, next, err := f.b.List(c.q)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range page {
				got = append(got, s.Address)
			}
			if c.q.After = next; next == "" {
				break
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
	}
	if _, _, err := f.b.List(Query{Account: "a", After: "!", Limit: 1}); !errors.Is(err, ErrCursor) {
		t.Error(err)
	}
	audit, next, err := f.b.Audit(AuditQuery{Account: "a", Limit: 10})
	if err != nil || len(audit) != 1 || next != "" || audit[0].Order.Op != OpRemove {
		t.Errorf("%+v %q %v", audit, next, err)
	}
}
