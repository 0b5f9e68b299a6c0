package refine

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
)

// listWorld is messages over several epochs in three partitions.
type listWorld struct {
	parts []*Partition
	all   []Message // in no order
}

func newListWorld(t *testing.T, rng *rand.Rand, n int) *listWorld {
	t.Helper()
	worlds := make([]*world, 3)
	lw := &listWorld{}
	for i := range worlds {
		worlds[i] = openWorld(t, keepOptions(30*day), vfs.NewMem(), newFeed())
		t.Cleanup(worlds[i].close)
		lw.parts = append(lw.parts, worlds[i].p)
	}
	b, at := newBuilder("n1"), epoch
	type sent struct{ account, id string }
	known := make([][]sent, len(worlds))
	for i := range n {
		at = at.Add(time.Duration(rng.IntN(5)) * time.Hour)
		place := rng.IntN(len(worlds))
		e := sentEvent(fmt.Sprint("m", i))
		e.Account, e.Sender = pick(rng, "acme", "acme", "other"), fmt.Sprint("sender-", rng.IntN(4))
		e.Sequence, e.Contact = pick(rng, "", "q3", "q4"), fmt.Sprint("c-", rng.IntN(40))
		e.SentAt = at.Add(-time.Duration(rng.IntN(3)) * time.Hour)
		e.Key = event.KeyOf(e.Account, e.Message)
		known[place] = append(known[place], sent{e.Account, e.Message})
		worlds[place].feed.append(b.record(at, e))
		for range rng.IntN(3) {
			m := pick(rng, known[place]...)
			fact := event.Event{Kind: pick(rng, event.Unsubscribe, event.Dropped, event.Delivered), Time: at, KnownBy: event.ByKey, Key: event.KeyOf(m.account, m.id)}
			worlds[place].feed.append(b.record(at, fact))
		}
	}
	for i, w := range worlds {
		w.drain(all)
		for _, m := range known[i] {
			if m, ok, err := w.p.Message(m.account, m.id); err != nil {
				t.Fatal(err)
			} else if ok {
				m.Events = nil
				lw.all = append(lw.all, m)
			}
		}
		if len(w.p.epochs.live()) < 3 {
			t.Fatalf("%d epochs", len(w.p.epochs.live()))
		}
	}
	return lw
}

// list reads all pages.
func (lw *listWorld) list(t *testing.T, q ListQuery) (found []Message) {
	t.Helper()
	for range 10_000 {
		var pages []ListPage
		for _, p := range lw.parts {
			page, err := p.List(q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Messages) > q.Limit {
				t.Fatalf("%d messages in a page of %d", len(page.Messages), q.Limit)
			}
			pages = append(pages, page)
		}
		all := MergeList(q.Limit, pages)
		found = append(found, all.Messages...)
		if !slices.IsSorted(all.Places) || len(all.Places) > 0 && all.Places[0] <= q.After {
			t.Fatalf("places %v after %s", all.Places, q.After)
		}
		if q.After = all.Next; q.After == "" {
			return found
		}
	}
	t.Fatal("the list has no end")
	return nil
}

func (lw *listWorld) contacts(t *testing.T, q ListQuery) (found []ListedContact) {
	t.Helper()
	for range 10_000 {
		var pages []ContactsPage
		for _, p := range lw.parts {
			page, err := p.Contacts(q)
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, page)
		}
		all := MergeContacts(q.Limit, pages)
		found = append(found, all.Contacts...)
		if q.After = all.Next; q.After == "" {
			return found
		}
	}
	t.Fatal("the list has no end")
	return nil
}

