package suppress

import (
	"bytes"
	"cmp"
	"slices"

	"carom/pipeline/event"
)

// Bounds of what is kept of one address.
const (
	maxMessages   = 32
	maxMarks      = 8 // bounces of a message, complaints of a message
	maxPast       = 8
	maxHits       = 4 // hard bounces of an account that the global rule looks at
	maxAccounts   = 64
	maxDiagnostic = 256
	maxText       = 1024
)

// entry is what the stage knows of an address in one account, or in all: the facts, and what orders made of them. What is
// suppressed is computed from it (causes), so the order in which facts come changes nothing.
type entry struct {
	account, name string
	row           []byte // as it stands; nil: there is none

	Original string    `json:"original,omitempty"`
	Messages []message `json:"messages,omitempty"`
	// Hits are, of a global entry, the accounts' hard bounces.
	Hits []accountHits `json:"hits,omitempty"`

	Added []wireCause `json:"added,omitempty"` // by orders
	Past  []wireCause `json:"past,omitempty"`  // what orders ended
	// Ends are when an order last ended what bounces, complaints and unsubscribes had done: facts up to then are settled.
	Ends        ends         `json:"ends,omitzero"`
	Reactivated event.Millis `json:"reactivated,omitempty"`

	Life   event.Millis `json:"life,omitempty"` // latest sign of life of the contact that was asked for
	Asked  *inquiry     `json:"asked,omitempty"`
	Soft   *softCause   `json:"soft,omitempty"`
	SoftTo event.Millis `json:"soft_to,omitempty"` // soft bounces up to here have suppressed once

	Told    bool         `json:"told,omitempty"`   // is in the log of suppressions
	Shared  bool         `json:"shared,omitempty"` // the global entry has heard of it
	Due     event.Millis `json:"due,omitempty"`    // when it is looked at again; 0: never
	Changed event.Millis `json:"changed"`          // log time
}

type ends struct {
	Bounce      event.Millis `json:"bounce,omitempty"`
	Complaint   event.Millis `json:"complaint,omitempty"`
	Unsubscribe event.Millis `json:"unsubscribe,omitempty"`
}

// message is what was told of one message to the address.
type message struct {
	ID          string       `json:"id,omitempty"`
	AliveAt     event.Millis `json:"alive_at,omitempty"`
	Spares      bool         `json:"transactional,omitempty"`
	Bounces     []bounce     `json:"bounces,omitempty"`
	Complaints  []mark       `json:"complaints,omitempty"`
	NotSpam     event.Millis `json:"not_spam,omitempty"`
	Unsubscribe *mark        `json:"unsubscribe,omitempty"`
}

type bounce struct {
	ID         event.ID     `json:"event"`
	Revision   uint32       `json:"revision,omitempty"`
	Time       event.Millis `json:"time"`
	Hard       bool         `json:"hard,omitempty"`
	Category   string       `json:"category,omitempty"`
	Status     string       `json:"status,omitempty"`
	Rule       string       `json:"rule,omitempty"`
	Provider   string       `json:"provider,omitempty"`
	Diagnostic string       `json:"diagnostic,omitempty"`
	Wave       bool         `json:"wave,omitempty"`     // came while the breaker was open, and nobody confirmed it
	Reverted   event.Millis `json:"reverted,omitempty"` // when it was declared void
}

// mark is an event of which only the time counts.
type mark struct {
	ID   event.ID     `json:"event"`
	Time event.Millis `json:"time"`
	Type string       `json:"type,omitempty"`
}

// softCause is a suppression by soft bounces.
type softCause struct {
	First, Since, Until event.Millis
	Category, Provider  string
	Evidence            wireEvidence
}

// message returns what is known of a message; a new one if there is nothing.
func (e *entry) message(id string) *message {
	for i := range e.Messages {
		if e.Messages[i].ID == id && id != "" {
			return &e.Messages[i]
		}
	}
	e.Messages = append(e.Messages, message{ID: id})
	return &e.Messages[len(e.Messages)-1]
}

// hear takes a fact in. fresh is the bounce that it told of, if that was not known, or not to be a hard one; else nil.
func (e *entry) hear(f *event.AddressFact) (fresh *bounce) {
	if e.Original == "" && !isHashed(e.name) {
		e.Original = f.Recipient
	}
	m := e.message(f.Message)
	m.Spares = f.Flags.Has(event.Transactional)
	switch f.Kind {
	case event.Bounce:
		fresh = m.bounce(f)
		m.AliveAt = f.AliveAt
	case event.Delivered, event.Open, event.Click, event.Reply:
		m.AliveAt = f.AliveAt
	case event.Complaint:
		if f.FeedbackType == notSpam {
			m.NotSpam = max(m.NotSpam, f.Time)
			break
		}
		if !slices.ContainsFunc(m.Complaints, func(k mark) bool { return k.ID == f.ID }) {
			m.Complaints = append(m.Complaints, mark{f.ID, f.Time, clip(f.FeedbackType, maxText)})
			slices.SortFunc(m.Complaints, func(x, y mark) int { return cmp.Or(cmp.Compare(x.Time, y.Time), compareIDs(x.ID, y.ID)) })
			if len(m.Complaints) > maxMarks { // what stands is decided by the latest, since when by the first
				m.Complaints = slices.Delete(m.Complaints, 1, 2)
			}
		}
	case event.Unsubscribe:
		if m.Unsubscribe == nil || f.Time < m.Unsubscribe.Time {
			m.Unsubscribe = &mark{ID: f.ID, Time: f.Time}
		}
	}
	return fresh
}

