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

	"github.com/emersion/go-smtp"
	"go.uber.org/zap"

	"carom/edge/ref"
	"carom/edge/report"
	"carom/pipeline/event"
)

// take keeps all that a whole mail says, and answers it: 250 when that is on disk, 451 when it can't be.
func (s *Server) take(c *conn) *reply {
	m := &c.mail
	id := mailNumber()
	if m.has(target{role: toOperator}) {
		err := s.mailbox.keep(s.trace(c, id), m.body.bytes)
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
	events, err := s.tell(m, id)
	if err != nil {
		s.complain("keep the events of a mail", err)
		s.metrics.mails.WithLabelValues("failed").Inc()
		return replyLater
	}
	s.metrics.taken.Inc()
	return &reply{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "Ok " + id + " events=" + strconv.Itoa(events)}
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
func (s *Server) tell(m *transaction, id string) (int, error) {
	if !m.tells() {
		return 0, nil
	}
	r := m.envelope().Read(m.body.bytes)
	o := openedRefs.Get().(*ref.Opened)
	defer openedRefs.Put(o)
	events, ignored := eventsOf(&r, s.openHeader(r.OriginalRef, o), m.targets, s.now())
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
		entry.Write(zap.String("mail", id), zap.Int("bytes", len(m.body.bytes)), zap.Int("events", len(events)), zap.Any("ignored", ignored))
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

// openedRefs holds the buffers of openHeader, which the sealed header of the largest ref bounds.
var openedRefs = sync.Pool{New: func() any { return new(ref.Opened) }}

// openHeader opens into o what came back in X-Carom-Ref; nil if nothing did, or nothing that we sealed. The strings are
// o's, and so are those of the events that come of it: the sink keeps none.
func (s *Server) openHeader(token string, o *ref.Opened) *ref.Opened {
	if token == "" || s.keys.Open(ref.Header, []byte(token), o) != nil {
		return nil
	}
	return o
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
func mailNumber() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], rand.Uint64())
	return hex.EncodeToString(b[:5])
}

// clock is what the time is asked of.
type clock func() event.Millis
