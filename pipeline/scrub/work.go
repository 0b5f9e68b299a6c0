package scrub

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// Work blanks records of the contacts of a pass.
type Work struct {
	digest event.ContactKey
	jobs   map[event.ContactKey]event.Millis
	source Source
}

func newWork(jobs []Job, source Source) *Work {
	w := &Work{jobs: make(map[event.ContactKey]event.Millis, len(jobs)), source: source}
	sorted := slices.SortedFunc(slices.Values(jobs), func(a, b Job) int {
		return cmp.Or(bytes.Compare(a.Contact[:], b.Contact[:]), cmp.Compare(a.At, b.At))
	})
	var all []byte
	for _, j := range sorted {
		all = kv.AppendUint64(append(all, j.Contact[:]...), uint64(j.At))
		w.jobs[j.Contact] = max(w.jobs[j.Contact], j.At)
	}
	w.digest = event.ContactKeyOf("scrub", string(all))
	return w
}

// gone reports whether what was sent to a contact at a time is erased; at a time that is not known, it is.
func (w *Work) gone(account, contact string, sent event.Millis) bool {
	at, ok := w.jobs[event.ContactKeyOf(account, contact)]
	return ok && sent <= at
}

// ordered reports whether an order is about an address of an erased contact. Whatever its time, it has been carried out.
func (w *Work) ordered(account, address string) bool {
	_, ok := w.jobs[event.AddressKeyOf(account, address)]
	return ok
}

var (
	_ log.Rewriting = (*Work)(nil).Event
	_ log.Rewriting = (*Work)(nil).Address
)

// Event blanks a refined event.
func (w *Work) Event(key, value []byte) ([]byte, []byte, bool, error) {
	var r event.Refined
	if r.DecodeJSON(value) != nil || r.Erased {
		return nil, nil, false, nil
	}
	sent := r.SentAt
	if event.IsEnrollmentID(r.Message) || r.Message == "" {
		sent = r.Time // of an enrollment
	}
	if !w.gone(r.Account, r.Contact, sent) {
		return nil, nil, false, nil
	}
	r.Blank()
	return key, r.AppendJSON(nil), true, nil
}

// Address blanks a fact about an address.
func (w *Work) Address(_, value []byte) ([]byte, []byte, bool, error) {
	var f event.AddressFact
	if f.DecodeJSON(value) != nil || f.Contact == event.ErasedContact && f.Recipient == "" {
		return nil, nil, false, nil
	}
	sent := f.SentAt
	if f.Message == "" || f.Kind == event.Sent {
		sent = cmp.Or(f.SentAt, f.Time)
	}
	gone := f.Kind == event.Order && w.ordered(f.Account, f.Recipient)
	if !gone && !w.gone(f.Account, f.Contact, sent) {
		return nil, nil, false, nil
	}
	f.Blank()
	return nil, f.AppendJSON(nil), true, nil
}

// Raw returns what stands in the place of a journaled event, of the same length; nil if it stays.
func (w *Work) Raw(value []byte) ([]byte, error) {
	var e event.Event
	if e.DecodeBinary(value) != nil || e.Kind == event.Tick || e.Kind == event.Erase {
		return nil, nil
	}
	gone, err := w.goneRaw(&e)
	if !gone || err != nil {
		return nil, err
	}
	key := e.Key
	if e.KnownBy != event.ByRef || e.Kind == event.Inquiry || e.Kind == event.Order {
		key = event.Key{} // its message has a tomb from its sent event, if there is one
	}
	blank, ok := event.AppendBlank(nil, len(value), e.Time, e.Account, key)
	if !ok {
		return nil, nil // a few bytes hold no name
	}
	return blank, nil
}

func (w *Work) goneRaw(e *event.Event) (bool, error) {
	switch e.Kind {
	case event.Inquiry:
		return w.gone(e.Account, e.Contact, e.Time), nil
	case event.Order:
		return w.ordered(e.Account, e.Recipient), nil
	}
	if e.KnownBy != event.ByRef {
		return w.source.Buried(e)
	}
	sent := e.SentAt
	if e.Kind == event.Sent || event.IsEnrollmentID(e.Message) {
		sent = cmp.Or(e.SentAt, e.Time)
	}
	return w.gone(e.Account, e.Contact, sent), nil
}

// Reject blanks a reject: its reason stays.
func (w *Work) Reject(key, value []byte) ([]byte, []byte, bool, error) {
	var members map[string]json.RawMessage
	var raw []byte
	if json.Unmarshal(value, &members) != nil || json.Unmarshal(members["bytes"], &raw) != nil {
		return nil, nil, false, nil
	}
	blank, err := w.Raw(raw)
	if blank == nil || err != nil {
		return nil, nil, false, err
	}
	delete(members, "detail")
	if members["bytes"], err = json.Marshal(blank); err != nil {
		return nil, nil, false, err
	}
	out, err := json.Marshal(members)
	return key, out, err == nil, err
}
