package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"carom/pipeline/event"
)

func registration1(i int) string { return fmt.Sprintf(`{"sender":"alice","message":"m-%d"}`, i) }

func TestBulkAnswersLineByLine(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *Dependencies) { o.MaxLineBytes = 4096 })
	body := strings.Join([]string{
		registration1(1),
		`{"sender":"alice"}`,
		"",
		registration1(4) + "\r",
		"{\"sender\":\"alice\",\"message\":\"\x00\"}",
		"   ",
		`not JSON`,
		`{"sender":"alice","message":"` + strings.Repeat("x", 5000) + `"}`,
		registration1(9) + registration1(9),
		`{"sender":"alice","message":"m-10","sent_at":"2027-01-01T00:00:00Z"}`,
		"\xff\xfe",
		registration1(12), // and no line end
	}, "\n")
	want := []struct {
		line, status int // 200: an answer
		is           string
	}{
		{1, 200, "m-1"},
		{2, 400, "missing-field"},
		{4, 200, "m-4"},
		{5, 400, "bad-json"},
		{7, 400, "bad-json"},
		{8, 413, "too-large"},
		{9, 400, "bad-json"},
		{10, 422, "bad-time"},
		{11, 400, "bad-json"},
		{12, 200, "m-12"},
	}
	got := w.bulk("/v1/messages", body).lines(t)
	if len(got) != len(want) {
		t.Fatalf("%d answers, want %d: %v", len(got), len(want), got)
	}
	for i, a := range got {
		if c := want[i]; c.status == 200 {
			if a["message"] != c.is || a["send"] != true || a["open_url"] == nil {
				t.Errorf("line %d: %v", c.line, a)
			}
		} else if a["status"] != float64(c.status) || a["line"] != float64(c.line) || a["type"] != problemType+c.is {
			t.Errorf("line %d: %v, want %d %s", c.line, a, c.status, c.is)
		}
	}
	if events := w.allEvents(3); events[0]["message"] != "m-1" || events[1]["message"] != "m-4" || events[2]["message"] != "m-12" {
		t.Errorf("events %v", events)
	}
	if n := w.metric("carom_api_facts_total", "/v1/messages", factBad); n != 7 {
		t.Errorf("%v bad lines counted", n)
	}
}

func TestBulkOfNothing(t *testing.T) {
	w := newWorld(t, nil)
	for _, body := range []string{"", "\n\n"} {
		if got := w.bulk("/v1/events", body).lines(t); len(got) != 0 {
			t.Errorf("%q: %v", body, got)
		}
	}
	if calls, _ := w.sink.count(); calls != 0 {
		t.Errorf("%d calls of the sink for nothing", calls)
	}
}

// stream is a bulk request whose body the test writes bit by bit.
type stream struct {
	t     *testing.T
	body  *io.PipeWriter
	resp  chan *http.Response
	lines *bufio.Scanner
}

func (w *world) stream(t *testing.T, path string) *stream {
	t.Helper()
	r, body := io.Pipe()
	s := &stream{t: t, body: body, resp: make(chan *http.Response, 1)}
	req, err := http.NewRequest("POST", w.base+path, r)
	must(t, err)
	req.Header.Set("Content-Type", "application/x-ndjson")
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			resp = nil
		}
		s.resp <- resp
	}()
	return s
}

func (s *stream) send(line string) {
	s.t.Helper()
	_, err := io.WriteString(s.body, line)
	must(s.t, err)
}

// next reads one answer; ok is false at the end.
func (s *stream) next() (m map[string]any, ok bool) {
	s.t.Helper()
	if s.lines == nil {
		resp := <-s.resp
		if resp == nil {
			s.t.Fatal("no response")
		}
		s.t.Cleanup(func() { _ = resp.Body.Close() })
		s.lines = scanner(resp.Body)
	}
	if !s.lines.Scan() {
		return nil, false
	}
	must(s.t, json.Unmarshal(s.lines.Bytes(), &m))
	return m, true
}

func TestBulkAnswersEachLineBeforeTheNext(t *testing.T) {
	w := newWorld(t, nil)
	s := w.stream(t, "/v1/messages")
	for i := range 5 {
		s.send(registration1(i) + "\n")
		if a, ok := s.next(); !ok || a["message"] != fmt.Sprintf("m-%d", i) {
			t.Fatalf("answer %d: %v", i, a)
		}
	}
	s.send(registration1(9)) // without a line end: the next bytes may belong to it
	must(t, s.body.Close())
	if a, ok := s.next(); !ok || a["message"] != "m-9" {
		t.Fatalf("last answer: %v", a)
	}
	if a, ok := s.next(); ok {
		t.Fatalf("one answer too many: %v", a)
	}
}

