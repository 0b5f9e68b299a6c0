package api

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tokenWorld is a world that knows tokens; what is made of each is in secrets, by name.
func tokenWorld(t *testing.T, change func(*Options, *Dependencies)) (w *world, file string, secrets map[string]string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "tokens.yaml")
	secrets = make(map[string]string)
	text := "version: 1\ntokens:\n"
	for _, token := range []struct{ name, scopes, accounts string }{
		{"reader", "read", "acme"},
		{"writer", "write", "acme,umbra"},
		{"both", "read,write", "default"},
		{"board", "read", "*"},
		{"on-call", "admin", "acme"},
		{"root", "admin", "*"},
		{"nobody", "read,write,admin", "nobody"},
	} {
		secret, e, err := NewToken(token.name, strings.Split(token.scopes, ","), strings.Split(token.accounts, ","))
		must(t, err)
		secrets[token.name] = secret
		text += "  - {name: " + e.Name + ", hash: " + e.Hash + ", scopes: [" + token.scopes + `], accounts: ["` + strings.Join(e.Accounts, `","`) + "\"]}\n"
	}
	must(t, os.WriteFile(file, []byte(text), 0o600))
	w = newWorld(t, func(o *Options, d *Dependencies) {
		o.TokensFile = file
		if change != nil {
			change(o, d)
		}
	})
	return w, file, secrets
}

func bearer(secret string) []string { return []string{"Authorization", "Bearer " + secret} }

