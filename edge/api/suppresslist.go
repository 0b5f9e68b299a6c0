package api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"carom/pipeline/event"
	"carom/pipeline/refine"
	"carom/pipeline/suppress"
)

// maxDomain is that of a domain, RFC 1035 §2.3.4.
const maxDomain = 255

const usualSuppressions = 100

// getSuppressions answers a page of an account's suppressions, or of the global ones; or it streams all of them.
func (s *Server) getSuppressions(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "scope", "reason", "category", "domain", "active", "from", "to", "as_of", "after", "limit")
	q := suppress.Query{
		Account: p.account(), Reason: suppress.Reason(p.word("reason", reasonNames()...)), Category: p.category(),
		Domain: domainOf(p.text("domain", maxDomain)), Active: p.flag("active"), From: p.time("from"), To: p.time("to"),
		At: p.asOf(s.d.Clock()), After: p.text("after", maxCursor),
	}
	if p.scope() == suppress.ScopeGlobal {
		q.Account = ""
	}
	form := streamForm(r.Header.Get("Accept"))
	q.Limit = s.streamLimit(p, form, usualSuppressions)
	if p.problem == nil && q.To != 0 && q.To <= q.From {
		p.fail("to", "is not after from")
	}
	switch {
	case p.problem != nil:
		return p.problem
	case q.Account == "" && !ofAllAccounts(r):
		return forbidden("scope: global suppressions are of all accounts, and this token is not.").at("scope")
	case s.d.Suppressions == nil:
		return errNoSuppressions.problem
	case form != "":
		return streamList(s, w, r, form, suppressionColumns, q.After, q.Limit, func(after string, limit int) ([]*suppression, string, error) {
			q.After, q.Limit = after, limit
			return s.suppressions(q)
		})
	}
	page, next, err := s.suppressions(q)
	if err != nil {
		return s.listProblem("list suppressions", err)
	}
	return s.writeJSON(w, struct {
		Suppressions []*suppression `json:"suppressions"`
		Next         string         `json:"next"`
	}{page, next})
}

// suppressions returns a page of suppressions as they are told.
func (s *Server) suppressions(q suppress.Query) ([]*suppression, string, error) {
	page, next, err := s.d.Suppressions.List(q)
	if err != nil {
		return nil, "", err
	}
	told := make([]*suppression, len(page))
	for i := range page {
		told[i] = newSuppression(&page[i])
	}
	return told, next, nil
}

// listProblem is the answer to a list that failed.
func (s *Server) listProblem(doing string, err error) *problem {
	switch {
	case errors.Is(err, suppress.ErrCursor), errors.Is(err, refine.ErrPlace):
		return badParameter("after", "is no cursor of this list")
	case errors.Is(err, refine.ErrCrowded):
		return badParameter("contact", "has more messages than are listed: leave it out, and name his sender and a window")
	}
	return s.failure(doing, err)
}

// getSuppression answers what is known of one address.
func (s *Server) getSuppression(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "scope", "as_of")
	account, scope, at := p.account(), p.scope(), p.asOf(s.d.Clock())
	address := p.addressParam(r)
	if p.problem != nil {
		return p.problem
	}
	found, known, err := s.suppressionOf(account, address, scope, at)
	switch {
	case err != nil:
		return s.failure("read a suppression", err)
	case !known:
		return notSuppressed(account, address)
	}
	return s.writeJSON(w, suppressionFor(r, &found))
}

func notSuppressed(account, address string) *problem {
	return newProblem(http.StatusNotFound, "not-found", "The address is not suppressed",
		"Nothing is known of a suppression of "+quote(address)+" in the account "+quote(account)+" that could be shown or ended.")
}

// category returns a parameter that is a category of bounces; empty if it is not there.
func (p *params) category() string {
	v := p.text("category", maxID)
	if v != "" && !categories[v] {
		p.fail("category", quote(v)+" is no category")
		return ""
	}
	return v
}

// flag returns a parameter that is true or false; nil if it is not there.
func (p *params) flag(name string) *bool {
	v := p.values.Get(name)
	if v == "" {
		return nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil || v != "true" && v != "false" {
		p.fail(name, "want true or false")
		return nil
	}
	return &b
}

// domainOf returns a domain in the form in which addresses are compared.
func domainOf(domain string) string {
	if domain == "" {
		return ""
	}
	return strings.TrimPrefix(event.NormalAddress("@"+strings.TrimPrefix(domain, "@")), "@")
}

// suppressionColumns are those of suppressions as CSV. Diagnostics stay out: they are text of strangers, and JSON lines have
// them.
var suppressionColumns = []string{
	"account", "address", "original", "scope", "reason", "category", "rule", "mailbox_provider", "note", "since", "until", "active",
	"quarantined", "ended_at", "ended_by", "reactivated_at", "evidence_event", "evidence_kind", "evidence_time", "evidence_message", "evidence_status",
}

func (a *suppression) cells() []string {
	until, e := "", &evidence{}
	if a.Until != nil {
		until = *a.Until
	}
	if a.Evidence != nil {
		e = a.Evidence
	}
	return []string{
		a.Account, a.Address, a.Original, string(a.Scope), string(a.Reason), a.Category, a.Rule, a.MailboxProvider, a.Note, a.Since, until,
		strconv.FormatBool(a.Active), strconv.FormatBool(a.Quarantined), a.EndedAt, a.EndedBy, a.ReactivatedAt,
		e.Event, e.Kind, e.Time, e.Message, e.Status,
	}
}