// Lists have what they are asked for, each once, by sender and time, however small the pages are.
func TestLists(t *testing.T) {
	rng := seeded(t)
	lw := newListWorld(t, rng, 600)
	if len(lw.all) < 250 {
		t.Fatalf("%d messages are kept", len(lw.all))
	}
	one := lw.all[rng.IntN(len(lw.all))]
	var queries []ListQuery
	for _, q := range []ListQuery{
		{}, {Sender: one.Sender}, {Sequence: one.Sequence}, {Status: one.Status}, {Contact: one.Contact}, {From: one.SentAt, To: one.SentAt + 1},
	} {
		q.Account, q.Limit = one.Account, 7
		queries = append(queries, q)
	}
	findSome := len(queries)
	for range 60 {
		q := ListQuery{Account: pick(rng, "acme", "other", "nobody"), Limit: 1 + rng.IntN(50)}
		q.Sender = pick(rng, "", "sender-1", "sender-2")
		q.Sequence = pick(rng, "", "", "q4")
		q.Status = pick(rng, "", StatusSent, StatusDropped, StatusUnsubscribed)
		q.Contact = pick(rng, "", "", "c-7")
		if rng.IntN(2) == 0 {
			q.From = lw.all[rng.IntN(len(lw.all))].SentAt
			q.To = q.From.Add(time.Duration(rng.IntN(300)) * time.Hour)
		}
		if rng.IntN(4) == 0 {
			q.To = lw.all[rng.IntN(len(lw.all))].SentAt
		}
		queries = append(queries, q)
	}
	for i, q := range queries {
		var want []Message
		people := make(map[string]*ListedContact)
		for _, m := range lw.all {
			if m.Account != q.Account || q.Sender != "" && m.Sender != q.Sender || q.Sequence != "" && m.Sequence != q.Sequence ||
				q.Status != "" && m.Status != q.Status || q.Contact != "" && m.Contact != q.Contact ||
				m.SentAt < q.From || q.To != 0 && m.SentAt >= q.To {
				continue
			}
			want = append(want, m)
			c := people[m.Contact]
			if c == nil {
				c = &ListedContact{Contact: m.Contact, Statuses: make(map[string]int)}
				people[m.Contact] = c
			}
			if m.SentAt > c.SentAt || m.SentAt == c.SentAt && m.Recipient > c.Recipient {
				c.SentAt, c.Recipient = m.SentAt, m.Recipient
			}
			c.Messages++
			c.Statuses[m.Status]++
		}
		got := lw.list(t, q)
		if !slices.IsSortedFunc(got, func(a, b Message) int {
			if a.Sender != b.Sender {
				return 0
			}
			return cmp.Compare(a.SentAt, b.SentAt)
		}) {
			t.Fatalf("%+v: not by time", q)
		}
		byID := func(a, b Message) int { return cmp.Compare(a.Message, b.Message) }
		slices.SortFunc(got, byID)
		slices.SortFunc(want, byID)
		if !reflect.DeepEqual(got, want) || i < findSome && len(got) == 0 {
			t.Fatalf("%+v: %d messages, want %d", q, len(got), len(want))
		}
		told := lw.contacts(t, q)
		for i := range told {
			if w := people[told[i].Contact]; w == nil || !reflect.DeepEqual(told[i], *w) {
				t.Fatalf("%+v: contact %+v, want %+v", q, told[i], w)
			}
			delete(people, told[i].Contact)
		}
		if len(people) > 0 {
			t.Fatalf("%+v: %d contacts are missing", q, len(people))
		}
	}
}

// A list that finds nothing among many messages comes to its end in bounded pieces, each of which gets on.
func TestListsAreBounded(t *testing.T) {
	w := openWorld(t, Default(), vfs.NewMem(), newFeed())
	defer w.close()
	b := newBuilder("n1")
	const messages = listStates + 500
	for n := range messages {
		e := sentEvent(fmt.Sprint("m", n))
		e.Contact = fmt.Sprint("c-", n)
		w.feed.append(b.record(epoch, e))
	}
	w.drain(all)
	q := ListQuery{Account: "acme", Status: StatusReplied, Limit: 10}
	page, err := w.p.List(q)
	w.check(err)
	if page.Next == "" {
		t.Fatal("the first page looked at all messages")
	}
	q.After = page.Next
	page, err = w.p.List(q)
	w.check(err)
	if page.Next != "" {
		t.Error("the second page does not come to the end")
	}
	q.After = ""
	people, err := w.p.Contacts(q)
	w.check(err)
	q.After = people.Next
	if people.Next == "" {
		t.Fatal("the first page looked at all contacts")
	}
	people, err = w.p.Contacts(q)
	w.check(err)
	if people.Next != "" {
		t.Error("the second page does not come to the end")
	}
	for _, after := range []string{"x", "00", page.Next + "00"} {
		if _, err := w.p.List(ListQuery{Account: "acme", After: after + "0", Limit: 1}); err == nil {
			t.Errorf("%q is taken", after)
		}
	}
}