func TestScopesAndAccounts(t *testing.T) {
	w, _, secrets := tokenWorld(t, nil)
	const message = `{"account":"acme","sender":"alice","message":"m-1"}`
	for _, c := range []struct {
		token, method, path, body string
		status                    int
		field                     string
	}{
		{"reader", "GET", "/v1/senders?account=acme", "", 200, ""},
		{"reader", "GET", "/v1/senders", "", 403, "account"},
		{"reader", "GET", "/v1/senders?account=", "", 403, "account"},
		{"reader", "GET", "/v1/senders?account=umbra", "", 403, "account"},
		{"reader", "GET", "/v1/senders?account=acme&account=umbra", "", 403, "account"},
		{"reader", "GET", "/v1/senders?account=ACME", "", 403, "account"},
		{"reader", "GET", "/v1/events", "", 403, "account"},
		{"reader", "GET", "/v1/messages/m-1?account=umbra", "", 403, "account"},
		{"reader", "GET", "/metrics", "", 403, "Authorization"},
		{"reader", "GET", "/v1/rules", "", 403, "Authorization"},
		{"reader", "GET", "/v1/journal", "", 403, "Authorization"},
		{"reader", "POST", "/v1/messages", message, 403, "Authorization"},
		{"reader", "GET", "/v1/webhooks?account=umbra", "", 403, "account"},
		{"reader", "GET", "/v1/webhooks/crm?account=umbra", "", 403, "account"},
		{"reader", "PUT", "/v1/webhooks/crm?account=acme", `{"url":"https://hooks.example.com"}`, 403, "Authorization"},
		{"writer", "PUT", "/v1/webhooks/crm?account=other", `{"url":"https://hooks.example.com"}`, 403, "account"},
		{"writer", "PUT", "/v1/webhooks/crm?account=acme", `{"url":"https://hooks.example.com","account":"other"}`, 400, "account"},
		{"writer", "PUT", "/v1/webhooks/crm?account=acme", `{"url":"https://hooks.example.com"}`, 200, ""},
		{"writer", "POST", "/v1/webhooks/crm/resume?account=other", "", 403, "account"},
		{"writer", "DELETE", "/v1/webhooks/crm?account=other", "", 403, "account"},
		{"writer", "POST", "/v1/messages", message, 200, ""},
		{"writer", "POST", "/v1/messages", strings.Replace(message, "acme", "umbra", 1), 200, ""},
		{"writer", "POST", "/v1/messages", `{"sender":"alice","message":"m-1"}`, 403, "account"},
		{"writer", "GET", "/v1/senders?account=acme", "", 403, "Authorization"},
		{"writer", "POST", "/v1/denied", `{"account":"other","contact":"c"}`, 403, "account"},
		{"writer", "DELETE", "/v1/contacts/c?account=other", "", 403, "account"},
		{"both", "GET", "/v1/senders", "", 200, ""},
		{"both", "POST", "/v1/messages", `{"sender":"alice","message":"m-1"}`, 200, ""},
		{"both", "POST", "/v1/rules/reload", "", 403, "Authorization"},
		{"board", "GET", "/v1/senders?account=umbra", "", 200, ""},
		{"board", "GET", "/v1/rules", "", 200, ""},
		{"board", "GET", "/v1/journal", "", 403, "Authorization"},
		{"on-call", "GET", "/v1/journal", "", 403, "Authorization"}, // which is of all accounts
		{"on-call", "GET", "/v1/senders?account=acme", "", 200, ""},
		{"on-call", "POST", "/v1/messages", message, 200, ""},
		{"root", "POST", "/v1/rules/reload", "", 200, ""},
	} {
		a := w.do(c.method, c.path, c.body, bearer(secrets[c.token])...)
		if c.status == 200 {
			a.ok(t, nil)
			continue
		}
		if p := a.problem(t, c.status); p.Field != c.field {
			t.Errorf("%s %s %s: %+v", c.token, c.method, c.path, p)
		}
	}
	if a := w.do("GET", "/v1/events?account=acme", "", bearer(secrets["reader"])...); a.StatusCode != 200 {
		t.Errorf("events of its account: %d", a.StatusCode)
	}
	a := w.do("POST", "/v1/messages", message, bearer(secrets["reader"])...)
	if want := `Bearer realm="carom", error="insufficient_scope", scope="write"`; a.Header.Get("WWW-Authenticate") != want {
		t.Errorf("WWW-Authenticate: %q", a.Header.Get("WWW-Authenticate"))
	}
	// What nodes tell each other is for who may see all.
	for _, path := range []string{"/v1/senders?account=acme", "/v1/messages/m?account=acme"} {
		if p := w.do("GET", path, "", append(bearer(secrets["on-call"]), headerPeer, "0 0 1 x")...).problem(t, 403); p.Field != headerPeer {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

// A line of another account spoils no other.
func TestAccountsOfLines(t *testing.T) {
	w, _, secrets := tokenWorld(t, nil)
	a := w.do("POST", "/v1/messages", strings.Join([]string{
		`{"account":"acme","sender":"a","message":"1"}`, `{"account":"other","sender":"a","message":"2"}`,
		`{"sender":"a","message":"3"}`, `{"account":"umbra","sender":"a","message":"4"}`,
	}, "\n"), append(bearer(secrets["writer"]), "Content-Type", linesType)...)
	lines := a.lines(t)
	for i, refused := range []bool{false, true, true, false} {
		if got := lines[i]["status"] == 403.0 && lines[i]["field"] == "account" && lines[i]["line"] == float64(i+1); got != refused {
			t.Errorf("line %d: %v", i+1, lines[i])
		}
	}
	if _, facts := w.sink.count(); facts != 2 {
		t.Errorf("%d facts, want those of two lines", facts)
	}
}

func TestActor(t *testing.T) {
	w, _, secrets := tokenWorld(t, func(o *Options, _ *Dependencies) { o.Token = "correct-horse-battery" })
	for secret, want := range map[string]string{secrets["writer"]: "writer", "correct-horse-battery": "api.token"} {
		r, err := http.NewRequest("GET", "/", nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+secret)
		c, p := w.server.guard.check(r)
		if p != nil {
			t.Fatal(p)
		}
		if got := actorOf(c.attach(r)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A tail shows its account's events and no others, and ends when its token is taken away.
func TestTailOfAnAccount(t *testing.T) {
	w, file, secrets := tokenWorld(t, nil)
	reader := bearer(secrets["reader"])
	for _, path := range []string{"/v1/events", "/v1/events?account=", "/v1/events?account=umbra", "/v1/events?account=acme&account=umbra"} {
		if p := w.do("GET", path, "", append(reader, "Accept", tailType)...).problem(t, 403); p.Field != "account" {
			t.Errorf("%s: %+v", path, p)
		}
	}
	send := func(account, message string) {
		t.Helper()
		w.do("POST", "/v1/messages", `{"account":"`+account+`","sender":"alice","message":"`+message+`"}`, bearer(secrets["root"])...).ok(t, nil)
	}
	f := w.follow(t, "/v1/events?account=acme", reader...)
	send("acme/umbra", "no-1")
	send("acm", "no-2")
	send("umbra", "no-3")
	send("acme", "yes")
	if _, e := f.next(); e["message"] != "yes" || e["account"] != "acme" {
		t.Errorf("%v", e)
	}
	text, err := os.ReadFile(file)
	must(t, err)
	before, _, _ := strings.Cut(string(text), "  - {name: reader")
	_, after, _ := strings.Cut(string(text), "  - {name: writer")
	must(t, os.WriteFile(file, []byte(before+"  - {name: writer"+after), 0o600))
	must(t, w.server.ReloadTokens())
	send("acme", "secret")
	for {
		b, ok := f.block()
		if !ok {
			t.Fatal("it has ended without a word")
		}
		if b.event == "problem" && strings.Contains(b.data, "bearer token") {
			break
		}
		if b.data != "" {
			t.Fatalf("%+v", b)
		}
	}
	if b, ok := f.block(); ok {
		t.Errorf("it goes on: %+v", b)
	}
}

// One customer's tails leave some to others.
func TestTailsOfAToken(t *testing.T) {
	w, _, secrets := tokenWorld(t, func(o *Options, _ *Dependencies) { o.MaxTails = 2 * tailsShare })
	reader := bearer(secrets["reader"])
	const path = "/v1/events?account=acme"
	first := w.follow(t, path, reader...)
	w.follow(t, path, reader...)
	if a := w.do("GET", path, "", append(reader, "Accept", tailType)...); a.problem(t, 429).Field != "Authorization" || a.Header.Get("Retry-After") == "" {
		t.Errorf("%v", a.Header)
	}
	must(t, w.server.ReloadTokens()) // which forgets none of them
	w.do("GET", path, "", append(reader, "Accept", tailType)...).problem(t, 429)
	for range 3 {
		w.follow(t, "/v1/events", bearer(secrets["board"])...)
	}
	must(t, first.resp.Body.Close())
	w.await(func() bool { return len(w.server.tails) == 4 })
	w.follow(t, path, reader...)
}

func TestReloadTokens(t *testing.T) {
	w, file, secrets := tokenWorld(t, nil)
	secret, e, err := NewToken("late", []string{"read"}, []string{"acme"})
	must(t, err)
	ask := func(secret string) int {
		return w.do("GET", "/v1/senders?account=acme", "", bearer(secret)...).StatusCode
	}
	if ask(secret) != 401 || ask(secrets["reader"]) != 200 {
		t.Fatal("before")
	}
	must(t, os.WriteFile(file, []byte("version: 1\ntokens: [{}]\n"), 0o600))
	if err := w.server.ReloadTokens(); err == nil || !strings.HasPrefix(err.Error(), "api.tokens_file: "+file) {
		t.Errorf("broken: %v", err)
	}
	if ask(secrets["reader"]) != 200 {
		t.Error("a broken file took the old tokens away")
	}
	must(t, os.WriteFile(file, []byte("version: 1\ntokens:\n- {name: late, hash: "+e.Hash+", scopes: [read], accounts: [acme]}\n"), 0o600))
	must(t, w.server.ReloadTokens())
	if ask(secret) != 200 || ask(secrets["reader"]) != 401 {
		t.Error("after")
	}
	// With no token at all nobody may ask: an empty list does not open the doors.
	must(t, os.WriteFile(file, []byte("version: 1\ntokens: []\n"), 0o600))
	must(t, w.server.ReloadTokens())
	if ask(secret) != 401 || w.get("/v1/senders").StatusCode != 401 {
		t.Error("an empty file")
	}
}

func TestParseTokens(t *testing.T) {
	_, e, err := NewToken("shop", []string{"read"}, []string{"*"})
	must(t, err)
	entry := "{name: shop, hash: " + e.Hash + ", scopes: [read], accounts: [acme]}"
	list := func(entries ...string) string { return "version: 1\ntokens: [" + strings.Join(entries, ", ") + "]\n" }
	for _, good := range []string{list(entry), list(), "version: 1\n", "# remark\nversion: 1\ntokens:\n"} {
		if _, err := ParseTokens([]byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for want, text := range map[string]string{
		"empty":                       "",
		"version: 2":                  strings.Replace(list(entry), "version: 1", "version: 2", 1),
		"line 2: field token not":     "version: 1\ntoken: []\n",
		"line 2: field expires":       list(strings.Replace(entry, "scopes", "expires", 1)),
		`name: "shop" is there twice`: list(entry, strings.Replace(entry, e.Hash, strings.Repeat("0", 64), 1)),
		`has that of "shop"`:          list(entry, strings.Replace(entry, "shop", "other", 1)),
		`name: ""`:                    list(strings.Replace(entry, "shop", `""`, 1)),
		`name: "a b"`:                 list(strings.Replace(entry, "shop", "a b", 1)),
		`"api.token" stands for`:      list(strings.Replace(entry, "shop", "api.token", 1)),
		"hash: of token":              list(strings.Replace(entry, e.Hash, "secret-in-the-wrong-place", 1)),
		"scopes: none":                list(strings.Replace(entry, "[read]", "[]", 1)),
		`scopes: "reed"`:              list(strings.Replace(entry, "[read]", "[reed]", 1)),
		`scopes: ""`:                  list(strings.Replace(entry, "[read]", `[""]`, 1)),
		"accounts: none":              list(strings.Replace(entry, "[acme]", "[]", 1)),
		"a second document":           list(entry) + "---\n" + list(),
		`accounts: ""`:                list(strings.Replace(entry, "[acme]", `[""]`, 1)),
	} {
		_, err := ParseTokens([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		} else if strings.Contains(err.Error(), "wrong-place") {
			t.Errorf("the message shows the secret: %v", err)
		}
	}
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	must(t, os.WriteFile(file, []byte(list(entry)), 0o600))
	must(t, os.Chmod(file, 0o666))
	if _, err := ReadTokens(file); err == nil || !strings.Contains(err.Error(), "everybody may write it") {
		t.Errorf("writable: %v", err)
	}
}

func TestLimiter(t *testing.T) {
	now := time.Unix(1000, 0)
	l := newLimiter(10)
	l.now, l.at = func() time.Time { return now }, now
	for i := range 10 {
		if wait := l.take(1); wait != 0 {
			t.Fatalf("%d: wait %v", i, wait)
		}
	}
	if wait := l.take(1); wait != 100*time.Millisecond {
		t.Errorf("wait %v", wait)
	}
	now = now.Add(100 * time.Millisecond)
	if wait := l.take(1); wait != 0 {
		t.Errorf("wait %v", wait)
	}
	if wait := l.owe(5); wait != 500*time.Millisecond {
		t.Errorf("owed: %v", wait)
	}
	if wait := l.take(0); wait != 600*time.Millisecond {
		t.Errorf("in debt: %v", wait)
	}
	now = now.Add(time.Hour) // saves no more than a second's
	if wait := l.owe(11); wait != 100*time.Millisecond {
		t.Errorf("after an hour: %v", wait)
	}
	if newLimiter(0) != nil || newLimiter(0).batch(7) != 7 || newLimiter(3).batch(7) != 3 {
		t.Error("batch")
	}
}

// still stops the clock by which callers are limited.
func (w *world) still() {
	now := time.Now()
	for _, c := range w.server.guard.callers.Load().byHash {
		for _, l := range []*limiter{c.requests, c.lines} {
			if l != nil {
				l.now, l.at = func() time.Time { return now }, now
			}
		}
	}
}

func TestRates(t *testing.T) {
	w, _, secrets := tokenWorld(t, func(o *Options, _ *Dependencies) { o.Rate, o.RateLines, o.Token = 3, 100, "correct-horse-battery" })
	w.still()
	bulk := strings.Repeat(`{"account":"acme","sender":"a","message":"1"}`+"\n", 101)
	post := func() answer {
		return w.do("POST", "/v1/messages", bulk, append(bearer(secrets["writer"]), "Content-Type", linesType)...)
	}
	if n := len(post().lines(t)); n != 101 { // slower, and whole
		t.Errorf("%d lines", n)
	}
	for range 2 { // in debt; a third request is one too many besides
		a := post()
		if p := a.problem(t, 429); p.Type != problemType+"rate" || p.Field != "Authorization" || a.Header.Get("Retry-After") != "1" {
			t.Errorf("%+v", p)
		}
	}
	if p := post().problem(t, 429); !strings.Contains(p.Detail, "no more requests") {
		t.Errorf("%+v", p)
	}
	if w.metric("carom_api_limited_total", "lines") != 2 || w.metric("carom_api_limited_total", "requests") != 1 {
		t.Error("metric")
	}
	// Others have rates of their own, and nodes none.
	w.do("GET", "/v1/senders?account=acme", "", bearer(secrets["reader"])...).ok(t, nil)
	for range 5 {
		a := w.do("GET", "/v1/senders", "", append(bearer("correct-horse-battery"), headerPeer, "0 0 1 "+w.server.ownersTag())...)
		a.ok(t, nil)
	}
	w.get("/livez").ok(t, nil)
	// A reload gives nobody back what he has used up.
	must(t, w.server.ReloadTokens())
	post().problem(t, 429)
}
