package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// getEvents answers refined events: a page of them, or a live tail.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) *problem {
	if strings.Contains(r.Header.Get("Accept"), tailType) {
		return s.getTail(w, r)
	}
	p := readParams(r, append(filterParams(), "after", "limit")...)
	f := p.filter()
	after, limit := p.text("after", longestCursor(len(s.events))), p.limit(usualLimit, s.o.MaxLimit)
	if p.problem != nil {
		return p.problem
	}
	g := &pager{s: s, m: s.eventMerger(), doing: "read a page of events"}
	g.line = func(dst []byte, rec *log.Record, after func() cursor) ([]byte, bool, error) {
		if !f.matchKey(rec.Key) {
			return dst, false, nil
		}
		if f.selective() {
			var e event.Refined
			if err := e.DecodeJSON(rec.Value); err != nil {
				return dst, false, fmt.Errorf("record %d: %w", rec.Offset, err)
			}
			if !f.match(&e) {
				return dst, false, nil
			}
		}
		dst, err := appendWithCursor(dst, rec, after())
		return append(dst, '\n'), true, err
	}
	return g.answer(w, r, after, limit)
}

func (s *Server) eventMerger() *merger {
	m := newMerger(logEvents, s.events)
	m.clustered = s.d.Cluster != nil
	return m
}

// appendWithCursor appends the JSON object with the member "cursor" put in before its end.
func appendWithCursor(dst []byte, r *log.Record, c cursor) ([]byte, error) {
	object := r.Value
	if len(object) < 2 || object[len(object)-1] != '}' {
		return dst, fmt.Errorf("record %d: no JSON object", r.Offset)
	}
	dst = append(dst, object[:len(object)-1]...)
	dst = append(dst, `,"cursor":"`...)
	dst = c.append(dst)
	return append(dst, '"', '}'), nil
}

// filter selects events. The zero value selects all.
type filter struct {
	kinds                    event.Kinds    // empty: all
	verdicts                 event.Verdicts // empty: all
	account, sender, message string

	key string // of the account's records, or how the keys of all of its senders begin
}

// filterParams are the parameters that select events.
func filterParams() []string { return []string{"kind", "verdict", "account", "sender", "message"} }

// filter reads the parameters that select events.
func (p *params) filter() filter {
	f := filter{
		account: p.text("account", maxID), sender: p.text("sender", maxID),
		message: event.CleanMessageID(p.text("message", maxMessage)),
	}
	if f.account != "" {
		f.key = string(event.AppendSenderKey(nil, f.account, f.sender))
	}
	p.list("kind", event.KindNames(), func(name string) {
		k, _ := event.ParseKind(name)
		f.kinds = f.kinds.With(k)
	})
	p.list("verdict", event.VerdictNames(), func(name string) {
		v, _ := event.ChooseVerdict(name)
		f.verdicts = f.verdicts.With(v)
	})
	return f
}

// list calls add with each of the names of a parameter, which are among those that are known.
func (p *params) list(parameter string, known []string, add func(name string)) {
	text := p.values.Get(parameter)
	if text == "" {
		return
	}
	for name := range strings.SplitSeq(text, ",") {
		if !slices.Contains(known, name) {
			p.fail(parameter, "want one of, or several with commas between: "+strings.Join(known, " "))
			return
		}
		add(name)
	}
}

func (f *filter) selective() bool { return *f != filter{} }

// matchKey is what can be said by the key of a record, before it is decoded.
func (f *filter) matchKey(key []byte) bool {
	return len(key) >= len(f.key) && string(key[:len(f.key)]) == f.key && (f.sender == "" || f.key == "" || len(key) == len(f.key))
}

func (f *filter) match(e *event.Refined) bool {
	return (f.kinds == 0 || f.kinds.Has(e.Kind)) &&
		(f.verdicts == 0 || f.verdicts.Has(e.Actor.Verdict)) &&
		(f.account == "" || f.account == e.Account) &&
		(f.sender == "" || f.sender == e.Sender) &&
		(f.message == "" || f.message == e.Message)
}

// getJournal answers the raw events that this node heard, ticks left out.
func (s *Server) getJournal(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "after", "limit")
	after, limit := p.text("after", maxCursor), p.limit(usualLimit, s.o.MaxLimit)
	if p.problem != nil {
		return p.problem
	}
	if s.d.Journal == nil {
		return s.failure("read the journal", ErrNotReady)
	}
	g := &pager{s: s, m: newMerger(logJournal, []log.Reader{s.d.Journal}), doing: "read a page of the journal"}
	var e event.Event
	g.line = func(dst []byte, rec *log.Record, _ func() cursor) ([]byte, bool, error) {
		if err := e.DecodeBinary(rec.Value); err != nil {
			return dst, false, fmt.Errorf("record %d: %w", rec.Offset, err)
		}
		if e.Kind == event.Tick {
			return dst, false, nil
		}
		return append(e.AppendJSON(dst, rec.Offset, rec.Time, rec.Source), '\n'), true, nil
	}
	return g.answer(w, r, after, limit)
}
