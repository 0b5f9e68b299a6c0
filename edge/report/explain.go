package report

import (
	"bytes"
	"fmt"
	"strings"
)

// Explanation tells why a mail or a reply was read as it was: the two orders of decision, step by step.
type Explanation struct {
	// Decoders are those that were asked, in order (decoders.go). The last one decided.
	Decoders []Step
	// Decisions are about the facts of the report, one each, in their order.
	Decisions []Decision
}

// Step is one step of an order of decision.
type Step struct {
	Name   string // of the decoder or of the step: "provider rule", "diagnostic text", "enhanced status", "reply code"
	Source string // where the form of mail is described; "" of other steps
	Taken  bool
	Why    string // why it was taken or was not
}

// Decision is why one fact has its category and is hard or not.
type Decision struct {
	// Text is what the rules saw: the diagnostic in lower case, with "@" for each address.
	Text string
	// Match is the part of Text that the deciding rule's pattern matched; "" if no text decided.
	Match string
	// Row is the rule that decided; its File is "" if none did.
	Row Row
	// Steps are all steps of the order, the taken one among them, and then "hard".
	Steps []Step
}

// Row is a row of a rule table.
type Row struct {
	File    string // below tables/: "texts.tsv"
	Line    int    // from 1
	Pattern string // the words, the status or the code that it is for
	Source  string // who says so
}

// String is "texts.tsv:12 "user unknown" (Postfix)"; "" of no row.
func (r Row) String() string {
	if r.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d %q (%s)", r.File, r.Line, r.Pattern, r.Source)
}

// Explain is Read that also tells why. It costs a few times what Read does.
func Explain(mail []byte) (Report, Explanation) {
	r := getReader()
	defer r.put()
	r.why = new(Explanation)
	report := r.read(mail)
	return report, *r.why
}

// ExplainReply is ReadReply that also tells why.
func ExplainReply(text string) (Fact, Explanation) { return Attempt{}.ExplainReply(text) }

// ExplainReply is ReadReply that also tells why.
func (a Attempt) ExplainReply(text string) (Fact, Explanation) {
	r := getReader()
	defer r.put()
	r.why = new(Explanation)
	fact := r.readReply(text, a)
	return fact, *r.why
}

// String is the explanation for humans: a line for each step, ">" before those that were taken.
//
//	  feedback: no, the mail is not of this form
//	> delivery-status: read 1 fact (RFC 3464, RFC 6522, RFC 6533)
//	fact 1: rule texts.tsv:12 "user unknown" (Postfix), matched "user unknown"
//	    provider rule: none of the provider's rules fits
//	  > diagnostic text: ...
func (e *Explanation) String() string {
	var b strings.Builder
	writeSteps(&b, "", e.Decoders)
	for i := range e.Decisions {
		d := &e.Decisions[i]
		fmt.Fprintf(&b, "fact %d:", i+1)
		if d.Row.File != "" {
			fmt.Fprintf(&b, " rule %s", d.Row)
		}
		if d.Match != "" {
			fmt.Fprintf(&b, " matched %q", d.Match)
		}
		b.WriteByte('\n')
		if d.Text != "" {
			fmt.Fprintf(&b, "    text: %s\n", d.Text)
		}
		writeSteps(&b, "  ", d.Steps)
	}
	return b.String()
}

func writeSteps(b *strings.Builder, indent string, steps []Step) {
	for _, s := range steps {
		mark := "  "
		if s.Taken {
			mark = "> "
		}
		b.WriteString(indent + mark + s.Name + ": " + s.Why)
		if s.Taken && s.Source != "" {
			b.WriteString(" (" + s.Source + ")")
		}
		b.WriteByte('\n')
	}
}

// asked notes what became of a decoder that was asked.
func (r *reader) asked(d *decoder, detected bool) {
	if r.why == nil {
		return
	}
	s := Step{Name: d.name, Source: d.source}
	switch {
	case !detected:
		s.Why = "not found: " + d.trigger
	case len(r.found) == 0:
		s.Why = "the mail has this form, but names nobody and says nothing"
	case len(r.found) == 1:
		s.Taken, s.Why = true, "read 1 fact: "+string(r.found[0].kind)
	default:
		s.Taken, s.Why = true, fmt.Sprintf("read %d facts", len(r.found))
	}
	r.why.Decoders = append(r.why.Decoders, s)
}

