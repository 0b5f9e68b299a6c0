package inbound

import (
	"io"

	"github.com/emersion/go-smtp"
)

// session is the library's view of a client that has said EHLO. It hears of no mail: see Not obvious.
type session struct{}

// newSession is the library's backend.
func newSession(*smtp.Conn) (smtp.Session, error) { return session{}, nil }

func (session) Reset()                               {}
func (session) Logout() error                        { return nil }
func (session) Mail(string, *smtp.MailOptions) error { return replyLater }
func (session) Rcpt(string, *smtp.RcptOptions) error { return replyLater }
func (session) Data(io.Reader) error                 { return replyLater }
