package inbound

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline"
	"carom/pipeline/bot"
	"carom/pipeline/event"
	"carom/pipeline/journal"
)

// heldDisk is a disk whose syncs of the log are counted, and held from the first one on until it is let go.
type heldDisk struct {
	syncs atomic.Int64
	begun chan struct{} // closed with the first
	gone  chan struct{}
	armed atomic.Bool
	letGo func()
}

func newHeldDisk() *heldDisk {
	d := &heldDisk{begun: make(chan struct{}), gone: make(chan struct{})}
	d.letGo = sync.OnceFunc(func() { close(d.gone) })
	return d
}

func (d *heldDisk) wrap(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !d.armed.Load() || !strings.HasSuffix(op.Path, ".log") || op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData {
			return nil
		}
		if d.syncs.Add(1) == 1 {
			close(d.begun)
		}
		<-d.gone
		return nil
	}))
}

// counted is a journal that counts the appends which have come into its open batch.
type counted struct {
	*journal.Journal
	gathered atomic.Int64
}

// Append is the journal's own, in its two halves.
func (c *counted) Append(class journal.Class, evs ...*event.Event) error {
	done := make(chan error, 1)
	c.AppendThen(class, func(err error) { done <- err }, evs...)
	c.gathered.Add(1)
	return <-done
}

// TestSessionsShareACommit: mails that come in while the journal is being synced, each over a session of its own, wait for one
// sync more, and not for one each.
func TestSessionsShareACommit(t *testing.T) {
	disk := newHeldDisk()
	store, err := kv.Open("journal", kv.Options{FS: disk.wrap(vfs.NewMem()), Role: kv.RoleJournal})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	reg := prometheus.NewRegistry()
	opened, err := journal.Open(store, journal.Default(), journal.Deps{Node: "n1", Logger: zap.NewNop(), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	j := &counted{Journal: opened}
	accept, err := pipeline.New(pipeline.Default(), j, bot.Default(), [32]byte{1}, zap.NewNop(), reg)
	if err != nil {
		t.Fatal(err)
	}

	f := newFixture(t, nil)
	f.Server.sink = accept
	if err := f.Listen(); err != nil {
		t.Fatal(err)
	}
	f.run()
	defer disk.letGo() // or a failed test never ends
	const sessions = 40
	clients := make([]*client, 1+sessions)
	for i := range clients {
		clients[i] = f.hello()
		clients[i].begin(f.returnPath())
		clients[i].do("DATA", "354")
	}
	mail := stuff(dsn("bob@example.org", "5.1.1", "")) + ".\r\n"
	disk.armed.Store(true)
	clients[0].send(mail)
	<-disk.begun
	for _, c := range clients[1:] {
		c.send(mail)
	}
	eventually(t, func() bool { return j.gathered.Load() == int64(len(clients)) })
	if n := f.count(f.metrics.taken); n != 0 {
		t.Errorf("%v mails are taken before a sync", n)
	}
	if n := disk.syncs.Load(); n != 1 {
		t.Errorf("%d syncs began while the first was held", n)
	}
	disk.letGo()
	for _, c := range clients {
		c.want("250 2.0.0 Ok")
	}
	if n := disk.syncs.Load() - 1; n < 1 || n > 2 {
		t.Errorf("%d mails took %d syncs, want one, or two", sessions, n)
	}
	if _, next := j.Bounds(); next != int64(len(clients)) {
		t.Errorf("%d events in the journal, want one of each of %d mails", next, len(clients))
	}
}
