package demo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carom/bench/node"
)

// serveOnce greets one client, refuses its first mail and is gone.
func serveOnce(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		conn, err := ln.Accept()
		ln.Close()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "220 mx.example.net\r\n")
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			switch verb, _, _ := strings.Cut(lines.Text(), " "); verb {
			case "MAIL":
				fmt.Fprint(conn, "550 5.7.1 no\r\n")
			case "QUIT":
				fmt.Fprint(conn, "221 2.0.0 bye\r\n")
				return
			default:
				fmt.Fprint(conn, "250 fine\r\n")
			}
		}
	}()
	return ln.Addr().String()
}

// A server that refuses a mail and goes away ends the delivery with an error that says so.
func TestDeliverAllOutlivesTheServer(t *testing.T) {
	dir := t.TempDir()
	all := []delivery{{file: "1.eml"}, {file: "2.eml"}}
	for _, d := range all {
		if err := os.WriteFile(filepath.Join(dir, d.file), []byte("From: a@example.com\r\n\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	minted := []node.Links{{ReturnPath: "b-1@bounce.example.com"}, {ReturnPath: "b-2@bounce.example.com"}}
	err := deliverAll(t.Context(), node.Target{Mail: serveOnce(t)}, dir, all, minted, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "connect to the mail edge") {
		t.Errorf("the error is %v", err)
	}
	if all[0].failure == nil || !strings.Contains(all[0].failure.Error(), "5.7.1") {
		t.Errorf("the first mail's failure is %v", all[0].failure)
	}
}

// A folder is listed in the order of its mails, each with its facts or the reason why it has none.
func TestWriteFolder(t *testing.T) {
	bounce := node.Event{Kind: "bounce"}
	bounce.Bounce.Status, bounce.Bounce.Category, bounce.Bounce.Recipient, bounce.Bounce.Hard = "5.1.1", "invalid_recipient", "bob@example.net", true
	var out strings.Builder
	err := writeFolder(&out, []delivery{
		{file: "1.eml", events: []node.Event{{Kind: "sent"}, bounce, {Kind: "auto_reply"}}},
		{file: "2.eml", events: []node.Event{{Kind: "sent"}}, why: "an empty mail"},
		{file: "3.eml", failure: errors.New("451 4.3.0 later")},
	})
	const want = `mail   kind        status  category           hard  recipient, or why not
1.eml  bounce      5.1.1   invalid_recipient  true  bob@example.net
1.eml  auto_reply  -       -                  -     -
2.eml  nothing     -       -                  -     an empty mail
3.eml  REFUSED     -       -                  -     451 4.3.0 later

3 mails, 2 answered with 250, 1 of them tell nothing; facts: 1 auto_reply 1 bounce
`
	if out.String() != want || err == nil {
		t.Errorf("%v:\n%s\nwant\n%s", err, out.String(), want)
	}
}

// Humans write under their own address, machines under none.
func TestEnvelopeOfAFolder(t *testing.T) {
	for mail, want := range map[string]string{
		"From: bob@example.net\n\nHello.\n":                                        "bob@example.net",
		"From: bob@example.net\nSubject: unsubscribe\n\n":                          "bob@example.net",
		"From: \"b b\"@example.net\n\nHello.\n":                                    "somebody@example.net",
		"From: b\u00f6b@example.net\n\nHello.\n":                                   "somebody@example.net",
		"From: bob@example.net\nAuto-Submitted: auto-replied\n\nGone.\n":           "",
		"From: mailer-daemon@example.net\n\nSomething.\n":                          "",
		"From: mailer-daemon@example.net\nX-Failed-Recipients: a@example.org\n\n.": "",
	} {
		if got := new(delivery).envelope([]byte(mail)); got != want {
			t.Errorf("%q: %q, want %q", mail, got, want)
		}
	}
}
