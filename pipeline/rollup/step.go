package rollup

import (
	"fmt"

	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// step is the work of one commit: the records it takes in, the enrollments they touch, what that adds to the cohorts.
// One is used again and again.
type step struct {
	p      *Partition
	deltas *deltas

	index   map[string]int32 // key of an enrollment -> its place in touched
	touched []touched

	nameless map[string]namelessOpen // key -> as it stands after what the step has read
	fresh    []string                // the keys of nameless that must be written, in order

	// Memory to work in.
	event   event.Refined
	key     []byte
	value   []byte
	tallies []messageTally
	after   contribution
}

// touched is an enrollment that the step has read.
type touched struct {
	key    []byte
	scope  int32
	state  enrollment
	before contribution // what the cohorts hold of it
	dirty  bool
}

func newStep(p *Partition) *step {
	return &step{
		p:        p,
		deltas:   newDeltas(),
		index:    make(map[string]int32),
		nameless: make(map[string]namelessOpen),
	}
}

func (s *step) clear() {
	s.deltas.clear()
	clear(s.index)
	clear(s.nameless)
	s.touched = s.touched[:0]
	s.fresh = s.fresh[:0]
}

// take counts one record.
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
	if event.IsEnrollmentID(r.Message) {
		r.Message = ""
	}
	in := s.deltas.scope(scope{r.Account, r.Sender, r.Sequence})
	switch {
	case !isNameless(r):
		return s.takeFact(in, r)
	case r.Kind == event.Open:
		return s.takeNameless(in, r)
	}
	return nil
}

// takeFact adds r to its enrollment.
func (s *step) takeFact(in int32, r *event.Refined) error {
	f := factOf(r)
	s.key = s.p.appendEnrollment(s.key[:0], r)
	t, err := s.enrollment(in)
	if err != nil {
		return err
	}
	if !t.state.add(f) {
		return nil
	}
	t.dirty = true
	if t.state.full() {
		s.settle(t)
		t.state.shrink()
		s.tallies = t.state.contribution(&t.before, s.p.position.completeAfter, s.tallies)
	}
	return nil
}

// appendEnrollment appends the key of the enrollment that r belongs to: the contact's passage through the sequence, or
// the message where there is no sequence, or nobody to pass through it.
func (p *Partition) appendEnrollment(dst []byte, r *event.Refined) []byte {
	dst = appendHeader(dst, p.number, tableEnrollment)
	dst = scope{r.Account, r.Sender, r.Sequence}.appendAll(dst)
	if r.Message != "" && (r.Sequence == "" || r.Contact == "") {
		return appendName(append(dst, formMessage), r.Message)
	}
	return appendName(append(dst, formContact), r.Contact)
}

// enrollment returns the enrollment under s.key, from this step or from the store. It is valid until the next call.
func (s *step) enrollment(in int32) (*touched, error) {
	if i, ok := s.index[string(s.key)]; ok {
		return &s.touched[i], nil
	}
	value, ok, err := s.p.store.Get(s.value[:0], s.key)
	s.value = value
	if err != nil {
		return nil, fmt.Errorf("read enrollment: %w", err)
	}
	t := s.grow()
	t.key = append(t.key[:0], s.key...)
	t.scope, t.dirty = in, false
	t.state.facts, t.state.gone = t.state.facts[:0], tally{}
	t.before = contribution{sends: t.before.sends[:0]}
	if ok {
		if err := t.state.decode(value); err != nil {
			return nil, fmt.Errorf("read enrollment: %w", err)
		}
		s.tallies = t.state.contribution(&t.before, s.p.position.completeAfter, s.tallies)
	}
	s.index[string(s.key)] = int32(len(s.touched) - 1)
	return t, nil
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

// settle adds to the cohorts what t counts as now, instead of what it counted as before.
func (s *step) settle(t *touched) {
	s.tallies = t.state.contribution(&s.after, s.p.position.completeAfter, s.tallies)
	if s.after.equal(&t.before) {
		return
	}
	s.deltas.addContribution(t.scope, &t.before, -1)
	s.deltas.addContribution(t.scope, &s.after, 1)
	t.before, s.after = s.after, t.before
}

// write puts all that the step has changed into b.
func (s *step) write(b *kv.Batch) error {
	for i := range s.touched {
		t := &s.touched[i]
		if !t.dirty {
			continue
		}
		s.settle(t)
		s.value = t.state.append(s.value[:0])
		if err := b.Set(t.key, s.value, nil); err != nil {
			return fmt.Errorf("write enrollment: %w", err)
		}
	}
	if err := s.writeNameless(b); err != nil {
		return err
	}
	if err := s.p.writeNames(s.deltas.names, b); err != nil {
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
