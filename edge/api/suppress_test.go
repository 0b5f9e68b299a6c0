package api

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/suppress"

	"go.yaml.in/yaml/v3"
)

// told1 is an answer about a suppression, or a page, or a problem, or a wave.
type told1 struct {
	suppression
	Suppressions []suppression `json:"suppressions"`
	Audit        []auditEntry  `json:"audit"`
	Next         string        `json:"next"`
	Result       string        `json:"result"`
	Counts       map[string]int64
	DryRun       bool `json:"dry_run"`
	Suppression  *suppression
}

func (w *world) suppression(path string) (a told1) {
	w.t.Helper()
	w.get(path).ok(w.t, &a)
	return a
}

// register registers messages of an account, m-0 on, to addresses a-0@example.com on.
func (w *world) registerMany(account, prefix string, n int, at string) {
	w.t.Helper()
	var body strings.Builder
	for i := range n {
		fmt.Fprintf(&body, `{"account":%q,"sender":"alice","message":"%s-%d","recipient":"%[2]s-%d@example.com","sent_at":%[5]q}`+"\n", account, prefix, i, i, at)
	}
	for _, a := range w.bulk("/v1/messages", body.String()).lines(w.t) {
		if a["send"] != true {
			w.t.Fatalf("registered: %v", a)
		}
	}
}

func (w *world) bounce(account, message, at string) {
	w.t.Helper()
	w.post("/v1/events", fmt.Sprintf(`{"kind":"bounce","account":%q,"message":%q,"time":%q,"reply":"550 5.1.1 user unknown"}`, account, message, at)).ok(w.t, nil)
}

// suppressed waits until an address is suppressed.
func (w *world) suppressed(account, address string) (s suppress.Stop) {
	w.t.Helper()
	w.await(func() bool {
		var ok bool
		var err error
		s, ok, err = w.book.Check(account, address, event.FromTime(testNow), false)
		must(w.t, err)
		return ok
	})
	return s
}

func TestSuppressionByHand(t *testing.T) {
	w := newWorld(t, nil)
	a := w.get("/v1/suppressions/bob@example.com?account=acme")
	a.problem(t, http.StatusNotFound)
	w.do("PUT", "/v1/suppressions/Bob@B%C3%9CCHER.example", `{"account":"acme","note":"by phone","until":"2026-12-24T00:00:00Z"}`).ok(t, nil)
	got := w.suppression("/v1/suppressions/Bob@xn--bcher-kva.example?account=acme")
	if got.Address != "Bob@xn--bcher-kva.example" || got.Original != "Bob@BÜCHER.example" || got.Reason != suppress.Manual || !got.Active || got.Scope != "account" ||
		got.Since != "2026-11-21T12:00:00.000Z" || got.Until == nil || *got.Until != "2026-12-24T00:00:00.000Z" || got.Account != "acme" || got.Note != "by phone" {
		t.Errorf("%+v", got)
	}
	// Another account, and the same address with another local part, are others.
	w.get("/v1/suppressions/Bob@xn--bcher-kva.example").problem(t, http.StatusNotFound)
	w.get("/v1/suppressions/bob@xn--bcher-kva.example?account=acme").problem(t, http.StatusNotFound)
	if got := w.suppression("/v1/suppressions/Bob@xn--bcher-kva.example?account=acme&as_of=2026-12-25T00:00:00Z"); got.Active {
		t.Errorf("after its end: %+v", got)
	}

	var sent struct {
		Send       bool
		Suppressed struct{ Scope, Reason, Since, Until string }
		OpenURL    string `json:"open_url"`
	}
	w.post("/v1/messages", `{"account":"acme","sender":"alice","message":"m-1","recipient":"Bob@bücher.example"}`).ok(t, &sent)
	if sent.Send || sent.Suppressed.Reason != "manual" || sent.Suppressed.Until != "2026-12-24T00:00:00.000Z" || sent.OpenURL == "" {
		t.Errorf("%+v", sent)
	}
	var contact struct{ Suppressed *suppression }
	w.await(func() bool {
		w.get("/v1/contacts/"+url.PathEscape("Bob@bücher.example")+"?account=acme").ok(t, &contact)
		return contact.Suppressed != nil
	})
	if contact.Suppressed.Address != "Bob@xn--bcher-kva.example" {
		t.Errorf("%+v", contact)
	}
	var message struct{ Status string }
	w.await(func() bool { return w.get("/v1/messages/m-1?account=acme").StatusCode == http.StatusOK })
	w.get("/v1/messages/m-1?account=acme").ok(t, &message)
	if message.Status != "not_sent" {
		t.Errorf("the message is %s", message.Status)
	}

	nextMilli() // the audit is in the order of the times
	w.do("DELETE", "/v1/suppressions/Bob@b%C3%BCcher.example?account=acme&note=by+mistake", "").ok(t, &got)
	if got.Active || got.EndedBy != suppress.OpRemove {
		t.Errorf("removed: %+v", got)
	}
	nextMilli()
	p := w.do("DELETE", "/v1/suppressions/Bob@b%C3%BCcher.example?account=acme", "").problem(t, http.StatusNotFound)
	if p.Rule != suppress.RuleNotSuppressed {
		t.Errorf("%+v", p)
	}
	w.post("/v1/messages", `{"account":"acme","sender":"alice","message":"m-1","recipient":"Bob@bücher.example"}`).ok(t, &sent)
	if !sent.Send {
		t.Error("it stays suppressed")
	}
	audit := w.suppression("/v1/suppressions/audit?account=acme").Audit
	if len(audit) != 3 || audit[2].Op != suppress.OpAdd || audit[1].Op != suppress.OpRemove || audit[1].Note != "by mistake" || !audit[1].OK ||
		audit[0].OK || audit[0].Rule != suppress.RuleNotSuppressed || audit[0].Actor == "" || audit[0].Made == "" {
		t.Errorf("audit %+v", audit)
	}
	if one := w.suppression("/v1/suppressions/audit?account=acme&limit=1&after=" + w.suppression("/v1/suppressions/audit?account=acme&limit=2").Next).Audit; len(one) != 1 || one[0].Op != suppress.OpAdd {
		t.Errorf("the last page: %+v", one)
	}
}

