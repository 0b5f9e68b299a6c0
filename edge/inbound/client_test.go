package inbound

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// client speaks raw SMTP.
type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

// patience is what a client waits for a reply that has to come, whatever the machine is busy with.
const patience = time.Minute

func newClient(t testing.TB, conn net.Conn) *client {
	t.Cleanup(func() { conn.Close() })
	return &client{Conn: conn, t: t, r: bufio.NewReader(conn)}
}

func dialTCP(t testing.TB, addr net.Addr) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	return newClient(t, conn)
}

// send writes bytes as they are.
func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatalf("send %.60q: %v", text, err)
	}
}

// reply reads one reply, its lines joined by LF.
func (c *client) reply() (string, error) {
	var lines []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return strings.Join(append(lines, line), "\n"), err
		}
		if !strings.HasSuffix(line, "\r\n") || len(line) < 6 {
			return line, fmt.Errorf("malformed reply line %q", line)
		}
		lines = append(lines, strings.TrimSuffix(line, "\r\n"))
		if line[3] == ' ' {
			return strings.Join(lines, "\n"), nil
		}
	}
}

// want reads a reply that begins so.
func (c *client) want(prefix string) string {
	c.t.Helper()
	got, err := c.reply()
	if err != nil {
		c.t.Fatalf("want reply %q, got %q, %v", prefix, got, err)
	}
	if !strings.HasPrefix(got, prefix) {
		c.t.Fatalf("want reply %q, got %q", prefix, got)
	}
	return got
}

// do sends a command and reads its reply.
func (c *client) do(command, prefix string) string {
	c.t.Helper()
	c.send(command + "\r\n")
	return c.want(prefix)
}

// wantEnd reads the end of the connection.
func (c *client) wantEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil && !errors.Is(err, io.ErrClosedPipe) && !isReset(err) {
		c.t.Fatalf("want the end of the connection, got %q, %v", rest, err)
	}
}

func isReset(err error) bool { return strings.Contains(err.Error(), "connection reset") }

// begin opens a transaction for some recipients.
func (c *client) begin(to ...string) {
	c.t.Helper()
	c.beginFrom("", to...)
}

// beginFrom is begin under a return path.
func (c *client) beginFrom(from string, to ...string) {
	c.t.Helper()
	c.do("MAIL FROM:<"+from+">", "250 2.1.0")
	for _, a := range to {
		c.do("RCPT TO:<"+a+">", "250 2.1.5")
	}
}

// deliver sends one mail by DATA and returns the last reply.
func (c *client) deliver(mail string, to ...string) string {
	c.t.Helper()
	return c.deliverFrom("", mail, to...)
}

// deliverFrom is deliver under a return path.
func (c *client) deliverFrom(from, mail string, to ...string) string {
	c.t.Helper()
	c.beginFrom(from, to...)
	c.do("DATA", "354")
	c.send(stuff(mail) + ".\r\n")
	got, err := c.reply()
	if err != nil {
		c.t.Fatal(err)
	}
	return got
}

// stuff puts dots before dots and ends the last line.
func stuff(mail string) string {
	if !strings.HasSuffix(mail, "\r\n") {
		mail += "\r\n"
	}
	if strings.HasPrefix(mail, ".") {
		mail = "." + mail
	}
	return strings.ReplaceAll(mail, "\r\n.", "\r\n..")
}
