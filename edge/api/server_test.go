package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carom/pipeline/refine"
	"carom/pipeline/rollup"
)

func TestPathsAndMethods(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/v1", 404, ""},
		{"GET", "/v1/messages/", 404, ""},
		{"POST", "/v2/messages", 404, ""},
		{"DELETE", "/nothing", 404, ""},
		{"PUT", "/v1/messages", 405, "GET, HEAD, POST"},
		{"POST", "/v1/messages/m-1", 405, "GET, HEAD"},
		{"DELETE", "/v1/events", 405, "GET, HEAD, POST"},
		{"OPTIONS", "/v1/senders", 405, "GET, HEAD"},
		{"POST", "/livez", 405, "GET, HEAD"},
		{"GET", "/v1/messages/m-1", 404, ""},
		{"GET", "/v1/messages/%00", 400, ""},
		{"GET", "/v1/messages/m-1?x=1", 400, ""},
		{"GET", "/v1/messages/m-1?as_of=never", 400, ""},
		{"POST", "/v1/messages?dry_run=1", 400, ""},
	} {
		a := w.do(c.method, c.path, "")
		a.problem(t, c.status)
		if a.Header.Get("Allow") != c.allow || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %v", c.method, c.path, a.Header)
		}
	}
	if a := w.do("HEAD", "/v1/nothing", ""); a.StatusCode != 404 || len(a.body) != 0 {
		t.Errorf("HEAD: %d %q", a.StatusCode, a.body)
	}
}

func TestMediaTypes(t *testing.T) {
	w := newWorld(t, nil)
	body := registration1(1)
	for _, c := range []struct {
		header []string
		status int
	}{
		{[]string{"Content-Type", "application/json"}, 200},
		{[]string{"Content-Type", "Application/JSON; charset=UTF-8"}, 200},
		{[]string{"Content-Type", "application/x-www-form-urlencoded"}, 200}, // what curl -d says
		{nil, 200},
		{[]string{"Content-Type", "application/x-ndjson; charset=utf-8"}, 200},
		{[]string{"Content-Type", "application/jsonl"}, 200},
		{[]string{"Content-Type", "application/json", "Content-Encoding", "identity"}, 200},
		{[]string{"Content-Type", "text/plain"}, 415},
		{[]string{"Content-Type", "application/xml"}, 415},
		{[]string{"Content-Type", "multipart/form-data; boundary=x"}, 415},
		{[]string{"Content-Type", "application/json; charset=latin1"}, 415},
		{[]string{"Content-Type", "///"}, 415},
		{[]string{"Content-Type", "application/json", "Content-Encoding", "gzip"}, 415},
	} {
		a := w.do("POST", "/v1/messages", body, c.header...)
		if c.status == 200 && a.StatusCode != 200 {
			t.Errorf("%v: %d %s", c.header, a.StatusCode, a.body)
		} else if c.status != 200 {
			a.problem(t, c.status)
		}
	}
}

// Ids may hold anything but control characters; the path keeps them apart.
func TestIDsInPaths(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct{ id, path string }{
		{"a/b//c", "a%2Fb%2F%2Fc"}, {"ü@example.com", "%C3%BC@example.com"}, {"a?b#c", "a%3Fb%23c"}, {"a b+c", "a%20b+c"}, {"100%", "100%25"}, {".hidden", ".hidden"},
	} {
		body, err := json.Marshal(map[string]string{"sender": c.id, "message": c.id})
		must(t, err)
		w.post("/v1/messages", string(body)).ok(t, nil)
		w.await(func() bool { return w.get("/v1/messages/"+c.path).StatusCode == 200 })
		var m messageAnswer
		w.get("/v1/messages/"+c.path).ok(t, &m)
		var s rollup.Score
		w.get("/v1/senders/"+c.path+"/score").ok(t, &s)
		if m.Message != c.id || s.Sender != c.id {
			t.Errorf("%s: message %q, sender %q", c.path, m.Message, s.Sender)
		}
	}
}

