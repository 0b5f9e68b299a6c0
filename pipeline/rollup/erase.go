package rollup

import (
	"bytes"
	"fmt"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// formErased is how an enrollment is named whose contact was erased: by the event that said so, and a number. What it
// counts as stays, in cohorts that may be computed anew; whose it was, and which events and messages it came of, is gone.
const formErased byte = 3

// eraseMark is in every event of kind erase. What has it and is none costs a commit.
var eraseMark = []byte(`"kind":"erase"`)

// isErase reports whether a record may be an erase. Those have a step of their own: what they touch must be in the store.
func isErase(rec *log.Record) bool { return bytes.Contains(rec.Value, eraseMark) }

// untilErase returns how many of recs one step takes: those before an erase, or that alone.
func untilErase(recs []log.Record) int {
	for i := range recs {
		if isErase(&recs[i]) {
			return max(1, i)
		}
	}
	return len(recs)
}

// erase notes which enrollments an erase is about.
func (s *step) erase(r *event.Refined) {
	e := erasure{id: r.ID, contact: event.ContactKeyOf(r.Account, r.Contact), at: r.Time}
	named := *r
	named.Message = ""
	e.keys = append(e.keys, s.p.appendEnrollment(nil, &named))
	if r.Sequence == "" || r.Contact == "" {
		for _, m := range r.Messages {
			named.Message = m
			e.keys = append(e.keys, s.p.appendEnrollment(nil, &named))
		}
	}
	e.scope = scope{r.Account, r.Sender, r.Sequence}
	s.erasures = append(s.erasures, e)
}

type erasure struct {
	id      event.ID
	contact event.ContactKey
	at      event.Millis
	scope   scope
	keys    [][]byte
}

// writeErasures gives erased enrollments another name.
func (s *step) writeErasures(b *kv.Batch) error {
	for i := range s.erasures {
		e := &s.erasures[i]
		if err := s.p.noteScrub(b, e); err != nil {
			return err
		}
		for i, key := range e.keys {
			value, ok, err := s.p.disk.Get(key)
			if err != nil {
				return fmt.Errorf("erase an enrollment: %w", err)
			}
			if !ok {
				continue
			}
			var state enrollment
			if err := state.decode(value); err != nil {
				return fmt.Errorf("erase an enrollment: %w", err)
			}
			state.anonymise()
			s.p.enrollments.drop(key)
			if err := b.Delete(key, nil); err != nil {
				return fmt.Errorf("erase an enrollment: %w", err)
			}
			erased := s.p.appendErased(nil, e.scope, e.id, i)
			if err := b.Set(erased, state.append(nil), nil); err != nil {
				return fmt.Errorf("erase an enrollment: %w", err)
			}
			s.tallies = state.contribution(&s.after, s.p.position.completeAfter, s.tallies)
			if err := s.p.moveCompletion(b, key, erased, &s.after); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Partition) appendErased(dst []byte, in scope, id event.ID, n int) []byte {
	dst = in.appendAll(appendHeader(dst, p.number, tableEnrollment))
	name := kv.AppendUint32(append([]byte(nil), id[:]...), uint32(n))
	return kv.AppendName(append(dst, formErased), string(name))
}

// anonymise takes the contact away and puts numbers in the place of the hashes of events and messages. No revision finds them any more.
func (e *enrollment) anonymise() {
	e.contact = nil
	messages := e.messages(nil)
	for i := range e.facts {
		f := &e.facts[i]
		f.id = uint64(i + 1)
		if f.message != 0 {
			f.message = uint64(place(messages, f.message))
		}
	}
}