// decided notes how classify came to its verdict about f: by which step of the order. It is called right after it, while
// the text that the rules saw and what they found in it still stand.
func (r *reader) decided(f *finding, by step) {
	if r.why == nil {
		return
	}
	d := Decision{}
	if f.row != nil {
		d.Row = *f.row
	}
	if by != stepKind && f.category != "" {
		d.Text = strings.ToValidUTF8(strings.TrimSpace(string(r.match)), "\ufffd")
		if by <= stepText {
			d.Match = strings.ToValidUTF8(strings.TrimSpace(string(matched(r.match, d.Row.Pattern))), "\ufffd")
		}
		for s := stepProvider; s <= stepCode; s++ {
			d.Steps = append(d.Steps, Step{Name: stepNames[s], Taken: s == by, Why: r.stepWhy(f, s, by)})
		}
	}
	if by >= stepDelay {
		d.Steps = append(d.Steps, Step{Name: stepNames[by], Taken: true, Why: stepReasons[by]})
	}
	if f.kind == Bounce || f.kind == Delay {
		d.Steps = append(d.Steps, Step{Name: "hard", Taken: f.hard, Why: hardWhy(f)})
	}
	r.why.Decisions = append(r.why.Decisions, d)
}

// step is a step of the order in which classify decides.
type step uint8

const (
	stepProvider step = iota
	stepText
	stepStatus
	stepCode
	stepNone
	stepDelay
	stepLocal
	stepKind
)

var stepNames = [...]string{"provider rule", "diagnostic text", "enhanced status", "reply code", "none", "delay", "local program", "kind"}

var stepReasons = map[step]string{
	stepDelay: "a delay whose reason nothing tells has waited too long",
	stepLocal: "a program of the reporting host failed (Diagnostic-Code: x-unix)",
	stepKind:  "its kind alone says what it is",
}

// stepWhy says why a step was taken or was not.
func (r *reader) stepWhy(f *finding, s, by step) string {
	switch {
	case by == stepLocal:
		return "passed over: a program of the reporting host failed"
	case s == by && f.weakened:
		return "only words that filters also use, no status 5.1.x and no refusal of RCPT beside them: " + f.row.String()
	case s == by && s <= stepText:
		return "the first rule whose words the text has and whose conditions hold: " + f.row.String()
	case s == by:
		return f.row.String()
	case s > by:
		return "not asked: " + stepNames[by] + " had decided"
	}
	switch s {
	case stepProvider:
		if f.provider == "" {
			return "no provider is known by host, words or address"
		}
		return "no rule of " + f.provider + " fits"
	case stepText:
		return "no words of a rule whose conditions hold"
	case stepStatus:
		switch {
		case len(f.status) == 0:
			return "there is none"
		case isGeneric(f.status):
			return string(f.status) + " says nothing but its class"
		}
		return "no row for " + string(f.status)
	}
	if len(f.code) == 0 {
		return "there is none"
	}
	return "no row for " + string(f.code) + " fits the step of the dialogue that was refused"
}

// hardWhy says why a finding is hard or not.
func hardWhy(f *finding) string {
	switch {
	case f.hard:
		return f.category + ", and it failed for good: the address is bad"
	case f.kind == Delay:
		return "a delay never is"
	case f.waits:
		return "a line of the reply is of class 4: it may be tried again"
	case f.category == "bad_domain" || f.category == "inactive":
		return f.category + " is only where the failure is called permanent, and this one is of class 4 or called temporary"
	}
	return f.category + " says nothing bad about the address"
}

// matched returns the shortest part of text that shows the fragments of pattern in order.
func matched(text []byte, pattern string) []byte {
	fragments := strings.Split(pattern, "*")
	for from := 0; ; {
		start := bytes.Index(text[from:], []byte(fragments[0]))
		if start < 0 {
			return nil
		}
		start += from
		end := start + len(fragments[0])
		fits := true
		for _, fragment := range fragments[1:] {
			i := bytes.Index(text[end:min(len(text), end+maxGap+len(fragment))], []byte(fragment))
			if fits = i >= 0; !fits {
				break
			}
			end += i + len(fragment)
		}
		if fits {
			return text[start:end]
		}
		from = start + 1
	}
}
