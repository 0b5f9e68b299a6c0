package inbound

import (
	"errors"
	"slices"
	"strings"

	"carom/edge/ref"
	"carom/pipeline/event"
)

const (
	postmaster = "postmaster" // RFC 5321 §4.5.1
	abuse      = "abuse"      // RFC 2142 §4
)

// role is what an address of ours is for.
type role uint8

const (
	toReturnPath  role = iota + 1 // b-...: bounces of one message
	toReply                       // r-...: replies to one message
	toUnsubscribe                 // u-...: its mailto unsubscribe
	toFeedback                    // a fixed address for feedback loops
	toReplies                     // a fixed address for copies of replies
	toOperator                    // postmaster and abuse
)

// target is one recipient of a mail.
type target struct {
	role role
	key  event.Key // of the message, for the first three roles
}

func (t *transaction) has(x target) bool { return slices.Contains(t.targets, x) }

// tokenRoles says what the letter before an address token stands for.
var tokenRoles = map[byte]struct {
	role    role
	purpose ref.Purpose
}{
	'b': {toReturnPath, ref.ReturnPath},
	'r': {toReply, ref.ReplyTo},
	'u': {toUnsubscribe, ref.MailtoUnsubscribe},
}

// recognise finds out what an address of ours is for, and refuses all others: nothing is relayed. The result is for the
// metrics.
func (s *Server) recognise(address string) (t target, result string, refusal *reply) {
	at := strings.LastIndexByte(address, '@')
	local, domain := address[:at], address[at+1:]
	if role := s.fixed[strings.ToLower(address)]; role != 0 {
		return target{role: role}, role.String(), nil
	}
	bounce, replies := strings.EqualFold(domain, s.options.BounceDomain), strings.EqualFold(domain, s.options.ReplyDomain)
	if strings.EqualFold(local, postmaster) || strings.EqualFold(local, abuse) {
		if bounce || replies || strings.EqualFold(domain, s.options.Hostname) {
			if s.mailbox.full() {
				return t, "operator_full", replyMailboxFull
			}
			return target{role: toOperator}, toOperator.String(), nil
		}
	}
	if len(local) < 2 || local[1] != '-' {
		return t, "unknown", replyNoSuchUser
	}
	kind, ok := tokenRoles[local[0]|0x20]
	if !ok || kind.role == toReply && !replies || kind.role != toReply && !bounce {
		return t, "unknown", replyNoSuchUser
	}
	key, err := s.keys.OpenAddress(kind.purpose, local[2:])
	if err != nil {
		return t, refusedToken(err), replyNoSuchUser
	}
	return target{kind.role, key}, kind.role.String(), nil
}

func refusedToken(err error) string {
	switch {
	case errors.Is(err, ref.ErrRetired):
		return "retired_key"
	case errors.Is(err, ref.ErrForged):
		return "forged"
	}
	return "unknown"
}

// String returns the role's name in metrics.
func (r role) String() string {
	return [...]string{"", "return_path", "reply_to", "unsubscribe", "feedback", "replies", "operator"}[r]
}

// fixedAddresses lists the configured addresses, in lower case.
func fixedAddresses(o Options) map[string]role {
	fixed := map[string]role{}
	for _, a := range o.FeedbackAddresses {
		fixed[strings.ToLower(a)] = toFeedback
	}
	for _, a := range o.ReplyAddresses {
		fixed[strings.ToLower(a)] = toReplies
	}
	return fixed
}
