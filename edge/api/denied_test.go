package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestDenied(t *testing.T) {
	w := newWorld(t, nil)
	path := "/v1/contacts/" + url.PathEscape("bob/1@example.com") + "/denied?account=acme"
	var d denial
	w.get(path).ok(t, &d)
	if d.Denied || d.Since != "" || d.Contact != "bob/1@example.com" || d.Account != "acme" {
		t.Fatalf("%+v", d)
	}
	w.do("PUT", path, "").ok(t, &d)
	if !d.Denied || d.Since != "2026-11-21T12:00:00.000Z" {
		t.Fatalf("%+v", d)
	}
	if !w.table.Denied("acme", "bob/1@example.com") || w.table.Denied("default", "bob/1@example.com") {
		t.Fatal("Accept does not know")
	}
	w.get(path).ok(t, &d)
	if !d.Denied {
		t.Fatalf("%+v", d)
	}
	w.do("DELETE", path, "").ok(t, &d)
	w.do("DELETE", path, "").ok(t, &d) // again
	if d.Denied || w.table.Denied("acme", "bob/1@example.com") {
		t.Fatalf("%+v", d)
	}
	w.get("/v1/contacts/c-1/denied?acount=acme").problem(t, http.StatusBadRequest)
	w.post("/v1/contacts/c-1/denied", "").problem(t, http.StatusMethodNotAllowed)
}

func TestDeniedBulk(t *testing.T) {
	w := newWorld(t, nil)
	var body strings.Builder
	for i := range 700 {
		fmt.Fprintf(&body, `{"account":"acme","contact":"c-%03d"}`+"\n", i)
	}
	body.WriteString(`{"account":"acme","contact":"c-005","denied":false}` + "\n" + `{"account":"acme"}` + "\n")
	answers := w.bulk("/v1/denied", body.String()).lines(t)
	if len(answers) != 702 || answers[0]["denied"] != true || answers[700]["denied"] != false || answers[701]["status"] != 400.0 {
		t.Fatalf("%d answers; %v", len(answers), answers[len(answers)-2:])
	}
	if !w.table.Denied("acme", "c-004") || w.table.Denied("acme", "c-005") {
		t.Fatal("wrong end")
	}
	seen, after := 0, ""
	for {
		var page struct {
			Denied []denial
			Next   string
		}
		w.get("/v1/denied?account=acme&limit=100&after="+after).ok(t, &page)
		seen += len(page.Denied)
		if after = page.Next; after == "" {
			break
		}
	}
	if seen != 699 {
		t.Fatalf("%d are listed, want 699", seen)
	}
	body.Reset()
	for i := range 700 {
		fmt.Fprintf(&body, `{"account":"acme","contact":"d-%03d"}`+"\n", i)
	}
	full := 0
	for _, a := range w.bulk("/v1/denied", body.String()).lines(t) {
		if a["type"] == problemType+"full" && strings.Contains(a["detail"].(string), "control.max_denied") {
			full++
		}
	}
	if full == 0 {
		t.Fatal("never full")
	}
}
