package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"carom/bench/targets"
)

const (
	crlf = "\r\n"
	// maxCopied is up to which size a mail goes out in one write with what stands before it: to copy it is cheaper than a
	// second write.
	maxCopied = 64 << 10
)

// errNotTaken says that a mail's end was answered by a success that is none.
var errNotTaken = errors.New("the mail was answered by a success that is not 250")

// dialogue is what became of the commands of one mail.
type dialogue struct {
	client   *SMTP
	accepted int   // recipients
	open     bool  // MAIL was accepted
	refused  error // the first refusal
	goOn     bool  // DATA was answered by 354
	code     int   // the answer to the mail; 0: none
	told     int   // how many events that says were made; -1: it says nothing
	heard    bool  // something was answered
}

// send sends a mail and returns how many facts it told. last says QUIT behind it. Its error is a *Refused where the
// connection can be used again.
func (c *SMTP) send(m *targets.Mail, last bool) (items int, err error) {
	d := dialogue{client: c, told: -1}
	switch group, chunk := c.o.Pipelining && c.offers.Pipelining, c.o.Chunking && c.offers.Chunking; {
	case group && chunk:
		err = d.groupChunk(m, last)
	case group:
		err = d.groupData(m, last)
	default:
		err = d.single(m, chunk, last)
	}
	if err != nil {
		return 0, d.explain(err)
	}
	return d.result(m)
}

// explain tells a connection that had ended before the mail came from one that ended midway.
func (d *dialogue) explain(err error) error {
	late := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed)
	switch {
	case !d.heard && d.client.sent > 1 && !late && !errors.Is(err, ErrGarbage):
		return fmt.Errorf("%w: %w", errEnded, plain(err))
	case errors.Is(err, io.EOF):
		return errors.New("the server closed the connection in the middle of a mail")
	}
	return plain(err)
}

// result says what the answers come to.
func (d *dialogue) result(m *targets.Mail) (items int, err error) {
	c := d.client
	if d.refused == nil && c.replies.waiting() > 0 {
		return 0, fmt.Errorf("%w: more replies than commands", ErrGarbage)
	}
	facts := max(m.Facts, 1) * d.accepted
	switch {
	case d.code == 0 || d.code >= 300:
		return 0, d.refused
	case d.refused != nil: // of some recipients
		return facts, d.refused
	case d.code != codeTaken:
		return 0, fmt.Errorf("%w: %d", errNotTaken, d.code)
	}
	if d.told < 0 {
		return facts, nil
	}
	if m.Facts >= 0 && d.told != facts {
		return d.told, fmt.Errorf("the mail was answered by events=%d, not %d", d.told, facts)
	}
	return d.told, nil
}

// groupChunk sends all in one write.
func (d *dialogue) groupChunk(m *targets.Mail, last bool) error {
	c := d.client
	resets := d.begin()
	c.appendEnvelope(m)
	if err := c.writeChunk(m, last); err != nil {
		return err
	}
	if err := d.readEnvelope(m, resets); err != nil {
		return err
	}
	return d.readEnd(last)
}

// groupData sends the commands in one write, and the mail when it is asked for.
func (d *dialogue) groupData(m *targets.Mail, last bool) error {
	c := d.client
	resets := d.begin()
	c.appendEnvelope(m)
	c.out = append(c.out, "DATA\r\n"...)
	if err := c.write(c.out); err != nil {
		return err
	}
	if err := d.readEnvelope(m, resets); err != nil {
		return err
	}
	if err := d.readGoOn(); err != nil || !d.goOn {
		return err
	}
	c.out = c.out[:0]
	if d.accepted == 0 { // RFC 2920 §3.1: a server may say 354 all the same, and then waits for a mail
		c.out = append(c.out, ".\r\n"...)
		if err := c.write(c.out); err != nil {
			return err
		}
		_, err := d.read("DATA")
		d.open, c.unclean = false, true
		return err
	}
	if err := c.writeData(m, last); err != nil {
		return err
	}
	return d.readEnd(last)
}

// single waits for each reply before it goes on, RFC 5321 §3.3.
func (d *dialogue) single(m *targets.Mail, chunk, last bool) error {
	c := d.client
	if d.begin() > 0 {
		if err := c.write(c.out); err != nil {
			return err
		}
		if err := d.readReset(); err != nil {
			return err
		}
		c.out = c.out[:0]
	}
	c.appendMail(m)
	if err := c.write(c.out); err != nil {
		return err
	}
	if err := d.readMail(); err != nil || !d.open {
		return err
	}
	for _, to := range m.To {
		c.out = appendRecipient(c.out[:0], to)
		if err := c.write(c.out); err != nil {
			return err
		}
		if err := d.readRecipient(); err != nil {
			return err
		}
	}
	c.out = c.out[:0]
	switch {
	case d.accepted == 0:
		c.unclean = true
		return nil
	case chunk:
		if err := c.writeChunk(m, false); err != nil {
			return err
		}
	default:
		c.out = append(c.out, "DATA\r\n"...)
		if err := c.write(c.out); err != nil {
			return err
		}
		if err := d.readGoOn(); err != nil || !d.goOn {
			return err
		}
		c.out = c.out[:0]
		if err := c.writeData(m, false); err != nil {
			return err
		}
	}
	if err := d.readEnd(false); err != nil || !last {
		return err
	}
	if err := c.write([]byte("QUIT\r\n")); err == nil {
		_, _ = c.replies.next(nil)
	}
	return nil
}

// begin begins what is to be sent, with RSET if the last mail left something behind, and returns how many replies that
// makes.
func (d *dialogue) begin() (resets int) {
	c := d.client
	c.out = c.out[:0]
	if !c.unclean {
		return 0
	}
	c.unclean = false
	c.out = append(c.out, "RSET\r\n"...)
	return 1
}

