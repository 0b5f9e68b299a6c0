package inbound

import (
	"bufio"
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"
	"go.uber.org/zap"
)

// handleData takes a mail that ends with a dot.
func (c *conn) handleData(arg string) {
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
		c.say(replyGoAhead)
		c.beginMail()
		if err := readDots(c.in, &c.mail.body); err != nil {
			c.mail.body.refusal = c.brokenOff(err)
			c.ending = true
		}
		c.endMail()
	}
}

// endMail answers a mail that is here to its end, or refused, and forgets it.
func (c *conn) endMail() {
	r := c.mail.body.refusal
	if r != nil {
		c.server.metrics.refused(r)
	} else if r = c.takeMail(); r == nil {
		c.mails++
		c.commands = 0
	}
	if r != nil {
		c.say(r)
	}
	c.mail.reset()
}

// takeMail takes a whole mail and answers it, unless it returns what to answer. A fault of ours in it concerns this mail
// alone.
func (c *conn) takeMail() (r *reply) {
	defer func() {
		if cause := recover(); cause != nil {
			c.server.metrics.panics.Inc()
			c.log.Error("panic while taking a mail", zap.Any("cause", cause), zap.Stack("stack"))
			r = replyLater
		}
	}()
	return c.server.take(c)
}

// beginMail sets the times within which the mail, and each part of it, must come.
func (c *conn) beginMail() {
	o := &c.server.options
	if !c.mail.begun {
		c.mail.begun = true
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

// handleChunk takes one chunk of a mail, RFC 3030 §2.
//
// A chunk that is refused is read all the same, because what follows it is the next command; and it ends the mail,
// because a later LAST would complete one with a hole.
func (c *conn) handleChunk(arg string) {
	size, last, err := parseChunk(arg)
	if err != nil && size < 0 {
		// Nobody can tell where the next command begins.
		c.end(replyBadChunk, "bad_chunk")
		return
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
		c.mail.body.refusal = c.brokenOff(err)
		c.ending = true
	}
	if last || c.mail.body.refusal != nil {
		c.endMail()
		return
	}
	c.mail.chunked = true
	if size > 0 {
		c.commands-- // this is progress
	}
	c.say(&reply{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: strconv.FormatInt(size, 10) + " octets received"})
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
