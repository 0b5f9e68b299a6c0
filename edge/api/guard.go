package api

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"
)

// guard decides who asks.
//
// With a token, who shows it. Without one the listener is on loopback, and who can reach it may ask: this host's
// programs. Among those are browsers, which send what any web page tells them to. So without a token a request of
// another origin is refused, and one whose Host is a name other than localhost: a page of evil.example may point that
// name at 127.0.0.1 and would then be of the same origin ("DNS rebinding").
type guard struct {
	callers atomic.Pointer[callers]
	origin  *http.CrossOriginProtection
}

// callers are those who may ask, by the hash of their token: how long it takes to look a hash up says nothing about the
// tokens that there are. Without any, local may.
type callers struct {
	byHash map[[sha256.Size]byte]*caller
	local  *caller
}

// newGuard knows the token of the settings, and those of a tokens file.
func newGuard(o *Options) (*guard, error) {
	g := &guard{origin: http.NewCrossOriginProtection()}
	return g, g.load(o)
}

// load reads the tokens file anew. After an error all is as it was.
func (g *guard) load(o *Options) error {
	list := Tokens{}
	if o.TokensFile != "" {
		var err error
		if list, err = ReadTokens(o.TokensFile); err != nil {
			return fmt.Errorf("tokens_file: %w", err)
		}
	}
	cs := &callers{byHash: make(map[[sha256.Size]byte]*caller)}
	var before *callers
	if before = g.callers.Load(); before == nil {
		before = cs
	}
	for i := range list.Tokens {
		var hash [sha256.Size]byte
		if _, err := hex.Decode(hash[:], []byte(list.Tokens[i].Hash)); err != nil {
			panic("BUG: a hash that was checked: " + err.Error())
		}
		cs.byHash[hash] = newCaller(&list.Tokens[i]).limit(o, before.byHash[hash])
	}
	switch hash := sha256.Sum256([]byte(o.Token)); {
	case o.Token != "":
		cs.byHash[hash] = operator(nameConfigured).limit(o, before.byHash[hash])
	case o.TokensFile == "":
		cs.local = operator(nameLocal).limit(o, before.local)
	}
	g.callers.Store(cs)
	return nil
}

// tailsShare is the part of all tails that a token has which is not for all accounts: one of so many.
const tailsShare = 4

// limit gives the caller its rates; one that was known before keeps what it has used up.
func (c *caller) limit(o *Options, before *caller) *caller {
	if before != nil {
		c.requests, c.lines, c.tails = before.requests, before.lines, before.tails
	} else {
		c.requests, c.lines = newLimiter(o.Rate), newLimiter(o.RateLines)
	}
	switch {
	case c.accounts == nil:
		c.tails = nil
	case c.tails == nil: // one customer leaves some to others
		c.tails = make(chan struct{}, max(1, o.MaxTails/tailsShare))
	}
	return c
}

// ReloadTokens reads api.tokens_file anew. After an error those that were read before stay.
func (s *Server) ReloadTokens() error {
	if err := s.guard.load(&s.o); err != nil {
		s.log.Error("tokens not reloaded, the old ones stay", zap.Error(err))
		return fmt.Errorf("api.%w", err)
	}
	s.log.Info("tokens", zap.Int("known", len(s.guard.callers.Load().byHash)))
	return nil
}

// check returns who asks, or why he may not.
func (g *guard) check(r *http.Request) (*caller, *problem) {
	known := g.callers.Load()
	if known.local == nil {
		return known.token(r.Header.Get("Authorization"))
	}
	if !isLocalName(r.Host) {
		return nil, forbidden("Without api.token only requests to an IP address or to localhost are answered, not to " + quote(r.Host) + ".").at("Host")
	}
	if err := g.origin.Check(r); err != nil {
		return nil, forbidden("Without api.token a request of another origin is refused.").at("Origin")
	}
	return known.local, nil
}

// later returns what says, while a request is being answered, why who asks may not go on: the tokens were read anew, and
// his is no longer what it was.
func (g *guard) later(r *http.Request, sc Scope, place accountPlace) func() *problem {
	known := g.callers.Load()
	return func() *problem {
		now := g.callers.Load()
		if now == known {
			return nil
		}
		known = now
		c, p := g.check(r)
		switch {
		case p != nil:
			return p
		case !c.may(sc):
			return c.lacks(sc)
		case c.accounts != nil:
			return c.admitAccount(place, r)
		}
		return nil
	}
}

func forbidden(detail string) *problem {
	return newProblem(http.StatusForbidden, "forbidden", "The request is refused", detail)
}

// token returns whose token is shown.
func (cs *callers) token(authorization string) (*caller, *problem) {
	const scheme = "bearer"
	detail := "Send the header Authorization: Bearer TOKEN."
	if len(authorization) > len(scheme) && strings.EqualFold(authorization[:len(scheme)], scheme) && authorization[len(scheme)] == ' ' {
		token := strings.TrimSpace(authorization[len(scheme):])
		if c := cs.byHash[sha256.Sum256([]byte(token))]; c != nil {
			return c, nil
		}
		detail = "The bearer token is none that is known here."
	}
	return nil, newProblem(http.StatusUnauthorized, "unauthorized", "A bearer token is required", detail).at("Authorization")
}

// isLocalName reports whether a Host header names an address, localhost, or nothing (HTTP/1.0).
func isLocalName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}
