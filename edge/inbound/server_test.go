package inbound

import (
	"bytes"
	"fmt"
	stdsmtp "net/smtp"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"carom/edge/ref"
	"carom/pipeline/event"
)

func TestEHLO(t *testing.T) {
	c := overTCP(t, nil).dial()
	c.want("220 mx.example.com ESMTP Carom")
	got := c.do("ehlo Client.example.net ignored", "250")
	want := "250-mx.example.com\n250-PIPELINING\n250-SIZE 37748736\n250-8BITMIME\n250-SMTPUTF8\n250-CHUNKING\n250 ENHANCEDSTATUSCODES"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := c.do("HELO client.example.net", "250"); got != "250 mx.example.com" {
		t.Errorf("HELO: %q", got)
	}
}

// Recipients, DESIGN §7.
func TestRecipients(t *testing.T) {
	f := overTCP(t, nil)
	old, foreign := keyring(t, oldKeys), keyring(t, foreignKeys)
	c := f.hello()
	c.begin()
	for _, to := range []string{
		f.returnPath(), strings.ToUpper(f.returnPath()), f.unsubscribe(), f.replyTo(), strings.ToUpper(f.replyTo()),
		feedbackAddr, "FBL@Bounce.Example.COM", repliesAddr, "postmaster@" + bounceDomain, "abuse@" + replyDomain,
		"@relay.example.org:" + f.returnPath(),
	} {
		c.do("RCPT TO:<"+to+">", "250 2.1.5")
	}
	forged := []byte(f.returnPath())
	forged[40] ^= 1
	for name, to := range map[string]string{
		"forged": string(forged), "foreign": tokenAddress(foreign, ref.ReturnPath, bounceDomain),
		"retired":         tokenAddress(old, ref.ReturnPath, bounceDomain),
		"reply on bounce": tokenAddress(f.keys, ref.ReplyTo, bounceDomain), "bounce on reply": tokenAddress(f.keys, ref.ReturnPath, replyDomain),
		"other purpose": "r" + strings.Replace(f.returnPath(), bounceDomain, replyDomain, 1)[1:], "no token": "b-@" + bounceDomain,
		"cut": strings.Replace(f.returnPath(), "@", "x@", 1), "nobody": "alice@" + bounceDomain, "short": "b@" + bounceDomain,
		"elsewhere": "alice@example.org", "relay": "alice%example.org@" + bounceDomain, "token elsewhere": tokenAddress(f.keys, ref.ReturnPath, "example.org"),
		"literal": "alice@[192.0.2.1]",
	} {
		got := c.do("RCPT TO:<"+to+">", "550 5.1.1")
		if strings.Contains(got, "example") {
			t.Errorf("%s: the address is repeated: %q", name, got)
		}
	}
	for result, want := range map[string]float64{
		"return_path": 3, "reply_to": 2, "unsubscribe": 1, "feedback": 2, "replies": 1, "operator": 2, "retired_key": 1, "forged": 3, "unknown": 10,
	} {
		if n := f.count(f.metrics.recipients.WithLabelValues(result)); n != want {
			t.Errorf("%s: %v, want %v", result, n, want)
		}
	}
}

