package suppress

import (
	"slices"

	"carom/pipeline/event"
)

// Scope is for whom an address is suppressed.
type Scope string

// The scopes.
const (
	ScopeAccount Scope = "account"
	ScopeGlobal  Scope = "global"
)

func scopeOf(account string) Scope {
	if account == "" {
		return ScopeGlobal
	}
	return ScopeAccount
}

// Reason is why an address is suppressed.
type Reason string

// The reasons. Of several that hold at once the first of this order leads.
const (
	Manual      Reason = "manual"
	Bounce      Reason = "bounce"
	Complaint   Reason = "complaint"
	Unsubscribe Reason = "unsubscribe"
)

// Reasons returns all reasons, the leading one first.
func Reasons() []Reason { return slices.Clone(reasons) }

var reasons = []Reason{Manual, Bounce, Complaint, Unsubscribe}

// SparesTransactional reports whether mail that is registered as transactional goes out in spite of the reason.
func (r Reason) SparesTransactional() bool { return r == Complaint || r == Unsubscribe }

// Suppression is what is known of one address in one account, or in all.
type Suppression struct {
	// Account is empty where Scope is ScopeGlobal.
	Account string
	// Address is the address as addresses are compared, or of one that is kept as a hash alone '#' and the hash; see Hashed.
	Address string
	// Original is the address as it was registered or ordered; empty where only the hash is kept.
	Original string
	Scope    Scope
	// Cause is the one that leads at the time that was asked for.
	Cause
	// Others are the other causes that there are or were.
	Others []Cause
}

// Hashed reports whether only a keyed hash of the address is kept.
func (s *Suppression) Hashed() bool { return len(s.Address) > 0 && s.Address[0] == hashMark }

// Cause is one reason for which an address is or was suppressed.
type Cause struct {
	Reason   Reason
	Category string // of a bounce, or as an order says
	Rule     string // of a bounce: the rule that classified it; else which rule of SUPPRESSIONS.md decided
	// MailboxProvider is that of the recipient's domain.
	MailboxProvider string
	Note            string
	Since           event.Millis
	Until           event.Millis // 0: without end
	// Active says that the cause stops mail at the time that was asked for.
	Active bool
	// Quarantined says that it would, but came in a wave of bounces that nobody believes.
	Quarantined bool
	Evidence    *Evidence
	// Ended is when it ended, 0 if it did not, and EndedBy by what: reactivate, remove, lift, revert, alive, not_spam.
	Ended   event.Millis
	EndedBy string
	// Reactivated is when the address was reactivated in its account, which may be done once.
	Reactivated event.Millis
}

// Evidence is the event that suppressed.
type Evidence struct {
	Event      event.ID
	Kind       string
	Time       event.Millis
	Message    string
	Status     string
	Diagnostic string
}

// hashMark begins the name of an address of which only the hash is kept. No address begins so: it would lack its '@'.
const hashMark = '#'
