package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Bad input gets the clear error of its protocol; the process stays up, and nothing else is affected.
func TestContractBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.set("victim", 1)[0]
	w.badRequests(t)
	w.badLines(t, "/v1/messages", `{"sender":"bulk","message":"bulk-%d@example.org"}`)
	w.badLines(t, "/v1/events", `{"kind":"auto_reply","account":"acme","message":"`+l.name+`","time":"2026-11-0%dT10:00:00Z"}`)
	w.hugeLine(t)
	w.badMails(t, l)
	w.tooLarge(t, l)
	w.noise(t)
	var ready json.RawMessage
	w.get("/readyz", &ready)
	d := w.open(l, person)
	w.until("a normal open counts", func() bool {
		var score scoreObject
		w.get(question{"acme", "victim", nil, "7d", time.Now()}.path(), &score)
		return score.Opened == 1 && score.Unsubscribed == 0
	})
	if code := w.stop(); code != exitDone {
		t.Errorf("stopped with exit code %d", code)
	}
	if strings.Contains(w.output.String(), "panic") || strings.Contains(w.output.String(), "bug") {
		t.Errorf("%s met a bug:\n%s", d.letter, w.output)
	}
}

// badRequests are refused one by one.
func (w *world) badRequests(t *testing.T) {
	t.Helper()
	ahead := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }
	const ok = `"sender":"a","message":"m@example.org"`
	for _, c := range []struct {
		path, contentType, body string
		status                  int
	}{
		{"/v1/messages", "application/json", ``, 400},
		{"/v1/messages", "application/json", `{`, 400},
		{"/v1/messages", "application/json", `nonsense`, 400},
		{"/v1/messages", "application/json", `[{` + ok + `}]`, 400},
		{"/v1/messages", "application/json", `{` + ok + `} {` + ok + `}`, 400},
		{"/v1/messages", "application/json", `{"sender":"a"}`, 400},
		{"/v1/messages", "application/json", `{"message":"m@example.org"}`, 400},
		{"/v1/messages", "application/json", `{` + ok + `,"sender":"b"}`, 400},
		{"/v1/messages", "application/json", `{` + ok + `,"sned_at":"2026-01-01T00:00:00Z"}`, 400},
		{"/v1/messages", "application/json", `{` + ok + `,"links":"https://example.com/"}`, 400},
		{"/v1/messages", "application/json", `{` + ok + `,"links":[1]}`, 400},
		{"/v1/messages", "application/json", `{` + ok + `,"anonymous":"yes"}`, 400},
		{"/v1/messages", "application/json", `{` + ok + `,"contact":7}`, 400},
		{"/v1/messages", "application/json", `{` + ok + `,"contact":"a\u0000b"}`, 400},
		{"/v1/messages", "application/json", "{" + ok + ",\"contact\":\"a\x00b\"}", 400},
		{"/v1/messages", "application/json", "{" + ok + ",\"contact\":\"\xff\xfe\"}", 400},
		{"/v1/messages", "application/json", `{` + ok + `,"contact":"a\r\nb"}`, 400},
		{"/v1/messages", "application/json", `{` + ok + `,"sent_at":"yesterday"}`, 400},
		{"/v1/messages", "application/json", `{` + ok + `,"sent_at":"` + ahead(6*time.Minute) + `"}`, 422},
		{"/v1/messages", "application/json", `{` + ok + `,"sent_at":"` + ahead(4*time.Minute) + `"}`, 200},
		{"/v1/messages", "text/xml", `<a/>`, 415},
		{"/v1/messages", "application/json", `{` + ok + `,"contact":"` + strings.Repeat("x", 8<<20) + `"}`, 413},
		{"/v1/messages", "application/json", strings.Repeat(`[`, 100_000), 400},
		{"/v1/events", "application/json", `{}`, 400},
		{"/v1/events", "application/json", `{"kind":"open","message":"m@example.org"}`, 400},
		{"/v1/events", "application/json", `{"kind":"sneeze","message":"m@example.org"}`, 400},
		{"/v1/events", "application/json", `{"kind":"bounce","message":"m@example.org"}`, 400},
		{"/v1/events", "application/json", `{"kind":"bounce","message":"m@example.org","reply":"hello"}`, 400},
		{"/v1/events", "application/json", `{"kind":"bounce","message":"m@example.org","bounce":{"hard":"yes"}}`, 400},
		{"/v1/events", "application/json", `{"kind":"reply"}`, 400},
		{"/v1/events", "application/json", `{"kind":"reply","message":"m@example.org","time":"` + ahead(6*time.Minute) + `"}`, 422},
		{"/v1/events", "application/json", `{"kind":"reply","message":"m@example.org","time":5}`, 400},
	} {
		status, answer := w.post(c.path, c.contentType, c.body)
		if status != c.status || status >= 400 && (answer["status"] != float64(status) || answer["title"] == nil || answer["type"] == nil) {
			t.Errorf("POST %s %s %.80q: %d %v, want %d", c.path, c.contentType, c.body, status, answer, c.status)
		}
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodDelete, "/v1/messages", 405},
		{http.MethodPut, "/v1/events", 405},
		{http.MethodPost, "/v1/senders", 405},
		{http.MethodGet, "/v1/nothing", 404},
		{http.MethodGet, "/", 404},
		{http.MethodGet, "/v1/senders/x/score?window=1y", 400},
		{http.MethodGet, "/v1/senders/x/score?as_of=soon", 400},
		{http.MethodGet, "/v1/senders?after=nonsense", 400},
		{http.MethodGet, "/v1/senders?sort=luck", 400},
	} {
		answer, body, err := call(c.method, "http://"+w.api+c.path, nil, "", nil)
		if err != nil || answer.StatusCode != c.status || answer.Header.Get("Content-Type") != "application/problem+json" || !json.Valid(body) {
			t.Errorf("%s %s: %v, %v, %s; want %d", c.method, c.path, answer, err, body, c.status)
		}
		if c.status == 405 && answer.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
	}
}

