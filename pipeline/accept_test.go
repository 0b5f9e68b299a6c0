package pipeline

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"carom/pipeline/bot"
	"carom/pipeline/event"
	"carom/pipeline/journal"
)

func TestHitIsJudgedAndFilled(t *testing.T) {
	tests := []struct {
		ev    event.Event
		agent string
		class journal.Class
		want  event.Actor
	}{
		{open(start), browser, journal.HumanOpen, event.Actor{Verdict: event.Human}},
		{open(start), library, journal.MachineOpen, event.Actor{Verdict: event.Scanner, Reasons: []string{"agent_library"}}},
		{open(start), "", journal.HumanOpen, event.Actor{Verdict: event.Unknown, Reasons: []string{"agent_empty"}}},
		{open(start), "Mozilla/5.0", journal.MachineOpen, event.Actor{Verdict: event.Proxy, Reasons: []string{"agent_privacy_proxy"}, Via: "apple"}},
		{click(start, 2), browser, journal.HumanClick, event.Actor{Verdict: event.Human}},
		{click(start, 2), library, journal.MachineClick, event.Actor{Verdict: event.Scanner, Reasons: []string{"agent_library"}}},
	}
	for _, tt := range tests {
		j := &memoryJournal{}
		a, _ := newAcceptor(t, Default(), j)
		req := from("203.0.113.77", tt.agent)
		ev := tt.ev
		if err := a.Hit(&ev, &req); err != nil {
			t.Fatal(err)
		}
		if len(j.records) != 1 {
			t.Fatalf("%s by %q: %d records", tt.ev.Kind, tt.agent, len(j.records))
		}
		got := j.records[0]
		if got.class != tt.class {
			t.Errorf("%s by %q has class %s, want %s", tt.ev.Kind, tt.agent, got.class, tt.class)
		}
		if a := got.ev.Actor; a.Verdict != tt.want.Verdict || a.Via != tt.want.Via || !slices.Equal(a.Reasons, tt.want.Reasons) {
			t.Errorf("%s by %q: actor %+v, want %+v", tt.ev.Kind, tt.agent, a, tt.want)
		}
		if got.ev.Key != tt.ev.Key || got.ev.Ref != tt.ev.Ref || got.ev.Time != tt.ev.Time || got.ev.Client.Hash == 0 {
			t.Errorf("%s by %q is recorded as %+v", tt.ev.Kind, tt.agent, got.ev)
		}
	}
}

func TestHitKeepsWhatItMay(t *testing.T) {
	long := strings.Repeat("x", maxWholeAgent+1)
	tests := []struct {
		name           string
		address, agent string
		flags          event.Flags
		ip, userAgent  string
		wantIP         string
		wantUserAgent  string
	}{
		{"default", KeepTruncated, KeepWhole, 0, "203.0.113.77", browser, "203.0.113.0", browser},
		{"IPv6", KeepTruncated, KeepWhole, 0, "2001:db8:1:2::3", browser, "2001:db8:1::", browser},
		{"whole", KeepWhole, KeepWhole, 0, "2001:db8:1:2::3", browser, "2001:db8:1:2::3", browser},
		{"nothing", KeepNone, KeepNone, 0, "203.0.113.77", browser, "invalid IP", ""},
		{
			"truncated agent", KeepNone, KeepTruncated, 0, "203.0.113.77", browser, "invalid IP",
			"Mozilla/5 (Windows NT 10; Win64; x64) AppleWebKit/537 (KHTML, like Gecko) Chrome/142 Safari/537",
		},
		{"long agent", KeepNone, KeepWhole, 0, "203.0.113.77", long, "invalid IP", long[:maxWholeAgent]},
		{"long truncated agent", KeepNone, KeepTruncated, 0, "203.0.113.77", long, "invalid IP", long[:maxTruncatedAgent]},
		{"anonymous", KeepWhole, KeepWhole, event.Anonymous, "203.0.113.77", browser, "invalid IP", ""},
		{"shared", KeepWhole, KeepWhole, event.Shared, "203.0.113.77", browser, "invalid IP", ""},
		{"transactional", KeepWhole, KeepWhole, event.Transactional, "203.0.113.77", browser, "203.0.113.77", browser},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Default()
			o.KeepAddress, o.KeepAgent = tt.address, tt.agent
			j := &memoryJournal{}
			a, _ := newAcceptor(t, o, j)
			ev, req := open(start), from(tt.ip, tt.userAgent)
			ev.Flags = tt.flags
			if err := a.Hit(&ev, &req); err != nil {
				t.Fatal(err)
			}
			c := j.records[0].ev.Client
			if c.IP.String() != tt.wantIP || c.UserAgent != tt.wantUserAgent {
				t.Errorf("kept %s and %q, want %s and %q", c.IP, c.UserAgent, tt.wantIP, tt.wantUserAgent)
			}
			if c.Hash == 0 {
				t.Error("the client has no hash, so its hits can't be told from others'")
			}
		})
	}
}

