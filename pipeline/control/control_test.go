package control

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap/zaptest"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

func openStore(t testing.TB, fs vfs.FS) *kv.Store {
	t.Helper()
	s, err := kv.Open("state", kv.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openLocal(t testing.TB, s *kv.Store, o Options) (*Controls, *log.Local) {
	t.Helper()
	l, err := log.NewLocal(s, kv.LogControls, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(o, s, Log{In: l, Out: l}, zaptest.NewLogger(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, l
}

// run follows until the returned function is called.
func run(t testing.TB, c *Controls) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func denied(names ...string) []Control {
	var list []Control
	for _, name := range names {
		list = append(list, Control{Kind: Denied, Account: "acme", Name: name, Since: 1})
	}
	return list
}

func TestSetRemoveRestart(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	c, l := openLocal(t, s, Default())
	stop := run(t, c)
	ctx := context.Background()
	if err := c.Set(ctx, denied("c-1", "c-2", "c/3%")...); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(ctx, Control{Kind: Self, Account: "a/b%", Name: "alice", Values: []string{"203.0.113.7", "2001:db8::1/48"}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(ctx, denied("c-2", "never")...); err != nil {
		t.Fatal(err)
	}
	check := func(tab *Table) {
		t.Helper()
		for name, want := range map[string]bool{"c-1": true, "c-2": false, "c/3%": true, "c-4": false} {
			if got := tab.Denied("acme", name); got != want {
				t.Errorf("denied %s: %v, want %v", name, got, want)
			}
		}
		if tab.Denied("other", "c-1") {
			t.Error("denied in another account")
		}
		want := []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("2001:db8::/48")}
		if got := tab.SelfAddresses("a/b%", "alice"); !slices.Equal(got, want) {
			t.Errorf("addresses %v, want %v", got, want)
		}
	}
	check(c.Table())
	until(t, "what was read is trimmed from the log", func() bool { // after those who set it are answered
		oldest, next := l.Bounds()
		return next-oldest <= 1
	})
	stop()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, fs)
	c, _ = openLocal(t, s, Default())
	check(c.Table()) // before it follows

	page, next, err := c.List(Denied, "acme", "", 1)
	if err != nil || len(page) != 1 || page[0].Name != "c-1" || next != "c-1" {
		t.Fatalf("first page %v, next %q, %v", page, next, err)
	}
	page, next, err = c.List(Denied, "acme", next, 1)
	if err != nil || len(page) != 1 || page[0].Name != "c/3%" || next != "" {
		t.Fatalf("second page %v, next %q, %v", page, next, err)
	}
	if e, ok, err := c.Get(Denied, "acme", "c-1"); err != nil || !ok || e.Since != 1 {
		t.Fatalf("get %v %v %v", e, ok, err)
	}
}

func TestErasedStaysDenied(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	c, _ := openLocal(t, s, Default())
	run(t, c)
	ctx := context.Background()
	key := Control{Kind: DeniedKey, Account: "acme", Name: event.ContactKeyOf("acme", "c-1").String()}
	for _, do := range []func() error{
		func() error { return c.Set(ctx, denied("c-1")...) },
		func() error { return c.Set(ctx, key) },
		func() error { return c.Remove(ctx, denied("c-1")...) },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if !c.Table().Denied("acme", "c-1") {
			t.Fatal("not denied")
		}
	}
	if err := c.Remove(ctx, key); err != nil {
		t.Fatal(err)
	}
	if c.Table().Denied("acme", "c-1") {
		t.Fatal("still denied")
	}
}

func TestFull(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	c, _ := openLocal(t, s, Options{MaxDenied: 2})
	run(t, c)
	ctx := context.Background()
	if err := c.Set(ctx, denied("1", "2")...); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(ctx, denied("1", "2")...); err != nil {
		t.Fatal("what is there is refused:", err)
	}
	if err := c.Set(ctx, denied("3")...); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	if err := c.Set(ctx, Control{Kind: Self, Account: "a", Name: "s", Values: []string{"192.0.2.1"}}); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	if err := c.Set(ctx, Control{Kind: Self, Account: "a", Name: "s", Values: []string{"192.0.2.1.5"}}); err == nil {
		t.Fatal("a bad address was taken")
	}
}

// stuck is a log that does not acknowledge until it is let go.
type stuck struct {
	*log.Local
	gate chan struct{}
}

func (s stuck) Write(ctx context.Context, b *kv.Batch, recs []log.Record) error {
	<-s.gate
	return s.Local.Write(ctx, b, recs)
}

func TestOutage(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	l, err := log.NewLocal(s, kv.LogControls, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := stuck{l, make(chan struct{})}
	c, err := Open(Default(), s, Log{In: l, Out: out}, zaptest.NewLogger(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	run(t, c)
	given, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Set(given, denied("c-1")...); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	if err := c.Set(given, denied("c-2")...); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	close(out.gate)
	if err := c.Set(context.Background(), denied("c-3")...); err != nil {
		t.Fatal(err)
	}
	if !c.Table().Denied("acme", "c-3") {
		t.Fatal("not denied after the outage")
	}
}

// TestSet compares the set with a map, while readers look for what is never removed.
func TestSet(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s, model := newSet(), map[event.ContactKey]bool{}
	key := func(n int) (k event.ContactKey) {
		k[7], k[15] = byte(n), byte(n/256) // chains, and both halves that mean something
		return k
	}
	steady := event.ContactKeyOf("a", "steady")
	s.add(steady)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20000 {
			if !s.has(steady) {
				t.Error("lost what was never removed")
				return
			}
		}
	}()
	for range 20000 {
		k := key(r.IntN(1000))
		if r.IntN(2) == 0 {
			s.add(k)
			model[k] = true
		} else {
			s.remove(k)
			delete(model, k)
		}
	}
	<-done
	for n := range 1000 {
		if s.has(key(n)) != model[key(n)] {
			t.Fatalf("%v: %v", key(n), s.has(key(n)))
		}
	}
	if s.len() != len(model)+1 {
		t.Fatalf("%d, want %d", s.len(), len(model)+1)
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	c, _ := openLocal(t, s, Default())
	run(t, c)
	if err := c.Set(context.Background(), append(denied("c-1"), Control{Kind: Self, Account: "acme", Name: "alice", Values: []string{"192.0.2.1"}})...); err != nil {
		t.Fatal(err)
	}
	tab := c.Table()
	if n := testing.AllocsPerRun(100, func() {
		if !tab.Denied("acme", "c-1") || tab.Denied("acme", "c-2") || len(tab.SelfAddresses("acme", "alice")) != 1 {
			t.Error("wrong")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestKeysOfTheLog(t *testing.T) {
	seen := map[string]bool{}
	for _, account := range []string{"a", "a/b", "a%2Fb", "a%", "%2F"} {
		for _, name := range []string{"x", "b/x", "%2Fx"} {
			c := Control{Kind: Denied, Account: account, Name: name}
			key := c.appendLogKey(nil)
			if seen[string(key)] {
				t.Errorf("%q twice", key)
			}
			seen[string(key)] = true
			back, err := parseLogKey(key)
			if err != nil || back.Account != account || back.Name != name || back.Kind != Denied {
				t.Errorf("%q: %+v, %v", key, back, err)
			}
		}
	}
}

func BenchmarkDenied(b *testing.B) {
	t := newTable(Default())
	for i := range 1 << 19 {
		t.denied.add(event.ContactKeyOf("acme", fmt.Sprint("c-", i)))
	}
	b.ReportAllocs()
	for b.Loop() {
		t.Denied("acme", "c-77")
	}
}
