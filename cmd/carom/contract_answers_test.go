package main

import (
	"fmt"
	"net/http"
	"net/smtp"
	"time"
)

// replies come from the contact, from near it, and from elsewhere; to the reply address, or as a copy.
func (w *world) replies() {
	set := w.set("replies", 12)
	for _, l := range set[:6] {
		w.reply(l, l.recipient, "human")
	}
	w.reply(set[0], set[0].recipient, "human") // once more
	w.reply(set[6], "colleague@example.com", "human")
	w.reply(set[7], "stranger@example.net", "unknown")
	w.reply(set[8], "Replies-8@EXAMPLE.com", "human")
	w.copied(set[9], set[9].recipient, "human", "In-Reply-To: <"+set[9].name+">")
	w.copied(set[10], set[10].recipient, "human", "References: <other@example.net> <"+set[10].name+">")
	w.copied(set[11], "stranger@example.net", "unknown", "In-Reply-To: <"+set[11].name+">")
	// Neither of these says which mail it is about.
	w.mail(repliesAddress, replyMail(w.mailID(), set[11].recipient, repliesAddress))
	w.mail(repliesAddress, replyMail(w.mailID(), set[11].recipient, repliesAddress, "In-Reply-To: <nobody-knows@example.org>"))
	w.unaddressed()
	w.public()
	w.automatic()
}

// unaddressed are letters that were registered without a recipient: where the contact is an address, it is theirs.
func (w *world) unaddressed() {
	all := []*letter{
		{account: "acme", sender: "unaddressed", sequence: "s", name: "a/b?c#d%20 ü&e@example.org", contact: "contact@example.com", sentAt: w.ago(80 * time.Hour)},
		{account: "acme", sender: "unaddressed", sequence: "s", name: "opaque@example.org", contact: "c-77", sentAt: w.ago(80 * time.Hour)},
	}
	w.send(all...)
	w.reply(all[0], all[0].contact, "human")
	w.reply(all[1], "anybody@example.com", "unknown")
	w.bounce(all[1], fullMailbox("somebody@example.com"))
}

// copied sends a copy of a reply.
func (w *world) copied(l *letter, from, verdict string, more ...string) {
	w.t.Helper()
	id := w.mailID()
	w.mail(repliesAddress, replyMail(id, from, l.sender+"@example.org", more...))
	w.add(deedDone{kind: "reply", letter: l, at: time.Now(), verdict: verdict, mail: id})
}

// public are replies from mailbox providers at which a domain says nothing about a person.
func (w *world) public() {
	var all []*letter
	for i, recipient := range []string{"somebody@gmail.com", "somebody.else@gmail.com", "third@outlook.com", "fourth@yahoo.co.jp"} {
		all = append(all, &letter{account: "acme", sender: "public", sequence: "s", name: fmt.Sprintf("public-%d@example.org", i), recipient: recipient, contact: fmt.Sprint(i), sentAt: w.ago(80 * time.Hour)})
	}
	w.send(all...)
	w.reply(all[0], "Somebody@Gmail.com", "human")
	w.reply(all[1], "another.person@gmail.com", "unknown")
	w.reply(all[2], "third.person@outlook.com", "unknown")
	w.reply(all[3], "fourth@yahoo.co.jp", "human")
}

// automatic are mails that nobody wrote.
func (w *world) automatic() {
	set := w.set("automatic", 4)
	for i, l := range set[:3] {
		id := w.mailID()
		m := vacationMail(id, l.recipient, l.minted.ReplyTo)
		if i == 1 {
			m = readMail(id, l.recipient, l.minted.ReplyTo, l.name)
		}
		to := l.minted.ReplyTo
		if i == 2 {
			to = l.minted.ReturnPath // vacations go to the return path, RFC 3834 §4
		}
		w.mail(to, m)
		w.mail(to, m) // resent
		w.add(deedDone{kind: "auto_reply", letter: l, at: time.Now(), mail: id})
	}
	// Later a person answers after all.
	w.reply(set[0], set[0].recipient, "human")
}

