package refine

import (
	"encoding/hex"
	"errors"
	"strconv"

	"github.com/cockroachdb/pebble/v2"

	"carom/pipeline/event"
)

// What comes with a body is no fact about a message. It is passed on, or answered:
//
//	order   ─▶ addresses, unchanged
//	inquiry ─▶ the contact's messages ─▶ addresses: when he last showed life
//	alert   ─▶ told before? ─ no ─▶ events
//
// and what is no event comes to the addresses along the way: contacts (known.go), volumes (volume.go), erases (erase.go).

// hasBody reports whether f is an order, inquiry or alert.
func (f *fact) hasBody() bool {
	return f.Kind == event.Order || f.Kind == event.Inquiry || f.Kind == event.Alert
}

// take takes in a fact that has a body.
func (p *Partition) take(f *fact) error {
	body, err := event.CleanBody(f.Body)
	if err != nil {
		return p.reject(f, rejectBadFact, "body: "+err.Error())
	}
	if long := f.tooLong(); long != "" {
		return p.reject(f, rejectBadFact, long)
	}
	if f.Kind == event.Alert {
		return p.alert(f, body)
	}
	told := event.AddressFact{
		Kind: f.Kind, Time: f.Time, Ref: event.Ref{Account: f.Account}, Recipient: f.Recipient, Body: body,
	}
	if told.ID, err = event.ParseID(f.Message); err != nil {
		return p.reject(f, rejectBadFact, "the "+f.Kind.String()+"'s id, in the place of the message: "+err.Error())
	}
	if f.Kind == event.Inquiry {
		if told.Body, err = p.answer(f, told.ID, body); err != nil {
			return err
		}
		told.Kind, told.Contact = event.Life, f.Contact
	}
	p.tellAddress(&told, f.source.Node)
	return nil
}

// tellAddress writes f to the log of addresses. It gives it its origin; node is the one that heard what f tells of.
func (p *Partition) tellAddress(f *event.AddressFact, node string) {
	f.Origin = event.Origin{Node: node, Partition: p.number, Offset: p.now.offset, N: p.meta.addresses}
	p.meta.addresses++
	o := &p.step.addresses
	sp := span{key: len(o.buf), at: p.now.at}
	o.buf = f.AppendKey(o.buf)
	sp.value = len(o.buf)
	o.buf = f.AppendJSON(o.buf)
	sp.end = len(o.buf)
	o.recs = append(o.recs, sp)
	if p.withheld() {
		o.withhold()
		return
	}
	p.metrics.address(f.Kind)
}

// toldID returns the id of the next fact that the log of addresses alone holds.
func (p *Partition) toldID(k event.Kind) event.ID {
	return event.ToldID(k, p.number, p.now.offset, p.meta.addresses)
}

// maxInquired bounds how many messages of a contact an inquiry looks at.
const maxInquired = 4096

// answer makes the body of a life fact: when the contact of an inquiry last showed life. The step must hold nothing:
// what it asks lies on disk.
func (p *Partition) answer(f *fact, id event.ID, body []byte) ([]byte, error) {
	var shown Facts
	if err := p.readFacts(p.store.DB(), event.ContactKeyOf(f.Account, f.Contact), maxInquired, &shown); err != nil {
		return nil, err
	}
	partitions := uint64(0)
	in := event.NewJSONReader(string(body))
	for name := range in.Members() {
		if name == "partitions" {
			partitions = in.Uint(1 << 16)
		} else {
			in.Skip()
		}
	}
	dst := append([]byte(`{"id":"`), id.String()...)
	dst = strconv.AppendInt(append(dst, `","alive_at":`...), int64(shown.aliveAt()), 10)
	dst = strconv.AppendInt(append(dst, `,"partition":`...), int64(p.number), 10)
	dst = strconv.AppendUint(append(dst, `,"partitions":`...), partitions, 10)
	return append(dst, '}'), nil
}

// settled reports whether the disk shows all that was done.
func (p *Partition) settled() bool { return p.step.batch.Empty() && len(p.cache.dirty) == 0 }

// keepAlerts is how long an alert that comes again is known, in milliseconds of log time.
const keepAlerts = 30 * 24 * 3600 * 1000

func (k keyspace) alert(dst []byte, id event.ID) []byte {
	return append(k.table(dst, tableAlerts), id[:]...)
}

// alert publishes an alert, once.
func (p *Partition) alert(f *fact, body []byte) error {
	id := event.ID(f.Key)
	if id == (event.ID{}) {
		return p.reject(f, rejectBadFact, "an alert without its id, in the place of the key")
	}
	told, changed := p.step.alerts[id]
	if !changed {
		var err error
		if _, told, err = p.store.Get(nil, p.keys.alert(nil, id)); err != nil {
			return err
		}
	}
	if told {
		p.metrics.dropped(dropDuplicate)
		return nil
	}
	p.step.alerts[id] = true
	if err := p.step.batch.Set(p.keys.alert(nil, id), nil, nil); err != nil {
		return err
	}
	p.emit(&event.Refined{
		ID: id, Kind: event.Alert, Time: f.Time, Ref: event.Ref{Account: f.Account, Sender: f.Sender, Sequence: f.Sequence},
		Alert: body, Origin: event.Origin{Node: f.source.Node},
	})
	return p.timers.add(p.step.batch, timer{
		timerKey: timerKey{due: p.now.at + keepAlerts, offset: p.now.offset, what: timerAlert}, value: id[:],
	})
}

// forgetAlert ends the time in which an alert that comes again is known.
func (p *Partition) forgetAlert(t timer) error {
	if len(t.value) != len(event.ID{}) {
		return errors.Join(errDamaged, errors.New("timer of an alert "+hex.EncodeToString(t.value)))
	}
	p.step.alerts[event.ID(t.value)] = false
	return p.step.batch.Delete(p.keys.alert(nil, event.ID(t.value)), nil)
}

// readFacts merges what the facts of a contact's messages show, of so many messages at most.
func (p *Partition) readFacts(r pebble.Reader, c event.ContactKey, most int, into *Facts) error {
	places, err := p.contactPlaces(r, c, nil, most)
	if err != nil {
		return err
	}
	for _, at := range places {
		s, ok, err := p.readStateOf(r, at.epoch, entryMessage(at.place))
		if err != nil {
			return err
		}
		if ok {
			into.Merge(s.shown())
		}
	}
	return nil
}