// While one commit is on its way to the disk, lines collect; the next takes all of them.
func TestBulkCommitsTogether(t *testing.T) {
	w := newWorld(t, nil)
	hold := make(chan struct{})
	w.sink.set(nil, hold)
	s := w.stream(t, "/v1/events")
	const n = 1000
	for i := range n {
		s.send(fmt.Sprintf(`{"kind":"completed","message":"m-%d"}`+"\n", i))
	}
	must(t, s.body.Close())
	w.await(func() bool { calls, _ := w.sink.count(); return calls > 0 })
	w.sink.set(nil, nil)
	close(hold)
	answers := 0
	for _, ok := s.next(); ok; _, ok = s.next() {
		answers++
	}
	calls, facts := w.sink.count()
	if answers != n || facts != n || calls > n/4 {
		t.Errorf("%d lines: %d answers, %d facts in %d calls", n, answers, facts, calls)
	}
}

func TestBulkWhenTheSinkFails(t *testing.T) {
	w := newWorld(t, nil)
	w.sink.set(errTest, nil)
	got := w.bulk("/v1/messages", registration1(1)+"\n{}\n"+registration1(3)+"\n").lines(t)
	if len(got) != 3 {
		t.Fatalf("%v", got)
	}
	for i, status := range []float64{503, 400, 503} {
		if got[i]["status"] != status || got[i]["line"] != float64(i+1) {
			t.Errorf("line %d: %v", i+1, got[i])
		}
	}
	w.sink.set(nil, nil)
	if got := w.bulk("/v1/messages", registration1(1)).lines(t); len(got) != 1 || got[0]["message"] != "m-1" {
		t.Errorf("after it: %v", got)
	}
}

// panicking is a sink with a bug.
type panicking struct{}

func (panicking) Facts(...*event.Event) error { panic("test: a bug") }

func TestABugIsAnswered(t *testing.T) {
	w := newWorld(t, func(_ *Options, d *Dependencies) { d.Sink = panicking{} })
	if p := w.post("/v1/messages", registration1(1)).problem(t, 500); strings.Contains(p.Detail, "bug") {
		t.Errorf("the answer tells of the inside: %+v", p)
	}
	if got := w.bulk("/v1/messages", registration1(1)+"\n{}").lines(t); len(got) != 2 || got[0]["status"] != 500.0 || got[1]["status"] != 400.0 {
		t.Errorf("bulk: %v", got)
	}
	if n := w.metric("carom_api_panics_total"); n != 2 {
		t.Errorf("%v bugs counted, want 2", n)
	}
}

// raw opens a connection and sends the header of a bulk.
func (w *world) raw(path, rest string) *net.TCPConn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.server.Addr().String())
	must(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n%s\r\n", path, rest)
	must(w.t, err)
	return conn.(*net.TCPConn)
}

func readResponse(t *testing.T, conn net.Conn) (*http.Response, []byte) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp, body
}

// Many HTTP clients send all of a body before they read one byte of the answer.
func TestBulkOfAClientThatSendsAllFirst(t *testing.T) {
	w := newWorld(t, nil)
	var body bytes.Buffer
	const n = 10_000 // some 13 MB of answers
	for i := range n {
		body.WriteString(registration1(i) + "\n")
	}
	conn := w.raw("/v1/messages", fmt.Sprintf("Content-Length: %d\r\n", body.Len()))
	must(t, conn.SetReadBuffer(64<<10))
	_, err := conn.Write(body.Bytes())
	must(t, err)
	_, answers := readResponse(t, conn)
	if got := bytes.Count(answers, []byte(`"send":true`)); got != n {
		t.Errorf("%d of %d lines were answered", got, n)
	}
}

