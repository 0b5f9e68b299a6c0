package report

import (
	"bytes"
	"math/bits"
)

// classify says why a delivery failed or is late: provider rule, then diagnostic text, then enhanced
// status, then reply code (DESIGN §7). Status alone gives the right category for little more than a third of
// real bounces, because most MTAs map what they were told to 5.0.0, 5.1.1 or 5.7.1.
func (r *reader) classify(f *finding) {
	switch f.kind {
	case Delivered:
		f.category, f.rule = "delivered", "kind:delivered"
		f.provider = r.provider(f)
		r.decided(f, stepKind)
		return
	case Bounce, Delay:
	default:
		if f.kind == Complaint || f.kind == Unsubscribe {
			f.provider = r.provider(f)
		}
		r.decided(f, stepKind)
		return
	}
	r.scan(f)
	f.provider = r.provider(f)
	by := stepText
	v, ok := r.byText(f)
	if ok && v.row.File == providerRules {
		by = stepProvider
	}
	if !ok {
		by = stepStatus
		v, ok = r.byStatus(f.status)
	}
	if !ok {
		by = stepCode
		v, ok = r.byCode(f)
	}
	if !ok {
		by, v = stepNone, verdict{category: "other", rule: "none"}
		if f.kind == Delay {
			by, v = stepDelay, verdict{category: "timeout", rule: "kind:delay"}
		}
	}
	if f.local && (!ok || v.category == "remote_system") {
		by, v = stepLocal, verdict{category: "local_system", rule: "type:x-unix"}
	}
	f.category, f.rule, f.row, f.weakened = v.category, v.rule, v.row, v.weakened
	f.hard = isHard(f, r.match)
	r.decided(f, by)
}

// scan finds the patterns that the words of f have. A notice may say the same words about a thousand recipients: they are
// read once.
func (r *reader) scan(f *finding) {
	if last := r.scanned; last != nil && sameBytes(last.said, f.said) && bytes.Equal(last.code, f.code) && bytes.Equal(last.charset, f.charset) {
		return
	}
	r.match = normalize(r.match[:0], toUTF8(f.said[:min(len(f.said), 2*maxMatch)], f.charset), f.code)
	r.tables.match.scan(r.match, &r.hits)
	r.scanned = f
}

// isHard reports whether the address is bad and must not be mailed again. A delay never is. An unknown domain
// or a closed account is only where the failure was called permanent, by its class and in words: name servers and postmasters err for a while.
func isHard(f *finding, words []byte) bool {
	if f.kind != Bounce || f.waits {
		return false
	}
	switch f.category {
	case "invalid_recipient":
		return true
	case "bad_domain", "inactive":
		return !isTransient(f) && !saysTemporary(words)
	}
	return false
}

// saysTemporary reports whether words call a failure temporary, whatever its class.
func saysTemporary(words []byte) bool {
	return bytes.Contains(words, []byte("temporar"))
}

// isTransient reports whether the status, or without one the code, is of class 4.
func isTransient(f *finding) bool {
	if len(f.status) > 0 {
		return f.status[0] == '4'
	}
	return len(f.code) > 0 && f.code[0] == '4'
}

// saysNoRecipient reports whether a status is one of those about the address itself: 5.1.x with a detail.
func saysNoRecipient(status []byte) bool {
	return len(status) >= 5 && hasPrefix(status, "5.1.") && status[4] != '0'
}

// byText returns the verdict of the first rule whose pattern the text has and whose conditions hold.
func (r *reader) byText(f *finding) (verdict, bool) {
	rules := r.tables.rules
	for word, set := range r.hits.found {
		for set != 0 {
			i := word*64 + bits.TrailingZeros64(set)
			set &= set - 1
			if i >= len(rules) {
				return verdict{}, false
			}
			if r.holds(&rules[i], f) {
				v := rules[i].verdict
				if rules[i].vague && r.isWeak(f) {
					v.category, v.weakened = "filtered", true
				}
				return v, true
			}
		}
	}
	return verdict{}, false
}

// holds reports whether the conditions of a rule hold.
func (r *reader) holds(rule *rule, f *finding) bool {
	switch {
	case rule.provider != "" && rule.provider != f.provider,
		rule.class != 0 && (rule.class == '4') != isTransient(f),
		rule.status != 0 && (len(f.status) == 0 || rule.status != packStatus(f.status)),
		rule.code != "" && string(f.code) != rule.code,
		rule.command != 0 && r.step(f) != rule.command, // dear: it may read the whole notice
		rule.weak && !r.isWeak(f),
		rule.of != nobody && !r.namesDomain(rule, f):
		return false
	}
	return true
}