func TestScores(t *testing.T) {
	w := newWorld(t, nil)
	var b strings.Builder
	for i := range 10 {
		fmt.Fprintf(&b, `{"sender":"alice","sequence":"q%d","message":"m-%d"}`+"\n", i%2, i)
	}
	w.bulk("/v1/messages", b.String()+`{"sender":"bob","message":"m-b"}`).lines(t)
	w.post("/v1/events", `{"kind":"bounce","message":"m-1","reply":"550 5.1.1 no"}`).ok(t, nil)
	const later = "as_of=2026-11-25T12:00:00Z"
	var s rollup.Score
	w.await(func() bool {
		w.get("/v1/senders/alice/score?"+later).ok(t, &s)
		return s.Completed == 10 && s.Bounced == 1
	})
	if s.Account != "default" || s.Sender != "alice" || s.Window != "7d" || s.BouncedHard != 1 || s.Bounce.Value != 0.1 || s.Sufficient {
		t.Errorf("%+v", s)
	}
	w.get("/v1/senders/alice/score?sequence=q1&window=24h&as_of=2026-11-24T15:00:00Z").ok(t, &s)
	if s.Sequence != "q1" || s.Window != "24h" || s.Completed != 5 || s.Bounced != 1 {
		t.Errorf("of a sequence: %+v", s)
	}
	// sequence= is no sequence at all: the whole sender.
	w.get("/v1/senders/alice/score?account=&sequence=&window=&"+later).ok(t, &s)
	if s.Sequence != "" || s.Completed != 10 {
		t.Errorf("empty parameters: %+v", s)
	}
	w.get("/v1/senders/alice/score?account=other").ok(t, &s)
	if s.Account != "other" || s.Completed != 0 {
		t.Errorf("nobody's: %+v", s)
	}

	var list struct {
		Senders   []rollup.Score
		Sequences []rollup.Score
		Next      *string
	}
	w.get("/v1/senders?"+later).ok(t, &list)
	if len(list.Senders) != 2 || list.Senders[0].Sender != "alice" || list.Senders[1].Sender != "bob" || list.Next == nil || *list.Next != "" {
		t.Errorf("%+v", list)
	}
	w.get("/v1/senders?limit=1&"+later).ok(t, &list)
	if len(list.Senders) != 1 || *list.Next == "" {
		t.Fatalf("%+v", list)
	}
	w.get("/v1/senders?limit=1&after="+*list.Next+"&"+later).ok(t, &list)
	if len(list.Senders) != 1 || list.Senders[0].Sender != "bob" {
		t.Errorf("%+v", list)
	}
	w.get("/v1/senders/alice/sequences?"+later).ok(t, &list)
	if len(list.Sequences) != 2 || list.Sequences[1].Sequence != "q1" || list.Sequences[1].Completed != 5 {
		t.Errorf("%+v", list)
	}
	if a := w.get("/v1/senders?account=nobody"); !strings.Contains(string(a.body), `"senders":[]`) {
		t.Errorf("%s", a.body)
	}

	for path, field := range map[string]string{
		"/v1/senders/alice/score?window=1h":             "window",
		"/v1/senders/alice/score?as_of=2026-11-25":      "as_of",
		"/v1/senders/alice/score?limit=1":               "limit",
		"/v1/senders/a%0Ab/score":                       "sender",
		"/v1/senders?sort=beauty":                       "sort",
		"/v1/senders?after=x":                           "after",
		"/v1/senders?limit=0":                           "limit",
		"/v1/senders?limit=99999999":                    "limit",
		"/v1/senders?account=%00":                       "account",
		"/v1/senders/alice/sequences?sequence=q1":       "sequence",
		"/v1/senders/alice/score?account=a&account=b":   "account",
		"/v1/senders/alice/score?sequence=" + long(513): "sequence",
	} {
		if p := w.get(path).problem(t, 400); p.Field != field {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

func long(n int) string { return strings.Repeat("a", n) }

// broken answers nothing.
type broken struct{ ScoreViews }

func (broken) Message(string, string) (refine.Message, bool, error) {
	return refine.Message{}, false, errTest
}
func (broken) Score(rollup.Query) (rollup.Score, error) { return rollup.Score{}, errTest }
func (broken) Senders(rollup.SendersQuery) ([]rollup.Score, string, error) {
	return nil, "", errTest
}

func (broken) Sequences(rollup.SequencesQuery) ([]rollup.Score, string, error) {
	return nil, "", errTest
}

func TestReadsFail(t *testing.T) {
	w := newWorld(t, func(_ *Options, d *Dependencies) { d.Messages, d.Scores = broken{}, broken{} })
	for _, path := range []string{"/v1/messages/m", "/v1/senders", "/v1/senders/a/score", "/v1/senders/a/sequences"} {
		if p := w.get(path).problem(t, 500); strings.Contains(p.Detail, errTest.Error()) {
			t.Errorf("%s tells of the inside: %+v", path, p)
		}
	}
}

func TestHealth(t *testing.T) {
	var reasons []Problem
	w := newWorld(t, func(o *Options, d *Dependencies) {
		o.Token = "0123456789abcdef" // which these two don't ask for
		d.Ready = func() []Problem { return reasons }
	})
	w.get("/livez").ok(t, nil)
	w.get("/readyz").ok(t, nil)
	reasons = []Problem{{Part: "journal", Reason: "it is 71 % full"}}
	if p := w.get("/readyz").problem(t, 503); len(p.Problems) != 1 || p.Problems[0] != reasons[0] {
		t.Errorf("%+v", p)
	}
	w.get("/livez").ok(t, nil)
}

func TestMetrics(t *testing.T) {
	w := newWorld(t, nil)
	w.get("/v1/nothing/alice@example.com")
	a := w.get("/metrics")
	if a.StatusCode != 200 || !strings.Contains(string(a.body), `carom_api_requests_total{endpoint="/",status="404"} 1`) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if strings.Contains(string(a.body), "alice") {
		t.Error("an address is in a label")
	}
}

func TestToken(t *testing.T) {
	const token = "correct-horse-battery"
	w := newWorld(t, func(o *Options, _ *Dependencies) { o.Token = token })
	for header, status := range map[string]int{
		"":                                 401,
		"Bearer " + token:                  200,
		"bearer  " + token + " ":           200,
		"Bearer " + token + "x":            401,
		"Bearer " + token[:len(token)-1]:   401,
		"Bearer":                           401,
		"Bearer ":                          401,
		"Basic " + token:                   401,
		token:                              401,
		"Bearer" + token:                   401,
		"Bearer " + strings.ToUpper(token): 401,
	} {
		a := w.do("GET", "/v1/senders", "", "Authorization", header)
		if status == 200 {
			a.ok(t, nil)
			continue
		}
		if a.problem(t, 401); a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: no WWW-Authenticate", header)
		}
	}
	for _, path := range []string{"/v1/messages/m", "/v1/events", "/v1/journal", "/metrics", "/v1/senders/a/score"} {
		w.get(path).problem(t, 401)
	}
	w.bulk("/v1/messages", registration1(1)).problem(t, 401)
	w.post("/v1/events", "{}").problem(t, 401)
	// With a token, requests of any name are answered: it stands behind a proxy, perhaps.
	w.do("GET", "/v1/senders", "", "Host", "carom.example.com", "Authorization", "Bearer "+token).ok(t, nil)
	w.get("/nothing").problem(t, 404)
}

// Without a token, web pages in a browser on the same host are kept out.
func TestWithoutTokenNoForeignPages(t *testing.T) {
	w := newWorld(t, nil)
	port := strings.TrimPrefix(w.base, "http://127.0.0.1:")
	for host, status := range map[string]int{
		"localhost:" + port: 200, "127.0.0.1": 200, "[::1]:" + port: 200, "carom.localhost": 200, "LOCALHOST.": 200,
		"evil.example": 403, "evil.example:" + port: 403, "localhost.evil.example": 403,
	} {
		a := w.do("GET", "/v1/senders", "", "Host", host)
		if a.StatusCode != status {
			t.Errorf("Host %s: %d, want %d", host, a.StatusCode, status)
		}
	}
	post := func(header ...string) answer {
		return w.do("POST", "/v1/messages", registration1(1), append(header, "Content-Type", "application/x-www-form-urlencoded")...)
	}
	post("Origin", "https://evil.example").problem(t, 403)
	post("Sec-Fetch-Site", "cross-site").problem(t, 403)
	post("Sec-Fetch-Site", "same-origin").ok(t, nil)
	post().ok(t, nil)
}

func TestListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	o := Default()
	o.Listen = taken.Addr().String()
	s, err := New(o, Dependencies{})
	must(t, err)
	if s.Addr() != nil {
		t.Error("an address before Listen")
	}
	if err := s.Listen(); err == nil || !strings.Contains(err.Error(), "api.listen") || !strings.Contains(err.Error(), o.Listen) {
		t.Errorf("port in use: %v", err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "api.listen") {
		t.Errorf("run: %v", err)
	}
	must(t, s.Close())
}

func TestClose(t *testing.T) {
	o := Default()
	o.Listen = "127.0.0.1:0"
	s, err := New(o, Dependencies{})
	must(t, err)
	must(t, s.Listen())
	addr := s.Addr().String()
	must(t, s.Close())
	must(t, s.Close())
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("still listening")
	}
	// Close ends Run.
	if s, err = New(o, Dependencies{}); err != nil {
		t.Fatal(err)
	}
	must(t, s.Listen())
	done := make(chan error)
	go func() { done <- s.Run(context.Background()) }()
	resp, err := http.Get("http://" + s.Addr().String() + "/livez")
	must(t, err)
	must(t, resp.Body.Close())
	must(t, s.Close())
	must(t, <-done)
}

func TestOptions(t *testing.T) {
	must(t, Default().Validate())
	remote := Default()
	remote.Listen, remote.Token = "0.0.0.0:8081", "0123456789abcdef"
	must(t, remote.Validate())
	for _, listen := range []string{"localhost:0", "[::1]:8081", "127.1.2.3:http", "[::ffff:127.0.0.1]:1"} {
		o := Default()
		o.Listen = listen
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", listen, err)
		}
	}
	for want, change := range map[string]func(*Options){
		`listen: ":foo": want host:port`:                                                             func(o *Options) { o.Listen = ":foo" },
		`listen: "8081": want host:port`:                                                             func(o *Options) { o.Listen = "8081" },
		`listen: "localhost:": want host:port`:                                                       func(o *Options) { o.Listen = "localhost:" },
		`token: is empty: want a bearer token, because listen ":8081" is not on loopback`:            func(o *Options) { o.Listen = ":8081" },
		`token: is empty: want a bearer token, because listen "203.0.113.1:8081" is not on loopback`: func(o *Options) { o.Listen = "203.0.113.1:8081" },
		`token: a value of 5 bytes: want 16`:                                                         func(o *Options) { o.Token = "short" },
		`token: a value of 17 bytes: want 16`:                                                        func(o *Options) { o.Token = "0123456789 abcdef" },
		`max_bulks: 0: want 1 to 65536`:                                                              func(o *Options) { o.MaxBulks = 0 },
		`max_tails: -1: want`:                                                                        func(o *Options) { o.MaxTails = -1 },
		`max_limit: 0: want`:                                                                         func(o *Options) { o.MaxLimit = 0 },
		`max_connections: 0: want`:                                                                   func(o *Options) { o.MaxConnections = 0 },
		`max_body_bytes: 10: want`:                                                                   func(o *Options) { o.MaxBodyBytes = 10 },
		`max_line_bytes: 1073741824: want`:                                                           func(o *Options) { o.MaxLineBytes = 1 << 30 },
		`max_backlog_bytes: 1: want`:                                                                 func(o *Options) { o.MaxBacklogBytes = 1 },
		`stall_timeout: 1ms: want 100ms to 1h`:                                                       func(o *Options) { o.StallTimeout = time.Millisecond },
		`header_timeout: 1h0m0s: want`:                                                               func(o *Options) { o.HeaderTimeout = time.Hour },
		`request_timeout: 0s: want`:                                                                  func(o *Options) { o.RequestTimeout = 0 },
		`idle_timeout: 24h0m0s: want`:                                                                func(o *Options) { o.IdleTimeout = 24 * time.Hour },
	} {
		o := Default()
		change(&o)
		err := o.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if _, newErr := New(o, Dependencies{}); newErr == nil || newErr.Error() != "api."+err.Error() {
			t.Errorf("New: %v", newErr)
		}
		if o.Token != "" && strings.Contains(err.Error(), o.Token) {
			t.Errorf("the message shows the token: %v", err)
		}
	}
}

