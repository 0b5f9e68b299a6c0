package suppress

import (
	"fmt"
	"slices"

	"go.uber.org/zap"

	"carom/pipeline/event"
	"carom/pipeline/provider"
)

// order handles an order, unless it was decided before.
func (p *Partition) order(f *event.AddressFact) error {
	o, err := decodeOrder(f)
	if err != nil {
		p.metrics.skipped.WithLabelValues(skipRejected).Inc()
		p.logger.Error("an order can't be read", zap.Int64("offset", p.place.Addresses), zap.Error(err))
		return nil
	}
	if row, err := p.get(p.decisionRow(o.ID)); err != nil || row != nil {
		return err
	}
	d := Decision{ID: o.ID, Made: p.at.time, Order: o}
	switch o.Op {
	case OpAdd, OpRemove, OpReactivate, OpLift:
		return p.decideAddress(&d)
	case OpRevert, OpConfirm:
		if o.Filter == nil {
			break
		}
		p.wave = newWave(&d, p.place)
		return p.keepWave()
	}
	return p.decided(d.refuse(RuleInvalid, "The order can't be understood.", fmt.Sprintf("There is no operation %.20q with these members.", o.Op)), "")
}

func decodeOrder(f *event.AddressFact) (Order, error) {
	var w wireOrder
	if err := decode(f.Body, &w); err != nil {
		return Order{}, fmt.Errorf("%w: %w", errOrder, err)
	}
	o, err := w.order()
	if o.Time == 0 {
		o.Time = f.Time
	}
	o.Note, o.Category = clip(o.Note, maxText), clip(o.Category, maxText)
	return o, err
}

func (d *Decision) refuse(rule, title, detail string) *Decision {
	d.OK, d.Rule, d.Title, d.Detail = false, rule, title, detail
	return d
}

// decideAddress decides an order about one address.
func (p *Partition) decideAddress(d *Decision) error {
	o := &d.Order
	if o.Op == OpLift {
		o.Account = ""
	}
	name, err := p.name(o.Account, o.Address)
	if err != nil {
		return err
	}
	original := o.Address
	if isHashed(name) {
		o.Address, original = name, ""
	}
	if !isName(name) || o.Reason != "" && !slices.Contains(Reasons(), o.Reason) {
		if !isName(name) {
			name = ""
		}
		return p.decided(d.refuse(RuleInvalid, "The order can't be understood.", "It needs an address, and a reason that there is, or none."), name)
	}
	e, _, err := p.load(o.Account, name)
	if err != nil {
		return err
	}
	switch o.Op {
	case OpAdd:
		p.add(d, e, original)
	case OpRemove:
		d.OK = e.end(&p.o, o.Time, OpRemove, func(*Cause) bool { return true })
		if !d.OK {
			d.notSuppressed()
		}
	case OpLift:
		p.lift(d, e)
	case OpReactivate:
		if err := p.reactivate(d, e); err != nil {
			return err
		}
	}
	if d.OK {
		if err := p.keep(e); err != nil {
			return err
		}
	}
	if s, known := e.suppression(&p.o, o.Time); known {
		d.Suppression = &s
	}
	return p.decided(d, name)
}

func (d *Decision) notSuppressed() {
	d.refuse(RuleNotSuppressed, "The address is not suppressed.", "There is nothing to end at the order's time.")
}

// add suppresses by hand. What another system knew of a bounce, complaint or unsubscribe is taken over unless the same is
// known here, with better evidence.
func (p *Partition) add(d *Decision, e *entry, original string) {
	o := &d.Order
	if o.Reason == "" {
		o.Reason = Manual
	}
	d.OK = true
	c := Cause{Reason: o.Reason, Category: o.Category, Rule: ruleOrder, MailboxProvider: provider.OfAddress(original), Note: o.Note, Since: o.Time, Until: o.Until}
	known := false
	for _, k := range e.causes(&p.o) {
		if k.Reason == o.Reason && k.Ended == 0 && k.holds(o.Time) {
			known = true
		}
	}
	if i := slices.IndexFunc(e.Added, func(w wireCause) bool { return w.Reason == o.Reason }); i >= 0 {
		if old := e.Added[i].cause(); old.Until != 0 && old.Until <= o.Time {
			e.remember(old, o.Time, OpAdd)
		} else {
			c.Since = min(c.Since, old.Since)
		}
		e.Added[i] = c.wire()
	} else if !known {
		e.Added = append(e.Added, c.wire())
	}
	if e.Original == "" && !isHashed(e.name) {
		e.Original = original
	}
	d.Counts = map[string]int64{"added": 1}
	d.Title = "The address is suppressed."
	if known {
		d.Counts = map[string]int64{"known": 1}
		d.Title = "The address was suppressed before."
	}
}