// A bounce suppresses who was registered, whomever it names; complaints spare transactional mail.
func TestSuppressedByFacts(t *testing.T) {
	w := newWorld(t, nil)
	w.post("/v1/messages", `{"account":"acme","sender":"alice","message":"m-1","recipient":"bob@example.com"}`).ok(t, nil)
	w.post("/v1/messages", `{"account":"acme","sender":"alice","message":"m-2","recipient":"ann@example.com"}`).ok(t, nil)
	w.post("/v1/events", `{"kind":"bounce","account":"acme","message":"m-1","recipient":"stranger@example.com","reply":"550 5.1.1 user unknown"}`).ok(t, nil)
	w.post("/v1/events", `{"kind":"complaint","account":"acme","message":"m-2"}`).ok(t, nil)
	w.suppressed("acme", "bob@example.com")
	w.suppressed("acme", "ann@example.com")
	w.get("/v1/suppressions/stranger@example.com?account=acme").problem(t, http.StatusNotFound)
	got := w.suppression("/v1/suppressions/bob@example.com?account=acme")
	if got.Reason != suppress.Bounce || got.Category != "invalid_recipient" || got.Evidence == nil || got.Evidence.Message != "m-1" || got.Evidence.Status != "5.1.1" {
		t.Errorf("%+v", got)
	}
	for _, c := range []struct {
		recipient     string
		transactional bool
		send          bool
	}{
		{"bob@example.com", false, false},
		{"bob@example.com", true, false},
		{"ann@example.com", false, false},
		{"ann@example.com", true, true},
		{"eve@example.com", false, true},
	} {
		var sent struct{ Send bool }
		w.post("/v1/messages", fmt.Sprintf(`{"account":"acme","sender":"alice","message":"n-%s-%v","recipient":%[1]q,"transactional":%[2]v}`, c.recipient, c.transactional)).ok(t, &sent)
		var checked struct{ Suppressed *struct{ Reason string } }
		w.post("/v1/suppressions/check", fmt.Sprintf(`{"account":"acme","address":%q,"transactional":%v}`, c.recipient, c.transactional)).ok(t, &checked)
		if sent.Send != c.send || (checked.Suppressed == nil) != c.send {
			t.Errorf("%+v: send %v, check %+v", c, sent.Send, checked.Suppressed)
		}
	}
	// A complainer who bounces, too, gets no transactional mail either.
	w.do("PUT", "/v1/suppressions/ann@example.com", `{"account":"acme","reason":"bounce"}`).ok(t, nil)
	var sent struct {
		Send       bool
		Suppressed struct{ Reason string }
	}
	w.post("/v1/messages", `{"account":"acme","sender":"alice","message":"n-9","recipient":"ann@example.com","transactional":true}`).ok(t, &sent)
	if sent.Send || sent.Suppressed.Reason != "bounce" {
		t.Errorf("%+v", sent)
	}
	export := w.get("/v1/contacts/ann@example.com/export?account=acme").lines(t)
	if data := export[0]["data"].(map[string]any); data["suppressed"] == nil {
		t.Errorf("the export has %v", data)
	}
}

