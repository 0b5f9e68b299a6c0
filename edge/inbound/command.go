package inbound

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxCommandLine is the longest command with its CRLF: 512 octets (RFC 5321 §4.5.3.1.4), and room for the parameters
	// of our extensions and a UTF-8 address.
	maxCommandLine = 1024
	// maxCommands is how many commands may come before each mail: a mail with the most recipients twice over.
	maxCommands = 2500
	// maxDiscard is how much of what is refused already is read and thrown away, so that the client comes to read why.
	// Beyond it the connection ends.
	maxDiscard = 256 << 20
)

// command is a verb of SMTP.
type command uint8

const (
	cmdGreeting command = iota // no command: what the server says first
	cmdEHLO
	cmdHELO
	cmdMAIL
	cmdRCPT
	cmdDATA
	cmdBDAT
	cmdRSET
	cmdNOOP
	cmdQUIT
	cmdVRFY
	cmdHELP
	cmdSTARTTLS
	cmdOther // not offered, or not known
)

// maxVerb is the length of the longest of commands.
const maxVerb = len("STARTTLS")

var commands = map[string]command{
	"EHLO": cmdEHLO, "HELO": cmdHELO, "MAIL": cmdMAIL, "RCPT": cmdRCPT, "DATA": cmdDATA, "BDAT": cmdBDAT,
	"RSET": cmdRSET, "NOOP": cmdNOOP, "QUIT": cmdQUIT, "VRFY": cmdVRFY, "HELP": cmdHELP, "STARTTLS": cmdSTARTTLS,
	// EXPN would tell who is there; TURN and ETRN would send mail; AUTH is for those who relay.
	"EXPN": cmdOther, "TURN": cmdOther, "ETRN": cmdOther, "AUTH": cmdOther, "SEND": cmdOther, "SOML": cmdOther,
	"SAML": cmdOther, "LHLO": cmdOther,
}

// Why no command could be read.
var (
	errLineTooLong = errors.New("inbound: command line too long")
	errLineEndless = errors.New("inbound: command line without end")
	errBareLF      = errors.New("inbound: command line ends in a bare LF")
)

// next reads commands until one is for the library and stands in feed. It answers the others itself. It returns io.EOF
// when the connection is over.
func (c *conn) next() error {
	for {
		if c.upgrading {
			c.upgrade()
		}
		c.checkLimits()
		if c.ending {
			_ = c.flush(time.Now())
			return io.EOF
		}
		c.by, c.pause = time.Time{}, 0
		line, err := c.readLine()
		if err != nil {
			c.unread(err)
			continue
		}
		if c.dispatch(line) {
			return nil
		}
	}
}

// checkLimits ends the connection of a client that has used it up.
func (c *conn) checkLimits() {
	o := &c.server.options
	switch {
	case c.ending:
	case c.server.gate.draining.Load() && !c.mail.open:
		c.hangUp(replyStopping, "stopping")
	case c.errors > o.MaxErrors:
		c.end(replyTooManyErrors, "errors")
	case c.refused > o.MaxRefusedRecipients:
		c.end(replyTooManyErrors, "refused_recipients")
	case c.commands > maxCommands:
		c.end(replyTooMuchTalk, "commands")
	}
}

// readLine reads one command without its CRLF; the line is valid until the next read.
//
// Only CRLF ends a line. If a bare LF did too, whoever gets one into another system's command (a forged address, say)
// could begin a command of his own there.
func (c *conn) readLine() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, c.skipLine(line[len(line)-1])
	}
	if err != nil {
		return nil, err
	}
	if !bytes.HasSuffix(line, crlf) {
		return nil, errBareLF
	}
	if len(line) > maxCommandLine {
		return nil, errLineTooLong
	}
	return line[:len(line)-len(crlf)], nil
}

var crlf = []byte("\r\n")

