package api

import "net/http"

// ofAllAccounts reports whether who asks may ask about all accounts.
func ofAllAccounts(r *http.Request) bool {
	c := callerOf(r)
	return c == nil || c.accounts == nil
}

// isAdmin reports whether who asks may do what concerns all accounts.
func isAdmin(r *http.Request) bool {
	c := callerOf(r)
	return c == nil || c.may(ScopeAdmin)
}
