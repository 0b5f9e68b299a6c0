package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"carom/pipeline/event"
	"carom/pipeline/suppress"
)

// Suppressions knows who must not be mailed: suppress.Book.
type Suppressions interface {
	Check(account, address string, at event.Millis, transactional bool) (s suppress.Stop, suppressed bool, err error)
	Get(account, address string, at event.Millis) ([]suppress.Suppression, error)
	List(q suppress.Query) (page []suppress.Suppression, next string, err error)
	// Decision waits until the decision on an order is known; Decided does not wait.
	Decision(ctx context.Context, id [16]byte) (suppress.Decision, error)
	Decided(id [16]byte) (d suppress.Decision, ok bool, err error)
	Audit(q suppress.AuditQuery) (page []suppress.Decision, next string, err error)
	// Digest stands for what an order asks for, under a key.
	Digest(asked []byte) [8]byte
}

// errNoSuppressions is the answer of a node that keeps none.
var errNoSuppressions = &problemError{notReadyHere("It can't tell who is suppressed")}

// suppression is what is told of an address in an account, or in all.
type suppression struct {
	Account  string         `json:"account"`
	Address  string         `json:"address"`
	Original string         `json:"original"`
	Scope    suppress.Scope `json:"scope"`
	cause
	Others []cause `json:"others,omitempty"`
}

// cause is one reason for which an address is or was suppressed.
type cause struct {
	Reason          suppress.Reason `json:"reason"`
	Category        string          `json:"category"`
	Rule            string          `json:"rule"`
	MailboxProvider string          `json:"mailbox_provider"`
	Note            string          `json:"note"`
	Since           string          `json:"since"`
	Until           *string         `json:"until"` // null: without end
	Active          bool            `json:"active"`
	Quarantined     bool            `json:"quarantined"`
	Evidence        *evidence       `json:"evidence"`
	EndedAt         string          `json:"ended_at,omitempty"`
	EndedBy         string          `json:"ended_by,omitempty"`
	ReactivatedAt   string          `json:"reactivated_at,omitempty"`
}

// evidence is the event that suppressed.
type evidence struct {
	Event      string `json:"event"`
	Kind       string `json:"kind"`
	Time       string `json:"time"`
	Message    string `json:"message"`
	Status     string `json:"status,omitempty"`
	Diagnostic string `json:"diagnostic,omitempty"`
}

func newSuppression(s *suppress.Suppression) *suppression {
	a := &suppression{Account: s.Account, Address: s.Address, Original: s.Original, Scope: s.Scope, cause: newCause(&s.Cause)}
	for i := range s.Others {
		a.Others = append(a.Others, newCause(&s.Others[i]))
	}
	return a
}

// suppressionFor is newSuppression for who asks. Of a global suppression only those of all accounts learn what shows whose mail
// bounced, and what was noted.
func suppressionFor(r *http.Request, s *suppress.Suppression) *suppression {
	a := newSuppression(s)
	if s.Scope != suppress.ScopeGlobal || ofAllAccounts(r) {
		return a
	}
	a.Original, a.Note, a.Evidence = "", "", nil
	for i := range a.Others {
		a.Others[i].Note, a.Others[i].Evidence = "", nil
	}
	return a
}

func newCause(c *suppress.Cause) cause {
	a := cause{
		Reason: c.Reason, Category: c.Category, Rule: c.Rule, MailboxProvider: c.MailboxProvider, Note: c.Note,
		Since: formatMillis(c.Since), Active: c.Active, Quarantined: c.Quarantined,
		EndedAt: formatMillis(c.Ended), EndedBy: c.EndedBy, ReactivatedAt: formatMillis(c.Reactivated),
	}
	if c.Until != 0 {
		until := formatMillis(c.Until)
		a.Until = &until
	}
	if e := c.Evidence; e != nil {
		a.Evidence = &evidence{
			Event: e.Event.String(), Kind: e.Kind, Time: formatMillis(e.Time), Message: e.Message, Status: e.Status, Diagnostic: e.Diagnostic,
		}
	}
	return a
}