// complaints come to the feedback address, which tells nothing about who complains.
func (w *world) complaints() {
	set := w.set("complaints", 8)
	w.complain(set[0], "abuse", true)
	w.complain(set[0], "abuse", true)
	w.complain(set[1], "fraud", false)
	w.complain(set[2], "abuse", true)
	w.later()
	w.complain(set[2], "not-spam", true)
	for _, feedbackType := range []string{"virus", "other", "auth-failure"} { // these tell nothing
		w.mail(feedbackAddress, feedbackMail(w.mailID(), feedbackAddress, feedbackType, returned(set[3], true)))
	}
	// To the feedback and the reply addresses also bounces come, known by the returned header or by the Message-ID alone.
	for i, to := range []string{feedbackAddress, feedbackAddress, repliesAddress, repliesAddress} {
		l, id := set[4+i], w.mailID()
		w.mail(to, statusMail(id, to, returned(l, i%2 == 0), unknownUser(l.recipient)))
		w.fails(l, id, unknownUser(l.recipient))
	}
	// A Message-ID that two accounts know is nobody's: day-1 is acme's and globex'. With the reference it is clear.
	var twins []*letter
	for _, l := range w.letters {
		if l.name == "day-1@example.org" {
			twins = append(twins, l)
		}
	}
	w.mail(feedbackAddress, statusMail(w.mailID(), feedbackAddress, returned(twins[0], false), unknownUser(twins[0].recipient)))
	id := w.mailID()
	w.mail(feedbackAddress, statusMail(id, feedbackAddress, returned(twins[1], true), fullMailbox(twins[1].recipient)))
	w.fails(twins[1], id, fullMailbox(twins[1].recipient))
}

// facts are what other systems tell the API.
func (w *world) facts() {
	set := w.set("facts", 16)
	at := w.ago(60 * time.Hour)
	about := func(l *letter, kind string, at time.Time) deedDone { return deedDone{kind: kind, letter: l, at: at} }
	bare := func(l *letter, reply, status string, hard bool) told {
		d := about(l, "bounce", at)
		d.status, d.hard = status, hard
		return told{d, map[string]any{"reply": reply}}
	}
	reply := about(set[4], "reply", at)
	reply.verdict, reply.mail = "human", at.String()
	object := about(set[2], "bounce", at)
	object.status, object.hard, object.recipient = "5.1.1", true, set[2].recipient
	facts := []told{
		bare(set[0], "550 5.1.1 <"+set[0].recipient+">: Recipient address rejected: User unknown in virtual mailbox table", "5.1.1", true),
		bare(set[1], "452 4.2.2 Mailbox full", "4.2.2", false),
		{object, map[string]any{"bounce": map[string]any{
			"hard": true, "category": "invalid_recipient", "status": "5.1.1", "reply_code": "550", "action": "failed",
			"recipient": set[2].recipient, "remote_mta": "mx.example.com", "diagnostic": "550 5.1.1 no such user", "provider": "google",
		}}},
		{about(set[3], "delivered", at), nil},
		{reply, nil},
		{about(set[5], "auto_reply", at), nil},
		{about(set[6], "complaint", at), nil},
		{about(set[7], "unsubscribe", at), nil},
		{about(set[8], "dropped", at), nil},
		{about(set[9], "completed", at), nil},
		{about(set[10], "delay", at), nil},
		// Delivered later, at the very same time, and before: only the first lifts the bounce.
		bare(set[11], "550 5.1.1 unknown", "5.1.1", true),
		{about(set[11], "delivered", at.Add(time.Millisecond)), nil},
		bare(set[12], "550 5.1.1 unknown", "5.1.1", true),
		{about(set[12], "delivered", at), nil},
		bare(set[13], "550 5.1.1 unknown", "5.1.1", true),
		{about(set[13], "delivered", at.Add(-time.Hour)), nil},
	}
	for i := range facts {
		switch facts[i].kind {
		case "auto_reply", "complaint", "delay":
			facts[i].mail = facts[i].at.String()
		}
	}
	w.tell(facts...)
	w.tell(facts...) // a client that did not hear the answer
	w.aboutEnrollments(set[14], set[15])
}

