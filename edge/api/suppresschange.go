package api

import (
	"net/http"

	"carom/pipeline/event"
	"carom/pipeline/suppress"
)

// putSuppression suppresses an address by hand, or as another system knew it.
func (s *Server) putSuppression(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r)
	body := orderBody{allowed: putMembers, address: p.addressParam(r)}
	return s.order(w, r, p, suppress.OpAdd, &body)
}

// deleteSuppression ends an account's suppression, whatever its reason.
func (s *Server) deleteSuppression(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "note", "time")
	body := orderBody{address: p.addressParam(r), account: p.account(), note: p.text("note", maxNote)}
	if at := p.time("time"); at != 0 {
		body.time = told{at: at, set: true}
	}
	return s.order(w, r, p, suppress.OpRemove, &body)
}

// postReactivate ends a suppression by bounces, if the rules allow it.
func (s *Server) postReactivate(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r)
	body := orderBody{allowed: reactivateMembers, address: p.addressParam(r)}
	return s.order(w, r, p, suppress.OpReactivate, &body)
}

// postLift ends a global suppression.
func (s *Server) postLift(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r)
	body := orderBody{allowed: liftMembers, address: p.addressParam(r)}
	return s.order(w, r, p, suppress.OpLift, &body)
}

// order reads the rest of an order, has it decided and answers with how the address stands then. An order that is nothing
// but its address and its query has no body.
func (s *Server) order(w http.ResponseWriter, r *http.Request, p *params, op string, body *orderBody) *problem {
	d, failed := s.takeOrder(w, r, p, op, body)
	switch {
	case failed != nil:
		return failed
	case d.OK && d.Suppression == nil:
		return s.fail("answer an order", errNoSuppression)
	case d.OK:
		return s.writeJSON(w, suppressionFor(r, d.Suppression))
	case d.Rule == suppress.RuleNotSuppressed && op == suppress.OpRemove:
		p := notSuppressed(d.Order.Account, body.address)
		p.Rule = d.Rule
		return p
	}
	return refusal(d)
}

// takeOrder reads an order and has it decided.
func (s *Server) takeOrder(w http.ResponseWriter, r *http.Request, p *params, op string, body *orderBody) (*suppress.Decision, *problem) {
	if p.problem != nil {
		return nil, p.problem
	}
	key, bad := idempotencyKey(r.Header)
	if bad != nil {
		return nil, bad
	}
	if body.allowed != "" {
		if bad := s.readOrder(w, r, body, op == suppress.OpLift); bad != nil {
			return nil, bad
		}
	}
	o, bad := body.order(op, event.FromTime(s.d.Clock()))
	if bad == nil {
		bad = mayOrder(r, o)
	}
	switch {
	case bad != nil:
		s.metrics.fact(r.Pattern, factBad, 1)
		return nil, bad
	case s.d.Suppressions == nil:
		return nil, errNoSuppressions.problem
	}
	o.Digest = s.digest(body, o, key)
	return s.decide(r, o, key)
}

// readOrder reads the body; optional: there may be none.
func (s *Server) readOrder(w http.ResponseWriter, r *http.Request, body *orderBody, optional bool) *problem {
	bulk, p := bodyType(r.Header)
	switch {
	case p != nil:
		return p
	case bulk:
		return mediaProblem("Content-Type: this path takes one object: want application/json.")
	}
	text, p := s.readBody(w, r)
	if p == nil && (len(text) > 0 || !optional) {
		p = readObject(string(text), body.readMember)
	}
	if p != nil {
		s.metrics.fact(r.Pattern, factBad, 1)
	}
	return p
}

// mayOrder is why who asks may not order this: it is of an account, or of all, that is none of his.
func mayOrder(r *http.Request, o *suppress.Order) *problem {
	wave := o.Op == suppress.OpRevert || o.Op == suppress.OpConfirm
	switch {
	case o.Account != "":
		return accountProblem(r, "account", o.Account)
	case !ofAllAccounts(r) && wave:
		return forbidden("account: name one: this token is not for all.").at("account")
	case !ofAllAccounts(r) || !wave && !isAdmin(r):
		return forbidden("scope: global suppressions are for tokens of all accounts with the scope admin.").at("scope")
	}
	return nil
}

// waveAnswer is what became of a revert or confirm.
type waveAnswer struct {
	Order   string           `json:"order"`
	DryRun  bool             `json:"dry_run"`
	Account string           `json:"account,omitempty"`
	Counts  map[string]int64 `json:"counts"`
	Detail  string           `json:"detail,omitempty"`
}

// postRevert undoes what a wave of bounces did, and postConfirm applies one that waits in quarantine.
func (s *Server) postRevert(w http.ResponseWriter, r *http.Request) *problem {
	return s.wave(w, r, suppress.OpRevert)
}

func (s *Server) postConfirm(w http.ResponseWriter, r *http.Request) *problem {
	return s.wave(w, r, suppress.OpConfirm)
}

func (s *Server) wave(w http.ResponseWriter, r *http.Request, op string) *problem {
	body := orderBody{allowed: waveMembers}
	d, failed := s.takeOrder(w, r, readParams(r), op, &body)
	switch {
	case failed != nil:
		return failed
	case !d.OK:
		return refusal(d)
	}
	answer := waveAnswer{Order: orderID(d.ID), Account: d.Order.Account, Counts: d.Counts, Detail: d.Detail}
	if d.Order.Filter != nil {
		answer.DryRun = d.Order.Filter.DryRun
	}
	if answer.Counts == nil {
		answer.Counts = map[string]int64{}
	}
	return s.writeJSON(w, answer)
}