// Eleven addresses of an account with 400 contacts: the eleventh has to wait for the next month.
func TestReactivation(t *testing.T) {
	w := newWorld(t, nil)
	w.registerMany("acme", "a", 400, "2026-09-30T12:00:00Z")
	for i := range 12 {
		w.bounce("acme", fmt.Sprintf("a-%d", i), "2026-10-01T12:00:00Z")
	}
	for i := range 12 {
		w.suppressed("acme", fmt.Sprintf("a-%d@example.com", i))
	}
	reactivate := func(i int, at string, header ...string) answer {
		return w.do("POST", fmt.Sprintf("/v1/suppressions/a-%d@example.com/reactivate", i), `{"account":"acme","confirmed":true,"time":"`+at+`"}`, header...)
	}
	p := w.post("/v1/suppressions/a-0@example.com/reactivate", `{"account":"acme"}`).problem(t, http.StatusConflict)
	if p.Rule != suppress.RuleNotConfirmed {
		t.Errorf("%+v", p)
	}
	p = w.post("/v1/suppressions/a-300@example.com/reactivate", `{"account":"acme","confirmed":true}`).problem(t, http.StatusConflict)
	if p.Rule != suppress.RuleNotSuppressed {
		t.Errorf("%+v", p)
	}
	for i := range 10 {
		var got suppression
		reactivate(i, "2026-10-05T00:00:00Z", "Idempotency-Key", fmt.Sprintf("ticket-%d", i)).ok(t, &got)
		if got.Active || got.ReactivatedAt != "2026-10-05T00:00:00.000Z" || got.EndedBy != suppress.OpReactivate {
			t.Errorf("%d: %+v", i, got)
		}
	}
	first := reactivate(3, "2026-10-05T00:00:00Z", "Idempotency-Key", "ticket-3")
	first.ok(t, nil) // again: the same answer, and no other reactivation
	eleventh := reactivate(10, "2026-10-31T23:59:59Z", "Idempotency-Key", "ticket-10")
	p = eleventh.problem(t, http.StatusConflict)
	if p.Rule != suppress.RuleQuota || p.PossibleAt == nil || event.Millis(*p.PossibleAt).Time() != time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) ||
		p.Type != problemType+"refused" || !bytes.Contains(eleventh.body, []byte(`"possible_at":"2026-11-01T00:00:00.000Z"`)) {
		t.Errorf("%s", eleventh.body)
	}
	if again := reactivate(10, "2026-10-31T23:59:59Z", "Idempotency-Key", "ticket-10"); !bytes.Equal(again.body, eleventh.body) {
		t.Errorf("again: %s", again.body)
	}
	reactivate(10, "2026-11-01T00:00:00Z", "Idempotency-Key", "ticket-10b").ok(t, nil)
	p = reactivate(11, "2026-11-01T00:00:00Z", "Idempotency-Key", "ticket-10b").problem(t, http.StatusUnprocessableEntity)
	if p.Type != problemType+"key-reused" || p.Field != headerKey {
		t.Errorf("%+v", p)
	}
	w.do("DELETE", "/v1/suppressions/a-11@example.com?account=acme", "", "Idempotency-Key", "ticket-10b").problem(t, http.StatusUnprocessableEntity)
	if got := w.suppression("/v1/suppressions/a-11@example.com?account=acme"); !got.Active {
		t.Errorf("a key of another order did something: %+v", got)
	}

	w.do("PUT", "/v1/suppressions/a-3@example.com", `{"account":"acme","reason":"bounce"}`).ok(t, nil)
	again := reactivate(3, "2026-11-21T12:00:00Z")
	if p = again.problem(t, http.StatusConflict); p.Rule != suppress.RuleAlreadyReactivated || !bytes.Contains(again.body, []byte(`"possible_at":null`)) {
		t.Errorf("%s", again.body)
	}
	w.do("PUT", "/v1/suppressions/ann@example.com", `{"account":"acme","reason":"unsubscribe"}`).ok(t, nil)
	if p = w.post("/v1/suppressions/ann@example.com/reactivate", `{"account":"acme","confirmed":true}`).problem(t, http.StatusConflict); p.Rule != suppress.RuleReasonNotBounce {
		t.Errorf("%+v", p)
	}
}

func TestGlobal(t *testing.T) {
	w := newWorld(t, nil)
	w.do("PUT", "/v1/suppressions/bob@example.com", `{"scope":"global","note":"legal"}`).ok(t, nil)
	got := w.suppression("/v1/suppressions/bob@example.com?account=acme")
	if got.Scope != suppress.ScopeGlobal || got.Account != "" || !got.Active {
		t.Errorf("%+v", got)
	}
	w.get("/v1/suppressions/bob@example.com?account=acme&scope=account").problem(t, http.StatusNotFound)
	if page := w.suppression("/v1/suppressions?scope=global"); len(page.Suppressions) != 1 {
		t.Errorf("%+v", page)
	}
	if p := w.post("/v1/suppressions/bob@example.com/reactivate", `{"account":"acme","confirmed":true}`).problem(t, http.StatusConflict); p.Rule != suppress.RuleGlobal {
		t.Errorf("%+v", p)
	}
	w.post("/v1/suppressions/bob@example.com/lift", "").ok(t, &got)
	if got.Active {
		t.Errorf("lifted: %+v", got)
	}
	w.do("PUT", "/v1/suppressions/bob@example.com", `{"scope":"global","reason":"bounce","category":"invalid_recipient"}`).ok(t, nil)
	if p := w.post("/v1/suppressions/bob@example.com/lift", `{"note":"please"}`).problem(t, http.StatusConflict); p.Rule != suppress.RuleUnknownUser {
		t.Errorf("%+v", p)
	}
}

