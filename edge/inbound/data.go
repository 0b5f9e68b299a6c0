package inbound

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// handleData begins a mail that ends with a dot. The library answers 354 and calls the session, which calls takeMail.
func (c *conn) handleData(arg string) bool {
	switch {
	case arg != "":
		c.say(replyBadArgument)
	case c.mail.chunked:
		c.say(replyMidChunks)
	case !c.mail.open:
		c.say(replyMailFirst)
	case len(c.mail.targets) == 0:
		c.say(replyNoRecipient)
	default:
		return c.pass("DATA")
	}
	return false
}

// takeMail is the session's Data. The mail of a DATA command is read here, past the library, whose reader of it can't
// be used: it misses ends, hides the difference between a mail and a mail cut short, and reads what comes after a
// timeout as commands. That of a BDAT command is here already.
func (c *conn) takeMail() *reply {
	if c.command == cmdDATA {
		// Afterwards the library reads up to the end of the mail that it believes is there.
		c.feed = []byte(".\r\n")
		c.beginMail()
		if err := readDots(c.in, &c.mail.body); err != nil {
			c.mail.body.refusal = c.brokenOff(err)
			c.ending = true
		}
	}
	if r := c.mail.body.refusal; r != nil {
		c.server.metrics.refused(r)
		return r
	}
	r := c.server.take(c)
	if r.Code == 250 {
		c.mails++
		c.commands = 0
	}
	return r
}

// beginMail sets the times within which the mail, and each part of it, must come.
func (c *conn) beginMail() {
	o := &c.server.options
	if c.mail.by.IsZero() {
		c.mail.by = time.Now().Add(o.MessageTimeout)
		c.mail.body = body{budget: &c.server.budget, max: int(o.MaxMessageBytes)}
	}
	c.by, c.pause = c.mail.by, o.DataTimeout
}

// brokenOff says what to answer to a mail whose end did not come. No answer may be 5xx, because the client still has
// the mail and may well bring all of it next time; but for one that is too big.
func (c *conn) brokenOff(err error) *reply {
	reason, r := "client", replyCutShort
	switch {
	case errors.Is(err, errDiscarded):
		reason, r, c.lingers = "mail_too_big", c.mail.body.refusal, true
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason, r = "timeout", replyIdle
	case errors.Is(err, errDraining):
		reason, r = "stopping", replyStopping
	}
	c.server.metrics.closed.WithLabelValues(reason).Inc()
	return r
}

// handleChunk takes one chunk of a mail, RFC 3030 §2. The library sees none, only the end of a mail whose chunks came
// whole: it would take a chunk that the connection's end cut short for a whole one.
//
// A chunk that is refused is read all the same, because what follows it is the next command; and it ends the mail,
// because a later LAST would complete one with a hole.
func (c *conn) handleChunk(arg string) bool {
	size, last, err := parseChunk(arg)
	if err != nil && size < 0 {
		// Nobody can tell where the next command begins.
		c.end(replyBadChunk, "bad_chunk")
		return false
	}
	refusal := c.mayChunk()
	if err != nil {
		refusal = replyBadChunk
	}
	c.beginMail()
	if refusal != nil {
		c.mail.body.refusal = refusal
	}
	if err := readChunk(c.in, size, &c.mail.body); err != nil {
		r := c.brokenOff(err)
		c.server.metrics.refused(r)
		c.out = appendReply(c.out, r)
		c.ending = true
		return false
	}
	switch r := c.mail.body.refusal; {
	case r != nil:
		c.server.metrics.refused(r)
		return c.restart(r)
	case last:
		return c.pass("BDAT 0 LAST")
	}
	c.mail.chunked = true
	if size > 0 {
		c.commands-- // this is progress
	}
	c.say(&reply{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: fmt.Sprintf("%d octets received", size)})
	return false
}

func (c *conn) mayChunk() *reply {
	switch {
	case !c.mail.open:
		return replyMailFirst
	case len(c.mail.targets) == 0:
		return replyNoRecipient
	}
	return nil
}

// parseChunk reads "octets [LAST]". If only the octets are readable, size has them all the same; else it is -1.
func parseChunk(arg string) (size int64, last bool, err error) {
	fields := strings.Fields(arg)
	if len(fields) == 0 || strings.Trim(fields[0], "0123456789") != "" {
		return -1, false, strconv.ErrSyntax
	}
	if size, err = strconv.ParseInt(fields[0], 10, 64); err != nil {
		return -1, false, err
	}
	last = len(fields) == 2 && strings.EqualFold(fields[1], "LAST")
	if len(fields) > 1 && !last {
		err = strconv.ErrSyntax
	}
	return size, last, err
}

// readChunk reads exactly size bytes.
func readChunk(in *bufio.Reader, size int64, to *body) error {
	for size > 0 {
		window, err := peek(in, 1)
		if err != nil {
			return err
		}
		window = window[:min(int64(len(window)), size)]
		if err := to.append(window); err != nil {
			return err
		}
		size -= int64(len(window))
		_, _ = in.Discard(len(window))
	}
	return nil
}
