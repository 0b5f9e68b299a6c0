package rollup

import (
	"bytes"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// step is the work of one commit, in two passes: take reads the records and sorts their facts by enrollment; write reads
// the enrollments in the order of their keys, adds the facts, and writes what that changes. The order saves half of the
// time that the store takes. One step is used again and again.
type step struct {
	p      *Partition
	deltas *deltas

	index   map[string]int32 // key of an enrollment -> its place in touched
	touched []touched
	facts   []takenFact

	nameless map[string]namelessOpen // key -> as it stands after what the step has read
	erasures []erasure
	fresh    []string // the keys of nameless that must be written, in order

	// Memory to work in.
	event   event.Refined
	key     []byte
	value   []byte
	tallies []messageTally
	state   enrollment
	before  contribution
	after   contribution
	listed  contribution // as it was in the list of completions before the step; without sends
}

// touched is an enrollment that the step has facts of.
type touched struct {
	key         []byte
	scope       int32
	first, last int32  // of its facts
	contact     string // of the first that tells one
	late        bool   // all are of messages whose enrollments are kept no longer
}

// takenFact is one of a touched enrollment's facts, in the order of the log.
type takenFact struct {
	fact
	provider string // of a send
	next     int32  // -1 at the end
}

func newStep(p *Partition) *step {
	s := &step{
		p:        p,
		deltas:   newDeltas(),
		index:    make(map[string]int32),
		nameless: make(map[string]namelessOpen),
	}
	s.state.texts = make(map[string]string)
	return s
}

func (s *step) clear() {
	s.deltas.clear()
	clear(s.index)
	clear(s.nameless)
	s.p.providers.clear()
	s.touched = s.touched[:0]
	s.facts = s.facts[:0]
	s.fresh = s.fresh[:0]
	clear(s.erasures)
	s.erasures = s.erasures[:0]
}

// take reads one record.
func (s *step) take(rec *log.Record) error {
	p := s.p
	if err := s.event.DecodeJSON(rec.Value); err != nil {
		p.metrics.skipped.WithLabelValues(skipRejected).Inc()
		p.log.Error("event can't be read", zap.Int64("offset", rec.Offset), zap.Error(err))
		return nil
	}
	r := &s.event
	if p.position.passed(r.Origin) {
		p.metrics.skipped.WithLabelValues(skipRepeated).Inc()
		return nil
	}
	p.metrics.events.Inc()
	switch {
	case r.Kind == event.Erase && !r.Erased:
		s.erase(r)
		return nil
	case r.Kind == event.Alert: // of our own making, most of them
		return nil
	case r.Erased: // its contact was erased before this was counted: whose it was is not known any more
		return nil
	}
	if event.IsEnrollmentID(r.Message) {
		r.Message = ""
	}
	in := s.deltas.scope(scope{r.Account, r.Sender, r.Sequence})
	s.deltas.hear(in, r.Time)
	switch {
	case !isNameless(r):
		return s.takeFact(in, r)
	case r.Kind == event.Open:
		return s.takeNameless(in, r)
	}
	return nil
}

// takeFact hangs r's fact to its enrollment.
func (s *step) takeFact(in int32, r *event.Refined) (err error) {
	f := takenFact{fact: factOf(r), next: -1}
	if !f.counts() {
		return nil
	}
	if f.what == sent {
		if f.provider, err = s.p.providers.name(r.Account, r.Sender, r.Provider); err != nil {
			return err
		}
	}
	late := f.what != sent && f.what != completed && s.p.expired(r.SentAt)
	n := int32(len(s.facts))
	s.facts = append(s.facts, f)
	s.key = s.p.appendEnrollment(s.key[:0], r)
	if i, ok := s.index[string(s.key)]; ok {
		s.facts[s.touched[i].last].next = n
		s.touched[i].last = n
		s.touched[i].late = s.touched[i].late && late
		return nil
	}
	s.index[string(s.key)] = int32(len(s.touched))
	t := s.grow()
	t.key = append(t.key[:0], s.key...)
	t.scope, t.first, t.last, t.contact, t.late = in, n, n, "", late
	if byMessage(r) {
		t.contact = r.Contact
	}
	return nil
}

// grow returns one more entry of touched, with the memory that an earlier step left in it.
func (s *step) grow() *touched {
	if n := len(s.touched); n < cap(s.touched) {
		s.touched = s.touched[:n+1]
	} else {
		s.touched = append(s.touched, touched{})
	}
	return &s.touched[len(s.touched)-1]
}

// appendEnrollment appends the key of the enrollment that r belongs to: the contact's passage through the sequence, or
// the message where there is no sequence, or nobody to pass through it.
func (p *Partition) appendEnrollment(dst []byte, r *event.Refined) []byte {
	dst = appendHeader(dst, p.number, tableEnrollment)
	dst = scope{r.Account, r.Sender, r.Sequence}.appendAll(dst)
	if byMessage(r) {
		return kv.AppendName(append(dst, formMessage), r.Message)
	}
	return kv.AppendName(append(dst, formContact), r.Contact)
}

// byMessage reports whether r's enrollment is that of its message.
func byMessage(r *event.Refined) bool {
	return r.Message != "" && (r.Sequence == "" || r.Contact == "")
}

// write puts all that the step changes into b.
func (s *step) write(b *kv.Batch) error {
	slices.SortFunc(s.touched, func(x, y touched) int { return bytes.Compare(x.key, y.key) })
	completions := s.p.store.NewBatch()
	defer func() { _ = completions.Close() }()
	for i := range s.touched {
		if err := s.writeEnrollment(&s.touched[i], b, completions); err != nil {
			return err
		}
	}
	// Each table by itself: keys that lie together cost the memtable half.
	if err := b.Apply(completions, nil); err != nil {
		return fmt.Errorf("write completions: %w", err)
	}
	if err := s.writeErasures(b); err != nil {
		return err
	}
	if err := s.writeNameless(b); err != nil {
		return err
	}
	if err := s.p.writeNames(s.deltas.names, b); err != nil {
		return err
	}
	if err := s.p.providers.write(b); err != nil {
		return err
	}
	if err := s.p.writeRows(s.deltas, b); err != nil {
		return err
	}
	s.value = s.p.position.append(s.value[:0])
	if err := b.Set(s.p.metaKey(metaPosition), s.value, nil); err != nil {
		return fmt.Errorf("write position: %w", err)
	}
	return nil
}

// writeEnrollment adds the facts of t to its enrollment.
func (s *step) writeEnrollment(t *touched, b, completions *kv.Batch) error {
	if err := s.readEnrollment(t.key); err != nil {
		return err
	}
	if t.late && s.state.empty() {
		s.p.metrics.skipped.WithLabelValues(skipExpired).Inc()
		return nil
	}
	s.listed.takeListed(&s.before)
	changed := false
	if len(s.state.contact) == 0 && t.contact != "" {
		s.state.contact, changed = append(s.state.contact, t.contact...), true
	}
	for n := t.first; n >= 0; n = s.facts[n].next {
		if f := &s.facts[n]; f.what == sent && s.state.sentTo(f.provider, f.at) {
			changed = true
		}
		if !s.state.add(s.facts[n].fact) {
			continue
		}
		changed = true
		if s.state.full() {
			// Count first, because a forgotten message still counts, and is in no later contribution.
			s.settle(t.scope)
			s.state.shrink()
			s.contribution(&s.before)
		}
	}
	if !changed {
		return nil
	}
	s.settle(t.scope)
	s.value = s.state.append(s.value[:0])
	s.p.enrollments.put(t.key, s.value)
	if err := b.Set(t.key, s.value, nil); err != nil {
		return fmt.Errorf("write enrollment: %w", err)
	}
	return s.p.list(completions, t.key, &s.listed, &s.after)
}

// readEnrollment reads the enrollment under key into s.state, and what it counts as into s.before.
func (s *step) readEnrollment(key []byte) error {
	s.state.facts, s.state.gone = s.state.facts[:0], forgotten{}
	s.state.provider, s.state.contact = "", s.state.contact[:0]
	value, ok := s.p.enrollments.get(key)
	if !ok {
		var err error
		if value, ok, err = s.p.disk.Get(key); err != nil {
			return fmt.Errorf("read enrollment: %w", err)
		}
	}
	if ok {
		if err := s.state.decode(value); err != nil {
			return fmt.Errorf("read enrollment: %w", err)
		}
	}
	s.contribution(&s.before)
	return nil
}

// settle adds to the cohorts what the enrollment counts as now, instead of what it counted as before.
func (s *step) settle(scope int32) {
	s.contribution(&s.after)
	if s.after.equal(&s.before) {
		return
	}
	s.deltas.addContribution(scope, &s.before, -1)
	s.deltas.addContribution(scope, &s.after, 1)
}

// contribution computes into c what the enrollment counts as.
func (s *step) contribution(c *contribution) {
	s.tallies = s.state.contribution(c, s.p.position.completeAfter, s.tallies)
}
