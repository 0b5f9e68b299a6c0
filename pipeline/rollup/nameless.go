package rollup

import (
	"encoding/binary"
	"fmt"

	"carom/kv"
	"carom/pipeline/event"
)

// namelessOpen is an open that must not name anyone. It counts by itself, when it was human; a row is kept of it so that
// a revision can replace it:
//
//	┌─────────┬───────────┬──────────────┬──────────────┬────────────────────┐
//	│ version │ counts(1) │ revision     │ time,        │ sequence, to the   │
//	│ 1       │ 0 or 1    │ uvarint      │ varint       │ end                │
//	└─────────┴───────────┴──────────────┴──────────────┴────────────────────┘
type namelessOpen struct {
	counts   bool
	revision uint32
	at       event.Millis
	sequence string
}

func (o *namelessOpen) append(dst []byte) []byte {
	dst = append(dst, namelessVersion, 0)
	if o.counts {
		dst[len(dst)-1] = 1
	}
	dst = binary.AppendUvarint(dst, uint64(o.revision))
	dst = binary.AppendVarint(dst, int64(o.at))
	return append(dst, o.sequence...)
}

func (o *namelessOpen) decode(value []byte) error {
	s := openValue(value, namelessVersion, "nameless open")
	counts := s.byte()
	*o = namelessOpen{counts: counts == 1, revision: uint32(s.uvarint()), at: s.millis(), sequence: string(s.rest)}
	if counts > 1 {
		s.fail()
	}
	return s.err
}

// isNameless reports an open or click of "someone".
func isNameless(r *event.Refined) bool {
	return (r.Kind == event.Open || r.Kind == event.Click) && r.Message == "" && r.Contact == event.Someone
}

// takeNameless counts an open of someone by its time.
func (s *step) takeNameless(in int32, r *event.Refined) error {
	now := namelessOpen{whatOf(r) == openedHuman, r.Revision, r.Time, r.Sequence}
	s.key = appendHeader(s.key[:0], s.p.number, tableNameless)
	s.key = scope{account: r.Account, sender: r.Sender}.appendSender(s.key)
	s.key = append(s.key, r.ID[:]...)
	before, known, err := s.namelessBefore()
	if err != nil {
		return err
	}
	if known && now.revision <= before.revision || !known && !now.counts && now.revision == 0 {
		return nil
	}
	if before.counts {
		was := s.deltas.scope(scope{r.Account, r.Sender, before.sequence})
		s.deltas.at(was, before.at)[cAnonymousOpened]--
	}
	if now.counts {
		s.deltas.at(in, now.at)[cAnonymousOpened]++
	}
	key := string(s.key)
	s.nameless[key] = now
	s.fresh = append(s.fresh, key)
	return nil
}

// namelessBefore returns what is known of the open under s.key.
func (s *step) namelessBefore() (o namelessOpen, known bool, err error) {
	if o, known = s.nameless[string(s.key)]; known {
		return o, true, nil
	}
	value, known, err := s.p.disk.Get(s.key)
	if err == nil && known {
		err = o.decode(value)
	}
	if err != nil {
		return o, false, fmt.Errorf("read nameless open: %w", err)
	}
	return o, known, nil
}

func (s *step) writeNameless(b *kv.Batch) error {
	for _, key := range s.fresh {
		o := s.nameless[key]
		s.value = o.append(s.value[:0])
		if err := b.Set([]byte(key), s.value, nil); err != nil {
			return fmt.Errorf("write nameless open: %w", err)
		}
	}
	return nil
}
