package api

import (
	"net/http"
	"strconv"

	"carom/pipeline/event"
	"carom/pipeline/suppress"
)

// auditEntry is an order with its decision.
type auditEntry struct {
	Order      string           `json:"order"`
	Made       string           `json:"made"` // when it was decided
	Actor      string           `json:"actor"`
	Op         string           `json:"op"`
	Account    string           `json:"account"`
	Address    string           `json:"address"`
	Time       string           `json:"time"` // of the order, which may tell any
	Reason     suppress.Reason  `json:"reason,omitempty"`
	Category   string           `json:"category,omitempty"`
	Note       string           `json:"note,omitempty"`
	Until      string           `json:"until,omitempty"`
	Confirmed  bool             `json:"confirmed,omitempty"`
	Wave       *auditWave       `json:"wave,omitempty"`
	OK         bool             `json:"ok"`
	Rule       string           `json:"rule,omitempty"`
	PossibleAt *possibleAt      `json:"possible_at,omitempty"`
	Detail     string           `json:"detail,omitempty"`
	Counts     map[string]int64 `json:"counts,omitempty"`
}

// auditWave is which bounces a revert or confirm was about.
type auditWave struct {
	Provider string `json:"provider"`
	Rule     string `json:"rule"`
	Category string `json:"category"`
	From     string `json:"from"`
	To       string `json:"to"`
	DryRun   bool   `json:"dry_run"`
}

func newAuditEntry(d *suppress.Decision) *auditEntry {
	o := &d.Order
	a := &auditEntry{
		Order: orderID(d.ID), Made: formatMillis(d.Made), Actor: o.Actor, Op: o.Op, Account: o.Account, Address: o.Address,
		Time: formatMillis(o.Time), Reason: o.Reason, Category: o.Category, Note: o.Note, Until: formatMillis(o.Until),
		Confirmed: o.Confirmed, OK: d.OK, Rule: d.Rule, Detail: d.Detail, Counts: d.Counts,
	}
	if !d.OK {
		a.PossibleAt = (*possibleAt)(&d.PossibleAt)
	}
	if f := o.Filter; f != nil {
		a.Wave = &auditWave{f.Provider, f.Rule, f.Category, formatMillis(f.From), formatMillis(f.To), f.DryRun}
	}
	return a
}

// getAudit answers who ordered what of suppress, and what became of it: a page, the newest first, or all as a stream.
func (s *Server) getAudit(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "address", "after", "limit")
	q := suppress.AuditQuery{Account: p.text("account", maxID), Address: p.text("address", maxAddress), After: p.text("after", maxCursor)}
	form := streamForm(r.Header.Get("Accept"))
	q.Limit = s.streamLimit(p, form, usualSuppressions)
	switch {
	case p.problem != nil:
		return p.problem
	case q.Account == "" && !ofAllAccounts(r):
		return forbidden("account: name one: this token is not for all.").at("account")
	case s.d.Suppressions == nil:
		return errNoSuppressions.problem
	case form != "":
		return streamList(s, w, r, form, auditColumns, q.After, q.Limit, func(after string, limit int) ([]*auditEntry, string, error) {
			q.After, q.Limit = after, limit
			return s.audit(q)
		})
	}
	page, next, err := s.audit(q)
	if err != nil {
		return s.listProblem("list decisions", err)
	}
	return s.writeJSON(w, struct {
		Audit []*auditEntry `json:"audit"`
		Next  string        `json:"next"`
	}{page, next})
}

// audit returns a page of decisions as they are told.
func (s *Server) audit(q suppress.AuditQuery) ([]*auditEntry, string, error) {
	page, next, err := s.d.Suppressions.Audit(q)
	if err != nil {
		return nil, "", err
	}
	told := make([]*auditEntry, len(page))
	for i := range page {
		told[i] = newAuditEntry(&page[i])
	}
	return told, next, nil
}

var auditColumns = []string{
	"order", "made", "actor", "op", "account", "address", "time", "reason", "category", "note", "until", "confirmed", "provider", "rule_of_wave",
	"category_of_wave", "from", "to", "dry_run", "ok", "rule", "possible_at", "detail",
}

func (a *auditEntry) cells() []string {
	wave, possible := &auditWave{}, ""
	if a.Wave != nil {
		wave = a.Wave
	}
	if a.PossibleAt != nil && *a.PossibleAt != 0 {
		possible = formatMillis(event.Millis(*a.PossibleAt))
	}
	return []string{
		a.Order, a.Made, a.Actor, a.Op, a.Account, a.Address, a.Time, string(a.Reason), a.Category, a.Note, a.Until,
		strconv.FormatBool(a.Confirmed), wave.Provider, wave.Rule, wave.Category, wave.From, wave.To, strconv.FormatBool(wave.DryRun),
		strconv.FormatBool(a.OK), a.Rule, possible, a.Detail,
	}
}
