package refine

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// maxCandidates bounds how many messages are looked at for one Message-ID. Their ids' hashes share 32 bits, so that
// more than one or two only come from somebody who makes them on purpose.
const maxCandidates = 64

// attribute finds out whose event f is, DESIGN §4, and hands it on, parks it, or rejects it.
func (p *Partition) attribute(f *fact) error {
	switch {
	case f.aboutEnrollment():
		return p.attributeByRef(f, enrollment)
	case f.KnownBy == event.ByRef:
		return p.attributeByRef(f, provisional)
	case f.KnownBy == event.ByMessageID:
		return p.attributeByMessageID(f)
	}
	s, err := p.cache.get(f.Key)
	if err != nil {
		return err
	}
	if s == nil {
		if gone, err := p.dropErased(f); gone || err != nil {
			return err
		}
		return p.park(f, f.Key)
	}
	return p.handle(f, s)
}

// attributeByRef handles a fact that brings its whole identity. A message that is not known yet becomes known by it,
// and what was parked for it is released.
func (p *Partition) attributeByRef(f *fact, as standing) error {
	if f.hit() && f.Flags.Has(event.Untracked) {
		p.metrics.dropped(dropUntracked)
		return nil
	}
	s, err := p.cache.get(f.Key)
	if err != nil {
		return err
	}
	if s != nil {
		if f.Kind != event.Sent {
			if err := p.compare(f, s); err != nil {
				return err
			}
		}
		return p.handle(f, s)
	}
	if f.Key != event.KeyOf(f.Account, f.Message) {
		return p.reject(f, rejectBadFact, "the key is not that of account and message")
	}
	if gone, err := p.dropErased(f); gone || err != nil {
		return err
	}
	epoch, err := p.epochs.at(p.step.batch, p.now.at)
	if err != nil {
		return err
	}
	s = p.cache.create(f.Key, epoch, as)
	if f.Kind != event.Sent { // which tells more
		s.identify(&f.Ref, "")
		if err := p.index(s); err != nil {
			return err
		}
	}
	p.step.created = append(p.step.created, s.key)
	waited := p.parked.perID[prefixOf(s.key)] > 0 // before f itself may begin to wait: that is not on disk yet
	if err := p.handle(f, s); err != nil || !waited {
		return err
	}
	return p.release(s)
}

// compare holds a full ref against what is known of its message. Opens and clicks of an anonymous message name no
// contact; who does first is believed, until the message is registered.
func (p *Partition) compare(f *fact, s *state) error {
	switch {
	case f.Contact == "" && f.hit() && f.Flags.Nameless():
		f.Contact = s.ref.Contact
	case s.ref.Contact == "" && s.standing == provisional && f.Contact != "":
		s.name(f.Contact)
		p.cache.touch(s)
		if err := p.index(s); err != nil {
			return err
		}
	}
	if s.differs(&f.Ref) {
		p.metrics.conflicts.Inc()
	}
	return nil
}

// attributeByMessageID handles a fact of which only the Message-ID is known.
func (p *Partition) attributeByMessageID(f *fact) error {
	f.Message = event.CleanMessageID(f.Message)
	f.Key = event.PartialKey(f.Message)
	candidates, err := p.candidates(prefixOf(f.Key))
	if err != nil {
		return err
	}
	if len(candidates) > maxCandidates {
		return p.reject(f, rejectAmbiguous, fmt.Sprintf("more than %d messages share the hash of the Message-ID", maxCandidates))
	}
	var found *state
	for _, key := range candidates {
		s, err := p.cache.get(key)
		if err != nil {
			return err
		}
		if s == nil || s.ref.Message != f.Message {
			continue
		}
		if found != nil {
			return p.reject(f, rejectAmbiguous, "the Message-ID belongs to messages of several accounts")
		}
		found = s
	}
	if found == nil {
		if gone, err := p.dropErased(f); gone || err != nil {
			return err
		}
		return p.park(f, f.Key)
	}
	if p.erased {
		if also, err := p.buriedBeside(f.Message, found.key); err != nil {
			return fmt.Errorf("look for what was erased: %w", err)
		} else if also {
			return p.reject(f, rejectAmbiguous, "the Message-ID belongs to messages of several accounts, one of which was erased")
		}
	}
	return p.handle(f, found)
}