func TestHitWithoutAClient(t *testing.T) {
	o := Default()
	o.KeepAddress = KeepTruncated
	j := &memoryJournal{}
	a, _ := newAcceptor(t, o, j)
	ev, req := open(start), event.Request{Method: "GET"}
	if err := a.Hit(&ev, &req); err != nil {
		t.Fatal(err)
	}
	if c := j.records[0].ev.Client; c != (event.Client{}) {
		t.Errorf("a request without address and agent has the client %+v", c)
	}
}

func TestUntrackedIsNotRecorded(t *testing.T) {
	j := &memoryJournal{}
	a, reg := newAcceptor(t, Default(), j)
	ev, req := click(start, 0), from("203.0.113.77", browser)
	ev.Flags = event.Untracked | event.Transactional
	if err := a.Hit(&ev, &req); err != nil {
		t.Fatal(err)
	}
	if j.calls != 0 {
		t.Error("it was recorded")
	}
	wantMetric(t, reg, "carom_pipeline_untracked_total 1")
}

func TestRepeatsAreDropped(t *testing.T) {
	const later = event.Millis(5000)
	first := click(start, 1)
	tests := []struct {
		name    string
		ev      event.Event
		req     event.Request
		dropped bool
	}{
		{"the same", click(start, 1), from("203.0.113.77", browser), true},
		{"9.999 s later", click(start+9999, 1), from("203.0.113.77", browser), true},
		{"9.999 s earlier", click(start-9999, 1), from("203.0.113.77", browser), true},
		{"10 s later", click(start+10000, 1), from("203.0.113.77", browser), false},
		{"10 s earlier", click(start-10000, 1), from("203.0.113.77", browser), false},
		{"another link", click(start+later, 2), from("203.0.113.77", browser), false},
		{"an open", open(start + later), from("203.0.113.77", browser), false},
		{"another address", click(start+later, 1), from("203.0.113.78", browser), false},
		{"another agent", click(start+later, 1), from("203.0.113.77", browser+"x"), false},
		{"a machine", click(start+later, 1), event.Request{Method: "HEAD", IP: netip.MustParseAddr("203.0.113.77"), UserAgent: browser}, false},
		{"another message", func() event.Event {
			ev := click(start+later, 1)
			ev.Key = event.KeyOf("acme", "m-2")
			return ev
		}(), from("203.0.113.77", browser), false},
		{"another account", func() event.Event {
			ev := click(start+later, 1)
			ev.Key = event.KeyOf("other", "m-1")
			return ev
		}(), from("203.0.113.77", browser), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := &memoryJournal{}
			a, reg := newAcceptor(t, Default(), j)
			ev, req := first, from("203.0.113.77", browser)
			if err := a.Hit(&ev, &req); err != nil {
				t.Fatal(err)
			}
			if err := a.Hit(&tt.ev, &tt.req); err != nil {
				t.Fatal(err)
			}
			want := 2
			if tt.dropped {
				want = 1
				wantMetric(t, reg, `carom_pipeline_repeats_total{kind="click"} 1`)
			}
			if j.calls != want {
				t.Errorf("%d records, want %d", j.calls, want)
			}
		})
	}
}

func TestRepeatsCanBeSwitchedOff(t *testing.T) {
	o := Default()
	o.RepeatEntries = 0
	j := &memoryJournal{}
	a, _ := newAcceptor(t, o, j)
	for range 2 {
		ev, req := open(start), from("203.0.113.77", browser)
		if err := a.Hit(&ev, &req); err != nil {
			t.Fatal(err)
		}
	}
	if len(j.records) != 2 {
		t.Errorf("%d records, want 2", len(j.records))
	}
}

// TestLostHitIsNoExcuse shows that a repeat of a hit that never reached the disk is not taken for recorded.
func TestLostHitIsNoExcuse(t *testing.T) {
	j := &memoryJournal{err: journal.ErrStalled}
	a, _ := newAcceptor(t, Default(), j)
	hit := func() error {
		ev, req := open(start), from("203.0.113.77", browser)
		return a.Hit(&ev, &req)
	}
	for range 2 {
		if err := hit(); !errors.Is(err, journal.ErrStalled) {
			t.Fatalf("the error is %v, want the journal's", err)
		}
	}
	j.err = nil
	if err := hit(); err != nil {
		t.Fatal(err)
	}
	if len(j.records) != 1 || j.calls != 3 {
		t.Errorf("%d records of %d calls, want 1 of 3", len(j.records), j.calls)
	}
}

