package inbound

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"carom/edge/ref"
	"carom/edge/report"
	"carom/pipeline/event"
)

// take keeps all that a whole mail says. When that is on disk, it answers 250; otherwise it returns what to answer.
func (s *Server) take(c *conn) *reply {
	m := &c.mail
	id := newMailNumber()
	if m.has(target{role: toOperator}) {
		err := s.mailbox.keep(s.trace(c, id.String()), m.body.bytes)
		if errors.Is(err, errMailboxFull) {
			s.metrics.refused(replyMailboxFull)
			return replyMailboxFull
		}
		if err != nil {
			s.complain("keep mail for the operator", err)
			s.metrics.mails.WithLabelValues("failed").Inc()
			return replyLater
		}
	}
	events, err := s.tell(m, &id)
	if err != nil {
		s.complain("keep the events of a mail", err)
		s.metrics.mails.WithLabelValues("failed").Inc()
		return replyLater
	}
	s.metrics.taken.Inc()
	c.out = append(append(c.out, "250 2.0.0 Ok "...), id[:]...)
	c.out = append(strconv.AppendInt(append(c.out, " events="...), int64(events), 10), crlf...)
	return nil
}

// complainEvery is how often a fault that meets every mail is logged; the metrics count each.
const complainEvery = time.Second

func (s *Server) complain(what string, err error) {
	now, last := time.Now().UnixNano(), s.complained.Load()
	if now-last >= int64(complainEvery) && s.complained.CompareAndSwap(last, now) {
		s.log.Error("mail is deferred", zap.String("step", what), zap.Error(err))
	}
}

// envelope is that of who wrote the mail. Copies come from whoever copies, and often from the null path: theirs says nothing.
func (t *transaction) envelope() report.Envelope {
	for _, to := range t.targets {
		if to.role == toReplies {
			return report.Envelope{}
		}
	}
	if t.from == "" {
		return report.Envelope{ReversePath: report.NullPath}
	}
	return report.Envelope{ReversePath: t.from}
}

// tell gives the events of a mail to the sink and returns their number.
func (s *Server) tell(m *transaction, id *mailNumber) (int, error) {
	if !m.tells() {
		return 0, nil
	}
	t := tellings.Get().(*telling)
	defer t.put()
	r := m.envelope().ReadInto(&t.room, m.body.bytes)
	events, ignored := t.eventsOf(&r, s.openHeader(r.OriginalRef, t), m.targets, s.now())
	if len(events) > 0 {
		if err := s.sink.Facts(events...); err != nil {
			return 0, err
		}
	}
	for _, e := range events {
		s.metrics.ofKind[e.Kind].Inc()
	}
	for why, n := range ignored {
		s.metrics.ignored.WithLabelValues(why).Add(float64(n))
	}
	if entry := s.log.Check(zap.DebugLevel, "mail taken"); entry != nil {
		entry.Write(zap.String("mail", id.String()), zap.Int("bytes", len(m.body.bytes)), zap.Int("events", len(events)), zap.Any("ignored", ignored))
	}
	return len(events), nil
}

// tells reports whether a recipient is for facts.
func (t *transaction) tells() bool {
	for _, x := range t.targets {
		if x.role != toOperator {
			return true
		}
	}
	return false
}

// telling is the memory in which the events of one mail are made. The sink keeps none of it.
type telling struct {
	room   report.Room
	token  []byte // what came back in X-Carom-Ref, which the longest sealed header bounds
	opened ref.Opened
	first  event.Event // of most mails the only one
	events []*event.Event
}

var tellings = sync.Pool{New: func() any { return new(telling) }}

// keptEvents is how many events there is memory for from one mail to the next.
const keptEvents = 16

func (t *telling) put() {
	t.room.Clear()
	t.first = event.Event{}
	if clear(t.events); cap(t.events) > keptEvents {
		t.events = nil
	}
	t.events = t.events[:0]
	tellings.Put(t)
}

// openHeader opens what came back in X-Carom-Ref; nil if nothing did, or nothing that we sealed. The strings are t's, and
// so are those of the events that come of it.
func (s *Server) openHeader(token string, t *telling) *ref.Opened {
	if token == "" {
		return nil
	}
	t.token = append(t.token[:0], token...)
	if s.keys.Open(ref.Header, t.token, &t.opened) != nil {
		return nil
	}
	return &t.opened
}

// trace is what is put before a mail for the operator: where it came from, RFC 5321 §4.4.
func (s *Server) trace(c *conn, id string) []byte {
	with := "SMTP"
	if c.esmtp {
		with = "ESMTP"
	}
	if c.mail.utf8 {
		with = "UTF8SMTP" // RFC 6531 §4.3
	}
	if c.tls != nil {
		with += "S" // RFC 3848
	}
	from := strings.NewReplacer("<", "", ">", "").Replace(c.mail.from)
	client := "unknown"
	if c.client.IsValid() {
		client = c.client.String()
	}
	return fmt.Appendf(nil, "Return-Path: <%s>\r\nReceived: from %s ([%s]) by %s with %s id %s; %s\r\n", from, c.helo, client,
		s.options.Hostname, with, id, s.now().Time().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
}

// mailNumber names a mail in the reply and in our log, for whoever compares it with the other side's. It is no secret.
type mailNumber [10]byte

func newMailNumber() (n mailNumber) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], rand.Uint64())
	hex.Encode(n[:], b[:len(n)/2])
	return n
}

// String returns the number as hexadecimal digits.
func (n *mailNumber) String() string { return string(n[:]) }

// clock is what the time is asked of.
type clock func() event.Millis
