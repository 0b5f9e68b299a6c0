package api

import (
	"fmt"
	"net/http"
	"strings"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// getEvents answers refined events: a page of them, or a live tail.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) *problem {
	if strings.Contains(r.Header.Get("Accept"), tailType) {
		return s.getTail(w, r)
	}
	p := readParams(r, "after", "limit", "kind", "account", "sender", "message")
	f := p.filter()
	after, limit := p.text("after", maxCursor), p.limit(usualLimit, s.o.MaxLimit)
	if p.problem != nil {
		return p.problem
	}
	g := s.eventPager()
	g.line = func(dst []byte, rec *log.Record) ([]byte, bool, error) {
		if f.selective() {
			var e event.Refined
			if err := e.DecodeJSON(rec.Value); err != nil {
				return dst, false, fmt.Errorf("record %d: %w", rec.Offset, err)
			}
			if !f.match(&e) {
				return dst, false, nil
			}
		}
		dst, err := appendWithCursor(dst, rec.Value, g.cursor(rec.Offset+1))
		return append(dst, '\n'), true, err
	}
	return g.answer(w, r, after, limit)
}

func (s *Server) eventPager() *pager { return &pager{s: s, name: logEvents, reader: s.d.Events[0]} }

// appendWithCursor appends the JSON object with the member "cursor" put in before its end.
func appendWithCursor(dst, object []byte, c cursor) ([]byte, error) {
	if len(object) < 2 || object[len(object)-1] != '}' {
		return dst, fmt.Errorf("record %d: no JSON object", c.offset-1)
	}
	dst = append(dst, object[:len(object)-1]...)
	dst = append(dst, `,"cursor":"`...)
	dst = c.append(dst)
	return append(dst, '"', '}'), nil
}

// filter selects events. The zero value selects all.
type filter struct {
	kinds                    uint32 // bit k selects Kind k; 0 selects all
	account, sender, message string
}

// filter reads the parameters that select events.
func (p *params) filter() filter {
	f := filter{
		account: p.text("account", maxID), sender: p.text("sender", maxID),
		message: event.CleanMessageID(p.text("message", maxMessage)),
	}
	if kinds := p.values.Get("kind"); kinds != "" {
		for name := range strings.SplitSeq(kinds, ",") {
			k, ok := event.ParseKind(name)
			if !ok {
				p.fail("kind", "want one of, or several with commas between: "+strings.Join(kindNames(), " "))
				break
			}
			f.kinds |= 1 << k
		}
	}
	return f
}

func kindNames() (names []string) {
	for k := event.Sent; k.String() != ""; k++ {
		names = append(names, k.String())
	}
	return names
}

func (f *filter) selective() bool { return *f != filter{} }

func (f *filter) match(e *event.Refined) bool {
	return (f.kinds == 0 || f.kinds&(1<<e.Kind) != 0) &&
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
	g := &pager{s: s, name: logJournal, reader: s.d.Journal}
	var e event.Event
	g.line = func(dst []byte, rec *log.Record) ([]byte, bool, error) {
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
