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

// A real Postfix can't deliver a mail whose return path is ours, and tells us. `edge/inbound/testdata/mta/run.sh`
// installs what this needs and runs it.
func TestPostfix(t *testing.T) {
	if os.Getenv("CAROM_TEST_MTA") == "" {
		t.Skip("CAROM_TEST_MTA is not set: edge/inbound/testdata/mta/run.sh sets it")
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pair(t, cert, key, "mx.example.com")
	f := overTCP(t, func(o *Options) { o.TLSCertFile, o.TLSKeyFile = cert, key })
	port := startPostfix(t, strings.Join([]string{
		// Postfix has to use TLS towards us.
		bounceDomain + " secure:[127.0.0.1]:" + portOf(f.Addr()),
		replyDomain + " secure:[127.0.0.1]:" + portOf(f.Addr()),
		"refusing.example.org smtp:[127.0.0.1]:" + portOf(refusing(t, "550 5.1.1 No such user here")),
		"deferring.example.org smtp:[127.0.0.1]:" + portOf(refusing(t, "452 4.2.2 Mailbox full")),
	}, "\n"))

	header, err := f.keys.Seal(nil, ref.Header, &message)
	if err != nil {
		t.Fatal(err)
	}
	send := func(from, to string) {
		t.Helper()
		out, err := exec.Command("swaks", "--server", "127.0.0.1", "--port", port, "--helo", "sender.example.com", "--from", from, "--to", to,
			"--header", "Message-Id: <"+message.Message+">", "--add-header", "X-Carom-Ref: "+string(header)).CombinedOutput()
		if err != nil {
			t.Fatalf("swaks: %v\n%s", err, out)
		}
	}
	told := func(kind event.Kind) *event.Event {
		t.Helper()
		var found *event.Event
		eventually(t, func() bool {
			for _, e := range f.sink.all() {
				if e.Kind == kind {
					found = e
				}
			}
			return found != nil
		})
		return found
	}

	send(f.returnPath(), "bob@refusing.example.org")
	if e := told(event.Bounce); e.KnownBy != event.ByRef || e.Ref != message || e.Recipient != "bob@refusing.example.org" ||
		e.Bounce.Status != "5.1.1" || e.Bounce.ReplyCode != "550" || !e.Bounce.Hard || e.Bounce.Action != "failed" ||
		!strings.Contains(e.Bounce.Diagnostic, "No such user here") {
		t.Errorf("bounce: %+v", e)
	}

	send(f.returnPath(), "bob@deferring.example.org")
	if e := told(event.Delay); e.KnownBy != event.ByRef || e.Recipient != "bob@deferring.example.org" || e.Bounce.Status != "4.2.2" ||
		e.Bounce.Hard || e.Bounce.Action != "delayed" {
		t.Errorf("delay: %+v", e)
	}

	// A mail to us, by way of the MTA.
	send("bob@example.org", f.unsubscribe())
	if e := told(event.Unsubscribe); e.Key != messageKey() {
		t.Errorf("unsubscribe: %+v", e)
	}

	if n := f.count(f.metrics.handshakes.WithLabelValues("done")); n < 3 {
		t.Errorf("%v TLS handshakes, want one for each mail", n)
	}
}

// startPostfix runs a private Postfix until the test ends and returns its port.
func startPostfix(t *testing.T, transports string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("Postfix needs root")
	}
	dir, err := os.MkdirTemp("", "carom-postfix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // Postfix's own user has to get in
		t.Fatal(err)
	}
	free := loopback(t)
	port := portOf(free.Addr())
	_ = free.Close()
	script := filepath.Join("testdata", "mta", "postfix.sh")
	if out, err := exec.Command(script, "start", dir, port, transports).CombinedOutput(); err != nil {
		t.Fatalf("start postfix: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "stop", dir).CombinedOutput(); err != nil {
			t.Errorf("stop postfix: %v\n%s", err, out)
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "postfix.log"))
			t.Logf("Postfix's log:\n%s", log)
		}
	})
	return port
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