// lift ends a global suppression, but not one for an unknown user.
func (p *Partition) lift(d *Decision, e *entry) {
	o := &d.Order
	for _, c := range e.causes(&p.o) {
		if c.holds(o.Time) && c.Reason == Bounce && c.Category == categoryUnknown {
			d.refuse(RuleUnknownUser, "There is no such user.", "A global suppression for an unknown user can't be lifted.")
			return
		}
	}
	if d.OK = e.end(&p.o, o.Time, OpLift, func(*Cause) bool { return true }); !d.OK {
		d.notSuppressed()
	}
}

// reactivate gives an account back an address that bounced.
func (p *Partition) reactivate(d *Decision, e *entry) error {
	o := &d.Order
	name, err := p.name("", e.name)
	if err != nil {
		return err
	}
	g, _, err := p.load("", name)
	if err != nil {
		return err
	}
	a, err := p.loadAccount(o.Account)
	if err != nil {
		return err
	}
	held := func(e *entry, other bool) bool {
		return slices.ContainsFunc(e.causes(&p.o), func(c Cause) bool { return c.holds(o.Time) && (!other || c.Reason != Bounce) })
	}
	allowed, used := a.allowed(&p.o), a.Used[month(o.Time)]
	switch {
	case !o.Confirmed:
		d.refuse(RuleNotConfirmed, "The reactivation is not confirmed.", "Confirm that the address is good: \"confirmed\": true.")
		d.PossibleAt = o.Time
	case held(g, false):
		d.refuse(RuleGlobal, "The address is suppressed in all accounts.", "A global suppression is not reactivated; an operator may lift it.")
	case !held(e, false):
		d.notSuppressed()
	case held(e, true):
		d.refuse(RuleReasonNotBounce, "The address is not suppressed by bounces alone.", "Only what bounces suppressed is reactivated: a complaint or an unsubscribe is the recipient's own word.")
	case e.Reactivated != 0:
		d.refuse(RuleAlreadyReactivated, "The address was reactivated before.", "That is allowed once for each contact.")
	case used >= allowed:
		d.refuse(RuleQuota, "The quota of the month is used up.", fmt.Sprintf("%d of %d reactivations in %s are done; the account has %d contacts.", used, allowed, month(o.Time), a.Contacts))
		d.PossibleAt = nextMonth(o.Time)
	default:
		e.end(&p.o, o.Time, OpReactivate, func(c *Cause) bool { return c.Reason == Bounce })
		e.Reactivated, d.OK = o.Time, true
		if a.Used == nil {
			a.Used = make(map[string]int64)
		}
		a.Used[month(o.Time)]++
		d.Title = "The address is reactivated."
		return p.keepAccount(a, true)
	}
	return nil
}

// decided keeps and publishes a decision. name is the address's, empty if it is about none.
func (p *Partition) decided(d *Decision, name string) error {
	outcome := "ok"
	if !d.OK {
		outcome = d.Rule
	}
	p.metrics.decisions.WithLabelValues(opLabel(d.Order.Op), outcome).Inc()
	if err := p.keepDecision(d); err != nil {
		return err
	}
	id := event.ID(d.ID)
	if name != "" {
		if err := p.set(append(p.ordersPrefix(d.Order.Account, name), id[:]...), nil); err != nil {
			return err
		}
	}
	if p.o.KeepDecisions == 0 {
		return nil
	}
	return p.due(p.at.time.Add(p.o.KeepDecisions), dueDecision, id[:])
}

func (p *Partition) keepDecision(d *Decision) error {
	w := d.wire()
	told := w.Suppression
	if told != nil { // the row tells that there was one: an erase takes it back
		w.Suppression = &wireSuppression{}
	}
	if err := p.set(p.decisionRow(d.ID), encode(w)); err != nil {
		return err
	}
	w.Suppression, w.At = told, &p.place
	p.publish(decisionKey(d.ID), encode(w))
	return nil
}

// opLabel keeps what an order says out of the names of metrics.
func opLabel(op string) string {
	switch op {
	case OpAdd, OpRemove, OpReactivate, OpLift, OpRevert, OpConfirm:
		return op
	}
	return "other"
}