// namesDomain reports whether the domain of the party that the rule is about stands right before the rule's words.
// An address is "@" in the text, so that the domain stands there by itself or not at all.
func (r *reader) namesDomain(rule *rule, f *finding) bool {
	address := f.recipient
	if rule.of == theSender {
		address = addrSpec(r.head.get(fTo))
	}
	domain := address[bytes.LastIndexByte(address, '@')+1:]
	words := []byte(rule.row.Pattern)
	if len(domain) == 0 || len(domain) == len(address) || len(domain) > maxHost {
		return false
	}
	for text := r.match; ; {
		i := bytes.Index(text, words)
		if i < 0 {
			return false
		}
		before := bytes.TrimRight(text[:i], "'\"<>()[]")
		if start := len(before) - len(domain); start > 0 && bytes.EqualFold(before[start:], domain) {
			if c := before[start-1]; c != '@' && c != '.' && !isDomain(c) {
				return true
			}
		}
		text = text[i+len(words):]
	}
}

// isWeak reports whether neither a status 5.1.x nor the refusal of RCPT says that the recipient is unknown. A bare reply
// is taken for one to RCPT where it does not name another step: it is the other side's own, and that is where most refuse.
func (r *reader) isWeak(f *finding) bool {
	if saysNoRecipient(f.status) {
		return false
	}
	step := r.step(f)
	return step != commandRcpt && !(f.bare && step == commandUnknown)
}

// byStatus looks a status up, the exact one before the patterns. One of subject and detail 0 says nothing.
func (r *reader) byStatus(status []byte) (verdict, bool) {
	if len(status) == 0 || isGeneric(status) {
		return verdict{}, false
	}
	key := packStatus(status)
	for _, mask := range [...]uint32{0, statusAny << 20, statusAny, statusAny<<20 | statusAny} {
		if v, ok := r.tables.statuses[key|mask]; ok {
			return v, true
		}
	}
	return verdict{}, false
}

// byCode looks a reply code up, the rule for the refused step first.
func (r *reader) byCode(f *finding) (verdict, bool) {
	if len(f.code) != 3 {
		return verdict{}, false
	}
	for _, rule := range r.tables.codes[[3]byte(f.code)] {
		if rule.command == commandUnknown || rule.command == r.step(f) {
			return rule.verdict, true
		}
	}
	return verdict{}, false
}

// commandUnasked marks that step has looked and found nothing.
const commandUnasked = smtpCommand(255)

// step returns the step of the dialogue that was refused, if the diagnostic or the words around it name it.
func (r *reader) step(f *finding) smtpCommand {
	switch f.command {
	case commandUnasked:
		return commandUnknown
	case commandUnknown:
		f.command = commandUnasked
		if i := r.hits.first(len(r.tables.rules), len(r.tables.commands)); i >= 0 {
			f.command = r.tables.commands[i]
		} else if f.inWords {
			f.context = r.words()
		} else if f.aroundName {
			f.context = about(r.words(), f.recipient)
		}
		if f.command == commandUnasked && len(f.context) > 0 {
			start := len(r.scratch)
			r.scratch = normalize(r.scratch, f.context[:min(len(f.context), maxMatch)], nil)
			r.tables.callers.scan(r.scratch[start:], &r.others)
			r.scratch = r.scratch[:start]
			if i := r.others.first(0, len(r.tables.commands)); i >= 0 {
				f.command = r.tables.commands[i]
			}
		}
		if f.command == commandUnasked {
			return commandUnknown
		}
	}
	return f.command
}

// provider returns the mailbox provider that a finding is about: by the host that refused, by a mark in its
// words, by the recipient's domain.
func (r *reader) provider(f *finding) string {
	if p := r.tables.providerOf(f.remoteMTA, true); p != "" {
		return p
	}
	if f.kind == Bounce || f.kind == Delay {
		if i := r.hits.first(len(r.tables.rules)+len(r.tables.commands), len(r.tables.markers)); i >= 0 {
			return r.tables.markers[i]
		}
	}
	if at := bytes.LastIndexByte(f.recipient, '@'); at >= 0 {
		return r.tables.providerOf(f.recipient[at+1:], false)
	}
	return ""
}

// providerOf looks a domain and its parents up.
func (t *tables) providerOf(domain []byte, host bool) string {
	if len(domain) == 0 || len(domain) > maxHost {
		return ""
	}
	var stack [maxHost]byte
	name := stack[:0]
	for _, c := range domain {
		name = append(name, lower(c))
	}
	for {
		if names, ok := t.providers[string(name)]; ok {
			if host && names.host != "" {
				return names.host
			}
			if !host && names.address != "" {
				return names.address
			}
		}
		dot := bytes.IndexByte(name, '.')
		if dot < 0 {
			return ""
		}
		name = name[dot+1:]
	}
}
