package deploy_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/suppress"
)

// decider is the stage of suppressions between two logs.
type decider struct {
	t      *testing.T
	facts  []event.AddressFact
	mu     sync.Mutex
	alerts [][]byte
}

// Facts is suppress.Teller's.
func (d *decider) Facts(evs ...*event.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range evs {
		if e.Kind == event.Alert {
			d.alerts = append(d.alerts, e.Body)
		}
	}
	return nil
}

func (d *decider) hear(kind event.Kind, account, message, recipient string, at event.Millis) *event.AddressFact {
	d.facts = append(d.facts, event.AddressFact{
		ID: event.ID{byte(len(d.facts) >> 8), byte(len(d.facts)), 1}, Kind: kind, Time: at, Recipient: recipient,
		Ref:    event.Ref{Account: account, Sender: "s", Contact: recipient, Message: message},
		Origin: event.Origin{Node: "n", Offset: int64(len(d.facts))},
	})
	return &d.facts[len(d.facts)-1]
}

func (d *decider) bounce(account, message, recipient string, at event.Millis) {
	d.hear(event.Bounce, account, message, recipient, at).Bounce = event.Diagnosis{
		Hard: true, Category: "invalid_recipient", Status: "5.1.1", Diagnostic: "550 5.1.1 no such user", Rule: "r",
	}
}

func (d *decider) order(o suppress.Order) {
	o.Actor, o.Digest = "crm", [8]byte{1}
	f := d.hear(event.Order, o.Account, "", o.Address, o.Time)
	o.ID = f.ID
	f.Body = o.Event().Body
}

// decide returns what the stage publishes.
func (d *decider) decide(o suppress.Options) (records []log.Record) {
	d.t.Helper()
	must := func(err error) {
		d.t.Helper()
		if err != nil {
			d.t.Fatal(err)
		}
	}
	store, err := kv.Open("state", kv.Options{FS: vfs.NewMem(), MemTableBytes: 1 << 20})
	must(err)
	defer func() { must(store.Close()) }()
	in, err := log.NewLocal(store, kv.LogAddresses, 0)
	must(err)
	out, err := log.NewLocal(store, kv.LogSuppressions, 0)
	must(err)
	stage, err := suppress.Open(o, suppress.Deps{Store: store, In: in, Out: out, Teller: d, Partitions: 1, Logger: zap.NewNop()})
	must(err)
	recs := make([]log.Record, len(d.facts))
	for i := range d.facts {
		recs[i] = log.Record{Time: d.facts[i].Time, Key: d.facts[i].AppendKey(nil), Value: d.facts[i].AppendJSON(nil)}
	}
	b := store.NewBatch()
	must(in.Write(d.t.Context(), b, recs))
	must(store.Commit(b))
	must(b.Close())
	in.Committed()
	ctx, cancel := context.WithCancel(d.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := stage.Run(ctx); err != nil {
			d.t.Error(err)
		}
	})
	told := func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.alerts) > 0
	}
	for stage.Passed() < int64(len(recs)) || !told() {
		<-time.After(time.Millisecond)
	}
	cancel()
	running.Wait()
	_, end := out.Bounds()
	records, err = out.Read(d.t.Context(), 0, int(end), nil)
	must(err)
	return records
}

// What suppress publishes in a life that has all of it is what the schema describes, and so are its alerts.
func TestSuppressionSchema(t *testing.T) {
	const (
		hour  = event.Millis(3600_000)
		day   = 24 * hour
		begin = event.Millis(1793491200000) // 2026-11-01
		wave  = begin + 5*day
	)
	d := &decider{t: t}
	volume := func(at event.Millis, sent int) {
		d.hear(event.Volume, "", "", "", at).Body = fmt.Appendf(nil, `{"hours":[{"hour":%q,"sent":{"wave.example":%d}}]}`, at.Time().Format(time.RFC3339), sent)
	}
	for i := range event.Millis(4) {
		volume(begin+i*day, 500)
	}
	for i := range 50 {
		d.hear(event.Contact, "acme", "", "", begin).ContactKey = event.ContactKeyOf("acme", fmt.Sprint("c", i)).String()
	}
	at := begin + 4*day
	d.bounce("acme", "m-1", "Bob@EXAMPLE.com", at)
	d.order(suppress.Order{Op: suppress.OpReactivate, Account: "acme", Address: "Bob@example.com", Time: at + hour})
	d.order(suppress.Order{Op: suppress.OpReactivate, Account: "acme", Address: "Bob@example.com", Confirmed: true, Time: at + hour})
	d.hear(event.Complaint, "acme", "m-1", "Bob@EXAMPLE.com", at+2*hour).FeedbackType = "abuse"
	d.hear(event.Unsubscribe, "acme", "m-1", "Bob@EXAMPLE.com", at+2*hour)
	d.order(suppress.Order{
		Op: suppress.OpAdd, Account: "acme", Address: "Ann@Example.com", Reason: suppress.Bounce, Category: "inactive", Note: "moved", Time: at, Until: at + 9*day,
	})
	d.order(suppress.Order{Op: suppress.OpRemove, Account: "acme", Address: "Ann@Example.com", Time: at + hour})
	d.bounce("acme", "m-2", "alive@example.com", at)
	d.hear(event.Delivered, "acme", "m-2", "alive@example.com", at+hour)
	for i := range 3 {
		d.bounce(fmt.Sprint("a", i), "m-3", "all@example.com", at)
	}
	d.order(suppress.Order{Op: suppress.OpLift, Address: "all@example.com", Time: at + hour})
	volume(wave, 200)
	for i := range 60 {
		d.bounce("acme", fmt.Sprint("w-", i), fmt.Sprintf("w%d@wave.example", i), wave+event.Millis(i))
	}
	filter := suppress.Filter{Provider: "wave.example", Rule: "r", Category: "invalid_recipient", From: wave, To: wave + hour, DryRun: true}
	dry := filter
	d.order(suppress.Order{Op: suppress.OpRevert, Account: "acme", Filter: &dry, Time: wave + hour})
	filter.DryRun = false
	d.order(suppress.Order{Op: suppress.OpRevert, Account: "acme", Filter: &filter, Time: wave + hour})

	hashed := suppress.Default()
	hashed.HashOnly = true
	var values [][]byte
	for _, o := range []suppress.Options{suppress.Default(), hashed} {
		for _, r := range d.decide(o) {
			if len(r.Value) > 0 {
				values = append(values, r.Value)
			}
		}
	}
	holdsOf(t, "suppression.schema.json", values, "facts", "counts", "used", "suppression")

	whole := schema(t, "event.schema.json")
	for _, body := range d.alerts {
		e := refined(newRandom(t), event.Alert)
		e.Alert = body
		if err := whole.Validate(parse(t, e.AppendJSON(nil))); err != nil {
			t.Errorf("%v\n%s", err, body)
		}
	}
}