const notSpam = "not-spam"

// bounce takes in a bounce, or a revision of one.
func (m *message) bounce(f *event.AddressFact) (fresh *bounce) {
	d := &f.Bounce
	b := bounce{
		ID: f.ID, Revision: f.Revision, Time: f.Time, Hard: d.Hard, Category: clip(d.Category, maxText), Status: clip(d.Status, maxText),
		Rule: clip(d.Rule, maxText), Provider: clip(f.MailboxProvider, maxText), Diagnostic: clip(d.Diagnostic, maxDiagnostic),
	}
	for i := range m.Bounces {
		old := &m.Bounces[i]
		if old.ID != b.ID {
			continue
		}
		if b.Revision > old.Revision {
			hardened := b.Hard && !old.Hard
			b.Wave, b.Reverted = old.Wave, old.Reverted
			*old = b
			if hardened {
				return old
			}
		}
		return nil
	}
	m.Bounces = append(m.Bounces, b)
	if len(m.Bounces) > maxMarks { // the oldest soft one goes, else the one after the first
		i := slices.IndexFunc(m.Bounces, func(b bounce) bool { return !b.Hard })
		if i < 0 || i == len(m.Bounces)-1 {
			i = 1
		}
		m.Bounces = slices.Delete(m.Bounces, i, i+1)
	}
	return &m.Bounces[len(m.Bounces)-1]
}

// prune keeps the entry within its bounds: of messages that tell of soft bounces alone the oldest go first.
func (e *entry) prune() {
	e.Messages = slices.DeleteFunc(e.Messages, func(m message) bool {
		return len(m.Bounces) == 0 && len(m.Complaints) == 0 && m.Unsubscribe == nil && m.NotSpam == 0
	})
	for len(e.Messages) > maxMessages {
		least := slices.IndexFunc(e.Messages, func(m message) bool { return m.soft() })
		if least < 0 {
			least = e.idle()
		}
		e.Messages = slices.Delete(e.Messages, least, least+1)
	}
}

// idle returns the first message but one from which no cause follows: those that suppress stay, and say since when.
func (e *entry) idle() int {
	needed := make(map[event.ID]bool)
	for _, list := range [][]Cause{e.hard(), e.complaint(), e.unsubscribe()} {
		for i := range list {
			needed[list[i].Evidence.Event] = true
		}
	}
	for i := 1; i < len(e.Messages); i++ {
		m := &e.Messages[i]
		if m.Unsubscribe != nil && needed[m.Unsubscribe.ID] || slices.ContainsFunc(m.Complaints, func(k mark) bool { return needed[k.ID] }) ||
			slices.ContainsFunc(m.Bounces, func(b bounce) bool { return needed[b.ID] }) {
			continue
		}
		return i
	}
	return 1
}

// soft reports whether nothing but soft bounces is known of m.
func (m *message) soft() bool {
	return len(m.Complaints) == 0 && m.Unsubscribe == nil && !slices.ContainsFunc(m.Bounces, func(b bounce) bool { return b.Hard })
}

// lifted reports whether something later shows that the message arrived after all.
func (m *message) lifted(b *bounce) bool { return m.AliveAt > b.Time }

// earlier orders bounces, whatever the order in which they came.
func earlier(x, y *bounce) bool {
	return x.Time < y.Time || x.Time == y.Time && compareIDs(x.ID, y.ID) < 0
}

func compareIDs(x, y event.ID) int { return bytes.Compare(x[:], y[:]) }

func isHashed(name string) bool { return len(name) > 0 && name[0] == hashMark }

// clip bounds what strangers say, at a whole character.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xc0 == 0x80 {
		most--
	}
	return s[:most]
}

// hide takes the address from e, and what may name it.
func (e *entry) hide() {
	e.Original = ""
	for i := range e.Messages {
		for j := range e.Messages[i].Bounces {
			e.Messages[i].Bounces[j].Diagnostic = ""
		}
	}
	hideAll(e.Added)
	hideAll(e.Past)
	if e.Soft != nil {
		e.Soft.Evidence.Diagnostic = ""
	}
}

// hideAll takes from causes what may name an address.
func hideAll(list []wireCause) {
	for i := range list {
		if list[i].Evidence != nil {
			list[i].Evidence.Diagnostic = ""
		}
	}
}

// blank takes all from e that could tell whose it was.
func (e *entry) blank() {
	e.hide()
	for i := range e.Messages {
		e.Messages[i].ID = ""
	}
	for _, list := range [][]wireCause{e.Added, e.Past} {
		for i := range list {
			list[i].Note, list[i].Evidence = "", nil
		}
	}
	if e.Soft != nil {
		e.Soft.Evidence.Message = ""
	}
}
