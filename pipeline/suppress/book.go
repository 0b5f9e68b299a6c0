package suppress

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// Log is the log of suppressions, in either form. Compacted is set on one that forgets removals.
type Log struct {
	In        log.Reader
	Compacted bool
}

// Book answers who is suppressed. Its methods are safe for concurrent use.
type Book struct{}

// OpenBook reads where the book stands in store. reg may be nil.
func OpenBook(o Options, secret Secret, store *kv.Store, l Log, logger *zap.Logger, reg prometheus.Registerer) (*Book, error) {
	panic("BUG: not written yet")
}

// Run follows the log until ctx is done, which is no error, or something fails. It is called once.
func (b *Book) Run(ctx context.Context) error { panic("BUG: not written yet") }

// Check reports whether mail of the account to the address is suppressed at a time (0: now), by the account's suppression or
// the global one; s is the one that leads. It does not allocate where there is none.
func (b *Book) Check(account, address string, at event.Millis) (s Suppression, suppressed bool, err error) {
	panic("BUG: not written yet")
}

// Get returns what is known of an address: the account's suppression, then the global one, of those that there are, active
// or not, as of a time (0: now).
func (b *Book) Get(account, address string, at event.Millis) (list []Suppression, err error) {
	panic("BUG: not written yet")
}

// Query chooses suppressions. What is empty holds of all.
type Query struct {
	// Account is whose suppressions are listed; empty: the global ones.
	Account  string
	Reason   Reason
	Category string
	Domain   string
	Active   *bool
	From, To event.Millis // From <= since < To
	At       event.Millis // as of; 0: now
	After    string       // what List returned as next
	Limit    int
}

// List returns a page of suppressions, in the order of their domains and addresses. next is empty after the last. A page may
// be shorter than the limit, even empty, and have a next: the work of one page is bounded.
func (b *Book) List(q Query) (page []Suppression, next string, err error) {
	panic("BUG: not written yet")
}

// Decision waits until the decision on an order is in the book, or ctx is done.
func (b *Book) Decision(ctx context.Context, id [16]byte) (Decision, error) {
	panic("BUG: not written yet")
}

// Decided returns the decision on an order if it is in the book.
func (b *Book) Decided(id [16]byte) (d Decision, ok bool, err error) { panic("BUG: not written yet") }

// AuditQuery chooses decisions. What is empty holds of all.
type AuditQuery struct {
	Account string
	Address string
	After   string
	Limit   int
}

// Audit returns a page of decisions, newest first by the time when they were made. next is empty after the last. A page may
// be shorter than the limit and have a next, as of List.
func (b *Book) Audit(q AuditQuery) (page []Decision, next string, err error) {
	panic("BUG: not written yet")
}