func TestSuppressionImport(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *Dependencies) { o.MaxLineBytes = 4096 })
	w.do("PUT", "/v1/suppressions/known@example.com", `{"account":"acme","reason":"unsubscribe"}`).ok(t, nil)
	body := strings.Join([]string{
		`{"account":"acme","address":"ann@example.com","reason":"unsubscribe","time":"2026-03-01T00:00:00Z"}`,
		`{"account":"acme","address":"known@EXAMPLE.com","reason":"unsubscribe"}`,
		``,
		`{"account":"acme","address":"ann@example.com.","reason":"unsubscribe"}`, // the same as the first
		`{"account":"acme","address":"no address"}`,
		`{"account":"acme","address":"eve@example.com","reason":"anger"}`,
		`not JSON`,
		`{"account":"acme","address":"zoe@example.com","pad":"` + strings.Repeat("x", 5000) + `"}`,
		`{"account":"acme","address":"eve@example.com"}`,
	}, "\n")
	wantReport := func(lines []map[string]any, dry bool, added, known, invalid int) {
		t.Helper()
		report := lines[len(lines)-1]["report"].(map[string]any)
		want := map[string]any{
			"dry_run": dry, "complete": true, "lines": float64(added + known + invalid), "added": float64(added), "known": float64(known),
			"invalid": float64(invalid), "refused": 0.0, "failed": 0.0,
		}
		for k, v := range want {
			if report[k] != v {
				t.Errorf("the report has %s %v, want %v: %v", k, report[k], v, report)
			}
		}
	}
	var before []byte
	for _, path := range []string{"/v1/suppressions?dry_run=true", "/v1/suppressions"} {
		a := w.bulk(path, body)
		lines := a.lines(t)
		if len(lines) != 9 || lines[0]["result"] != "added" || lines[1]["result"] != "known" || lines[2]["result"] != "known" ||
			lines[3]["field"] != "address" || lines[3]["line"] != 5.0 || lines[4]["field"] != "reason" || lines[5]["line"] != 7.0 ||
			lines[6]["status"] != 413.0 || lines[7]["result"] != "added" {
			t.Errorf("%s: %s", path, a.body)
		}
		wantReport(lines, before == nil, 2, 2, 4)
		answers, _, _ := bytes.Cut(a.body, []byte(`{"report"`))
		if before != nil && !bytes.Equal(before, answers) {
			t.Errorf("a dry run says something else:\n%s\n%s", before, answers)
		}
		if before == nil {
			w.get("/v1/suppressions/eve@example.com?account=acme").problem(t, http.StatusNotFound)
		}
		before = answers
	}
	if got := w.suppression("/v1/suppressions/ann@example.com?account=acme"); got.Since != "2026-03-01T00:00:00.000Z" {
		t.Errorf("%+v", got)
	}
	wantReport(w.bulk("/v1/suppressions", body).lines(t), false, 0, 4, 4)

	// With a key, sending it again is the same orders, even with what happened between.
	keyed := `{"account":"acme","address":"kim@example.com"}` + "\n" + `{"account":"acme","address":"kit@example.com"}` + "\n"
	header := []string{"Content-Type", linesType, "Idempotency-Key", "import-7"}
	wantReport(w.do("POST", "/v1/suppressions", keyed, header...).lines(t), false, 2, 0, 0)
	w.do("DELETE", "/v1/suppressions/kim@example.com?account=acme", "").ok(t, nil)
	wantReport(w.do("POST", "/v1/suppressions", keyed, header...).lines(t), false, 2, 0, 0)
	if got := w.suppression("/v1/suppressions/kim@example.com?account=acme"); got.Active {
		t.Error("the order was carried out twice")
	}
	lines := w.do("POST", "/v1/suppressions", strings.Replace(keyed, "kit", "tom", 1), header...).lines(t)
	if lines[1]["type"] != problemType+"key-reused" || lines[1]["line"] != 2.0 {
		t.Errorf("%v", lines)
	}

	var one told1
	w.post("/v1/suppressions?dry_run=true", `{"account":"acme","address":"uma@example.com"}`).ok(t, &one)
	if one.Result != "added" || !one.DryRun || one.Suppression != nil {
		t.Errorf("%+v", one)
	}
	w.post("/v1/suppressions", `{"account":"acme","address":"uma@example.com"}`).ok(t, &one)
	if one.Result != "added" || one.Suppression == nil || one.Suppression.Address != "uma@example.com" {
		t.Errorf("%+v", one)
	}
}

