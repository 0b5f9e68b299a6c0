package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/refine"

	"go.uber.org/zap"
)

func isPlace(err error) bool { return errors.Is(err, refine.ErrPlace) }

func parseMillis(text string) event.Millis {
	at, err := parseTime(text)
	if err != nil {
		return 0
	}
	return at
}

// exportPage is how many messages are listed at once; each is then read by itself.
const exportPage = 100

// exportLine is a line of an export: what it is, and that.
type exportLine struct {
	Type string `json:"type"`
	Data any    `json:"data"`
}

// getExport streams all that is kept of a contact: a line about him, one for each of his messages and enrollments, with
// their events, and a last one that says that nothing is missing.
func (s *Server) getExport(w http.ResponseWriter, r *http.Request) *problem {
	p, account, contact := contactParams(r)
	if p.problem != nil {
		return p.problem
	}
	select {
	case s.bulks <- struct{}{}:
		defer func() { <-s.bulks }()
	default:
		return unavailable("As many bulk requests run as may.")
	}
	page, err := s.contactPage(r.Context(), account, contact, "", exportPage, false)
	if err != nil {
		return s.contactProblem(err)
	}
	since, err := s.deniedSince(account, contact)
	if err != nil {
		return s.failure("read who is denied", err)
	}
	head := newContactAnswer(account, contact, &page)
	if head.Suppressed, err = s.suppressedNow(r, account, head.address(), event.FromTime(s.d.Clock())); err != nil {
		return s.failure("read who is suppressed", err)
	}
	w.Header().Set("Content-Type", linesType)
	e := &exporter{s: s, w: w, rc: http.NewResponseController(w)}
	e.line("contact", map[string]any{
		"account": account, "contact": contact, "recipient": head.Recipient, "denied": newDenial(account, contact, since),
		"suppressed": head.Suppressed, "erased_at": head.ErasedAt,
	})
	if err := e.all(r.Context(), account, contact, page); err != nil {
		s.log.Warn("an export ended early", zap.Error(err))
		panic(http.ErrAbortHandler) // the client must not take what it has for all
	}
	e.line("end", map[string]any{"messages": e.messages})
	return nil
}

// exporter writes an export.
type exporter struct {
	s        *Server
	w        http.ResponseWriter
	rc       *http.ResponseController
	messages int
	err      error
}

func (e *exporter) line(kind string, data any) {
	b, err := json.Marshal(exportLine{kind, data})
	if err != nil {
		panic("BUG: an export that JSON can't hold: " + err.Error())
	}
	_ = e.rc.SetWriteDeadline(time.Now().Add(e.s.o.StallTimeout))
	if _, err := e.w.Write(append(b, '\n')); err != nil && e.err == nil {
		e.err = err
	}
}

// all writes a contact's messages, of which page is the first.
func (e *exporter) all(ctx context.Context, account, contact string, page contactPage) error {
	for {
		for i := range page.Messages {
			m := &page.Messages[i]
			if m.Message == "" {
				e.line("enrollment", newMessageAnswer(m))
				continue
			}
			if err := e.message(ctx, account, m.Message); err != nil {
				return err
			}
		}
		switch {
		case e.err != nil:
			return e.err
		case e.s.stopping.Err() != nil:
			return e.s.stopping.Err()
		case !page.More:
			return nil
		}
		var err error
		if page, err = e.s.contactPage(ctx, account, contact, page.Places[len(page.Places)-1], exportPage, false); err != nil {
			return err
		}
	}
}

// message writes one, as GET /v1/messages/{message} answers it; nothing if it was erased meanwhile.
func (e *exporter) message(ctx context.Context, account, message string) error {
	c := e.s.d.Cluster
	if c == nil || c.OwnerOfMessage(message) == c.Self {
		if e.s.d.Messages == nil {
			return ErrNotReady
		}
		m, known, err := e.s.d.Messages.Message(account, message)
		if err != nil || !known {
			return err
		}
		e.messages++
		e.line("message", newMessageAnswer(&m))
		return nil
	}
	p, err := e.s.peers.at(c.OwnerOfMessage(message))
	if err != nil {
		return err
	}
	answer, err := p.get(ctx, "/v1/messages/"+url.PathEscape(message)+"?account="+url.QueryEscape(account), maxPeerAnswer)
	switch {
	case err != nil:
		return err
	case answer.status == http.StatusNotFound:
		return nil
	case answer.status != http.StatusOK || !answer.isJSON():
		return p.away("bad", "answered something else than a message")
	}
	e.messages++
	e.line("message", json.RawMessage(answer.body))
	return nil
}