// appendWhy appends why an address is suppressed, in short, as a JSON object.
func appendWhy(dst []byte, c *suppress.Stop) []byte {
	dst = append(dst, `{"scope":"`...)
	dst = append(dst, c.Scope...)
	dst = append(dst, `","reason":"`...)
	dst = append(dst, c.Reason...)
	dst = append(dst, `","category":`...)
	dst = appendText(dst, c.Category)
	dst = append(dst, `,"since":"`...)
	dst = c.Since.AppendRFC3339(dst)
	dst = append(dst, `","until":`...)
	if c.Until == 0 {
		return append(dst, `null}`...)
	}
	dst = append(dst, '"')
	dst = c.Until.AppendRFC3339(dst)
	return append(dst, `"}`...)
}

// appendText appends s as a JSON string.
func appendText(dst []byte, s string) []byte { return event.AppendJSONString(dst, s) }

// stops returns why mail to an address must not go out at a time; ok is false if it may.
func (s *Server) stops(account, address string, at event.Millis, transactional bool) (why suppress.Stop, ok bool, err error) {
	if s.d.Suppressions == nil || address == "" {
		return why, false, nil
	}
	return s.d.Suppressions.Check(account, address, at, transactional)
}

// suppressionOf returns what is known of an address as of a time: the one that stops mail, or what was before. It prefers the
// account's own to the global one; scope chooses, if it is not empty.
func (s *Server) suppressionOf(account, address string, scope suppress.Scope, at event.Millis) (found suppress.Suppression, known bool, err error) {
	if s.d.Suppressions == nil {
		return found, false, errNoSuppressions
	}
	all, err := s.d.Suppressions.Get(account, address, at)
	if err != nil {
		return found, false, err
	}
	for i := range all {
		if scope != "" && all[i].Scope != scope {
			continue
		}
		if !known || all[i].Active && !found.Active {
			found, known = all[i], true
		}
	}
	return found, known, nil
}

// suppressedNow returns the suppression of a contact's address as JSON: null if it may be mailed.
func (s *Server) suppressedNow(r *http.Request, account, address string, at event.Millis) (json.RawMessage, error) {
	null := json.RawMessage("null")
	why, stopped, err := s.stops(account, address, at, false)
	if err != nil || !stopped {
		return null, err
	}
	found, known, err := s.suppressionOf(account, address, why.Scope, at)
	if err != nil || !known {
		return null, err
	}
	return json.Marshal(suppressionFor(r, &found))
}

// addressParam returns the address that a path names.
func (p *params) addressParam(r *http.Request) string {
	address := p.pathText(r, "address", maxAddress)
	if wrong := checkAddress(address); wrong != "" {
		p.fail("address", wrong)
	}
	return address
}

// checkAddress returns why an address can't be suppressed; nothing if it can. What mail is sent to is taken, whether or not
// it is well-formed in all points: whoever could register it must be able to stop it.
func checkAddress(address string) string {
	if wrong := checkText(address, maxAddress); wrong != "" {
		return wrong
	}
	if isHashedAddress(address) {
		return ""
	}
	at := strings.LastIndexByte(address, '@')
	quoted := at > 1 && address[0] == '"' && address[at-1] == '"' // RFC 5321 §4.1.2
	if at <= 0 || at == len(address)-1 || strings.ContainsAny(address, " \t,;<>") && !quoted {
		return "want an address such as bob@example.com, and nothing else"
	}
	return ""
}

// isHashedAddress reports whether an address is a keyed hash, as it is told where no address is kept.
func isHashedAddress(address string) bool {
	const size = 1 + 43 // '#' and 32 bytes in base64url
	_, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(address, "#"))
	return len(address) == size && address[0] == '#' && err == nil
}

// scope returns which suppressions are meant; empty if that was not said.
func (p *params) scope() suppress.Scope {
	switch v := suppress.Scope(p.text("scope", maxID)); v {
	case "", suppress.ScopeAccount, suppress.ScopeGlobal:
		return v
	}
	p.fail("scope", "want account or global")
	return ""
}

// word returns a parameter that is one of a list; empty if it is not there.
func (p *params) word(name string, words ...string) string {
	v := p.text(name, maxID)
	if v == "" {
		return ""
	}
	for _, word := range words {
		if v == word {
			return v
		}
	}
	p.fail(name, quote(v)+" is none of "+strings.Join(words, " "))
	return ""
}

func reasonNames() (names []string) {
	for _, r := range suppress.Reasons() {
		names = append(names, string(r))
	}
	return names
}