func TestMailsBecomeEvents(t *testing.T) {
	f := overTCP(t, nil)
	header, err := f.keys.Seal(nil, ref.Header, &message)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := keyring(t, foreignKeys).Seal(nil, ref.Header, &message)
	if err != nil {
		t.Fatal(err)
	}
	bounce := dsn("bob@example.org", "5.1.1", "")
	forged := dsn("bob@example.org", "5.1.1", "X-Carom-Ref: "+string(foreign)+"\nMessage-ID: <"+message.Message+">\n")
	full := dsn("bob@example.org", "5.1.1", "X-Carom-Ref: "+string(header)+"\nMessage-ID: <"+message.Message+">\n")
	byID := dsn("bob@example.org", "5.1.1", "Message-ID: <"+message.Message+">\n")
	reply := "From: bob@example.org\r\nTo: x\r\nSubject: Re: Hello\r\nMessage-ID: <reply-1@example.org>\r\nIn-Reply-To: <" + message.Message + ">\r\n\r\nYes, please.\r\n"
	const (
		human  = "bob@example.org"
		notice = "From: MAILER-DAEMON@example.org\r\n\r\nThis is about your mail.\r\n"
		optOut = "From: bob@example.org\r\nSubject: unsubscribe\r\n\r\n"
		pasted = "From: Bob, System Administrator <bob@example.org>\r\n\r\nWhat is this?\r\n\r\n" +
			"This is the mail system at host mx.example.com.\r\n\r\n<carol@example.org>: host mx.example.org said: 550 5.1.1\r\n    User unknown\r\n"
	)
	type result struct {
		kind    event.Kind
		knownBy event.KnownBy
		key     event.Key
	}
	for _, tt := range []struct {
		name, from, mail, to string
		want                 []result
	}{
		{"bounce", "", bounce, f.returnPath(), []result{{event.Bounce, event.ByKey, messageKey()}}},
		{"bounce with the header", "", full, f.returnPath(), []result{{event.Bounce, event.ByRef, messageKey()}}},
		{"bounce to a fixed address, header", "", full, feedbackAddr, []result{{event.Bounce, event.ByRef, messageKey()}}},
		{"bounce to a fixed address, Message-ID", "", byID, feedbackAddr, []result{{event.Bounce, event.ByMessageID, event.PartialKey(message.Message)}}},
		{"bounce to a fixed address, header of another installation", "", forged, feedbackAddr, []result{{event.Bounce, event.ByMessageID, event.PartialKey(message.Message)}}},
		{"bounce to a fixed address, nothing", "", bounce, feedbackAddr, nil},
		{"reply", human, reply, f.replyTo(), []result{{event.Reply, event.ByKey, messageKey()}}},
		{"copy of a reply", human, reply, repliesAddr, []result{{event.Reply, event.ByMessageID, event.PartialKey(message.Message)}}},
		{"unsubscribe", human, reply, f.unsubscribe(), []result{{event.Unsubscribe, event.ByKey, messageKey()}}},
		{"empty unsubscribe", human, "\r\n", f.unsubscribe(), []result{{event.Unsubscribe, event.ByKey, messageKey()}}},
		{"a machine's answer", "", reply, f.replyTo(), []result{{event.AutoReply, event.ByKey, messageKey()}}},
		{"a machine's answer to unsubscribe", "", reply, f.unsubscribe(), []result{{event.AutoReply, event.ByKey, messageKey()}}},
		{"bounce to unsubscribe", "", bounce, f.unsubscribe(), []result{{event.Bounce, event.ByKey, messageKey()}}},
		{"a daemon's notice to unsubscribe", "", notice, f.unsubscribe(), nil},
		{"a daemon's notice to unsubscribe, under its address", "mailer-daemon@example.org", notice, f.unsubscribe(), nil},
		{"an empty mail of a machine to unsubscribe", "", "\r\n", f.unsubscribe(), nil},
		{"unsubscribe by subject", human, optOut, f.unsubscribe(), []result{{event.Unsubscribe, event.ByKey, messageKey()}}},
		{"unsubscribe by a mail program", human, "Auto-Submitted: auto-replied\r\n" + optOut, f.unsubscribe(), []result{{event.Unsubscribe, event.ByKey, messageKey()}}},
		{"a pasted notice", human, pasted, f.returnPath(), []result{{event.Reply, event.ByKey, messageKey()}}},
	} {
		before := len(f.sink.all())
		got := f.hello().deliverFrom(tt.from, tt.mail, tt.to)
		if want := fmt.Sprintf("events=%d", len(tt.want)); !strings.HasPrefix(got, "250 2.0.0 Ok ") || !strings.HasSuffix(got, want) {
			t.Errorf("%s: %q, want %s", tt.name, got, want)
		}
		events := f.sink.all()[before:]
		if len(events) != len(tt.want) {
			t.Errorf("%s: %d events, want %d", tt.name, len(events), len(tt.want))
			continue
		}
		for i, e := range events {
			if got := (result{e.Kind, e.KnownBy, e.Key}); got != tt.want[i] {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want[i])
			}
			if e.Kind == event.Bounce && (e.Recipient != "bob@example.org" || e.Bounce.Status != "5.1.1" || !e.Bounce.Hard) {
				t.Errorf("%s: %+v", tt.name, e.Bounce)
			}
			if e.KnownBy == event.ByRef && e.Ref != message {
				t.Errorf("%s: %+v", tt.name, e.Ref)
			}
		}
	}
}

// Two clients that we didn't write.
func TestOtherClients(t *testing.T) {
	f := overTCP(t, nil)
	mail := []byte(dsn("bob@example.org", "5.1.1", ""))
	if err := stdsmtp.SendMail(f.Addr().String(), nil, "", []string{f.returnPath()}, mail); err != nil {
		t.Errorf("net/smtp: %v", err)
	}
	if err := stdsmtp.SendMail(f.Addr().String(), nil, "", []string{"alice@example.org"}, mail); err == nil || !strings.HasPrefix(err.Error(), "550") {
		t.Errorf("net/smtp to elsewhere: %v", err)
	}
	c, err := smtp.Dial(f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SendMail("", []string{f.returnPath(), f.replyTo()}, bytes.NewReader(mail)); err != nil {
		t.Errorf("go-smtp: %v", err)
	}
	if err := c.Quit(); err != nil {
		t.Errorf("go-smtp: %v", err)
	}
	if n := len(f.sink.all()); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
}

func TestMetrics(t *testing.T) {
	f := overTCP(t, nil)
	c := f.hello()
	c.deliver(dsn("bob@example.org", "5.1.1", ""), f.returnPath())
	c.begin(f.returnPath())
	c.send("BDAT 5\r\nhello")
	c.want("250")
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"carom_inbound_open_connections": 1, "carom_inbound_mail_memory_bytes": firstBody, "carom_inbound_connections_total": 1,
		"carom_inbound_recipients_total result=return_path": 2, "carom_inbound_mails_total result=taken": 1,
		"carom_inbound_events_total kind=bounce": 1, "carom_inbound_panics_total": 0,
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s: %v, %v; want %v (of %v)", name, got, ok, want, values)
		}
	}
}