// A header or a body that comes too slowly, or is too large, ends the connection, not the server.
func TestSlowAndLargeHeaders(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *Dependencies) { o.HeaderTimeout, o.RequestTimeout = minTimeout, minTimeout })
	for request, want := range map[string]string{
		"GET /livez HTTP/1.1\r\nHost: x\r\nX: ":                                       "",
		"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + long(64<<10) + "\r\n\r\n":           "431",
		"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{": "408",
		"nonsense\r\n\r\n": "400",
	} {
		conn, err := net.Dial("tcp", w.server.Addr().String())
		must(t, err)
		_, err = conn.Write([]byte(request))
		must(t, err)
		var b [64]byte
		n, err := conn.Read(b[:])
		if want == "" && n != 0 || !strings.Contains(string(b[:n]), want) {
			t.Errorf("%.40q: %q, %v", request, b[:n], err)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%.40q: %v", request, err)
		}
		must(t, conn.Close())
	}
	w.get("/livez").ok(t, nil)
}

func TestConnectionsAreBounded(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *Dependencies) { o.MaxConnections = 1 })
	first := w.raw("/v1/messages", "Transfer-Encoding: chunked\r\n")
	second, err := net.Dial("tcp", w.server.Addr().String())
	must(t, err)
	defer second.Close()
	_, err = fmt.Fprint(second, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	must(t, err)
	var firstDone atomic.Bool
	answered := make(chan bool)
	go func() {
		_, err := second.Read(make([]byte, 1))
		answered <- err == nil && firstDone.Load()
	}()
	// A server that took the second connection would answer it long before these come and go.
	answers := bufio.NewReader(first)
	for i := range 20 {
		line := registration1(i) + "\n"
		_, err := fmt.Fprintf(first, "%x\r\n%s\r\n", len(line), line)
		must(t, err)
		for text := ""; !strings.Contains(text, `"send":true`); {
			text, err = answers.ReadString('\n')
			must(t, err)
		}
	}
	firstDone.Store(true)
	must(t, first.Close())
	if !<-answered {
		t.Error("the second connection was served while the first was open")
	}
}