// candidates returns the keys of the messages that share a prefix, on disk and in this step; one more than
// maxCandidates if there are too many.
func (p *Partition) candidates(pre prefix) (keys []event.Key, err error) {
	keys = append(keys, p.step.createdWith(pre)...)
	table := p.keys.table(nil, tableMessages)
	it, err := p.store.DB().NewIter(&pebble.IterOptions{LowerBound: table, UpperBound: kv.PrefixEnd(table)})
	if err != nil {
		return nil, fmt.Errorf("look for a Message-ID: %w", err)
	}
	for _, e := range p.epochs.live() {
		from := p.keys.partial(p.scratch[:0], e.id, pre)
		p.scratch = from
		for ok := it.SeekGE(from); ok && len(keys) <= maxCandidates && bytes.HasPrefix(it.Key(), from); ok = it.Next() {
			if len(it.Key()) == epochBytes+len(event.Key{}) {
				keys = append(keys, event.Key(it.Key()[epochBytes:]))
			}
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, fmt.Errorf("look for a Message-ID: %w", err)
	}
	return keys, nil
}

// handle takes on a fact about a known message.
func (p *Partition) handle(f *fact, s *state) error {
	f.Key = s.key
	switch {
	case f.Kind == event.Sent:
		return p.sent(f, s)
	case f.hit() && (s.ref.Flags | f.Flags).Has(event.Untracked):
		p.metrics.dropped(dropUntracked)
		return nil
	case f.hit():
		return p.hear(f, s, f.Kind == event.Click && p.opts.Settle > 0 && p.epochs.stays(s, p.now.at.Add(p.opts.Settle)))
	case awaitsRecipient(f, s):
		return p.park(f, s.key)
	}
	return p.recordFact(f, s)
}

// awaitsRecipient reports whether f is a reply that can't be judged before its message is registered: nobody has named
// an address that it could come from. The sent event may still be on its way from another node.
func awaitsRecipient(f *fact, s *state) bool {
	return f.Kind == event.Reply && s.standing == provisional && f.Actor.Verdict == event.NoVerdict &&
		replyFlaw(f, s) == reasonReplyRecipientLost
}

// sent registers a message. The first sent event of a message counts; a second one is a retry, unless the first said that
// the message was not sent.
func (p *Partition) sent(f *fact, s *state) error {
	after := s.standing == registered && s.ref.Flags.Has(event.NotSent) && !f.Flags.Has(event.NotSent)
	switch {
	case after:
	case s.standing == registered:
		if s.conflicts(f) {
			p.metrics.conflicts.Inc()
		}
		p.metrics.dropped(dropDuplicate)
		return nil
	case s.ref.Message != "" && s.differs(&f.Ref):
		p.metrics.conflicts.Inc()
	}
	known := s.ref.Message != ""
	if err := p.unindex(s); err != nil {
		return err
	}
	s.register(f)
	if err := p.index(s); err != nil {
		return err
	}
	p.cache.touch(s)
	if err := p.recordSent(f, s); err != nil || !known {
		return err // who made the state releases
	}
	return p.release(s)
}

// recordSent records that a message was sent. One that was not is no event, and counts nowhere: it only makes known whom
// it was for, and when.
func (p *Partition) recordSent(f *fact, s *state) error {
	if !s.ref.Flags.Has(event.NotSent) {
		return errors.Join(p.tellContact(f, s), p.countSent(s), p.recordFact(f, s))
	}
	p.metrics.dropped(dropNotSent)
	id, _ := event.IdentityOf(&f.Event)
	r := event.Refined{ID: id, Kind: event.Sent, Time: f.Time, Ref: s.published(), Origin: event.Origin{Node: f.source.Node}}
	p.tellAddresses(&r, s, s.bounced())
	if len(s.hits) == 0 {
		return nil
	}
	return p.review(s, nil)
}
