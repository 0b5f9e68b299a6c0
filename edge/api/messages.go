package api

import (
	"errors"
	"strconv"
	"strings"

	"carom/edge/ref"
	"carom/pipeline/event"
	"carom/pipeline/suppress"
)

// maxLinks bounds the links of a message.
const maxLinks = 200

// registration is what POST /v1/messages takes.
type registration struct {
	account, sender, sequence, contact, message, recipient string

	links  []string
	sentAt told
	flags  event.Flags
}

func (g *registration) readMember(r *event.JSONReader, name string) bool {
	switch name {
	case "account":
		g.account = r.String()
	case "sender":
		g.sender = r.String()
	case "sequence":
		g.sequence = r.String()
	case "contact":
		g.contact = r.String()
	case "message":
		g.message = r.String()
	case "recipient":
		g.recipient = r.String()
	case "links":
		g.readLinks(r)
	case "sent_at":
		g.sentAt = readTime(r)
	case "transactional":
		g.readFlag(r, event.Transactional)
	case "anonymous":
		g.readFlag(r, event.Anonymous)
	case "shared":
		g.readFlag(r, event.Shared)
	case "untracked":
		g.readFlag(r, event.Untracked)
	default:
		return false
	}
	return true
}

func (g *registration) readLinks(r *event.JSONReader) {
	for range r.Elements() {
		if len(g.links) == maxLinks {
			r.Fail("more than " + strconv.Itoa(maxLinks) + " links")
			return
		}
		g.links = append(g.links, r.String())
	}
}

func (g *registration) readFlag(r *event.JSONReader, f event.Flags) {
	if r.Bool() {
		g.flags |= f
	}
}

// complete puts in what follows from the rest, and checks all of it.
func (g *registration) complete() *problem {
	if g.account == "" {
		g.account = ref.DefaultAccount
	}
	if g.sender == "" {
		return missingField("sender", "want who the mail is sent as")
	}
	if g.message == "" {
		return missingField("message", "want the platform's id of the message, such as its Message-ID")
	}
	if g.message = event.CleanMessageID(g.message); g.message == "" {
		return badField("message", "is empty but for blanks and angle brackets")
	}
	var c texts
	c.check("account", g.account, maxID)
	c.check("sender", g.sender, maxID)
	c.check("sequence", g.sequence, maxID)
	c.check("contact", g.contact, maxID)
	c.check("message", g.message, maxMessage)
	c.check("recipient", g.recipient, maxAddress)
	if g.recipient == "" && looksLikeAddress(g.contact) {
		c.check("contact", g.contact, maxAddress)
		g.recipient = g.contact
	}
	if c.problem != nil {
		return c.problem
	}
	if g.contact == "" {
		g.contact = g.recipient
	}
	for i, link := range g.links {
		if err := ref.CheckURL(link); err != nil {
			return badField("links["+strconv.Itoa(i)+"]", strings.TrimPrefix(err.Error(), ref.ErrURL.Error()+": "))
		}
	}
	return nil
}

// looksLikeAddress reports whether a contact id can be mailed.
func looksLikeAddress(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at < len(s)-1 && !strings.ContainsAny(s, " \t,;<>")
}

// readRegistration makes a sent event of what POST /v1/messages got, and appends the answer to dst.
func (s *Server) readRegistration(text string, now event.Millis, e *event.Event, dst []byte) ([]byte, *problem) {
	g := registration{links: e.Links[:0]}
	if p := readObject(text, g.readMember); p != nil {
		return dst, p
	}
	if p := g.complete(); p != nil {
		return dst, p
	}
	sentAt, p := g.sentAt.or(now, "sent_at")
	if p != nil {
		return dst, p
	}
	*e = event.Event{
		Kind: event.Sent, Time: sentAt, Key: event.KeyOf(g.account, g.message), KnownBy: event.ByRef,
		Ref: event.Ref{
			Account: g.account, Sender: g.sender, Sequence: g.sequence, Contact: g.contact, Message: g.message,
			SentAt: sentAt, Flags: g.flags,
		},
		Recipient: g.recipient, Links: g.links,
	}
	why, stopped, err := s.stops(g.account, g.recipient, sentAt, g.flags.Has(event.Transactional))
	unchecked := errors.Is(err, suppress.ErrNotReady) // registering goes on while Kafka is away, even here
	if err != nil && !unchecked {
		return dst, s.failure("read who is suppressed", err)
	}
	minted := ref.Message{Ref: e.Ref, Links: g.links, Key: e.Key}
	answer := event.AppendJSONString(append(dst, `{"message":`...), g.message)
	if stopped { // of which no token tells: a registration without it may follow
		e.Flags |= event.NotSent
		answer = append(appendWhy(append(answer, `,"send":false,"suppressed":`...), &why), ',')
	} else {
		answer = append(answer, `,"send":true,`...)
	}
	if unchecked { // nobody could say whether the recipient is suppressed
		answer = append(answer, `"unchecked":true,`...)
	}
	answer, err = s.d.Minter.AppendMembers(answer, &minted)
	switch {
	case errors.Is(err, ref.ErrInvalid):
		return dst, newProblem(400, "bad-field", "A field has a value that is not allowed", strings.TrimPrefix(err.Error(), ref.ErrInvalid.Error()+": "))
	case err != nil:
		return dst, s.fail("mint links", err)
	}
	return append(answer, '}'), nil
}
