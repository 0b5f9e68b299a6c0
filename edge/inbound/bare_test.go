package inbound

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
	"go.uber.org/zap"
)

// bareLibrary starts go-smtp without anything of ours before it, and with a backend that accepts everything.
type bareLibrary struct {
	t     testing.TB
	mails chan string
	addr  net.Addr
	pipes *pipeListener
	*smtp.Server
}

func bare(t testing.TB, l net.Listener, change func(*smtp.Server), data func(io.Reader) error) *bareLibrary {
	t.Helper()
	b := &bareLibrary{t: t, mails: make(chan string, 100), addr: l.Addr()}
	if data == nil {
		data = func(r io.Reader) error {
			mail, err := io.ReadAll(r)
			if err == nil {
				b.mails <- string(mail)
			}
			return err
		}
	}
	b.Server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return bareSession{data}, nil }))
	b.Server.ErrorLog = libraryLog{zap.NewNop(), nil}
	if change != nil {
		change(b.Server)
	}
	b.pipes, _ = l.(*pipeListener)
	go func() { _ = b.Serve(l) }()
	t.Cleanup(func() { _ = b.Close() })
	return b
}

type bareSession struct{ data func(io.Reader) error }

func loopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (b *bareLibrary) hello() *client {
	b.t.Helper()
	var c *client
	if b.pipes != nil {
		c = newClient(b.t, b.pipes.dial())
	} else {
		c = dialTCP(b.t, b.addr)
	}
	c.want("220")
	c.do("EHLO client.example.net", "250")
	return c
}

func (bareSession) Reset()                               {}
func (bareSession) Logout() error                        { return nil }
func (bareSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s bareSession) Data(r io.Reader) error             { return s.data(r) }
func (bareSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such user"}
	}
	return nil
}
