package suppress

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	"carom/kv"
	"carom/pipeline/event"
)

// inquiry asks all partitions of raw records when a contact last showed life, because each knows its own messages alone.
type inquiry struct {
	ID         event.ID     `json:"id"`
	First      event.Millis `json:"first"`
	Last       event.Millis `json:"last"`
	Life       event.Millis `json:"life,omitempty"`
	Partitions int          `json:"partitions,omitempty"`
	Answered   []int        `json:"answered,omitempty"`
	Due        event.Millis `json:"due"` // when nobody waits for answers any longer
}

// inquiryFor is how long answers are waited for, in log time.
const inquiryFor = 7 * day

// maxPartitions bounds what an answer may say of their number.
const maxPartitions = 4096

// softBounce is a soft bounce that counts.
type softBounce struct {
	b *bounce
	m *message
}

// softRun returns the soft bounces that count, up to the one that makes them enough; ok says that they are.
func (e *entry) softRun(o *Options) (run []softBounce, ok bool) {
	if o.SoftBounces == 0 {
		return nil, false
	}
	alive := e.Life
	for i := range e.Messages {
		alive = max(alive, e.Messages[i].AliveAt)
	}
	after := max(e.Ends.Bounce, e.SoftTo)
	for i := range e.Messages {
		m := &e.Messages[i]
		for j := range m.Bounces {
			if b := &m.Bounces[j]; !b.Hard && b.Time >= alive && b.Time > after {
				run = append(run, softBounce{b, m})
			}
		}
	}
	slices.SortFunc(run, func(x, y softBounce) int {
		switch {
		case earlier(x.b, y.b):
			return -1
		case earlier(y.b, x.b):
			return 1
		}
		return 0
	})
	for i := o.SoftBounces - 1; i < len(run); i++ {
		if run[i].b.Time-run[0].b.Time >= event.Millis(o.SoftDays)*event.Millis(day/time.Millisecond) {
			return run[:i+1], true
		}
	}
	return nil, false
}

// considerSoft asks for signs of life of a contact if soft bounces are about to suppress.
func (p *Partition) considerSoft(e *entry, contact string) error {
	if e.Asked != nil || e.Soft != nil || e.account == "" {
		return nil
	}
	run, ok := e.softRun(&p.o)
	if !ok || slices.ContainsFunc(e.hard(), func(c Cause) bool { return c.Ended == 0 && !c.Quarantined }) {
		return nil
	}
	last := run[len(run)-1]
	// The same bounces ask the same question, whoever asks it again.
	id := event.AlertID(e.account, e.name, "inquiry", last.b.ID.String())
	e.Asked = &inquiry{ID: id, First: run[0].b.Time, Last: last.b.Time, Due: p.at.time.Add(inquiryFor)}
	ask := wireInquiry{ID: id.String(), Account: e.account, Contact: contact, Address: e.Original, Partitions: p.asked}
	for n := range p.asked {
		ev := event.Event{
			Kind: event.Inquiry, Time: p.at.time, KnownBy: event.ByKey, Recipient: e.name,
			Ref: event.Ref{Account: e.account, Contact: contact, Message: id.String()}, Body: encode(ask),
		}
		binary.BigEndian.PutUint32(ev.Key[:], uint32(n))
		if err := p.tell(&ev); err != nil {
			return err
		}
	}
	return p.due(e.Asked.Due, dueInquiry, entryRef(e))
}

type wireInquiry struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	Contact string `json:"contact"`
	Address string `json:"address,omitempty"`
	// Partitions comes back with the answers.
	Partitions int `json:"partitions"`
}

type wireLife struct {
	ID         string `json:"id"`
	AliveAt    stamp  `json:"alive_at"`
	Partition  int    `json:"partition"`
	Partitions int    `json:"partitions"`
}

// life takes in a partition's answer.
func (p *Partition) life(f *event.AddressFact) error {
	var a wireLife
	if err := json.Unmarshal(f.Body, &a); err != nil || a.Partitions < 1 || a.Partitions > maxPartitions || a.Partition < 0 || a.Partition >= a.Partitions {
		p.metrics.skipped.WithLabelValues(skipRejected).Inc()
		return nil
	}
	name, err := p.name(f.Account, f.Recipient)
	if err != nil || !isName(name) {
		return err
	}
	e, known, err := p.load(f.Account, name)
	if err != nil || !known || e.Asked == nil || e.Asked.ID.String() != a.ID {
		return err // it was answered before
	}
	q := e.Asked
	q.Life, q.Partitions = max(q.Life, event.Millis(a.AliveAt)), a.Partitions
	if i, ok := slices.BinarySearch(q.Answered, a.Partition); !ok {
		q.Answered = slices.Insert(q.Answered, i, a.Partition)
	}
	if len(q.Answered) >= q.Partitions {
		if err := p.undue(q.Due, dueInquiry, e); err != nil {
			return err
		}
		p.answered(e)
	}
	return p.keep(e)
}

// answered decides by what all partitions said.
func (p *Partition) answered(e *entry) {
	q := e.Asked
	e.Asked = nil
	if q.Life > q.First {
		e.Life = max(e.Life, q.Life)
		return
	}
	run, ok := e.softRun(&p.o)
	if !ok { // what was heard meanwhile shows life
		return
	}
	last := run[len(run)-1]
	c := last.b.cause(last.m)
	w := c.wire()
	e.Soft = &softCause{
		First: run[0].b.Time, Since: last.b.Time, Until: last.b.Time.Add(p.o.SoftFor),
		Category: c.Category, Provider: c.MailboxProvider, Evidence: *w.Evidence,
	}
	e.SoftTo = last.b.Time
}

// liftSoft ends a suppression by soft bounces that were none, or are over because mail arrived again; or whose time is over
// when later soft bounces have come.
func (e *entry) liftSoft() {
	s := e.Soft
	if s == nil {
		return
	}
	alive, latest := event.Millis(0), event.Millis(0)
	for i := range e.Messages {
		m := &e.Messages[i]
		alive = max(alive, m.AliveAt)
		for j := range m.Bounces {
			latest = max(latest, m.Bounces[j].Time)
		}
	}
	switch {
	case alive > s.First:
		e.remember(e.soft()[0], max(alive, s.Since), endedAlive)
		e.Soft = nil
	case latest >= s.Until:
		e.remember(e.soft()[0], s.Until, "")
		e.Soft = nil
	}
}

// entryRef is how a row names an entry.
func entryRef(e *entry) []byte { return kv.AppendName(kv.AppendName(nil, e.account), e.name) }

func cutEntryRef(b []byte) (account, name string, err error) {
	if account, b, err = kv.CutName(b); err == nil {
		name, _, err = kv.CutName(b)
	}
	return account, name, err
}