// A client that never reads fills the backlog; then its lines are read no further, and at last it is cut off.
func TestBulkOfAClientThatNeverReads(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *Dependencies) {
		o.MaxBacklogBytes = 64 << 10
		o.StallTimeout = 300 * time.Millisecond
	})
	conn := w.raw("/v1/messages", "Transfer-Encoding: chunked\r\n")
	must(t, conn.SetReadBuffer(4096))
	chunk := strings.Repeat(registration1(1)+"\n", 1000)
	sent := 0
	for {
		if _, err := fmt.Fprintf(conn, "%x\r\n%s\r\n", len(chunk), chunk); err != nil {
			break
		}
		if sent += len(chunk); sent > 1<<30 {
			t.Fatal("1 GB was taken from a client that reads nothing")
		}
	}
	w.await(func() bool { return len(w.server.bulks) == 0 })
}

func TestBulkOfAClientThatIsGone(t *testing.T) {
	w := newWorld(t, nil)
	for _, rest := range []string{"Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"} {
		conn := w.raw("/v1/messages", rest)
		w.await(func() bool { return len(w.server.bulks) == 1 })
		must(t, conn.SetLinger(0))
		must(t, conn.Close())
		w.await(func() bool { return len(w.server.bulks) == 0 })
	}
}

func TestBulkThatIsCutOff(t *testing.T) {
	w := newWorld(t, nil)
	body := registration1(1) + "\n" + registration1(2) // looks whole, but is not known to be
	conn := w.raw("/v1/messages", fmt.Sprintf("Content-Length: %d\r\n", len(body)+1))
	_, err := conn.Write([]byte(body))
	must(t, err)
	must(t, conn.CloseWrite())
	_, answers := readResponse(t, conn)
	got := strings.Split(strings.TrimSpace(string(answers)), "\n")
	if len(got) != 2 || !strings.Contains(got[0], `"message":"m-1"`) || !strings.Contains(got[1], "ends too early") || !strings.Contains(got[1], `"line":2`) {
		t.Errorf("%q", got)
	}
	if _, facts := w.sink.count(); facts != 1 {
		t.Errorf("%d facts", facts)
	}
}

func TestBulkThatStalls(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *Dependencies) { o.StallTimeout = 500 * time.Millisecond })
	s := w.stream(t, "/v1/messages")
	s.send(registration1(1) + "\n" + registration1(2))
	if a, ok := s.next(); !ok || a["message"] != "m-1" {
		t.Fatalf("%v", a)
	}
	if a, ok := s.next(); !ok || a["status"] != 408.0 || a["line"] != 2.0 {
		t.Fatalf("%v", a)
	}
	if a, ok := s.next(); ok {
		t.Fatalf("%v", a)
	}
}

func TestBulkWhenTheServerStops(t *testing.T) {
	w := newWorld(t, nil)
	s := w.stream(t, "/v1/messages")
	s.send(registration1(1) + "\n")
	if a, ok := s.next(); !ok || a["message"] != "m-1" {
		t.Fatalf("%v", a)
	}
	stopped := make(chan struct{})
	go func() { w.stop(); close(stopped) }()
	if a, ok := s.next(); !ok || a["status"] != 503.0 || a["line"] != 2.0 {
		t.Fatalf("%v", a)
	}
	<-stopped
}

func TestBulksAreBounded(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *Dependencies) { o.MaxBulks = 1 })
	s := w.stream(t, "/v1/messages")
	s.send(registration1(1) + "\n")
	s.next()
	a := w.bulk("/v1/messages", registration1(2))
	if a.problem(t, 503); a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	must(t, s.body.Close())
	w.await(func() bool { return len(w.server.bulks) == 0 })
	w.bulk("/v1/messages", registration1(2)).lines(t)
}

func TestALineOf100MB(t *testing.T) {
	w := newWorld(t, nil)
	body := io.MultiReader(strings.NewReader(registration1(1)+"\n"), io.LimitReader(zeros{}, 100<<20), strings.NewReader("\n"+registration1(3)))
	r, err := http.NewRequest("POST", w.base+"/v1/messages", body)
	must(t, err)
	r.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	b, err := io.ReadAll(resp.Body)
	must(t, errors.Join(err, resp.Body.Close()))
	got := answer{resp, b}.lines(t)
	if len(got) != 3 || got[0]["message"] != "m-1" || got[1]["status"] != 413.0 || got[1]["line"] != 2.0 || got[2]["message"] != "m-3" {
		t.Errorf("%v", got)
	}
	// As a single object it is refused after max_body_bytes.
	if p := w.post("/v1/messages", `{"sender":"`+strings.Repeat("a", 2<<20)).problem(t, 413); p.Type != problemType+"too-large" {
		t.Errorf("%+v", p)
	}
}
