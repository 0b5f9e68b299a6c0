package main

import (
	"io"
	"net"
	"os/exec"

	"github.com/emersion/go-smtp"
)

// goSMTP is a bare server of the library that Carom's own began with: it reads every mail to its end and forgets it.
func goSMTP() peer {
	return peer{
		name: "go-smtp", protocol: overSMTP,
		promise: "nothing: the mail is forgotten",
		command: func(at *place) (*exec.Cmd, error) { return at.serve(serveGoSMTP) },
	}
}

func runGoSMTP(ln net.Listener, _ string) error {
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return forgetful{}, nil }))
	server.Domain = "mx.example.com"
	return server.Serve(ln)
}

// forgetful takes every mail.
type forgetful struct{}

func (forgetful) Mail(string, *smtp.MailOptions) error { return nil }
func (forgetful) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (forgetful) Reset()                               {}
func (forgetful) Logout() error                        { return nil }

func (forgetful) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
