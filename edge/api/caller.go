package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"carom/edge/ref"
)

// Who asks without one of the tokens of api.tokens_file.
const (
	// nameConfigured shows api.token.
	nameConfigured = "api.token"
	// nameLocal is a program of this host, where no token is set.
	nameLocal = "local"
)

// caller is who asks: a token, as long as the settings know it.
type caller struct {
	name     string
	scopes   uint8           // bit s is Scope s
	accounts map[string]bool // nil: all
	requests *limiter        // nil: as many as it likes
	lines    *limiter        // of bulks; nil: likewise
	tails    chan struct{}   // one per open tail; nil: as many as there may be
}

func newCaller(t *Token) *caller {
	c := &caller{name: t.Name}
	for _, name := range t.Scopes {
		sc, _ := parseScope(name)
		c.scopes |= 1 << sc
	}
	if slices.Contains(t.Accounts, AllAccounts) {
		return c
	}
	c.accounts = make(map[string]bool, len(t.Accounts))
	for _, a := range t.Accounts {
		c.accounts[a] = true
	}
	return c
}

// operator may do all.
func operator(name string) *caller { return &caller{name: name, scopes: 1 << ScopeAdmin} }

func (c *caller) may(sc Scope) bool { return c.scopes&(1<<sc|1<<ScopeAdmin) != 0 }

type callerKey struct{}

// attach returns r with the caller in its context, from where callerOf has it.
func (c *caller) attach(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
}

// callerOf returns who asks. Paths that are open have nobody: nil.
func callerOf(r *http.Request) *caller {
	c, _ := r.Context().Value(callerKey{}).(*caller)
	return c
}

// actorOf names who asks, for audit logs: the token's name, "api.token" for that of the settings, "local" where none is
// needed.
func actorOf(r *http.Request) string {
	if c := callerOf(r); c != nil {
		return c.name
	}
	return ""
}

// accountProblem is why who asks may not ask about an account, which stands in field; nil if he may. Handlers of
// endpoints whose account is in a body must ask.
func accountProblem(r *http.Request, field, account string) *problem {
	return callerOf(r).account(field, account)
}

// account is accountProblem.
func (c *caller) account(field, account string) *problem {
	if c == nil || c.accounts == nil || c.accounts[account] {
		return nil
	}
	return forbidden(field + ": the token " + quote(c.name) + " is not for the account " + quote(account) + ".").at(field)
}

// admit says why a caller may not have an endpoint do what r asks for.
func (s *Server) admit(c *caller, e *endpoint, r *http.Request) *problem {
	peer := r.Header.Get(headerPeer) != ""
	if !c.may(e.scope) {
		return c.lacks(e.scope)
	}
	if peer && (!c.may(ScopeAdmin) || c.accounts != nil) {
		return forbidden(headerPeer + ": is sent by nodes, which ask each other with api.token.").at(headerPeer)
	}
	if !peer && c.requests != nil { // nodes ask for all of their clients
		if wait := c.requests.take(1); wait > 0 {
			s.metrics.limited.WithLabelValues("requests").Inc()
			return tooMany("requests", wait)
		}
	}
	if c.accounts == nil {
		return nil
	}
	return c.admitAccount(e.accounts, r)
}

func (c *caller) lacks(sc Scope) *problem {
	p := forbidden(fmt.Sprintf("Authorization: the token %s has not the scope %s.", quote(c.name), sc)).at("Authorization")
	p.scope = sc
	return p
}

// admitAccount checks the account that the query names, or means.
func (c *caller) admitAccount(place accountPlace, r *http.Request) *problem {
	given := r.URL.Query()["account"]
	switch place {
	case inBody:
		if len(given) == 0 {
			return nil
		}
	case ofAll:
		return forbidden("This is of all accounts, and the token " + quote(c.name) + " is not for all.").at("Authorization")
	case inFilter:
		if strings.Join(given, "") == "" {
			return forbidden("account: name one: the token " + quote(c.name) + " is not for all.").at("account")
		}
	case inQuery:
		if strings.Join(given, "") == "" {
			given = []string{ref.DefaultAccount}
		}
	}
	for _, account := range given { // given twice is refused by who reads it
		if account == "" {
			continue
		}
		if p := c.account("account", account); p != nil {
			return p
		}
	}
	return nil
}
