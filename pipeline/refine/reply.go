package refine

import (
	_ "embed"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"carom/pipeline/event"
)

// Why a reply is not known to be the contact's.
const (
	reasonReplyStranger      = "reply_stranger"
	reasonReplyUnreferenced  = "reply_unreferenced"
	reasonReplyRecipientLost = "recipient_unknown"
)

// judgeReply decides whether a reply counts, DESIGN §7: it came to a reply address or references the message, and its
// sender is the contact or of the contact's domain. A verdict that the API brought stands.
func (p *Partition) judgeReply(f *fact, s *state, actor *event.Actor) {
	if actor.Verdict != event.NoVerdict {
		return
	}
	reason := replyFlaw(f, s)
	if reason == "" {
		actor.Verdict = event.Human
		return
	}
	actor.Verdict = event.Unknown
	actor.Reasons = append(slices.Clip(actor.Reasons), reason)
}

func replyFlaw(f *fact, s *state) string {
	if !f.Mail.ReplyAddress && !f.Mail.References {
		return reasonReplyUnreferenced
	}
	known := false
	for _, address := range [...]string{s.recipient, s.ref.Contact} {
		if strings.Contains(address, "@") {
			known = true
			if answersFor(f.Mail.From, address) {
				return ""
			}
		}
	}
	if !known {
		return reasonReplyRecipientLost
	}
	return reasonReplyStranger
}

// answersFor reports whether mail from one address counts as an answer of the other: people answer from a second
// address of their company, but at a public mailbox provider the neighbours are strangers.
func answersFor(from, contact string) bool {
	fromLocal, fromDomain := splitAddress(from)
	local, domain := splitAddress(contact)
	if fromDomain == "" || fromDomain != domain {
		return false
	}
	return fromLocal == local || !publicMailboxes[domain]
}

// splitAddress returns both parts of an address as they are compared: the domain in A-labels, all in lower case.
// RFC 5321 §2.4 leaves the case of a local part to its host, but no host of note tells Bob from bob, and people's mail
// programs write their addresses in another case than the sender's list has them. Subaddresses stay: what stands after
// a plus sign may well be another person's.
func splitAddress(address string) (local, domain string) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return "", ""
	}
	local, domain = strings.ToLower(address[:at]), strings.ToLower(strings.TrimSuffix(address[at+1:], "."))
	if a, err := idna.Lookup.ToASCII(domain); err == nil {
		domain = a
	}
	return local, domain
}

//go:embed publicmailboxes.txt
var publicMailboxesText string

// publicMailboxes are the domains under which anybody can have an address.
var publicMailboxes = readDomains(publicMailboxesText)

// readDomains reads one domain a line; what follows # is a comment.
func readDomains(text string) map[string]bool {
	domains := make(map[string]bool)
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, domain := range strings.Fields(line) {
			domains[strings.ToLower(domain)] = true
		}
	}
	return domains
}
