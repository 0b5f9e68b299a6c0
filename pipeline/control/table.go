package control

import (
	"maps"
	"net/netip"
	"sync/atomic"

	"carom/pipeline/event"
)

// Table is what Accept asks, in memory. Its methods are safe for concurrent use; one goroutine at a time changes it.
type Table struct {
	options Options
	denied  *set
	// self maps a sender, by the same hash as contacts, to his addresses. It is copied for every batch of changes.
	self atomic.Pointer[selfMap]
	next selfMap // the copy that is being changed; nil: none
}

type selfMap map[event.ContactKey][]netip.Prefix

func newTable(o Options) *Table {
	t := &Table{options: o, denied: newSet()}
	t.self.Store(&selfMap{})
	return t
}

// Denied reports whether the contact's opens and clicks are not to be recorded.
func (t *Table) Denied(account, contact string) bool {
	if t.denied.len() == 0 {
		return false
	}
	return t.denied.has(event.ContactKeyOf(account, contact))
}

// SelfAddresses returns the addresses that are the sender's own, by API; nil if none are. The list must not be changed.
func (t *Table) SelfAddresses(account, sender string) []netip.Prefix {
	m := *t.self.Load()
	if len(m) == 0 {
		return nil
	}
	return m[event.ContactKeyOf(account, sender)]
}

// len returns how many entries of a kind there are; of both kinds of denied contacts together.
func (t *Table) len(k Kind) int {
	if k == Self {
		return len(*t.self.Load())
	}
	return t.denied.len()
}

// edited returns the map that changes go to, which publish shows.
func (t *Table) edited() selfMap {
	if t.next == nil {
		t.next = maps.Clone(*t.self.Load())
	}
	return t.next
}

// publish shows what was changed of senders. Denied contacts are shown at once.
func (t *Table) publish() {
	if t.next != nil {
		m := t.next
		t.next = nil
		t.self.Store(&m)
	}
}

// has reports whether c is there, whatever it says. It is safe for concurrent use.
func (t *Table) has(c *Control) bool {
	if c.Kind == Self {
		_, ok := (*t.self.Load())[event.ContactKeyOf(c.Account, c.Name)]
		return ok
	}
	return t.denied.has(deniedKey(c))
}

// deniedKey is the key of a contact who is denied by his id or by his key.
func deniedKey(c *Control) event.ContactKey {
	if c.Kind == DeniedKey {
		k, _ := event.ParseContactKey(c.Name) // which was checked
		return k
	}
	return event.ContactKeyOf(c.Account, c.Name)
}

// set takes c in; false if it does not fit.
func (t *Table) set(c *Control) bool {
	if c.Kind != Self {
		if !t.has(c) && t.denied.len() >= t.options.MaxDenied {
			return false
		}
		t.denied.add(deniedKey(c))
		return true
	}
	m := t.edited()
	key := event.ContactKeyOf(c.Account, c.Name)
	if _, ok := m[key]; !ok && len(m) >= t.options.MaxSelf {
		return false
	}
	list, err := prefixes(c.Values)
	if err != nil {
		panic("BUG: a control that was not checked: " + err.Error())
	}
	m[key] = list
	return true
}

// remove takes c out.
func (t *Table) remove(c *Control) {
	if c.Kind != Self {
		t.denied.remove(deniedKey(c))
		return
	}
	delete(t.edited(), event.ContactKeyOf(c.Account, c.Name))
}