// Lists page, filter and stream; all ways show the same.
func TestSuppressionLists(t *testing.T) {
	w := newWorld(t, nil)
	const n = 2500 // more than two pages of a stream
	var body strings.Builder
	for i := range n {
		reason := []string{"manual", "bounce", "unsubscribe"}[i%3]
		fmt.Fprintf(&body, `{"account":"acme","address":"=u%04d@%s.example","reason":%q,"time":"2026-%02d-01T00:00:00Z"}`+"\n", i, []string{"one", "two"}[i%2], reason, 1+i%10)
	}
	lines := w.bulk("/v1/suppressions", body.String()).lines(t)
	if report := lines[n]["report"].(map[string]any); report["added"] != float64(n) {
		t.Fatalf("%v", report)
	}
	w.do("DELETE", "/v1/suppressions/=u0004@one.example?account=acme", "").ok(t, nil)
	var paged []string
	for after := ""; ; {
		page := w.suppression("/v1/suppressions?account=acme&limit=700&after=" + after)
		for _, s := range page.Suppressions {
			paged = append(paged, s.Address)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	var streamed []string
	for _, line := range w.do("GET", "/v1/suppressions?account=acme", "", "Accept", "application/x-ndjson").lines(t) {
		streamed = append(streamed, line["address"].(string))
	}
	table := w.do("GET", "/v1/suppressions?account=acme", "", "Accept", "text/csv")
	rows, err := csv.NewReader(bytes.NewReader(table.body)).ReadAll()
	must(t, err)
	var tabled []string
	for _, row := range rows[1:] {
		tabled = append(tabled, strings.TrimPrefix(row[1], "'")) // before '=', for spreadsheets
	}
	if len(paged) != n || !slices.Equal(paged, streamed) || !slices.Equal(paged, tabled) || !slices.Equal(rows[0], suppressionColumns) ||
		table.Header.Get("Content-Type") != "text/csv; charset=utf-8; header=present" || rows[1][1][0] != '\'' {
		t.Errorf("%d paged, %d streamed, %d as CSV", len(paged), len(streamed), len(tabled))
	}
	for query, want := range map[string]int{
		"reason=bounce":                    833,
		"domain=TWO.example.":              1250,
		"active=true":                      n - 1,
		"active=false":                     1,
		"from=2026-10-01T00:00:00Z":        250,
		"to=2026-02-01T00:00:00Z":          250,
		"as_of=2026-01-15T00:00:00Z":       250,
		"category=mailbox_full":            0,
		"limit=17":                         17,
		"reason=manual&domain=one.example": 417,
	} {
		if got := len(w.do("GET", "/v1/suppressions?account=acme&"+query, "", "Accept", "application/x-ndjson").lines(t)); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	audit := w.do("GET", "/v1/suppressions/audit?account=acme", "", "Accept", "text/csv")
	if rows, err := csv.NewReader(bytes.NewReader(audit.body)).ReadAll(); err != nil || len(rows) != n+2 || !slices.Equal(rows[0], auditColumns) {
		t.Errorf("%d rows of audit, %v", len(rows), err)
	}
	if got := w.do("GET", "/v1/suppressions?account=nobody", "", "Accept", "text/csv"); strings.Count(string(got.body), "\n") != 1 {
		t.Errorf("%s", got.body)
	}
}

func TestSuppressionCheck(t *testing.T) {
	w := newWorld(t, nil)
	w.do("PUT", "/v1/suppressions/bob@example.com", `{"account":"acme","reason":"complaint","time":"2026-05-01T00:00:00Z"}`).ok(t, nil)
	const want = `{"scope":"account","reason":"complaint","category":"","since":"2026-05-01T00:00:00.000Z","until":null}`
	a := w.do("POST", "/v1/suppressions/check?account=acme", "ann@example.com\r\nbob@EXAMPLE.com\n\nnobody\nbob@example.com", "Content-Type", "text/plain; charset=utf-8")
	lines := strings.Split(string(a.body), "\n")
	if len(lines) != 5 || lines[0] != `{"address":"ann@example.com","suppressed":null}` || lines[1] != `{"address":"bob@EXAMPLE.com","suppressed":`+want+`}` ||
		!strings.Contains(lines[2], `"line":4`) || lines[3] != `{"address":"bob@example.com","suppressed":`+want+`}` {
		t.Errorf("%s", a.body)
	}
	a = w.bulk("/v1/suppressions/check", `{"account":"acme","address":"bob@example.com"}`+"\n"+`{"address":"bob@example.com"}`+"\n"+`{"account":"acme","address":"bob@example.com","transactional":true}`+"\n")
	if string(a.body) != `{"account":"acme","address":"bob@example.com","suppressed":`+want+"}\n"+`{"address":"bob@example.com","suppressed":null}`+"\n"+
		`{"account":"acme","address":"bob@example.com","suppressed":null}`+"\n" {
		t.Errorf("%s", a.body)
	}
	a = w.do("POST", "/v1/suppressions/check?account=acme&as_of=2026-04-30T00:00:00Z", "bob@example.com", "Content-Type", "text/plain")
	if string(a.body) != `{"address":"bob@example.com","suppressed":null}`+"\n" {
		t.Errorf("before: %s", a.body)
	}
}

func TestWaves(t *testing.T) {
	w := newWorld(t, nil)
	w.registerMany("acme", "a", 30, "2026-11-20T10:00:00Z")
	for i := range 20 {
		w.bounce("acme", fmt.Sprintf("a-%d", i), fmt.Sprintf("2026-11-20T11:%02d:00Z", i))
	}
	for i := range 20 {
		w.suppressed("acme", fmt.Sprintf("a-%d@example.com", i))
	}
	provider := w.suppression("/v1/suppressions/a-0@example.com?account=acme").MailboxProvider
	revert := func(dry bool) (a told1) {
		w.post("/v1/suppressions/revert", fmt.Sprintf(`{"provider":%q,"from":"2026-11-20T11:05:00Z","to":"2026-11-20T11:15:00Z","dry_run":%v}`, provider, dry)).ok(t, &a)
		return a
	}
	if a := revert(true); a.Counts["matched"] != 10 || a.Counts["changed"] != 10 || !a.DryRun {
		t.Errorf("%+v", a)
	}
	if got := w.suppression("/v1/suppressions?account=acme&active=true"); len(got.Suppressions) != 20 {
		t.Errorf("a dry run left %d", len(got.Suppressions))
	}
	if a := revert(false); a.Counts["changed"] != 10 || a.DryRun {
		t.Errorf("%+v", a)
	}
	if got := w.suppression("/v1/suppressions?account=acme&active=true"); len(got.Suppressions) != 10 {
		t.Errorf("%d are left", len(got.Suppressions))
	}
	if a := revert(false); a.Counts["changed"] != 0 {
		t.Errorf("again: %+v", a)
	}
	var a told1
	w.post("/v1/suppressions/confirm", `{"account":"acme","rule":"none_such","from":"2026-11-20T11:05:00Z","to":"2026-11-20T11:15:00Z"}`).ok(t, &a)
	if a.Counts["changed"] != 0 {
		t.Errorf("%+v", a)
	}
}

// What is wrong is named, whatever the endpoint.
func TestSuppressionProblems(t *testing.T) {
	w := newWorld(t, nil)
	const address = "/v1/suppressions/bob@example.com"
	long := strings.Repeat("x", 600)
	for _, c := range []struct {
		method, path, body string
		status             int
		field              string
	}{
		{"GET", "/v1/suppressions?acount=acme", "", 400, "acount"},
		{"GET", "/v1/suppressions?account=" + long, "", 400, "account"},
		{"GET", "/v1/suppressions?reason=anger", "", 400, "reason"},
		{"GET", "/v1/suppressions?category=nonsense", "", 400, "category"},
		{"GET", "/v1/suppressions?scope=all", "", 400, "scope"},
		{"GET", "/v1/suppressions?active=1", "", 400, "active"},
		{"GET", "/v1/suppressions?from=yesterday", "", 400, "from"},
		{"GET", "/v1/suppressions?from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z", "", 400, "to"},
		{"GET", "/v1/suppressions?as_of=now", "", 400, "as_of"},
		{"GET", "/v1/suppressions?after=%21%21", "", 400, "after"},
		{"GET", "/v1/suppressions?limit=0", "", 400, "limit"},
		{"GET", "/v1/suppressions?limit=1000000", "", 400, "limit"},
		{"GET", "/v1/suppressions?domain=" + long, "", 400, "domain"},
		{"GET", "/v1/suppressions/nobody", "", 400, "address"},
		{"GET", "/v1/suppressions/" + long + "@example.com", "", 400, "address"},
		{"GET", "/v1/suppressions/%23x", "", 400, "address"},
		{"GET", address + "?scope=x", "", 400, "scope"},
		{"PUT", address, `{"acount":"acme"}`, 400, "acount"},
		{"PUT", address, `{"address":"eve@example.com"}`, 400, "address"},
		{"PUT", address, `{"account":7}`, 400, "account"},
		{"PUT", address, `{"account":"acme","account":"b"}`, 400, "account"},
		{"PUT", address, `{"reason":"anger"}`, 400, "reason"},
		{"PUT", address, `{"category":"mailbox_full"}`, 400, "category"},
		{"PUT", address, `{"reason":"bounce","category":"nonsense"}`, 400, "category"},
		{"PUT", address, `{"scope":"all"}`, 400, "scope"},
		{"PUT", address, `{"scope":"global","account":"acme"}`, 400, "account"},
		{"PUT", address, `{"note":"` + strings.Repeat("x", 1001) + `"}`, 400, "note"},
		{"PUT", address, `{"time":"2026-11-21T13:00:00Z"}`, 422, "time"},
		{"PUT", address, `{"time":"soon"}`, 400, "time"},
		{"PUT", address, `{"until":"2026-11-21T11:00:00Z"}`, 422, "until"},
		{"PUT", address + "?account=acme", `{}`, 400, "account"},
		{"PUT", address, ``, 400, ""},
		{"PUT", address, `[]`, 400, ""},
		{"DELETE", address + "?time=x", "", 400, "time"},
		{"DELETE", address + "?time=2026-11-21T13:00:00Z", "", 422, "time"},
		{"DELETE", address + "?confirmed=true", "", 400, "confirmed"},
		{"POST", address + "/reactivate", `{"confirmed":"yes"}`, 400, "confirmed"},
		{"POST", address + "/reactivate", `{"confirmed":true,"reason":"x"}`, 400, "reason"},
		{"POST", address + "/lift", `{"account":"acme"}`, 400, "account"},
		{"POST", "/v1/suppressions", `{"account":"acme"}`, 400, "address"},
		{"POST", "/v1/suppressions?dry_run=1", `{"address":"bob@example.com"}`, 400, "dry_run"},
		{"POST", "/v1/suppressions/check", `{"address":7}`, 400, "address"},
		{"POST", "/v1/suppressions/check", `{}`, 400, "address"},
		{"POST", "/v1/suppressions/check", `{"address":"bob@example.com","adress":"x"}`, 400, "adress"},
		{"POST", "/v1/suppressions/check?account=" + long, `{"address":"bob@example.com"}`, 400, "account"},
		{"POST", "/v1/suppressions/check", `{"address":"bob@example.com","account":"` + long + `"}`, 400, "account"},
		{"POST", "/v1/suppressions/revert", `{}`, 400, "provider"},
		{"POST", "/v1/suppressions/revert", `{"provider":"google"}`, 400, "from"},
		{"POST", "/v1/suppressions/revert", `{"provider":"google","from":"2026-11-01T00:00:00Z"}`, 400, "to"},
		{"POST", "/v1/suppressions/revert", `{"provider":"google","from":"2026-11-02T00:00:00Z","to":"2026-11-01T00:00:00Z"}`, 400, "to"},
		{"POST", "/v1/suppressions/confirm", `{"rule":"x","dry_run":"no","from":"2026-11-02T00:00:00Z","to":"2026-11-03T00:00:00Z"}`, 400, "dry_run"},
		{"GET", "/v1/suppressions/audit?limit=-1", "", 400, "limit"},
		{"GET", "/v1/suppressions/audit?after=%21%21", "", 400, "after"},
		{"GET", "/v1/suppressions/audit?who=x", "", 400, "who"},
		{"GET", "/v1/suppressions/check", "", 405, ""},
		{"DELETE", "/v1/suppressions", "", 405, ""},
	} {
		if p := w.do(c.method, c.path, c.body).problem(t, c.status); p.Field != c.field {
			t.Errorf("%s %.100s %.100s: field %q, want %q: %s", c.method, c.path, c.body, p.Field, c.field, p.Detail)
		}
	}
	for _, key := range []string{"", strings.Repeat("k", 256)} {
		if p := w.do("PUT", address, "{}", headerKey, key).problem(t, 400); p.Field != headerKey {
			t.Errorf("key %q: %+v", key, p)
		}
	}
	w.do("PUT", address, "{}", "Content-Type", "application/x-ndjson").problem(t, http.StatusUnsupportedMediaType)
	w.do("POST", "/v1/suppressions", "a@example.com", "Content-Type", "text/plain").problem(t, http.StatusUnsupportedMediaType)
	if got := w.suppression("/v1/suppressions"); len(got.Suppressions) != 0 {
		t.Errorf("a bad request did something: %+v", got)
	}
	if _, facts := w.sink.count(); facts != 0 {
		t.Errorf("%d orders were journaled", facts)
	}
}

// An order whose decision does not come in time is on disk: sent again with its key, it gets the decision.
func TestUndecided(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *Dependencies) { o.RequestTimeout = minTimeout })
	w.freeze()
	p := w.do("PUT", "/v1/suppressions/bob@example.com", `{"account":"acme"}`, headerKey, "k").problem(t, http.StatusServiceUnavailable)
	if p.Type != problemType+"undecided" {
		t.Errorf("%+v", p)
	}
	if _, facts := w.sink.count(); facts != 1 {
		t.Errorf("%d facts", facts)
	}
	w.sink.set(errTest, nil)
	w.do("PUT", "/v1/suppressions/eve@example.com", `{"account":"acme"}`).problem(t, http.StatusServiceUnavailable)
}

// Nobody sees or changes what is not of his accounts, and the audit names him.
func TestSuppressionTokens(t *testing.T) {
	secret, entry, err := NewToken("shop", []string{"read", "write"}, []string{"acme"})
	must(t, err)
	admin, all, err := NewToken("desk", []string{"admin"}, []string{AllAccounts})
	must(t, err)
	w := newWorld(t, func(o *Options, _ *Dependencies) { o.TokensFile = tokensFile(t, entry, all) })
	shop, desk := "Bearer "+secret, "Bearer "+admin
	for _, c := range []struct {
		method, path, body, field string
	}{
		{"GET", "/v1/suppressions?account=other", "", "account"},
		{"GET", "/v1/suppressions", "", "account"},
		{"GET", "/v1/suppressions?account=acme&scope=global", "", "scope"},
		{"GET", "/v1/suppressions/bob@example.com?account=other", "", "account"},
		{"GET", "/v1/suppressions/audit", "", "account"},
		{"PUT", "/v1/suppressions/bob@example.com", `{"account":"other"}`, "account"},
		{"PUT", "/v1/suppressions/bob@example.com", `{}`, "account"},
		{"PUT", "/v1/suppressions/bob@example.com", `{"scope":"global"}`, "scope"},
		{"DELETE", "/v1/suppressions/bob@example.com?account=other", "", "account"},
		{"POST", "/v1/suppressions/bob@example.com/reactivate", `{"account":"other","confirmed":true}`, "account"},
		{"POST", "/v1/suppressions/bob@example.com/lift", "", "Authorization"},
		{"POST", "/v1/suppressions", `{"account":"other","address":"bob@example.com"}`, "account"},
		{"POST", "/v1/suppressions/check", `{"account":"other","address":"bob@example.com"}`, "account"},
		{"POST", "/v1/suppressions/check", `{"address":"bob@example.com"}`, "account"},
		{"POST", "/v1/suppressions/revert", `{"provider":"google","from":"2026-11-01T00:00:00Z","to":"2026-11-02T00:00:00Z"}`, "account"},
	} {
		if p := w.do(c.method, c.path, c.body, "Authorization", shop).problem(t, http.StatusForbidden); p.Field != c.field {
			t.Errorf("%s %s %s: %+v", c.method, c.path, c.body, p)
		}
	}
	if _, facts := w.sink.count(); facts != 0 {
		t.Errorf("%d orders were journaled", facts)
	}
	lines := w.do("POST", "/v1/suppressions", `{"account":"other","address":"bob@example.com"}`+"\n"+`{"account":"acme","address":"bob@example.com"}`,
		"Authorization", shop, "Content-Type", linesType).lines(t)
	if lines[0]["status"] != 403.0 || lines[1]["result"] != "added" {
		t.Errorf("%v", lines)
	}
	checked := w.do("POST", "/v1/suppressions/check", `{"account":"other","address":"bob@example.com"}`+"\n"+`{"account":"acme","address":"bob@example.com"}`,
		"Authorization", shop, "Content-Type", linesType).lines(t)
	if checked[0]["status"] != 403.0 || checked[1]["suppressed"] == nil {
		t.Errorf("%v", checked)
	}
	plain := w.do("POST", "/v1/suppressions/check?account=acme", "bob@example.com", "Authorization", shop, "Content-Type", "text/plain")
	if !strings.Contains(string(plain.body), `"suppressed":{`) {
		t.Errorf("%s", plain.body)
	}
	w.do("PUT", "/v1/suppressions/eve@example.com", `{"scope":"global","note":"by phone"}`, "Authorization", desk).ok(t, nil)
	for _, path := range []string{"/v1/suppressions/eve@example.com?", "/v1/contacts/eve@example.com?", "/v1/contacts/eve@example.com/export?"} {
		for token, note := range map[string]string{shop: `"note":""`, desk: `"note":"by phone"`} { // which is not for one of the accounts
			a := w.do("GET", path+"account=acme", "", "Authorization", token)
			if text := string(a.body); !strings.Contains(text, `"scope":"global"`) || !strings.Contains(text, note) {
				t.Errorf("%s: %s, want %s", path, text, note)
			}
		}
	}
	var audit told1
	w.do("GET", "/v1/suppressions/audit", "", "Authorization", desk).ok(t, &audit)
	if len(audit.Audit) != 2 || audit.Audit[0].Made < audit.Audit[1].Made {
		t.Fatalf("%+v", audit.Audit)
	}
	if actors := []string{audit.Audit[0].Actor, audit.Audit[1].Actor}; !slices.Contains(actors, "desk") || !slices.Contains(actors, "shop") { // in any order within a millisecond
		t.Errorf("%+v", audit.Audit)
	}
}

// A list that can't be completed ends so that nobody takes it for all.
func TestSuppressionStreamCut(t *testing.T) {
	w := newWorld(t, func(_ *Options, d *Dependencies) { d.Suppressions = brokenList{d.Suppressions} })
	w.do("PUT", "/v1/suppressions/bob@example.com", `{"account":"acme"}`).ok(t, nil)
	w.do("GET", "/v1/suppressions?account=none", "", "Accept", "text/csv").problem(t, http.StatusInternalServerError)
	r, err := http.NewRequest("GET", w.base+"/v1/suppressions?account=acme", nil)
	must(t, err)
	r.Header.Set("Accept", "text/csv")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a list that broke off ended well: %s", b)
	}
}

