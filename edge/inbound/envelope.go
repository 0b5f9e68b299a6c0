package inbound

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"carom/edge/report"
)

// transaction is one mail on its way, from MAIL to the reply to its last byte.
type transaction struct {
	open bool   // MAIL was accepted
	from string // the return path; empty for reports
	utf8 bool   // SMTPUTF8 was said
	// targets are the accepted recipients, each once.
	targets []target
	body    body
	begun   bool      // its first byte may come
	chunked bool      // it comes in chunks, of which some are here
	by      time.Time // when it must be complete; zero before the first wait in it
}

// reset forgets the mail and gives its memory back.
func (t *transaction) reset() {
	t.body.release()
	kept := t.targets[:0]
	if cap(kept) > keptTargets {
		kept = nil
	}
	*t = transaction{targets: kept}
}

// keptTargets is how many recipients there is memory for from one mail to the next.
const keptTargets = 16

// handleMail begins a transaction. Who the sender is doesn't matter, as long as it is an address.
func (c *conn) handleMail(arg string) {
	switch {
	case c.helo == "":
		c.say(replyGreetFirst)
		return
	case c.mail.open:
		c.say(replyNestedMail)
		return
	case c.mails >= c.server.options.MaxMessagesPerConnection:
		c.end(replyTooManyMails, "mails")
		return
	}
	path, params, ok := splitPath(arg, "FROM:")
	if !ok {
		c.say(replyBadPath)
		return
	}
	utf8, refusal := checkParameters(params, c.server.options.MaxMessageBytes)
	from := ""
	if refusal == nil && path != report.NullPath {
		from, refusal = readPath(path, utf8, replyBadSender)
	}
	if refusal != nil {
		c.say(refusal)
		return
	}
	c.mail.open, c.mail.from, c.mail.utf8 = true, from, utf8
	c.say(replySender)
}

// handleRcpt accepts a recipient that is ours.
func (c *conn) handleRcpt(arg string) {
	switch {
	case !c.mail.open:
		c.say(replyMailFirst)
		return
	case c.mail.chunked:
		c.say(replyMidChunks)
		return
	}
	path, params, ok := splitPath(arg, "TO:")
	switch {
	case !ok:
		c.say(replyBadPath)
	case params != "": // we announce none, RFC 5321 §4.1.1.11
		c.say(replyUnknownParm)
	case strings.EqualFold(strings.Trim(path, "<>"), postmaster):
		// The one address without a domain, RFC 5321 §4.5.1.
		c.say(c.addRecipient("<" + postmaster + "@" + c.server.options.BounceDomain + ">"))
	default:
		c.say(c.addRecipient(path))
	}
}

func (c *conn) addRecipient(path string) *reply {
	m, metrics := &c.mail, c.server.metrics
	t, result := target{}, "malformed"
	to, refusal := readPath(path, m.utf8, replyBadRecipient)
	if refusal == nil {
		t, result, refusal = c.server.recognise(to)
	}
	known := refusal == nil && m.has(t)
	if refusal == nil && !known && len(m.targets) >= c.server.options.MaxRecipients {
		result, refusal = "too_many", replyTooManyRecipients
	}
	if refusal != nil {
		metrics.recipients.WithLabelValues(result).Inc()
		return refusal
	}
	metrics.byRole[t.role].Inc()
	if !known {
		m.targets = append(m.targets, t)
	}
	return replyRecipient
}

// splitPath takes "FROM:<address> parameters" or "TO:..." apart. The brackets stay. A quoted local part may hold
// brackets and blanks. A blank after the colon and missing brackets are forgiven, because many clients do so.
func splitPath(arg, prefix string) (path, params string, ok bool) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return "", "", false
	}
	arg = strings.TrimLeft(arg[len(prefix):], " ")
	quoted := false
	end := len(arg)
scan:
	for i := 0; i < len(arg); i++ {
		switch ch := arg[i]; {
		case ch == '\\' && quoted:
			i++
		case ch == '"':
			quoted = !quoted
		case ch == '>' && !quoted:
			end = i + 1
			break scan
		case ch == ' ' && !quoted:
			end = i
			break scan
		}
	}
	path, params = arg[:end], arg[end:]
	if path == "" || quoted || strings.HasPrefix(path, "<") != strings.HasSuffix(path, ">") || params != "" && params[0] != ' ' {
		return "", "", false
	}
	return path, strings.Trim(params, " "), true
}

// checkParameters checks the parameters of MAIL, RFC 5321 §4.1.2: each once, and none but ours.
func checkParameters(params string, maxBytes int64) (utf8 bool, refusal *reply) {
	var sized, typed bool
	for p := range strings.FieldsSeq(params) {
		key, value, hasValue := strings.Cut(p, "=")
		again := false
		switch strings.ToUpper(key) {
		case "SIZE":
			again, sized = sized, true
			refusal = checkSize(value, maxBytes)
		case "BODY": // RFC 6152 §2; BINARYMIME is not announced
			again, typed = typed, true
			if v := strings.ToUpper(value); v != "7BIT" && v != "8BITMIME" {
				refusal = replyUnknownParm
			}
		case "SMTPUTF8": // RFC 6531 §3.4
			again, utf8 = utf8, true
			if hasValue {
				refusal = replyBadParameter
			}
		default:
			refusal = replyUnknownParm
		}
		if again {
			refusal = replyBadParameter
		}
		if refusal != nil {
			return false, refusal
		}
	}
	return utf8, nil
}

// checkSize checks a declared size, which has up to 20 digits (RFC 1870 §3).
func checkSize(digits string, maxBytes int64) *reply {
	n, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case len(digits) > 20 || errors.Is(err, strconv.ErrSyntax):
		return replyBadParameter
	case err != nil || n > uint64(maxBytes):
		return replyTooBig
	}
	return nil
}
