package inbound

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-smtp"
	"go.uber.org/zap"
)

// session is the library's view of a connection: it gives meaning to addresses and mails. Framing, order and limits are
// conn's, with which it shares the transaction.
type session struct{ conn *conn }

// newSession is the library's backend.
func newSession(c *smtp.Conn) (smtp.Session, error) {
	return session{c.Conn().(*conn)}, nil
}

func (s session) Reset()        { s.conn.mail.reset() }
func (s session) Logout() error { return nil }

// Mail begins a transaction. Who the sender is doesn't matter here, as long as it is an address.
func (s session) Mail(from string, o *smtp.MailOptions) error {
	if from != "" {
		if r := checkAddress(from, o.UTF8, replyBadSender); r != nil {
			return r
		}
	}
	s.conn.mail.open, s.conn.mail.from, s.conn.mail.utf8 = true, from, o.UTF8
	return nil
}

// Rcpt accepts a recipient that is ours.
func (s session) Rcpt(to string, _ *smtp.RcptOptions) error {
	m, server := &s.conn.mail, s.conn.server
	t, result, r := target{}, "", checkAddress(to, m.utf8, replyBadRecipient)
	if r == nil {
		t, result, r = server.recognise(to)
	} else {
		result = "malformed"
	}
	if r == nil && !m.has(t) && len(m.targets) >= server.options.MaxRecipients {
		result, r = "too_many", replyTooManyRecipients
	}
	if r != nil {
		server.metrics.recipients.WithLabelValues(result).Inc()
		return r
	}
	server.metrics.byRole[t.role].Inc()
	if !m.has(t) {
		m.targets = append(m.targets, t)
	}
	return nil
}

// Data takes the mail. The reader is the library's, see takeMail.
func (s session) Data(io.Reader) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			s.conn.server.metrics.panics.Inc()
			s.conn.log.Error("panic while taking a mail", zap.Any("cause", cause), zap.Stack("stack"))
			err = replyLater
		}
	}()
	return s.conn.takeMail()
}

// checkAddress refuses what is too long (RFC 5321 §4.5.3.1) or not ASCII without SMTPUTF8 (RFC 6531 §3.5).
func checkAddress(address string, allowUTF8 bool, bad *reply) *reply {
	at := strings.LastIndexByte(address, '@')
	if at < 1 || at > maxLocalPart || len(address)-at-1 > maxDomain {
		return bad
	}
	if !allowUTF8 {
		for i := range len(address) {
			if address[i] >= utf8.RuneSelf {
				return replyNeedsUTF8
			}
		}
	}
	return nil
}
