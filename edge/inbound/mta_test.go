package inbound

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// Real MTAs can't deliver mails whose return path is ours, and tell us. `edge/inbound/testdata/mta/run.sh` installs what
// this needs and runs it.

func TestPostfix(t *testing.T) {
	f := forMTA(t)
	m := startMTA(t, "postfix.sh", strings.Join([]string{
		// Postfix has to use TLS towards us.
		bounceDomain + " secure:[127.0.0.1]:" + portOf(f.Addr()),
		"refusing.example.org smtp:[127.0.0.1]:" + portOf(refusing(t, "550 5.1.1 No such user here")),
		"deferring.example.org smtp:[127.0.0.1]:" + portOf(refusing(t, "452 4.2.2 Mailbox full")),
	}, "\n"))

	m.send(f, f.returnPath(), "bob@refusing.example.org")
	wantRefused(t, told(f, event.Bounce))

	m.send(f, f.returnPath(), "bob@deferring.example.org")
	if e := told(f, event.Delay); e.KnownBy != event.ByRef || e.Recipient != "bob@deferring.example.org" || e.Bounce.Status != "4.2.2" ||
		e.Bounce.Hard || e.Bounce.Action != "delayed" {
		t.Errorf("delay: %+v", e)
	}

	// A mail to us, by way of the MTA.
	m.send(f, "bob@example.org", f.unsubscribe())
	if e := told(f, event.Unsubscribe); e.Key != messageKey() {
		t.Errorf("unsubscribe: %+v", e)
	}
	if n := f.count(f.metrics.handshakes.WithLabelValues("done")); n < 3 {
		t.Errorf("%v TLS handshakes, want one for each mail", n)
	}
}

// Exim sends mail by BDAT, and over TLS here.
func TestExim(t *testing.T) {
	f := forMTA(t)
	m := startMTA(t, "exim.sh", strings.Join([]string{
		bounceDomain + " 127.0.0.1::" + portOf(f.Addr()),
		"refusing.example.org 127.0.0.1::" + portOf(refusing(t, "550 5.1.1 No such user here")),
	}, "\n"))
	m.send(f, f.returnPath(), "bob@refusing.example.org")
	wantRefused(t, told(f, event.Bounce))
	if n := f.count(f.metrics.handshakes.WithLabelValues("done")); n != 1 {
		t.Errorf("%v TLS handshakes, want 1", n)
	}
	eventually(t, func() bool { // K: by BDAT
		log, err := os.ReadFile(filepath.Join(m.dir, "spool", "mainlog"))
		return err == nil && strings.Contains(string(log), " K C=\"250 2.0.0 Ok ")
	})
}

func forMTA(t *testing.T) *fixture {
	t.Helper()
	if os.Getenv("CAROM_TEST_MTA") == "" {
		t.Skip("CAROM_TEST_MTA is not set: edge/inbound/testdata/mta/run.sh sets it")
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pair(t, cert, key, "mx.example.com")
	return overTCP(t, func(o *Options) { o.TLSCertFile, o.TLSKeyFile = cert, key })
}

// told waits for an event.
func told(f *fixture, kind event.Kind) (found *event.Event) {
	f.t.Helper()
	eventually(f.t, func() bool {
		for _, e := range f.sink.all() {
			if e.Kind == kind {
				found = e
			}
		}
		return found != nil
	})
	return found
}

func wantRefused(t *testing.T, e *event.Event) {
	t.Helper()
	if e.KnownBy != event.ByRef || e.Ref != message || e.Recipient != "bob@refusing.example.org" || e.Bounce.Status != "5.1.1" ||
		e.Bounce.ReplyCode != "550" || !e.Bounce.Hard || e.Bounce.Action != "failed" || !strings.Contains(e.Bounce.Diagnostic, "No such user here") {
		t.Errorf("bounce: %+v", e)
	}
}

// mta is a private MTA that runs until the test ends.
type mta struct{ dir, port string }

// startMTA runs a script of testdata/mta; routes say, in the MTA's own words, where each domain goes.
func startMTA(t *testing.T, script, routes string) mta {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("the MTA needs root")
	}
	dir, err := os.MkdirTemp("", "carom-mta-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the MTA's own user has to get in
		t.Fatal(err)
	}
	free := loopback(t)
	m := mta{dir, portOf(free.Addr())}
	_ = free.Close()
	script = filepath.Join("testdata", "mta", script)
	if out, err := exec.Command(script, "start", dir, m.port, routes).CombinedOutput(); err != nil {
		t.Fatalf("start %s: %v\n%s", script, err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "stop", dir).CombinedOutput(); err != nil {
			t.Errorf("stop %s: %v\n%s", script, err, out)
		}
		if t.Failed() {
			for _, name := range []string{"postfix.log", "spool/mainlog", "spool/paniclog"} {
				log, _ := os.ReadFile(filepath.Join(dir, name))
				t.Logf("%s:\n%s", name, log)
			}
		}
	})
	return m
}

// send gives the MTA a mail that carries all that can come back of its identity.
func (m mta) send(f *fixture, from, to string) {
	f.t.Helper()
	header, err := f.keys.Seal(nil, ref.Header, &message)
	if err != nil {
		f.t.Fatal(err)
	}
	out, err := exec.Command("swaks", "--server", "127.0.0.1", "--port", m.port, "--helo", "sender.example.com", "--from", from, "--to", to,
		"--header", "Message-Id: <"+message.Message+">", "--add-header", "X-Carom-Ref: "+string(header)).CombinedOutput()
	if err != nil {
		f.t.Fatalf("swaks: %v\n%s", err, out)
	}
}

func portOf(a net.Addr) string { return fmt.Sprint(a.(*net.TCPAddr).Port) }

// refusing starts a mail server that answers every RCPT with one reply.
func refusing(t *testing.T, reply string) net.Addr {
	t.Helper()
	l := loopback(t)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go refuse(conn, reply)
		}
	}()
	return l.Addr()
}

func refuse(conn net.Conn, reply string) {
	defer conn.Close()
	say := func(s string) { _, _ = fmt.Fprintf(conn, "%s\r\n", s) }
	say("220 mx.example.org ESMTP")
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		switch strings.ToUpper(lines.Text() + "    ")[:4] {
		case "RCPT":
			say(reply)
		case "QUIT":
			say("221 Bye")
			return
		case "DATA":
			say("554 No valid recipients")
		default:
			say("250 Ok")
		}
	}
}