// brokenList has one page of the account acme and none of others.
type brokenList struct{ Suppressions }

func (b brokenList) List(q suppress.Query) ([]suppress.Suppression, string, error) {
	if q.Account == "acme" && q.After == "" {
		page, _, err := b.Suppressions.List(q)
		return page, "more", err
	}
	return nil, "", errTest
}

// tokensFile writes a tokens file.
func tokensFile(t *testing.T, tokens ...Token) string {
	t.Helper()
	text, err := yaml.Marshal(Tokens{Version: tokensVersion, Tokens: tokens})
	must(t, err)
	name := filepath.Join(t.TempDir(), "tokens.yaml")
	must(t, os.WriteFile(name, text, 0o600))
	return name
}

// Of a global suppression a token of one account learns that there is one, and not whose mail bounced.
func TestGlobalShowsNoOthers(t *testing.T) {
	w, _, secrets := tokenWorld(t, nil)
	root := bearer(secrets["root"])
	for _, account := range []string{"umbra", "default", "else"} {
		w.do("POST", "/v1/messages", fmt.Sprintf(`{"account":%q,"sender":"alice","message":"m-1","recipient":"bob@EXAMPLE.com"}`, account), root...).ok(t, nil)
		w.do("POST", "/v1/events", fmt.Sprintf(`{"kind":"bounce","account":%q,"message":"m-1","reply":"550 5.1.1 user unknown"}`, account), root...).ok(t, nil)
	}
	w.suppressed("acme", "bob@example.com")
	w.do("PUT", "/v1/suppressions/bob@example.com", `{"scope":"global","note":"umbra's lawyer"}`, root...).ok(t, nil)
	w.do("POST", "/v1/messages", `{"account":"acme","sender":"alice","message":"m-2","contact":"bob","recipient":"bob@example.com"}`, root...).ok(t, nil)
	w.await(func() bool {
		return w.do("GET", "/v1/messages/m-2?account=acme", "", root...).StatusCode == http.StatusOK
	})
	for _, path := range []string{"/v1/suppressions/bob@example.com?account=acme", "/v1/suppressions/bob@example.com?account=acme&scope=global", "/v1/contacts/bob?account=acme", "/v1/contacts/bob/export?account=acme"} {
		all, mine := w.do("GET", path, "", bearer(secrets["board"])...), w.do("GET", path, "", bearer(secrets["reader"])...)
		if all.StatusCode != http.StatusOK || mine.StatusCode != http.StatusOK || !bytes.Contains(mine.body, []byte(`"scope":"global"`)) || !bytes.Contains(mine.body, []byte(`"rule":"global_accounts"`)) {
			t.Errorf("%s: %s\n%s", path, all.body, mine.body)
		}
		for _, told := range []string{`"evidence":{`, "umbra's lawyer", "bob@EXAMPLE.com"} {
			if !bytes.Contains(all.body, []byte(told)) || bytes.Contains(mine.body, []byte(told)) {
				t.Errorf("%s: %s: who may see all: %s\nwho may not: %s", path, told, all.body, mine.body)
			}
		}
	}
}

// nextMilli waits until the clock shows another millisecond.
func nextMilli() {
	for now := event.Now(); event.Now() == now; {
		runtime.Gosched()
	}
}