func TestReasonsOfErrors(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{journal.ErrShed, "shed"},
		{journal.ErrFull, "full"},
		{fmt.Errorf("append: %w", journal.ErrClosed), "closed"},
		{journal.ErrStalled, "stalled"},
		{journal.ErrTooLarge, "too_large"},
		{journal.ErrReadOnly, "read_only"},
		{io.ErrShortWrite, "error"},
	} {
		a, _ := newAcceptor(t, Default(), &memoryJournal{err: tt.err})
		ev, req := open(start), from("203.0.113.77", browser)
		for name, err := range map[string]error{"Hit": a.Hit(&ev, &req), "Facts": a.Facts(&ev)} {
			var u *UnrecordedError
			if !errors.As(err, &u) || u.Reason() != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%s with %v: %v, want an UnrecordedError for reason %s", name, tt.err, err, tt.want)
			}
		}
	}
}

func TestFacts(t *testing.T) {
	j := &memoryJournal{}
	a, reg := newAcceptor(t, Default(), j)
	bounce := event.Event{Kind: event.Bounce, Time: start, KnownBy: event.ByKey, Key: event.KeyOf("acme", "m-1")}
	reply := event.Event{Kind: event.Reply, Time: start, KnownBy: event.ByKey, Key: event.KeyOf("acme", "m-1")}
	if err := a.Facts(&bounce, &reply); err != nil {
		t.Fatal(err)
	}
	if err := a.Facts(&bounce); err != nil {
		t.Fatal(err)
	}
	if err := a.Facts(); err != nil {
		t.Errorf("no facts: %v", err)
	}
	if len(j.records) != 3 || j.records[0].class != journal.Essential || j.records[1].ev.Kind != event.Reply {
		t.Errorf("recorded %+v", j.records)
	}
	wantMetric(t, reg, `carom_pipeline_accepted_total{kind="bounce",verdict="none"} 2`)
	wantMetric(t, reg, `carom_pipeline_accepted_total{kind="reply",verdict="none"} 1`)
}

