package api

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"carom/edge/ref"
	"carom/pipeline/event"
)

func TestSelfURL(t *testing.T) {
	w := newWorld(t, nil)
	var got struct {
		SelfURL string `json:"self_url"`
	}
	for _, c := range []struct{ query, body, account, sender string }{
		{"", "", "default", "alice"},
		{"?account=acme", "", "acme", "alice/1@example.com"},
		{"?account=acme", `{"account":"acme"}`, "acme", "alice"},
		{"", `{}`, "default", "alice"},
	} {
		w.post("/v1/senders/"+url.PathEscape(c.sender)+"/self"+c.query, c.body).ok(t, &got)
		token, ok := strings.CutPrefix(got.SelfURL, "https://track.example.com/self/")
		var o ref.Opened
		if err := testKeys(t).Open(ref.Self, []byte(token), &o); !ok || err != nil || o.Ref != (event.Ref{Account: c.account, Sender: c.sender}) {
			t.Errorf("%+v: %s opens as %+v, %v", c, got.SelfURL, o.Ref, err)
		}
	}
	// An account that is passed over would mark a browser for another's sender.
	w.post("/v1/senders/alice/self", `{"account":"acme"}`).problem(t, http.StatusBadRequest)
	w.post("/v1/senders/alice/self?acount=acme", "").problem(t, http.StatusBadRequest)
	w.post("/v1/senders/alice/self", `{"addresses":[]}`).problem(t, http.StatusBadRequest)
	w.post("/v1/senders/"+strings.Repeat("a", 500)+"/self?account="+strings.Repeat("b", 100), "").problem(t, http.StatusBadRequest)
	w.get("/v1/senders/alice/self").problem(t, http.StatusMethodNotAllowed)

	off := newWorld(t, func(_ *Options, d *Dependencies) { d.SelfOpens = false })
	off.post("/v1/senders/alice/self", "").problem(t, http.StatusConflict)
}

func TestOwnAddresses(t *testing.T) {
	w := newWorld(t, nil)
	path := "/v1/senders/" + url.PathEscape("alice/1@example.com") + "/addresses?account=acme"
	var a ownAddresses
	w.get(path).ok(t, &a)
	if a.Addresses == nil || len(a.Addresses) != 0 || a.Since != "" || a.Sender != "alice/1@example.com" || a.Account != "acme" {
		t.Errorf("of a sender that told none: %+v", a)
	}
	want := []string{"2001:db8::/48", "203.0.113.0/24", "203.0.113.7/32"}
	w.do("PUT", path, `{"addresses":["203.0.113.7","203.0.113.99/24","::ffff:203.0.113.7","2001:db8::5/48"]}`).ok(t, &a)
	if !slices.Equal(a.Addresses, want) || a.Since != "2026-11-21T12:00:00.000Z" {
		t.Errorf("put %+v, want %q", a, want)
	}
	if got := w.table.SelfAddresses("acme", "alice/1@example.com"); len(got) != 3 || !got[0].Contains(netip.MustParseAddr("2001:db8::1")) {
		t.Errorf("Accept knows %v", got)
	}
	if w.table.SelfAddresses("default", "alice/1@example.com") != nil {
		t.Error("they hold in another account")
	}
	w.get(path).ok(t, &a)
	if !slices.Equal(a.Addresses, want) {
		t.Errorf("got %+v", a)
	}
	w.do("PUT", path, `{"addresses":["198.51.100.1"],"account":"acme"}`).ok(t, &a) // in the place of the others
	if got := w.table.SelfAddresses("acme", "alice/1@example.com"); len(got) != 1 {
		t.Errorf("Accept knows %v", got)
	}
	w.do("DELETE", path, "").ok(t, &a)
	w.do("DELETE", path, "").ok(t, &a) // again
	if len(a.Addresses) != 0 || w.table.SelfAddresses("acme", "alice/1@example.com") != nil {
		t.Errorf("after DELETE: %+v", a)
	}
	w.do("PUT", path, `{"addresses":["198.51.100.1"]}`).ok(t, &a)
	w.do("PUT", path, `{"addresses":[]}`).ok(t, &a) // none are none
	if w.table.SelfAddresses("acme", "alice/1@example.com") != nil {
		t.Error("an empty list leaves some")
	}
}

func TestOwnAddressesRefused(t *testing.T) {
	w := newWorld(t, nil)
	const path = "/v1/senders/alice/addresses"
	for _, body := range []string{
		"", "{}", `{"addresses":"203.0.113.7"}`, `{"addresses":["nowhere"]}`, `{"addresses":["0.0.0.0/0"]}`, `{"addresses":["::/0"]}`,
		`{"addresses":["fe80::1%eth0"]}`, `{"addresses":[""]}`, `{"addresses":[7]}`, `{"adresses":[]}`, `{"addresses":[],"account":"acme"}`,
		`{"addresses":["203.0.113.7"` + strings.Repeat(`,"203.0.113.7"`, maxOwnAddresses) + `]}`,
	} {
		w.do("PUT", path, body).problem(t, http.StatusBadRequest)
	}
	for _, sender := range []string{"a", "b", "c"} {
		w.do("PUT", "/v1/senders/"+sender+"/addresses", `{"addresses":["203.0.113.7"]}`).ok(t, &ownAddresses{})
	}
	w.do("PUT", path, `{"addresses":["203.0.113.7"]}`).problem(t, http.StatusConflict) // control.max_self
	w.post(path, `{"addresses":["203.0.113.7"]}`).problem(t, http.StatusMethodNotAllowed)
}
