package suppress

import (
	"encoding/binary"
	"fmt"
	"math"

	"carom/kv"
	"carom/pipeline/event"
)

// dueAtOnce bounds how much of what is due one input record sets off: the rest waits for the next.
const dueAtOnce = 64

const never = event.Millis(math.MaxInt64)

// due puts something into the table of what is due at a log time.
func (p *Partition) due(at event.Millis, what byte, ref []byte) error {
	p.nextDue = min(p.nextDue, at)
	key := kv.AppendUint64(p.table(tableDue), uint64(at))
	return p.set(append(append(key, what), ref...), nil)
}

// lookDue finds when something is due next.
func (p *Partition) lookDue() error {
	p.nextDue = never
	return p.eachDue(func(at event.Millis, _ byte, _, _ []byte) (bool, error) {
		p.nextDue = at
		return false, nil
	})
}

func (p *Partition) eachDue(fn func(at event.Millis, what byte, ref, key []byte) (bool, error)) error {
	table := p.table(tableDue)
	return p.scan(table, kv.PrefixEnd(table), func(key, _ []byte) (bool, error) {
		rest := key[headerSize:]
		if len(rest) < 9 {
			return false, errRow
		}
		return fn(event.Millis(binary.BigEndian.Uint64(rest)), rest[8], rest[9:], key)
	})
}

// fireDue does what is due by now.
func (p *Partition) fireDue() error {
	if p.nextDue > p.at.time {
		return nil
	}
	type one struct {
		what     byte
		ref, key []byte
	}
	var list []one
	err := p.eachDue(func(at event.Millis, what byte, ref, key []byte) (bool, error) {
		if at > p.at.time || len(list) == dueAtOnce {
			return false, nil
		}
		list = append(list, one{what, ref, key})
		return true, nil
	})
	if err != nil {
		return err
	}
	p.place = wirePlace{Addresses: p.at.next - 2} // the record itself is yet to be heard
	if err := p.forgetWaves(); err != nil {
		return err
	}
	for _, d := range list {
		if err := p.drop(d.key); err != nil {
			return err
		}
		if err := p.fire(d.what, d.ref); err != nil {
			return fmt.Errorf("end what is over: %w", err)
		}
	}
	return p.lookDue()
}

func (p *Partition) fire(what byte, ref []byte) error {
	switch what {
	case dueEntry:
		account, name, err := cutEntryRef(ref)
		if err != nil {
			return err
		}
		return p.expire(account, name)
	case dueWaiting:
		row, err := p.get(ref)
		if err != nil || row == nil {
			return err
		}
		p.metrics.skipped.WithLabelValues(skipNobody).Inc()
		return p.unwait(ref, row)
	case dueDecision:
		if len(ref) != len(event.ID{}) {
			return errRow
		}
		return p.forgetDecision(event.ID(ref))
	case dueProvider:
		return p.restProvider(string(ref))
	case dueInquiry:
		account, name, err := cutEntryRef(ref)
		if err != nil {
			return err
		}
		e, known, err := p.load(account, name)
		if err != nil || !known || e.Asked == nil || e.Asked.Due > p.at.time {
			return err
		}
		e.Asked = nil // the next soft bounce asks again
		return p.keep(e)
	}
	return errRow
}

// forgetWaves drops the hard bounces that are too old to be undone, those of a day or more at once: each time leaves a mark
// that readers must pass. Whatever is due is the occasion: there is always something, since every entry that rests is.
func (p *Partition) forgetWaves() error {
	over := p.at.time.Add(-p.o.Keep)
	if p.o.Keep == 0 || over.Add(-day) <= 0 {
		return nil
	}
	table := p.table(tableWave)
	return p.scan(table, kv.AppendUint64(p.table(tableWave), uint64(over.Add(-day))), func(first, _ []byte) (bool, error) {
		if err := p.batch.DeleteRange(first, kv.AppendUint64(table, uint64(over)), nil); err != nil {
			return false, fmt.Errorf("forget old bounces: %w", err)
		}
		return false, nil
	})
}

// forgetDecision drops a decision that is too old to be kept.
func (p *Partition) forgetDecision(id event.ID) error {
	var w wireDecision
	if known, err := p.getJSON(p.decisionRow(id), &w); err != nil || !known || w.Order == nil {
		return err
	}
	p.publish(decisionKey(id), nil)
	if err := p.drop(append(p.ordersPrefix(w.Order.Account, normalName(w.Order.Address)), id[:]...)); err != nil {
		return err
	}
	return p.drop(p.decisionRow(id))
}

// expire forgets an entry that has stopped no mail for as long as such are kept.
func (p *Partition) expire(account, name string) error {
	e, known, err := p.load(account, name)
	if err != nil || !known {
		return err
	}
	e.Due = 0
	rests, at := e.rests(e.causes(&p.o))
	over := max(at, e.Changed).Add(p.o.Keep)
	switch {
	case !rests:
		return p.set(p.entryKey(account, name), encode(e))
	case over > p.at.time:
		e.Due = over
		if err := p.due(over, dueEntry, entryRef(e)); err != nil {
			return err
		}
		return p.set(p.entryKey(account, name), encode(e))
	}
	return p.remove(e)
}

// remove deletes an entry here and in the log of suppressions.
func (p *Partition) remove(e *entry) error {
	if e.Told {
		p.publish(suppressionKey(e.account, e.name), nil)
	}
	return p.forget(e)
}

// restProvider forgets a provider to which nothing was sent for as long as its hours are kept.
func (p *Partition) restProvider(provider string) error {
	h, err := p.loadProvider(provider)
	if err != nil {
		return err
	}
	h.Due = false
	if n := len(h.Hours); n > 0 && h.Hours[n-1].Hour > hourOf(p.at.time)-hoursKept {
		return p.keepProvider(provider, h)
	}
	delete(p.providers, provider)
	return p.drop(p.providerKey(provider))
}

// tell puts an event into the outbox, from which it is journaled when the step is durable.
func (p *Partition) tell(ev *event.Event) error {
	p.told = true
	return p.set(kv.AppendUint64(p.table(tableOutbox), p.nextNumber()), ev.AppendBinary(nil))
}
