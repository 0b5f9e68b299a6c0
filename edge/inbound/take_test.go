package inbound

import (
	"bytes"
	"slices"
	"testing"

	"carom/edge/ref"
	"carom/edge/report"
	"carom/pipeline/event"
)

// TestWhoseEnvelope: the envelope of a copy is the copier's, and says nothing of who wrote: a reply that is copied from
// the null path stays a reply.
func TestWhoseEnvelope(t *testing.T) {
	mail := []byte("From: Bob <bob@example.com>\nTo: replies@example.com\nMessage-ID: <r@example.com>\nIn-Reply-To: <m@example.org>\nSubject: Re: hello\n\nThank you, let us talk.\n")
	for _, tt := range []struct {
		name, from string
		targets    []target
		envelope   string
		kind       report.Kind
	}{
		{"a reply", "bob@example.com", []target{{role: toReply}}, "bob@example.com", report.Reply},
		{"a machine's", "", []target{{role: toReply}}, report.NullPath, report.AutoReply},
		{"a copy", "", []target{{role: toReplies}}, "", report.Reply},
		{"both", "", []target{{role: toReply, key: event.KeyOf("a", "m")}, {role: toReplies}}, "", report.Reply},
		{"feedback", "fbl@example.net", []target{{role: toFeedback}}, "fbl@example.net", report.Reply},
	} {
		m := &transaction{from: tt.from, targets: tt.targets}
		if got := m.envelope(); got.ReversePath != tt.envelope {
			t.Errorf("%s: %q, want %q", tt.name, got.ReversePath, tt.envelope)
		}
		if got := m.envelope().Read(mail).Facts[0].Kind; got != tt.kind {
			t.Errorf("%s: read as %s, want %s", tt.name, got, tt.kind)
		}
	}
}

// TestMailsShareNothing: what one mail left in memory that the next one uses doesn't show in the next one's events.
func TestMailsShareNothing(t *testing.T) {
	type mail struct {
		text string
		to   []string
	}
	send := func(f *fixture, c *client, m mail) (told [][]byte) {
		before := len(f.sink.all())
		if got := c.deliver(m.text, m.to...); got[:3] != "250" {
			t.Fatal(got)
		}
		for _, e := range f.sink.all()[before:] {
			e.Time = 0
			told = append(told, e.AppendBinary(nil))
		}
		return told
	}
	one := overTCP(t, nil)
	sealed, err := one.keys.Seal(nil, ref.Header, &message)
	if err != nil {
		t.Fatal(err)
	}
	many := ""
	for range 2 * keptEvents {
		many += "\r\nFinal-Recipient: rfc822; carol@example.net\r\nAction: failed\r\nStatus: 5.2.2\r\nDiagnostic-Code: smtp; 552 5.2.2 mailbox full\r\n"
	}
	mails := []mail{
		{dsn("bob@example.org", "5.1.1", "X-Carom-Ref: "+string(sealed)+"\r\n"), []string{one.returnPath()}},
		{dsn("bob@example.org", "4.4.1", ""), []string{feedbackAddr}},
		{dsn("carol@example.net", "5.2.2", ""), []string{one.returnPath(), one.replyTo(), one.unsubscribe()}},
		{"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n" + many, []string{one.returnPath()}},
		{"From: dave@example.net\r\nSubject: Re: hello\r\nIn-Reply-To: <" + message.Message + ">\r\n\r\nYes.\r\n", []string{one.replyTo()}},
		{"From: dave@example.net\r\n\r\nStop.\r\n", []string{one.unsubscribe()}},
	}
	var alone [][][]byte
	for _, m := range mails {
		f := overTCP(t, nil)
		alone = append(alone, send(f, f.hello(), m))
	}
	if got := len(alone[3]); got <= keptEvents {
		t.Fatalf("%d events of the mail of many", got)
	}
	c := one.hello()
	for i := range 3 * len(mails) {
		n := i * 5 % len(mails)
		if got := send(one, c, mails[n]); !slices.EqualFunc(got, alone[n], bytes.Equal) {
			t.Errorf("mail %d behind another tells\n%q, alone\n%q", n, got, alone[n])
		}
	}
}
