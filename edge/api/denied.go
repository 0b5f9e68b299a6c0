package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"carom/edge/ref"
	"carom/pipeline/control"
	"carom/pipeline/event"
)

// denial is what is said of a contact: whether his opens and clicks are recorded.
type denial struct {
	Account string `json:"account"`
	Contact string `json:"contact"`
	Denied  bool   `json:"denied"`
	Since   string `json:"since,omitempty"`
}

func newDenial(account, contact string, since event.Millis) denial {
	d := denial{Account: account, Contact: contact, Denied: since != 0}
	if d.Denied {
		d.Since = since.Time().Format(timeLayout)
	}
	return d
}

// contactParams reads what paths below a contact have in common.
func contactParams(r *http.Request, known ...string) (p *params, account, contact string) {
	p = readParams(r, append(known, "account")...)
	account, contact = p.account(), p.pathText(r, "contact", maxContact)
	return p, account, contact
}

// maxContact is that of contact ids, which may be addresses.
const maxContact = maxID

var errNoControls = &problemError{notReadyHere("It can't tell who is denied")}

// getDenied answers whether a contact is denied.
func (s *Server) getDenied(w http.ResponseWriter, r *http.Request) *problem {
	p, account, contact := contactParams(r, "as_of")
	p.asOf(s.d.Clock())
	if p.problem != nil {
		return p.problem
	}
	since, err := s.deniedSince(account, contact)
	if err != nil {
		return s.failure("read who is denied", err)
	}
	return s.writeJSON(w, newDenial(account, contact, since))
}

// deniedSince returns since when a contact is denied, by his id or by his key; 0 if he is not.
func (s *Server) deniedSince(account, contact string) (event.Millis, error) {
	if s.d.Controls == nil {
		return 0, errNoControls
	}
	for _, e := range denials(account, contact) {
		got, ok, err := s.d.Controls.Get(e.Kind, e.Account, e.Name)
		if err != nil || ok {
			return max(got.Since, 1), err
		}
	}
	return 0, nil
}

// denials are both ways in which a contact may be denied.
func denials(account, contact string) []control.Control {
	return []control.Control{
		{Kind: control.Denied, Account: account, Name: contact},
		{Kind: control.DeniedKey, Account: account, Name: event.ContactKeyOf(account, contact).String()},
	}
}

// putDenied denies a contact: his opens and clicks are answered and not recorded.
func (s *Server) putDenied(w http.ResponseWriter, r *http.Request) *problem {
	return s.changeDenied(w, r, true)
}

// deleteDenied takes that back.
func (s *Server) deleteDenied(w http.ResponseWriter, r *http.Request) *problem {
	return s.changeDenied(w, r, false)
}

func (s *Server) changeDenied(w http.ResponseWriter, r *http.Request, denied bool) *problem {
	p, account, contact := contactParams(r)
	if p.problem != nil {
		return p.problem
	}
	if contact == "" {
		return missingField("contact", "want the platform's id of a recipient")
	}
	e := event.Event{Time: event.FromTime(s.d.Clock()), Ref: event.Ref{Account: account, Contact: contact}}
	if denied {
		e.Flags = deniedFlag
	}
	if err := s.deny(&e); err != nil {
		return s.notTaken(err)
	}
	since, err := s.deniedSince(account, contact)
	if err != nil {
		return s.failure("read who is denied", err)
	}
	if denied && since == 0 { // durable, and still on its way back
		since = e.Time
	} else if !denied {
		since = 0
	}
	return s.writeJSON(w, newDenial(account, contact, since))
}

// deniedFlag marks the lines of a bulk that deny, as against those that allow again. Lines travel as events, whose bulk
// this is; no such event is journaled.
const deniedFlag = event.Untracked

// readDenial reads a line of POST /v1/denied.
func readDenial(text string, now event.Millis, e *event.Event, dst []byte) ([]byte, *problem) {
	account, contact, denied := "", "", true
	if p := readObject(text, func(r *event.JSONReader, name string) bool {
		switch name {
		case "account":
			account = r.String()
		case "contact":
			contact = r.String()
		case "denied":
			denied = r.Bool()
		default:
			return false
		}
		return true
	}); p != nil {
		return dst, p
	}
	if account == "" {
		account = ref.DefaultAccount
	}
	if contact == "" {
		return dst, missingField("contact", "want the platform's id of a recipient")
	}
	var c texts
	c.check("account", account, maxID)
	c.check("contact", contact, maxContact)
	if c.problem != nil {
		return dst, c.problem
	}
	*e = event.Event{Time: now, Ref: event.Ref{Account: account, Contact: contact}}
	since := event.Millis(0)
	if denied {
		e.Flags, since = deniedFlag, now
	}
	answer, err := json.Marshal(newDenial(account, contact, since))
	if err != nil {
		panic("BUG: a denial that JSON can't hold: " + err.Error())
	}
	return append(dst, answer...), nil
}

// deny puts lines into the log of controls, in order.
func (s *Server) deny(lines ...*event.Event) error {
	if s.d.Controls == nil {
		return errNoControls
	}
	for len(lines) > 0 {
		n, deny := 0, lines[0].Flags.Has(deniedFlag)
		var entries []control.Control
		for n < len(lines) && n < denyAtOnce && lines[n].Flags.Has(deniedFlag) == deny {
			both := denials(lines[n].Account, lines[n].Contact)
			if deny {
				both = both[:1]
				both[0].Since = lines[n].Time
			}
			entries = append(entries, both...)
			n++
		}
		lines = lines[n:]
		change := s.d.Controls.Remove
		if deny {
			change = s.d.Controls.Set
		}
		if err := change(s.stopping, entries...); err != nil {
			return err
		}
	}
	return nil
}

// denyAtOnce bounds the lines of one write, each of which may be two entries.
const denyAtOnce = 512

// controlProblem is the answer to a change of controls that failed; nil if err is about something else.
func controlProblem(err error) *problem {
	var told *problemError
	switch {
	case errors.As(err, &told):
		return told.problem
	case errors.Is(err, control.ErrFull):
		return newProblem(http.StatusConflict, "full", "There is no room for more", err.Error())
	case errors.Is(err, control.ErrUnavailable), errors.Is(err, context.Canceled):
		return unavailable("It could not be made durable, and may hold nevertheless. Send it again.")
	}
	return nil
}

// listDenied answers a page of an account's denied contacts, in the order of their ids. Those who were erased are not
// among them: their ids are not kept.
func (s *Server) listDenied(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "after", "limit", "as_of")
	account, after := p.account(), p.text("after", maxContact)
	limit := p.limit(usualDenied, s.o.MaxLimit)
	p.asOf(s.d.Clock())
	switch {
	case p.problem != nil:
		return p.problem
	case s.d.Controls == nil:
		return errNoControls.problem
	}
	page, next, err := s.d.Controls.List(control.Denied, account, after, limit)
	if err != nil {
		return s.failure("list who is denied", err)
	}
	answer := struct {
		Denied []denial `json:"denied"`
		Next   string   `json:"next"`
	}{Denied: []denial{}, Next: next}
	for i := range page {
		answer.Denied = append(answer.Denied, newDenial(page[i].Account, page[i].Name, max(page[i].Since, 1)))
	}
	return s.writeJSON(w, answer)
}

const usualDenied = 100
