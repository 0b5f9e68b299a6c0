package control

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap/zaptest"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// A node that was embedded and goes on with topics denies at once whom it denied, and tells the others.
func TestAdopt(t *testing.T) {
	ctx := context.Background()
	embedded := openStore(t, vfs.NewMem())
	before, _ := openLocal(t, embedded, Default())
	stop := run(t, before)
	const many = 2*maxAtOnce + 5
	var entries []Control
	for i := range many {
		entry := Control{Kind: Denied, Account: "acme", Name: fmt.Sprint("c-", i), Since: 7}
		if i%maxAtOnce == 0 { // erased besides
			entry.Kind, entry.Name = DeniedKey, event.ContactKeyOf("acme", entry.Name).String()
		}
		entries = append(entries, entry)
	}
	entries = append(entries, Control{Kind: Self, Account: "acme", Name: "alice", Values: []string{"192.0.2.1"}})
	for page := range slices.Chunk(entries, maxAtOnce) {
		if err := before.Set(ctx, page...); err != nil {
			t.Fatal(err)
		}
	}
	stop()

	_, o := fakeTopics(t)
	other := newNode(t, o, openStore(t, vfs.NewMem()))

	// Its log is away: what it knows holds all the same.
	gate := make(chan struct{})
	own := openStore(t, vfs.NewMem())
	l, err := log.NewLocal(own, kv.LogControls, 0)
	if err != nil {
		t.Fatal(err)
	}
	away, err := Open(Default(), own, Log{In: l, Out: stuck{l, gate}}, zaptest.NewLogger(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := away.Adopt(embedded); err != nil {
		t.Fatal(err)
	}
	knows := func(c *Controls) bool {
		for i := range many {
			if !c.Table().Denied("acme", fmt.Sprint("c-", i)) {
				return false
			}
		}
		return len(c.Table().SelfAddresses("acme", "alice")) == 1
	}
	if !knows(away) {
		t.Fatal("what was adopted does not hold at once")
	}
	stop = run(t, away)
	stop()
	close(gate)

	again := newNodeAdopting(t, o, openStore(t, vfs.NewMem()), embedded)
	until(t, "the other node knows", func() bool { return knows(other.Controls) })
	until(t, "nothing is left to adopt", func() bool {
		page, err := again.adoptedPage()
		return err == nil && len(page) == 0
	})
	if entry, ok, err := other.Get(Denied, "acme", "c-1"); err != nil || !ok || entry.Since != 7 {
		t.Errorf("handed over: %v %v %v", entry, ok, err)
	}
	// What is allowed again stays so: a restart adopts nothing.
	if err := other.Remove(ctx, denied("c-1")...); err != nil {
		t.Fatal(err)
	}
	until(t, "it is allowed", func() bool { return !again.Table().Denied("acme", "c-1") })
	if err := again.Adopt(embedded); err != nil {
		t.Fatal(err)
	}
	if again.Table().Denied("acme", "c-1") {
		t.Error("denied again")
	}
}