// badLines stand between good ones.
func (w *world) badLines(t *testing.T, path, good string) {
	t.Helper()
	lines := []string{
		fmt.Sprintf(good, 1), `nonsense`, fmt.Sprintf(good, 2), `{}`, `{"unknown":1}`, "\x00", "{\"sender\":\"\x00\"}", `[]`, `"x"`, fmt.Sprintf(good, 3), `{"sender":`,
		strings.Repeat("x", 100_000), "", fmt.Sprintf(good, 4),
	}
	answers := w.postLines(path, strings.NewReader(strings.Join(lines, "\n")))
	good1, at := 0, 0
	isGood := map[int]bool{0: true, 2: true, 9: true, 13: true}
	for i, line := range lines {
		if line == "" {
			continue // an empty line is none
		}
		if at == len(answers) {
			t.Fatalf("%s: %d answers to %d lines", path, len(answers), len(lines))
		}
		var answer map[string]any
		if err := json.Unmarshal(answers[at], &answer); err != nil {
			t.Fatalf("%s: line %d: %v: %s", path, i+1, err, answers[at])
		}
		at++
		if isGood[i] {
			if good1++; answer["status"] != nil {
				t.Errorf("%s: good line %d was answered %v", path, i+1, answer)
			}
		} else if answer["status"] == nil || answer["line"] != float64(i+1) {
			t.Errorf("%s: bad line %d %.20q was answered %v", path, i+1, line, answer)
		}
	}
	if at != len(answers) || good1 != 4 {
		t.Errorf("%s: %d answers, want %d", path, len(answers), at)
	}
}

