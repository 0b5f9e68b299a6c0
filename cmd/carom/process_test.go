package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// actAsCarom makes the test binary be carom itself, so that tests run real processes, with the race detector where
// the tests have it.
const actAsCarom = "CAROM_TEST_ACT_AS_CAROM"

func TestMain(m *testing.M) {
	if os.Getenv(actAsCarom) != "" {
		main()
	}
	if root := os.Getenv(tunedRoot); root != "" {
		tellTuned(root)
	}
	os.Exit(m.Run())
}

// carom runs one command to its end.
func carom(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := caromCommand(env, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func caromCommand(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, envPrefix) {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(append(cmd.Env, actAsCarom+"=1"), env...)
	return cmd
}

// server is a `carom serve --dev` in a process of its own.
type server struct {
	t     *testing.T
	name  string // for people
	dir   string
	track string // host:port, as the others
	mail  string
	api   string
	more  []string // environment that only this one has

	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended
	output *lockedBuffer
}

// lockedBuffer takes the output of a process while the test may read it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// tail is the end of it.
func (l *lockedBuffer) tail() string {
	const most = 8 << 10
	text := l.String()
	return text[max(0, len(text)-most):]
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), track: freeAddress(t), mail: freeAddress(t), api: freeAddress(t), output: &lockedBuffer{}}
	t.Cleanup(func() {
		if s.cmd != nil {
			s.kill()
		}
	})
	return s
}

// Ports for servers. Restarts need the same one, so ":0" would not do, and a port from the range that systems give to
// outgoing connections (32768 on, on Linux) could be taken by one of those before the server binds it.
const (
	firstPort = 20000
	ports     = 12000
)

// portsTaken counts what this process has given out; processes begin at different places.
var portsTaken atomic.Int64

// freeAddress finds a port that is free now and that no other test of this process gets.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range ports {
		port := firstPort + (int64(os.Getpid())*101+portsTaken.Add(1))%ports
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}

func (s *server) env() []string {
	return append(append([]string{
		"CAROM_DATA_DIR=" + filepath.Join(s.dir, "data"), "CAROM_TRACK_LISTEN=" + s.track, "CAROM_INBOUND_LISTEN=" + s.mail,
		"CAROM_API_LISTEN=" + s.api, "CAROM_REFINE_SETTLE=1s",
	}, noAlerts...), s.more...)
}

// Most tests compare all events with what they did. Alerts would be more, at times that the test doesn't know.
var (
	noAlerts  = []string{"CAROM_SCORE_ALERT_BOUNCE_RATES=", "CAROM_SCORE_ALERT_COMPLAINT_RATES=", "CAROM_SCORE_ALERT_BANDS=false"}
	allAlerts = []string{"CAROM_SCORE_ALERT_BOUNCE_RATES=0.03,0.05,0.08", "CAROM_SCORE_ALERT_COMPLAINT_RATES=0.001,0.003", "CAROM_SCORE_ALERT_BANDS=true"}
)

// start starts the process and waits until it is ready.
func (s *server) start(more ...string) {
	s.t.Helper()
	s.launch(more...)
	s.until("the server is ready", s.ready)
}

// launch starts the process and waits for nothing.
func (s *server) launch(more ...string) {
	s.t.Helper()
	s.cmd = caromCommand(append(s.env(), more...), "serve", "--dev")
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	exited := make(chan struct{})
	s.exited = exited
	go func(cmd *exec.Cmd) { _ = cmd.Wait(); close(exited) }(s.cmd)
}