// skipLine reads the rest of a line that is longer than the buffer; last is the last byte before.
func (c *conn) skipLine(last byte) error {
	for skipped := 0; skipped < maxDiscard; skipped += readAhead {
		line, err := c.in.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !full {
			return err
		}
		if !full {
			if len(line) > 1 {
				last = line[len(line)-2]
			}
			if last != '\r' {
				return errBareLF
			}
			return errLineTooLong
		}
		last = line[len(line)-1]
	}
	return errLineEndless
}

// unread answers where no command could be read.
func (c *conn) unread(err error) {
	switch {
	case errors.Is(err, errLineTooLong):
		c.commands++
		c.command = cmdOther
		c.say(replyLineTooLong)
	case errors.Is(err, errLineEndless):
		c.end(replyLineTooLong, "line_too_long")
	case errors.Is(err, errBareLF):
		c.end(replyBareLF, "bare_lf")
	case errors.Is(err, errDraining):
		c.hangUp(replyStopping, "stopping")
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.hangUp(replyIdle, "timeout")
	default:
		c.server.metrics.closed.WithLabelValues("client").Inc()
		c.ending = true
	}
}

// dispatch deals with one command. It reports whether feed has something for the library.
func (c *conn) dispatch(line []byte) bool {
	c.commands++
	c.command = cmdOther
	if !isText(line) {
		c.say(replyBadBytes)
		return false
	}
	verb, arg, _ := bytes.Cut(line, blank)
	cmd, ok := commandOf(verb)
	if !ok {
		c.say(replyBadCommand)
		return false
	}
	c.command = cmd
	return c.handle(cmd, string(bytes.Trim(arg, " ")))
}

var blank = []byte(" ")

// commandOf returns the command of a verb in any case.
func commandOf(verb []byte) (cmd command, ok bool) {
	var upper [maxVerb]byte
	if len(verb) > len(upper) {
		return 0, false
	}
	for i, ch := range verb {
		if 'a' <= ch && ch <= 'z' {
			ch -= 'a' - 'A'
		}
		upper[i] = ch
	}
	cmd, ok = commands[string(upper[:len(verb)])]
	return cmd, ok
}

func (c *conn) handle(cmd command, arg string) bool {
	switch cmd {
	case cmdEHLO, cmdHELO:
		return c.handleHello(cmd, arg)
	case cmdMAIL:
		c.handleMail(arg)
	case cmdRCPT:
		c.handleRcpt(arg)
	case cmdDATA:
		c.handleData(arg)
	case cmdBDAT:
		c.handleChunk(arg)
	case cmdRSET:
		c.mail.reset()
		c.say(replyOk)
	case cmdNOOP:
		c.say(replyOk)
	case cmdQUIT:
		return c.pass("QUIT")
	case cmdVRFY:
		c.say(replyVerify)
	case cmdSTARTTLS:
		c.handleStartTLS(arg)
	case cmdHELP:
		c.say(replyHelp)
	default:
		c.say(replyNotOffered)
	}
	return false
}

// handleHello takes the client's name, and begins anew, RFC 5321 §4.1.4.
func (c *conn) handleHello(cmd command, name string) bool {
	name, _, _ = strings.Cut(name, " ")
	if name == "" || len(name) > maxDomain {
		c.say(replyBadHello)
		return false
	}
	c.mail.reset()
	c.helo, c.esmtp = name, cmd == cmdEHLO
	// What the library would say to EHLO is not so: conn words the answer.
	return c.pass("HELO " + name)
}

// pass gives the library a command.
func (c *conn) pass(line string) bool {
	c.line = append(append(c.line[:0], line...), crlf...)
	c.feed = c.line
	return true
}

// isText reports whether b is UTF-8 without control characters. What passes may be logged and written into a header.
func isText(b []byte) bool {
	all := byte(0)
	for _, ch := range b {
		if ch < ' ' || ch == 0x7f {
			return false
		}
		all |= ch
	}
	return all < utf8.RuneSelf || utf8.Valid(b)
}
