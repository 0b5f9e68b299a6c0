package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard decides who may ask.
//
// With a token, who shows it. Without one the listener is on loopback, and who can reach it may ask: this host's
// programs. Among those are browsers, which send what any web page tells them to. So without a token a request of
// another origin is refused, and one whose Host is a name other than localhost: a page of evil.example may point that
// name at 127.0.0.1 and would then be of the same origin ("DNS rebinding").
type guard struct {
	token  [sha256.Size]byte // the hash, so that comparing takes the same time for tokens of all lengths
	needed bool
	origin *http.CrossOriginProtection
}

func newGuard(token string) *guard {
	return &guard{token: sha256.Sum256([]byte(token)), needed: token != "", origin: http.NewCrossOriginProtection()}
}

// check returns why r may not ask. open paths are for whoever watches the process.
func (g *guard) check(r *http.Request, open bool) *problem {
	if open {
		return nil
	}
	if g.needed {
		return g.checkToken(r.Header.Get("Authorization"))
	}
	if !isLocalName(r.Host) {
		return forbidden("Without api.token only requests to an IP address or to localhost are answered, not to " + quote(r.Host) + ".")
	}
	if err := g.origin.Check(r); err != nil {
		return forbidden("Without api.token a request of another origin is refused.")
	}
	return nil
}

func forbidden(detail string) *problem {
	return newProblem(http.StatusForbidden, "forbidden", "The request is refused", detail)
}

func (g *guard) checkToken(authorization string) *problem {
	const scheme = "bearer"
	token, shown := "", false
	if len(authorization) > len(scheme) && strings.EqualFold(authorization[:len(scheme)], scheme) && authorization[len(scheme)] == ' ' {
		token, shown = strings.TrimSpace(authorization[len(scheme):]), true
	}
	got := sha256.Sum256([]byte(token))
	if shown && subtle.ConstantTimeCompare(got[:], g.token[:]) == 1 {
		return nil
	}
	detail := "Send the header Authorization: Bearer TOKEN."
	if shown {
		detail = "The bearer token is not the right one."
	}
	return newProblem(http.StatusUnauthorized, "unauthorized", "A bearer token is required", detail)
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
