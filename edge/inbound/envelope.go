package inbound

import (
	"strconv"
	"strings"
	"time"
)

// transaction is one mail on its way, from MAIL to the reply to its last byte.
type transaction struct {
	open bool   // MAIL was accepted
	from string // the return path; empty for reports
	utf8 bool   // SMTPUTF8 was said
	// targets are the accepted recipients, each once.
	targets []target
	body    body
	chunked bool      // it comes in chunks, of which some are here
	by      time.Time // when it must be complete; set with its first byte
}

// reset forgets the mail and gives its memory back.
func (t *transaction) reset() {
	t.body.release()
	*t = transaction{}
}

// handleMail checks the order and the parameters of MAIL; the address is the session's.
func (c *conn) handleMail(arg string) bool {
	switch {
	case c.helo == "":
		c.say(replyGreetFirst)
		return false
	case c.mail.open:
		c.say(replyNestedMail)
		return false
	case c.mails >= c.server.options.MaxMessagesPerConnection:
		c.end(replyTooManyMails, "mails")
		return false
	}
	path, params, ok := splitPath(arg, "FROM:")
	if !ok {
		c.say(replyBadPath)
		return false
	}
	utf8, refusal := checkParameters(params, c.server.options.MaxMessageBytes)
	if refusal != nil {
		c.say(refusal)
		return false
	}
	line := "MAIL FROM:" + path
	if utf8 {
		line += " SMTPUTF8"
	}
	return c.pass(line)
}

// handleRcpt checks the order and the parameters of RCPT. Of the latter we announce none, RFC 5321 §4.1.1.11.
func (c *conn) handleRcpt(arg string) bool {
	switch {
	case !c.mail.open:
		c.say(replyMailFirst)
		return false
	case c.mail.chunked:
		c.say(replyMidChunks)
		return false
	}
	path, params, ok := splitPath(arg, "TO:")
	switch {
	case !ok:
		c.say(replyBadPath)
		return false
	case params != "":
		c.say(replyUnknownParm)
		return false
	}
	if strings.EqualFold(strings.Trim(path, "<>"), postmaster) {
		// The one address without a domain, RFC 5321 §4.5.1; the library's parser wants one.
		path = "<" + postmaster + "@" + c.server.options.BounceDomain + ">"
	}
	return c.pass("RCPT TO:" + path)
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
	seen := map[string]bool{}
	for p := range strings.FieldsSeq(params) {
		key, value, hasValue := strings.Cut(p, "=")
		key = strings.ToUpper(key)
		if seen[key] {
			return false, replyBadParameter
		}
		seen[key] = true
		switch key {
		case "SIZE":
			refusal = checkSize(value, maxBytes)
		case "BODY": // RFC 6152 §2; BINARYMIME is not announced
			if v := strings.ToUpper(value); v != "7BIT" && v != "8BITMIME" {
				refusal = replyUnknownParm
			}
		case "SMTPUTF8": // RFC 6531 §3.4
			if utf8 = true; hasValue {
				refusal = replyBadParameter
			}
		default:
			refusal = replyUnknownParm
		}
		if refusal != nil {
			return false, refusal
		}
	}
	return utf8, nil
}

// checkSize checks a declared size, which has up to 20 digits (RFC 1870 §3).
func checkSize(digits string, maxBytes int64) *reply {
	if digits == "" || len(digits) > 20 || strings.Trim(digits, "0123456789") != "" {
		return replyBadParameter
	}
	if n, err := strconv.ParseUint(digits, 10, 64); err != nil || n > uint64(maxBytes) {
		return replyTooBig
	}
	return nil
}
