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
	// webhooks are counted here, and read from the rows.
	webhooks *set
	// self maps a sender, by the same hash as contacts, to his addresses. It is copied for every batch of changes.
	self atomic.Pointer[selfMap]
	next selfMap // the copy that is being changed; nil: none
}

type selfMap map[event.ContactKey][]netip.Prefix

func newTable(o Options) *Table {
	t := &Table{options: o, denied: newSet(), webhooks: newSet()}
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
	return t.setOf(k).len()
}

// setOf returns what holds the kind's names; nil for what is not counted.
func (t *Table) setOf(k Kind) *set {
	switch k {
	case Denied, DeniedKey:
		return t.denied
	case Webhook:
		return t.webhooks
	}
	return nil
}

// most is how many entries of a kind, or of those counted with it, there may be.
func (t *Table) most(k Kind) int {
	switch k {
	case Self:
		return t.options.MaxSelf
	case Webhook:
		return t.options.MaxWebhooks
	}
	return t.options.MaxDenied
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
	switch c.Kind {
	case Self:
		_, ok := (*t.self.Load())[event.ContactKeyOf(c.Account, c.Name)]
		return ok
	case WebhookState: // there is one where there is a webhook
		return true
	}
	return t.setOf(c.Kind).has(setKey(c))
}

// setKey is what stands for c in its set: of a contact the same, whether he is denied by his id or by his key.
func setKey(c *Control) event.ContactKey {
	if c.Kind == DeniedKey {
		k, _ := event.ParseContactKey(c.Name) // which was checked
		return k
	}
	return event.ContactKeyOf(c.Account, c.Name)
}

// set takes c in; false if it does not fit.
func (t *Table) set(c *Control) bool {
	switch c.Kind {
	case WebhookState:
		return true
	case Self:
		return t.setSelf(c)
	}
	if !t.has(c) && t.len(c.Kind) >= t.most(c.Kind) {
		return false
	}
	t.setOf(c.Kind).add(setKey(c))
	return true
}

func (t *Table) setSelf(c *Control) bool {
	m := t.edited()
	key := event.ContactKeyOf(c.Account, c.Name)
	if _, ok := m[key]; !ok && len(m) >= t.most(Self) {
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
	switch c.Kind {
	case WebhookState:
	case Self:
		delete(t.edited(), event.ContactKeyOf(c.Account, c.Name))
	default:
		t.setOf(c.Kind).remove(setKey(c))
	}
}
