package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/journal"
	"carom/pipeline/suppress"
)

// BenchmarkPlan measures what `carom plan` counts with: the bytes that an event of each kind takes on disk, once compacted,
// by keyspace. Messages are of 50 senders and sequences of 2,000 each, with ids and addresses that don't compress.
//
//	go test -run '^$' -bench Plan -benchtime 1x ./cmd/carom
func BenchmarkPlan(b *testing.B) {
	const messages = 40_000
	for b.Loop() {
		n := openPlanned(b)
		rng := rand.New(rand.NewPCG(1, 2))
		sent := plannedMessages(messages, rng)
		before := n.sizes(b)
		for _, kind := range plannedKinds {
			evs := make([]*event.Event, 0, messages)
			for i := range sent {
				e := plannedEvent(kind, sent[i], rng)
				evs = append(evs, &e)
			}
			for len(evs) > 0 {
				if err := n.journal.Append(journal.Essential, evs[:200]...); err != nil {
					b.Fatal(err)
				}
				evs = evs[200:]
			}
			n.settle(b)
			after := n.sizes(b)
			for i := range after {
				if each := float64(after[i].Bytes-before[i].Bytes) / messages; each >= 0.5 {
					b.ReportMetric(each, kind.String()+":"+after[i].Name+"-B")
				}
			}
			before = after
		}
		n.close(b)
	}
}

// plannedMessages are what is sent.
func plannedMessages(n int, rng *rand.Rand) []event.Event {
	sent := make([]event.Event, n)
	now := event.Now()
	for i := range sent {
		id := make([]byte, 10)
		for j := range id {
			id[j] = byte(rng.Uint32())
		}
		name := hex.EncodeToString(id)
		sent[i] = event.Event{
			Kind: event.Sent, Time: now + event.Millis(i), KnownBy: event.ByRef,
			Ref: event.Ref{
				Account: "acme", Sender: fmt.Sprintf("sender-%d", i/2000%50), Sequence: fmt.Sprintf("spring-%d", i/2000),
				Contact: "c-" + name[:8], Message: name + "@mail.example.com", SentAt: now + event.Millis(i),
			},
			Recipient: name[:12] + "@example.net", Links: []string{"https://example.com/offer/" + name[:6]},
		}
		sent[i].Key = event.KeyOf("acme", sent[i].Message)
	}
	return sent
}

var plannedKinds = []event.Kind{event.Sent, event.Delivered, event.Open, event.Click, event.Bounce}

// plannedEvent is what becomes of a message.
func plannedEvent(kind event.Kind, e event.Event, rng *rand.Rand) event.Event {
	if kind == event.Sent {
		return e
	}
	e.Kind, e.Time = kind, e.Time+event.Millis(rng.IntN(3_600_000))
	recipient := e.Recipient
	e.Recipient, e.Links = "", nil
	switch kind {
	case event.Open, event.Click:
		e.Actor = event.Actor{Verdict: event.Human, Reasons: []string{"browser"}}
		e.Client = event.Client{
			IP: netip.AddrFrom4([4]byte{203, 0, byte(rng.Uint32()), 0}), UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0",
			Hash: rng.Uint64(), AddressHash: rng.Uint64(),
		}
		if kind == event.Click {
			e.URL = "https://example.com/offer/" + e.Message[:6]
		}
	case event.Bounce:
		e.KnownBy, e.Ref, e.Recipient = event.ByKey, event.Ref{}, recipient
		e.Bounce = event.Diagnosis{
			Hard: true, Category: "invalid_recipient", Status: "5.1.1", ReplyCode: "550", Action: "failed", RemoteMTA: "mx.example.net",
			Diagnostic: "550 5.1.1 <" + recipient + ">: Recipient address rejected: User unknown in virtual mailbox table", Provider: "example.net",
		}
	case event.Delivered:
		e.KnownBy, e.Ref, e.Recipient = event.ByKey, event.Ref{}, recipient
	}
	return e
}

// planned is a node without edges.
type planned struct {
	heard, state *kv.Store
	journal      *journal.Journal
	stages       *embedded
	stop         context.CancelFunc
	ended        chan error
}

func openPlanned(b *testing.B) *planned {
	b.Helper()
	c := devConfig()
	c.Data.Dir = b.TempDir()
	c.Refine.Settle = 0
	n := &planned{ended: make(chan error, 1)}
	reg := prometheus.NewRegistry()
	var errs [4]error
	n.heard, errs[0] = openStore(c.Data.Dir, kv.RoleJournal, 0, zap.NewNop(), reg)
	n.state, errs[1] = openStore(c.Data.Dir, kv.RoleState, c.Data.CacheBytes, zap.NewNop(), reg)
	n.journal, errs[2] = journal.Open(n.heard, c.Journal, journal.Deps{Node: "n1", Readers: []string{readerRefine}})
	n.stages, errs[3] = openEmbedded(&c, suppress.Secret{}, n.journal, n.heard, n.state, zap.NewNop(), reg)
	if err := errors.Join(errs[:]...); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	go func() { n.ended <- n.stages.run(ctx) }()
	return n
}

// settle waits until all is counted.
func (n *planned) settle(b *testing.B) {
	b.Helper()
	for {
		_, heard := n.journal.Bounds()
		_, told := n.stages.events.Bounds()
		if n.stages.refine.Passed() >= heard && n.stages.rollup.Passed() >= told {
			return
		}
		select {
		case err := <-n.ended:
			b.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// sizes are what the keyspaces of both stores take, compacted.
func (n *planned) sizes(b *testing.B) (all []kv.Size) {
	b.Helper()
	for _, s := range []*kv.Store{n.heard, n.state} {
		err := errors.Join(s.DB().Flush(), s.DB().Compact(b.Context(), []byte{0}, []byte{0xff}, true))
		sizes, sizesErr := s.Sizes(keyspaces(s.Role()))
		if err := errors.Join(err, sizesErr); err != nil {
			b.Fatal(err)
		}
		all = append(all, sizes...)
	}
	return all
}

func (n *planned) close(b *testing.B) {
	b.Helper()
	n.stop()
	if err := errors.Join(<-n.ended, n.journal.Close(), n.state.Close(), n.heard.Close()); err != nil {
		b.Fatal(err)
	}
}
