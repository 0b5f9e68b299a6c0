package suppress

import (
	"carom/pipeline/event"
)

// The operations of orders.
const (
	OpAdd        = "add"        // suppress an address by hand; without an account globally
	OpRemove     = "remove"     // end all causes of an account's suppression
	OpReactivate = "reactivate" // end one by bounces, within the quota
	OpLift       = "lift"       // end a global one
	OpRevert     = "revert"     // undo a wave of bounces
	OpConfirm    = "confirm"    // apply a wave that waits in quarantine
)

// Order is what somebody asks for. It is journaled as an event (Event), and decided by Partition when it comes to it in
// the log of addresses.
type Order struct {
	// ID makes an order known: a second one with the same is not carried out.
	ID [16]byte
	// Digest is Book.Digest of what was asked, as whoever makes the order writes it, and comes back with the decision: so a
	// second order with the same ID can be told from one that asks for something else, where no address is kept either.
	Digest  [8]byte
	Op      string
	Account string
	Address string
	// Reason of an add: manual, or one that another system knew; empty is manual.
	Reason   Reason
	Category string
	Note     string
	Until    event.Millis
	Time     event.Millis
	// Actor is who ordered.
	Actor     string
	Confirmed bool
	Filter    *Filter // of revert and confirm
}

// Filter chooses bounces of a wave. What is empty holds of all.
type Filter struct {
	Provider string
	Rule     string
	Category string
	From, To event.Millis // event time of the bounce: From <= time < To
	DryRun   bool
}

// Event returns the event to be journaled.
func (o *Order) Event() event.Event {
	return event.Event{
		Kind: event.Order, Time: o.Time, Key: event.OrderKey(o.Account, o.Address), KnownBy: event.ByKey, Recipient: o.Address,
		Ref: event.Ref{Account: o.Account, Message: event.ID(o.ID).String()}, Body: encode(o.wire()),
	}
}

// Why an order was refused.
const (
	RuleNotConfirmed       = "not_confirmed"
	RuleAlreadyReactivated = "already_reactivated"
	RuleQuota              = "quota"
	RuleGlobal             = "global"
	RuleNotSuppressed      = "not_suppressed"
	RuleReasonNotBounce    = "reason_not_bounce"
	RuleUnknownUser        = "unknown_user" // lift of a global one for an unknown user
	RuleInvalid            = "invalid"      // the order can't be understood
)

// Decision is what became of an order.
type Decision struct {
	ID [16]byte
	// Made is when it was decided, in log time. The time of the order may be any.
	Made  event.Millis
	Order Order // as it was decided; of an erased contact without address and note
	OK    bool
	Rule  string // why not
	// PossibleAt is when the same order will be possible, 0: never.
	PossibleAt event.Millis
	Title      string
	Detail     string
	// Suppression is how it stands after the decision; nil if there is none.
	Suppression *Suppression
	// Counts of a revert or confirm: "matched" bounces, "quarantined" ones among them, "changed" suppressions; of an add: "added", or "known"
	// if it was suppressed so before.
	Counts map[string]int64
}