// echoes are one fact that comes by several ways, and one mail that comes to several addresses.
func (w *world) echoes() {
	set := w.set("echoes", 8)
	// The return path says whose bounce it is, whatever the mail returns.
	id := w.mailID()
	w.mail(set[0].minted.ReturnPath, statusMail(id, set[0].minted.ReturnPath, returned(set[1], true), unknownUser(set[0].recipient)))
	w.fails(set[0], id, unknownUser(set[0].recipient))
	// The same bounce to the return path, to the feedback address, and from another system.
	w.bounce(set[2], unknownUser(set[2].recipient))
	w.mail(feedbackAddress, statusMail(id, feedbackAddress, returned(set[2], true), unknownUser(set[2].recipient)))
	w.fails(set[2], id, unknownUser(set[2].recipient))
	b := deedDone{kind: "bounce", letter: set[2], at: w.ago(0), status: "5.1.1", hard: true, recipient: set[2].recipient}
	w.tell(told{b, map[string]any{"reply": "550 5.1.1 no such user", "recipient": b.recipient}})
	// A reply, and its copy.
	id = w.mailID()
	copied := replyMail(id, set[3].recipient, set[3].minted.ReplyTo, "In-Reply-To: <"+set[3].name+">")
	for _, to := range []string{set[3].minted.ReplyTo, repliesAddress, set[3].minted.ReplyTo} {
		w.mail(to, copied)
		w.add(deedDone{kind: "reply", letter: set[3], at: time.Now(), verdict: "human", mail: id})
	}
	// A complaint, resent.
	id = w.mailID()
	for range 2 {
		w.mail(feedbackAddress, feedbackMail(id, feedbackAddress, "abuse", returned(set[4], true)))
		w.add(deedDone{kind: "complaint", letter: set[4], at: time.Now(), mail: id})
	}
	// Unsubscribed in every way there is.
	w.complain(set[5], "opt-out", false)
	u := deedDone{kind: "unsubscribe", letter: set[5], at: w.ago(0)}
	w.tell(told{u, nil})
	answer, _, err := call(http.MethodPost, set[5].minted.UnsubscribeURL, nil, "", nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		w.t.Errorf("unsubscribed: %v, %v", answer, err)
	}
	// One answer to two letters.
	id = w.mailID()
	both := []*letter{set[6], set[7]}
	text := replyMail(id, "boss@example.com", "both").String()
	if err := smtp.SendMail(w.server.mail, nil, "boss@example.com", []string{both[0].minted.ReplyTo, both[1].minted.ReplyTo}, []byte(text)); err != nil {
		w.t.Error(err)
	}
	for _, l := range both {
		w.add(deedDone{kind: "reply", letter: l, at: time.Now(), verdict: "human", mail: id})
	}
}

// aboutEnrollments tells facts that name no message.
func (w *world) aboutEnrollments(a, b *letter) {
	at := w.ago(70 * time.Hour)
	of := func(l *letter, kind string) told {
		return told{deedDone{kind: kind, about: l.enrollment(), at: at, mail: at.String()}, nil}
	}
	reply := of(a, "reply")
	reply.verdict = "human"
	bounce := of(b, "bounce")
	bounce.status, bounce.hard, bounce.more = "5.1.1", true, map[string]any{"reply": "550 5.1.1 no such user"}
	facts := []told{reply, of(a, "completed"), of(a, "delay"), of(b, "complaint"), of(b, "unsubscribe"), bounce}
	w.tell(facts...)
	w.tell(facts...)
}
