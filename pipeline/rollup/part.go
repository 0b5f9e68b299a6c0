package rollup

import "slices"

// part is whom a cohort row is about: a sender, or a part of what it sends.
type part struct {
	account, sender string
	kind            byte
	name            string // empty for the whole sender
}

// The kinds of parts. The numbers are stored.
const (
	partSender byte = iota
	partSequence
	partProvider // by the mailbox provider of the recipient
	partCategory // of what bounced, by the category of its last bounce
)

func (s scope) whole() part { return part{s.account, s.sender, partSender, ""} }

func (s scope) inSequence() part { return part{s.account, s.sender, partSequence, s.sequence} }

// categories are those of bounces, DESIGN §7. Their places are stored: add at the end only.
var categories = [...]string{
	"", // none, or not told
	"invalid_recipient", "bad_domain", "mailbox_full", "inactive", "blocked", "reputation", "auth_failure", "policy",
	"spam_content", "virus", "content_format", "content_too_big", "rate_limited", "greylisted", "timeout", "dns", "tls",
	"relay", "protocol", "sender_rejected", "filtered", "remote_system", "local_system", "delivered", "other",
}

// categoryOther is the place of what is not among them.
const categoryOther = uint8(len(categories) - 1)

func categoryOf(name string) uint8 {
	if i := slices.Index(categories[:], name); i >= 0 {
		return uint8(i)
	}
	return categoryOther
}
