package report

import "testing"

// TestEnvelope holds that the reverse path tells who wrote where the mail itself leaves it open: nobody human writes from
// an empty one, and behind a real one that is no mail system's stands a human.
func TestEnvelope(t *testing.T) {
	const (
		null  = NullPath
		real  = "bob@example.net"
		mixed = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nLook at this.\n"

		fromSystem = "From: Mail Delivery Subsystem <mds@example.com>\n\n" + postfixWords
		fromHost   = "From: mx17@example.com\n\n" + postfixWords
		fromAdmin  = "From: Bob, System Administrator <bob@example.net>\nSubject: help\n\nWhat is this?\n\n" + postfixWords
		fromHuman  = "From: bob@example.net\nSubject: hello\n\nGone fishing.\n"
		answer     = "From: bob@example.net\nSubject: Re: hello\nIn-Reply-To: <1@example.com>\n\nGone fishing.\n"
		leave      = "From: bob@example.net\nSubject: unsubscribe\n\n"
		postmaster = "From: postmaster@example.net\nSubject: Re: hello\nIn-Reply-To: <1@example.com>\n\nSeen.\n"
		status     = "From: mx17@example.com\nReferences: <1@example.com>\nSubject: Undelivered\n" + mixed + statusPart + "--b--\n"
		fml        = "From: list@example.org\nX-MLServer: fml [fml 4.0]\nSubject: You carol@example.net are not member\n\nYou are not member.\n"
		report     = "From: bob@example.net\nContent-Type: multipart/report; boundary=b\n\n--b\n\nSorry.\n" + statusPart + "--b--\n"
	)
	for _, c := range []struct {
		name, path, mail string
		want             Kind
		machine          bool
	}{
		{"a notice of a host, not known from where", "", fromHost, Reply, false},
		{"a notice of a host", null, fromHost, Bounce, true},
		{"a notice that a human passes on", real, fromHost, Reply, false},
		{"a notice of a system", null, fromSystem, Bounce, true},
		{"a notice of a system, not known from where", "", fromSystem, Bounce, false},
		{"a notice of a system from a system", "mailer-daemon@example.com", fromSystem, Bounce, false},
		{"a notice of a system, returned to a handler", "bounces+17@example.com", fromSystem, Bounce, false},
		{"a notice that a gateway's user pastes", "", fromAdmin, Bounce, false},
		{"a notice that an administrator pastes", real, fromAdmin, Reply, false},
		{"a notice that an administrator pastes, in brackets", "<" + real + ">", fromAdmin, Reply, false},
		{"a text", real, fromHuman, Reply, false},
		{"a text of a machine", null, fromHuman, AutoReply, true},
		{"an answer", real, answer, Reply, false},
		{"an answer of a machine", null, answer, AutoReply, true},
		{"an opt-out", real, leave, Unsubscribe, false},
		{"an opt-out, not known from where", "", leave, Unsubscribe, false},
		{"an opt-out by a machine", null, leave, AutoReply, true},
		{"an opt-out that a mail program sends", real, "Auto-Submitted: auto-replied\n" + leave, Unsubscribe, true},
		{"a postmaster's answer", "postmaster@example.net", postmaster, Reply, false},
		{"a postmaster's answer by itself", null, postmaster, Other, true},
		{"a status that refers", null, status, Bounce, true},
		{"a status that a human attaches", real, status, Reply, false},
		{"an empty mail", null, "\n", Other, true},
		{"a mail of nobody", null, "From: <>\nSubject: x\n\nSomething.\n", Other, true},
		{"a list's manager", null, fml, Bounce, true},
		{"a member of a list", real, fml, Reply, false},
		{"a report under a real path", real, report, Bounce, false},
		{"a header that came along", real, "Return-Path: <>\n" + fromHost, Bounce, true},
		{"a notice in no known form", null, "From: mailer-daemon@example.com\n\nSomething.\n", Other, true},
		{"a notice in no known form under a real path", real, "From: mailer-daemon@example.com\n\nSomething.\n", Other, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Envelope{ReversePath: c.path}.Read([]byte(c.mail))
			check(t, r)
			if f := r.Facts[0]; f.Kind != c.want || r.ByMachine != c.machine {
				t.Errorf("a %s by %s (%s), by a machine: %v, want a %s, %v", f.Kind, f.Decoder, f.Why, r.ByMachine, c.want, c.machine)
			}
		})
	}
}

// TestEnvelopeIsForgotten holds that a pooled reader takes no envelope over to the next mail.
func TestEnvelopeIsForgotten(t *testing.T) {
	mail := []byte("From: bob@example.net\n\nGone fishing.\n")
	for range 100 {
		if r := (Envelope{ReversePath: NullPath}).Read(mail); r.Facts[0].Kind != AutoReply {
			t.Fatal(r.Facts[0])
		}
		if r := Read(mail); r.Facts[0].Kind != Reply {
			t.Fatal(r.Facts[0])
		}
	}
}
