package node

import (
	"context"
	"fmt"
	"net"
	"net/smtp"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	mailTimeout = 60 * time.Second
)

// Mailer delivers mails over one SMTP connection, byte for byte: with CHUNKING (RFC 3030) nothing is rewritten. One
// goroutine uses it; after an error it is of no more use.
type Mailer struct {
	conn   net.Conn
	client *smtp.Client
}

// DialMailer connects and greets.
func DialMailer(ctx context.Context, address string) (*Mailer, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect to the mail edge: %w", err)
	}
	_ = conn.SetDeadline(time.Now().Add(mailTimeout))
	client, err := smtp.NewClient(conn, "localhost")
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("greet the mail edge: %w", err)
	}
	if err := client.Hello("client.example.com"); err != nil {
		conn.Close()
		return nil, fmt.Errorf("greet the mail edge: %w", err)
	}
	return &Mailer{conn: conn, client: client}, nil
}

// Close says goodbye, if m is not nil.
func (m *Mailer) Close() {
	if m == nil {
		return
	}
	_ = m.client.Quit()
	_ = m.conn.Close() // Quit leaves it open when nobody answers
}

// Deliver sends one mail; the return path from is empty for what machines write. Nil says that it was answered with 250.
func (m *Mailer) Deliver(from, to string, mail []byte) error {
	_ = m.conn.SetDeadline(time.Now().Add(mailTimeout))
	if err := m.command(250, "MAIL FROM:<%s> SIZE=%d", from, len(mail)); err != nil {
		return err
	}
	if err := m.command(250, "RCPT TO:<%s>", to); err != nil {
		_ = m.client.Reset()
		return err
	}
	id := m.client.Text.Next()
	m.client.Text.StartRequest(id)
	_, err := fmt.Fprintf(m.client.Text.W, "BDAT %d LAST\r\n", len(mail))
	if err == nil {
		_, err = m.client.Text.W.Write(mail)
	}
	if err == nil {
		err = m.client.Text.W.Flush()
	}
	m.client.Text.EndRequest(id)
	if err != nil {
		return fmt.Errorf("send the mail: %w", err)
	}
	m.client.Text.StartResponse(id)
	defer m.client.Text.EndResponse(id)
	_, _, err = m.client.Text.ReadResponse(250)
	return err
}

func (m *Mailer) command(expect int, format string, args ...any) error {
	id, err := m.client.Text.Cmd(format, args...)
	if err != nil {
		return err
	}
	m.client.Text.StartResponse(id)
	defer m.client.Text.EndResponse(id)
	_, _, err = m.client.Text.ReadResponse(expect)
	return err
}