// TestHitsAtOnce races identical and different hits; the race detector listens.
func TestHitsAtOnce(t *testing.T) {
	j := &memoryJournal{}
	a, _ := newAcceptor(t, Default(), j)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				ev, req := click(start+event.Millis(i%3), uint32(i%50)), from("203.0.113.77", browser)
				if g%2 == 0 {
					ev.Time += millisPerDay * event.Millis(i%2) // two days' keys
				}
				if err := a.Hit(&ev, &req); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[uint32]bool{}
	for _, r := range j.records {
		seen[r.ev.Link] = true
	}
	if len(seen) != 50 || len(j.records) == 8*200 {
		t.Errorf("%d links in %d records of 1600 hits, want 50 in fewer than 1600", len(seen), len(j.records))
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	o := Default()
	o.KeepAgent = KeepTruncated
	a, _ := newAcceptor(t, o, discard{})
	at := start
	ev, req := click(at, 1), from("40.107.1.2", library) // of several reasons
	req.Purpose, req.Accept = "prefetch", "*/*"
	if n := testing.AllocsPerRun(1000, func() {
		at += 20_000 // never a repeat
		ev.Time = at % millisPerDay
		if err := a.Hit(&ev, &req); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("a recorded hit: %v allocations", n)
	}
	if n := testing.AllocsPerRun(1000, func() {
		ev.Time = 5
		if err := a.Hit(&ev, &req); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("a repeat: %v allocations", n)
	}
}

func TestHitOfAFactIsABug(t *testing.T) {
	a, _ := newAcceptor(t, Default(), discard{})
	defer func() {
		if recover() == nil {
			t.Error("Hit takes a bounce")
		}
	}()
	_ = a.Hit(&event.Event{Kind: event.Bounce}, &event.Request{})
}

func TestOptions(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for want, change := range map[string]func(*Options){
		`keep_address: "all": want whole, truncated or none`:             func(o *Options) { o.KeepAddress = "all" },
		`keep_agent: "": want whole, truncated or none`:                  func(o *Options) { o.KeepAgent = "" },
		`repeat_entries: -1: want 0 to 16777216`:                         func(o *Options) { o.RepeatEntries = -1 },
		`repeat_entries: 16777217: want 0 to 16777216`:                   func(o *Options) { o.RepeatEntries = maxRepeatEntries + 1 },
		`repeat: 0s: want whole milliseconds from 1ms to 1h0m0s`:         func(o *Options) { o.Repeat = 0 },
		`repeat: 1h0m0.001s: want whole milliseconds from 1ms to 1h0m0s`: func(o *Options) { o.Repeat = time.Hour + time.Millisecond },
		`repeat: 1.5ms: want whole milliseconds from 1ms to 1h0m0s`:      func(o *Options) { o.Repeat = 1500 * time.Microsecond },
	} {
		o := Default()
		change(&o)
		if err := o.Validate(); err == nil || err.Error() != want {
			t.Errorf("the error is %v, want %s", err, want)
		}
		if _, err := New(o, discard{}, bot.Default(), [32]byte{}, zap.NewNop(), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want %s", err, want)
		}
	}
}

// denyAll denies every contact of an account.
type denyAll string

func (d denyAll) Denied(account, _ string) bool { return account == string(d) }

func TestDeniedIsNotRecorded(t *testing.T) {
	j := &memoryJournal{}
	a, reg := newAcceptor(t, Default(), j)
	a.Deny(denyAll("acme"))
	hit, req := open(start), from("203.0.113.77", browser)
	hit.Account = "acme"
	if err := a.Hit(&hit, &req); err != nil {
		t.Fatal(err)
	}
	if j.calls != 0 {
		t.Error("it was recorded")
	}
	fact := event.Event{Kind: event.Bounce, Ref: event.Ref{Account: "acme"}} // no tracking
	other := open(start)
	other.Account = "default"
	if err := errors.Join(a.Facts(&fact), a.Hit(&other, &req)); err != nil {
		t.Fatal(err)
	}
	if j.calls != 2 {
		t.Errorf("%d calls of the journal, want 2", j.calls)
	}
	wantMetric(t, reg, "carom_pipeline_denied_total 1")
}

// TestSoonIsNotHiddenBySooner: which of two hits of an image proxy came soon after delivery only refine can tell.
func TestSoonIsNotHiddenBySooner(t *testing.T) {
	j := &memoryJournal{}
	a, reg := newAcceptor(t, Default(), j)
	proxy := from("66.249.84.1", "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)")
	for _, after := range []event.Millis{0, 10, 7000, 7010} { // start is in the first half of its second
		ev := open(start + after)
		if err := a.Hit(&ev, &proxy); err != nil {
			t.Fatal(err)
		}
		if ev.Soon.Within == 0 {
			t.Fatal("the rules say nothing of image proxies")
		}
	}
	if j.calls != 2 {
		t.Errorf("%d records, want one a second", j.calls)
	}
	wantMetric(t, reg, `carom_pipeline_repeats_total{kind="open"} 2`)
}

// TestNamelessHitsNameNobody: what is journaled of an anonymous hit names no contact, and its hashes say nothing about
// other messages.
func TestNamelessHitsNameNobody(t *testing.T) {
	record := func(flags event.Flags, message string) event.Event {
		j := &memoryJournal{}
		a, _ := newAcceptor(t, Default(), j)
		ev, req := open(start), from("203.0.113.77", browser)
		ev.Flags, ev.Message, ev.Key = flags, message, event.KeyOf(ev.Account, message)
		if err := a.Hit(&ev, &req); err != nil {
			t.Fatal(err)
		}
		return j.records[0].ev
	}
	named, other := record(0, "m-1"), record(0, "m-2")
	if named.Contact == "" || named.Client.Hash != other.Client.Hash || named.Client.AddressHash != other.Client.AddressHash {
		t.Errorf("a named hit: %+v, of another message %+v", named, other)
	}
	for _, flag := range []event.Flags{event.Anonymous, event.Shared} {
		one, again, two := record(flag, "m-1"), record(flag, "m-1"), record(flag, "m-2")
		if one.Contact != "" {
			t.Errorf("flags %b: the record names %q", flag, one.Contact)
		}
		if one.Client != again.Client || one.Client.Hash == 0 || one.Client.AddressHash == 0 {
			t.Errorf("flags %b: one client of one message is %+v and %+v", flag, one.Client, again.Client)
		}
		for _, h := range []event.Client{named.Client, two.Client} {
			if one.Client.Hash == h.Hash || one.Client.AddressHash == h.AddressHash {
				t.Errorf("flags %b: the client can be found again: %+v, %+v", flag, one.Client, h)
			}
		}
	}
}
