package suppress

import (
	"bytes"
	"errors"
	"slices"

	"carom/pipeline/event"
	"carom/pipeline/provider"
)

// hear handles a fact about a message.
func (p *Partition) hear(f *event.AddressFact) error {
	switch {
	case f.Account == "" || f.Message == "":
		p.metrics.skipped.WithLabelValues(skipNameless).Inc()
		return nil
	case f.Recipient == "":
		return p.wait(f)
	}
	if err := p.release(f); err != nil || f.Kind == event.Sent {
		return err
	}
	return p.apply(f)
}

// apply brings a fact to the entry of its recipient.
func (p *Partition) apply(f *event.AddressFact) error {
	name, err := p.name(f.Account, f.Recipient)
	if err != nil {
		return err
	}
	if !isName(name) {
		p.metrics.skipped.WithLabelValues(skipNameless).Inc()
		return nil
	}
	e, known, err := p.load(f.Account, name)
	if err != nil {
		return err
	}
	switch f.Kind {
	case event.Bounce, event.Complaint, event.Unsubscribe:
	default:
		if !known {
			return nil // what it lifts is forgotten
		}
	}
	if f.Kind == event.Bounce && f.MailboxProvider == "" {
		f.MailboxProvider = provider.OfAddress(f.Recipient)
	}
	if isHashed(name) {
		f.Bounce.Diagnostic = "" // it may name the address
	}
	had := e.hardTimes()
	fresh := e.hear(f)
	if fresh != nil && fresh.Hard && f.AliveAt <= f.Time {
		if fresh.Wave, err = p.breaker(e, fresh); err != nil {
			return err
		}
	}
	e.liftSoft()
	if err := p.considerSoft(e, f.Contact); err != nil {
		return err
	}
	e.prune()
	return errors.Join(p.indexHard(e, had), p.keep(e))
}

// indexHard brings the table of hard bounces up to date: had are those that e had before.
func (p *Partition) indexHard(e *entry, had []event.Millis) error {
	has := e.hardTimes()
	for _, at := range had {
		if !slices.Contains(has, at) {
			if err := p.drop(p.waveKey(at, e.account, e.name)); err != nil {
				return err
			}
		}
	}
	for _, at := range has {
		if !slices.Contains(had, at) {
			if err := p.set(p.waveKey(at, e.account, e.name), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// hardTimes returns when the hard bounces of e were, once each.
func (e *entry) hardTimes() (list []event.Millis) {
	for i := range e.Messages {
		for j := range e.Messages[i].Bounces {
			if b := &e.Messages[i].Bounces[j]; b.Hard && !slices.Contains(list, b.Time) {
				list = append(list, b.Time)
			}
		}
	}
	return list
}

// keep writes an entry if it has changed, and publishes it if it is, or ever was, more than a handful of facts.
func (p *Partition) keep(e *entry) error {
	if err := p.share(e); err != nil {
		return err
	}
	if e.row != nil && bytes.Equal(e.row, encode(e)) {
		return nil
	}
	causes := e.causes(&p.o)
	e.Told = e.Told || len(e.Past) > 0 || slices.ContainsFunc(causes, func(c Cause) bool { return c.Active || c.Quarantined })
	e.Changed = p.at.time
	if rests, at := e.rests(causes); rests && e.Due == 0 && p.o.Keep > 0 {
		e.Due = max(at, p.at.time).Add(p.o.Keep)
		if err := p.due(e.Due, dueEntry, entryRef(e)); err != nil {
			return err
		}
	}
	told := e.Told
	e.Told = told && len(causes) > 0 // what a revision leaves nothing of was none
	value := encode(e)
	switch {
	case e.Told:
		p.publishEntry(e, value)
	case told:
		p.publish(suppressionKey(e.account, e.name), nil)
	}
	e.row = value
	return p.set(p.entryKey(e.account, e.name), value)
}

func (p *Partition) publishEntry(e *entry, facts []byte) {
	s, _ := e.suppression(&p.o, 0)
	w := s.wire()
	w.Facts, w.At = facts, &p.place
	p.publish(suppressionKey(e.account, e.name), encode(w))
}

// share tells the global entry of the address which hard bounces stand in e's account.
func (p *Partition) share(e *entry) error {
	if e.account == "" || p.o.GlobalAccounts == 0 {
		return nil
	}
	hits := e.hits()
	if len(hits) == 0 && !e.Shared {
		return nil
	}
	name, err := p.name("", e.name)
	if err != nil {
		return err
	}
	g, _, err := p.load("", name)
	if err != nil {
		return err
	}
	e.Shared = true
	if !g.takeHits(e.account, hits) {
		return nil
	}
	if g.Original == "" && !isHashed(name) {
		g.Original = e.Original
	}
	return p.keep(g)
}

// rests reports whether nothing that e holds stops mail for good, and when what stops it for a while is over.
func (e *entry) rests(causes []Cause) (rests bool, at event.Millis) {
	if e.Reactivated != 0 {
		return false, 0 // it may be done once
	}
	for i := range causes {
		c := &causes[i]
		switch {
		case c.Active && c.Until == 0, c.Quarantined && c.Ended == 0:
			return false, 0
		case c.Active:
			at = max(at, c.Until)
		}
	}
	return true, at
}

func (p *Partition) nextNumber() uint64 {
	p.at.number++
	return uint64(p.at.number)
}