// ready reports whether the process says that it is. It must run.
func (s *server) ready() bool {
	s.t.Helper()
	select {
	case <-s.exited:
		s.t.Fatalf("the server stopped:\n%s", s.output)
	default:
	}
	answer, err := http.Get("http://" + s.api + "/readyz")
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// kill is kill -9.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// metrics reads what Prometheus would.
func (s *server) metrics(t *testing.T) string {
	t.Helper()
	answer, body, err := call(http.MethodGet, "http://"+s.api+"/metrics", nil, "", nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %v, %v", answer, err)
	}
	return string(body)
}

// stop asks the process to end, as a supervisor does, and returns its exit code.
func (s *server) stop() int {
	_ = s.cmd.Process.Signal(os.Interrupt)
	<-s.exited
	return s.cmd.ProcessState.ExitCode()
}

const waitBound = 2 * time.Minute

// until polls for a condition that another process brings about.
func (s *server) until(what string, done func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), waitBound)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			s.t.Fatalf("waited in vain until %s; the server said last:\n%s", what, s.output.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// minted is the part of a registration's answer that the tests use.
type minted struct {
	Message        string            `json:"message"`
	Send           bool              `json:"send"`
	OpenURL        string            `json:"open_url"`
	ClickURLs      []string          `json:"click_urls"`
	UnsubscribeURL string            `json:"unsubscribe_url"`
	ReturnPath     string            `json:"return_path"`
	ReplyTo        string            `json:"reply_to"`
	Headers        map[string]string `json:"headers"`
}

// register registers messages, one JSON line each.
func (s *server) register(lines []string) []minted {
	s.t.Helper()
	answer, err := http.Post("http://"+s.api+"/v1/messages", "application/x-ndjson", strings.NewReader(strings.Join(lines, "\n")+"\n"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	var all []minted
	decoder := json.NewDecoder(answer.Body)
	for {
		var m minted
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			s.t.Fatal(err)
		}
		if m.OpenURL == "" {
			s.t.Fatalf("registration %d was refused", len(all))
		}
		all = append(all, m)
	}
	if len(all) != len(lines) {
		s.t.Fatalf("%d of %d registrations were answered", len(all), len(lines))
	}
	return all
}

// get reads a JSON answer of the API.
func (s *server) get(path string, into any) {
	s.t.Helper()
	answer, err := http.Get("http://" + s.api + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("GET %s: %s, %v: %s", path, answer.Status, err, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		s.t.Fatalf("GET %s: %v: %s", path, err, body)
	}
}

// seenEvent is what the tests look at in an event.
type seenEvent struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Cursor  string `json:"cursor"`
	Actor   struct {
		Verdict string `json:"verdict"`
	} `json:"actor"`
	Inferred bool `json:"inferred"`
}

// events reads all refined events from the start.
func (s *server) events() []seenEvent {
	s.t.Helper()
	var all []seenEvent
	for after := ""; ; {
		answer, err := http.Get("http://" + s.api + "/v1/events?limit=10000&after=" + after)
		if err != nil {
			s.t.Fatal(err)
		}
		before := len(all)
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e seenEvent
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				s.t.Fatalf("%v: %q", err, lines.Text())
			}
			all = append(all, e)
		}
		answer.Body.Close()
		if len(all) == before {
			return all
		}
		after = all[len(all)-1].Cursor
	}
}

// deliver sends one mail over a connection of its own, from the empty return path of machines.
func (s *server) deliver(to, mail string) error { return s.deliverFrom("", to, mail) }

func (s *server) deliverFrom(from, to, mail string) error {
	conn, err := net.DialTimeout("tcp", s.mail, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	client, err := smtp.NewClient(conn, "localhost")
	if err != nil {
		return err
	}
	if err := client.Mail(from); err != nil {
		return err
	}
	if err := client.Rcpt(to); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, mail); err != nil {
		return err
	}
	return w.Close()
}

// bounceMail is a delivery status notification about a message.
func bounceMail(m minted, recipient string) string {
	return strings.ReplaceAll(fmt.Sprintf(`From: MAILER-DAEMON@mx.example.net
To: <%s>
Message-ID: <bounce.%s>
Subject: failure
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=B

--B
Content-Type: text/plain

No such user.
--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; %s
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user

--B--
`, m.ReturnPath, m.Message, recipient), "\n", "\r\n")
}
