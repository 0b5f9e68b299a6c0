package api

import (
	"slices"
	"time"
	"unicode/utf8"

	"carom/pipeline/event"
)

// readObject reads a JSON object. member reads the value of one member, or returns false if there is no such member.
// Unknown members are refused, because a misspelt one would be lost silently; so are members given twice, of which
// readers disagree which one counts.
func readObject(text string, member func(r *event.JSONReader, name string) bool) *problem {
	if !utf8.ValidString(text) { // RFC 8259 §8.1
		return badJSON("The text is not UTF-8.")
	}
	r := event.NewJSONReader(text)
	readMembers(&r, member)
	if err := r.End(); err != nil {
		return fromJSONError(err)
	}
	return nil
}

func readMembers(r *event.JSONReader, member func(r *event.JSONReader, name string) bool) {
	var stack [24]string
	seen := stack[:0]
	for name := range r.Members() {
		if slices.Contains(seen, name) {
			r.Fail("is given twice")
		} else if !member(r, name) {
			r.Unknown()
		}
		seen = append(seen, name)
	}
}

// told is a time that a client told; the zero value, none.
type told struct {
	at  event.Millis
	set bool
}

// readTime reads a time of RFC 3339.
func readTime(r *event.JSONReader) told {
	text := r.String()
	if text == "" {
		return told{}
	}
	at, err := parseTime(text)
	if err != nil {
		r.Fail("want a time as RFC 3339 writes it, with its zone: 2026-11-21T17:45:03Z")
		return told{}
	}
	return told{at: at, set: true}
}

// maxAhead is how far a client's clock may run ahead of ours.
const maxAhead = 5 * time.Minute

// or returns the time that was told, now if there was none. No mail is older than 1970, and Millis 0 is "not known".
func (t told) or(now event.Millis, field string) (event.Millis, *problem) {
	switch {
	case !t.set:
		return now, nil
	case t.at > now.Add(maxAhead):
		return 0, badTime(field, t.at.Time().Format(timeLayout)+" is more than 5 minutes ahead of "+now.Time().Format(timeLayout))
	case t.at <= 0:
		return 0, badTime(field, "is not after 1970-01-01T00:00:00Z")
	}
	return t.at, nil
}

// texts checks several fields; the first problem sticks.
type texts struct{ problem *problem }

func (c *texts) check(field, value string, most int) {
	if c.problem != nil {
		return
	}
	if wrong := checkText(value, most); wrong != "" {
		c.problem = badField(field, wrong)
	}
}