// hugeLine sends a line of 100 MB between two good ones. The server must not keep it.
func (w *world) hugeLine(t *testing.T) {
	t.Helper()
	const size = 100 << 20
	before := w.highWater(t)
	long := io.MultiReader(strings.NewReader(`{"sender":"huge","message":"huge-1@example.org"}`+"\n"+`{"sender":"`),
		io.LimitReader(endless{}, size), strings.NewReader("\"}\n"+`{"sender":"huge","message":"huge-3@example.org"}`+"\n"))
	answers := w.postLines("/v1/messages", long)
	if len(answers) != 3 || !bytes.Contains(answers[0], []byte(`"send":true`)) || !bytes.Contains(answers[1], []byte(`"line":2`)) || !bytes.Contains(answers[2], []byte("huge-3")) {
		t.Errorf("answered %q", answers)
	}
	if grown := w.highWater(t) - before; grown > size/2 {
		t.Errorf("a line of %d bytes made the process grow by %d", size, grown)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// highWater is the most memory that the server has used, in bytes.
func (w *world) highWater(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		t.Skip("needs /proc: ", err)
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	line, _, _ := strings.Cut(after, "kB")
	kilobytes, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// badMails are taken or refused in the words of SMTP, and tell nothing.
func (w *world) badMails(t *testing.T, l *letter) {
	t.Helper()
	for name, text := range map[string]string{
		"empty":              "",
		"only a line end":    "\r\n",
		"only headers":       "From: a@example.com\r\nSubject: x\r\n",
		"no colon":           "this is no header at all\r\n\r\nbody\r\n",
		"NUL":                "From: a\x00b@example.com\r\nSubject: \x00\r\n\r\n\x00\x00\x00\r\n",
		"only NULs":          strings.Repeat("\x00", 10_000),
		"a megabyte of name": strings.Repeat("X", 1<<20) + ": y\r\n\r\n",
		"100,000 fields":     strings.Repeat("X-A: b\r\n", 100_000) + "\r\nbody\r\n",
		"a long field":       "Subject: " + strings.Repeat("word ", 200_000) + "\r\n\r\nbody\r\n",
		"nested parts":       nested(200),
		"open boundary":      "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822;",
		"no boundary":        "Content-Type: multipart/report; report-type=delivery-status\r\n\r\n--\r\n",
		"bad base64":         "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!\xff\xfe====\r\n",
		"8 bit":              "Subject: \xe4\xf6\xfc\r\n\r\n" + strings.Repeat("\xff\xfe\x80", 1000) + "\r\n",
		"bare CR":            "Subject: x\ry\r\n\r\na\rb\rc\r\n",
		"dots":               "Subject: x\r\n\r\n.\r\n..\r\n...\r\n.x\r\n",
	} {
		for _, to := range []string{l.minted.ReturnPath, l.minted.ReplyTo, feedbackAddress, repliesAddress} {
			err := w.deliver(to, text)
			if code := smtpCode(err); err != nil && (code < 500 || code > 599) {
				t.Errorf("%s, to %s: %v", name, to, err)
			}
		}
	}
}

// tooLarge sends more than is taken: a mail, the body and the header of a request.
func (w *world) tooLarge(t *testing.T, l *letter) {
	t.Helper()
	err := w.deliver(l.minted.ReturnPath, "Subject: x\r\n\r\n"+strings.Repeat(strings.Repeat("x", 998)+"\r\n", 40_000))
	if smtpCode(err) != 552 {
		t.Errorf("a mail of 40 MB: %v, want 552", err)
	}
	before := w.highWater(t)
	answer, _, err := call(http.MethodPost, l.minted.UnsubscribeURL, nil, "", io.LimitReader(endless{}, 100<<20))
	if err == nil && answer.StatusCode != http.StatusRequestEntityTooLarge { // or it hung up
		t.Errorf("unsubscribed with 100 MB: %v", answer)
	}
	answer, _, err = call(http.MethodGet, l.minted.OpenURL, http.Header{"X-Large": {strings.Repeat("x", 1<<20)}}, "", nil)
	if err == nil && answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("opened with a header of 1 MB: %v", answer)
	}
	if grown := w.highWater(t) - before; grown > 50<<20 {
		t.Errorf("the process grew by %d", grown)
	}
}

// nested is a mail of so many parts within parts, none of which ends.
func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	return b.String()
}

// noise is sent to every port.
func (w *world) noise(t *testing.T) {
	t.Helper()
	for _, address := range []string{w.track, w.server.mail, w.api} {
		for _, text := range []string{
			"\x00\x01\x02\x03\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
			"GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", "EHLO " + strings.Repeat("a", 1<<16) + "\r\n", "MAIL FROM:<>\r\nRCPT TO:<>\r\nDATA\r\nBDAT -1 LAST\r\n",
			"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: b\r\n", 10_000) + "\r\n",
		} {
			conn, err := net.DialTimeout("tcp", address, patience)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, text) // it may hang up in the middle
			conn.Close()
		}
	}
}
