package report

import (
	"strings"
	"testing"
)

// TestDamagedReports holds that what gateways and careless systems do to a report does not lose its fact.
func TestDamagedReports(t *testing.T) {
	const whole = "From: mailer-daemon@example.com\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n" +
		"--b\n\nNote.\n\n" + statusPart + "--b\nContent-Type: message/rfc822\n\nMessage-ID: <1@example.com>\n\nx\n--b--\n"
	replace := func(old, with string) string { return strings.ReplaceAll(whole, old, with) }
	for name, mail := range map[string]string{
		"whole":                     whole,
		"CR LF":                     replace("\n", "\r\n"),
		"CR CR LF":                  replace("\n", "\r\r\n"),
		"CR alone":                  replace("\n", "\r"),
		"type with a comment":       replace("message/delivery-status", "Message/Delivery-Status (report)"),
		"type without a semicolon":  replace("message/delivery-status", "message/delivery-status charset=us-ascii"),
		"boundary with blanks":      strings.ReplaceAll(replace("--b\n", "--b \t\n"), "boundary=b", `boundary="b "`),
		"boundary in pieces":        replace("boundary=b", "boundary*0=b"),
		"boundary behind another":   replace("--b\n\nNote.", "--bb\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; x@example.net\n\n--b\n\nNote."),
		"comments":                  strings.NewReplacer("rfc822;", "rfc822 (internet);", "Action: f", "Action: (for good) f", "Status: 5", "Status: (bad) 5").Replace(whole),
		"quoted-printable":          strings.NewReplacer("Content-Type: message/d", "Content-Transfer-Encoding: QUOTED-PRINTABLE\nContent-Type: message/d", "bob@", "bob=\n@", "failed", "fail=65d").Replace(whole),
		"a part header of 100 KB":   replace("Content-Type: message/d", "X: "+strings.Repeat("x", 100<<10)+"\nContent-Type: message/d"),
		"NUL":                       strings.NewReplacer("failed", "fai\x00led", "bob@", "bob\x00@").Replace(whole),
		"several diagnostic texts":  replace("Status: 5.1.1\n", "Status: 5.0.0\nDiagnostic-Code: X-Gateway; delivery failed\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n"),
		"the text tells of a delay": replace("Note.", "Your message has been delayed and will be retried."),
	} {
		t.Run(name, func(t *testing.T) {
			r := Read([]byte(mail))
			check(t, r)
			f := r.Facts[0]
			if f.Kind != Bounce || !f.Hard || f.Recipient != "bob@example.net" || f.Status != "5.1.1" || f.OriginalMessageID != "1@example.com" || len(r.Facts) != 1 {
				t.Errorf("%d facts, the first %+v", len(r.Facts), f)
			}
		})
	}
}

// TestEachRecipientHasItsOwnOutcome holds that one report may say different things about its recipients.
func TestEachRecipientHasItsOwnOutcome(t *testing.T) {
	r := Read([]byte("From: mailer-daemon@example.com\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\n" +
		"Final-Recipient: rfc822; list@example.net\nAction: expanded\nStatus: 2.0.0\n\n" +
		"Final-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.1.1\n\n" +
		"Final-Recipient: rfc822; \"x;y\"@example.net\nAction: relayed (no further report)\nStatus: 2.1.9\n\n" +
		"Final-Recipient: \"p;q\"@example.net\nAction: delayed\nStatus: 4.4.1\n\n" +
		"Final-Recipient: rfc822; carol@example.net\nAction: delivered\nStatus: 5.1.1\n"))
	check(t, r)
	want := []struct {
		recipient string
		kind      Kind
		hard      bool
	}{
		{"list@example.net", Delivered, false},
		{"bob@example.net", Bounce, true},
		{`"x;y"@example.net`, Delivered, false},
		{`"p;q"@example.net`, Delay, false},
		{"carol@example.net", Delivered, false},
	}
	for i, f := range r.Facts {
		if i >= len(want) || f.Recipient != want[i].recipient || f.Kind != want[i].kind || f.Hard != want[i].hard {
			t.Errorf("fact %d: %q: %s, hard %v", i, f.Recipient, f.Kind, f.Hard)
		}
	}
	if len(r.Facts) != len(want) {
		t.Errorf("%d facts, want %d", len(r.Facts), len(want))
	}
}