func (c *SMTP) appendEnvelope(m *targets.Mail) {
	c.appendMail(m)
	for _, to := range m.To {
		c.out = appendRecipient(c.out, to)
	}
}

func (c *SMTP) appendMail(m *targets.Mail) {
	b := append(append(append(c.out, "MAIL FROM:<"...), m.From...), '>')
	if c.offers.Size {
		b = strconv.AppendInt(append(b, " SIZE="...), int64(len(m.Content)), 10)
	}
	if m.EightBit && c.offers.EightBit {
		b = append(b, " BODY=8BITMIME"...)
	}
	c.out = append(b, crlf...)
}

func appendRecipient(dst, to []byte) []byte {
	return append(append(append(dst, "RCPT TO:<"...), to...), ">\r\n"...)
}

// writeChunk sends what is prepared and the mail as one chunk.
func (c *SMTP) writeChunk(m *targets.Mail, last bool) error {
	c.out = append(strconv.AppendInt(append(c.out, "BDAT "...), int64(len(m.Content)), 10), " LAST\r\n"...)
	return c.writeContent(m.Content, "", last)
}

// writeData sends the mail as DATA wants it.
func (c *SMTP) writeData(m *targets.Mail, last bool) error {
	if m.Plain {
		return c.writeContent(m.Content, ".\r\n", last)
	}
	c.out = appendStuffed(c.out, m.Content)
	return c.writeContent(nil, ".\r\n", last)
}

// writeContent sends what is prepared, the content, and what ends it.
func (c *SMTP) writeContent(content []byte, end string, last bool) error {
	if len(content) > maxCopied {
		if len(c.out) > 0 {
			if err := c.write(c.out); err != nil {
				return err
			}
		}
		if err := c.write(content); err != nil {
			return err
		}
		c.out, content = c.out[:0], nil
	}
	c.out = append(append(c.out, content...), end...)
	if last {
		c.out = append(c.out, "QUIT\r\n"...)
	}
	if len(c.out) == 0 {
		return nil
	}
	err := c.write(c.out)
	if cap(c.out) > 2*maxCopied {
		c.out = nil
	}
	return err
}

// appendStuffed appends a mail as DATA wants it: a dot before those that begin lines, and a line end at its end
// (RFC 5321 §4.5.2). A line ends in CRLF alone.
func appendStuffed(dst, content []byte) []byte {
	if len(content) > 0 && content[0] == '.' {
		dst = append(dst, '.')
	}
	rest := content
	for {
		n := bytes.Index(rest, []byte("\r\n."))
		if n < 0 {
			break
		}
		dst = append(append(dst, rest[:n+3]...), '.')
		rest = rest[n+3:]
	}
	dst = append(dst, rest...)
	if !bytes.HasSuffix(content, []byte(crlf)) {
		dst = append(dst, crlf...)
	}
	return dst
}

// read reads a reply. One that says that the connection ends is an error.
func (d *dialogue) read(step string) (reply, error) {
	r, err := d.client.replies.next(nil)
	if err != nil {
		return r, err
	}
	if r.code == codeClosing {
		if !d.heard && d.client.sent > 1 {
			return r, errEnded
		}
		return r, refusedBy(step, r)
	}
	d.heard = true
	return r, nil
}

func (d *dialogue) refuse(step string, r reply) {
	if d.refused == nil {
		d.refused = refusedBy(step, r)
	}
}

func (d *dialogue) readReset() error {
	r, err := d.read("RSET")
	if err == nil && r.code != codeTaken {
		err = fmt.Errorf("%w: RSET answered by %d", ErrGarbage, r.code)
	}
	return err
}

func (d *dialogue) readMail() error {
	r, err := d.read("MAIL FROM")
	if err != nil {
		return err
	}
	if d.open = r.code == codeTaken; !d.open {
		d.refuse("MAIL FROM", r)
	}
	return nil
}

func (d *dialogue) readRecipient() error {
	r, err := d.read("RCPT TO")
	switch {
	case err != nil:
		return err
	case r.code == codeTaken || r.code == codeForwarded:
		d.accepted++
	default:
		d.refuse("RCPT TO", r)
	}
	return nil
}

// readEnvelope reads the replies to a group.
func (d *dialogue) readEnvelope(m *targets.Mail, resets int) error {
	if resets > 0 {
		if err := d.readReset(); err != nil {
			return err
		}
	}
	if err := d.readMail(); err != nil {
		return err
	}
	for range m.To {
		if err := d.readRecipient(); err != nil {
			return err
		}
	}
	return nil
}

// readGoOn reads the reply to DATA.
func (d *dialogue) readGoOn() error {
	r, err := d.read("DATA")
	if err != nil {
		return err
	}
	if d.goOn = r.code == codeGoOn; !d.goOn {
		if r.code < 400 {
			return fmt.Errorf("%w: DATA answered by %d", ErrGarbage, r.code)
		}
		d.refuse("DATA", r)
		d.client.unclean = d.open
	}
	return nil
}

// readEnd reads the reply to the mail, and to QUIT where that followed.
func (d *dialogue) readEnd(last bool) error {
	r, err := d.read("end of mail")
	if err != nil {
		return err
	}
	d.code, d.told = r.code, toldEvents(r.text)
	switch {
	case r.code >= 400:
		d.refuse("end of mail", r)
		d.client.unclean = true
	case r.code >= 300:
		return fmt.Errorf("%w: a mail answered by %d", ErrGarbage, r.code)
	}
	if last {
		_, _ = d.client.replies.next(nil) // a connection that ends here has ended as it should
	}
	return nil
}
