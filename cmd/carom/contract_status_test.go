package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// What happened to a letter is told by its status, and by its events, oldest first.
func TestContractStatus(t *testing.T) {
	t.Parallel()
	testStatus(t, newWorld(t))
}

func testStatus(t *testing.T, w *world) {
	t.Helper()
	hours := func(l *letter, kind string, after int) told {
		d := deedDone{kind: kind, letter: l, at: l.sentAt.Add(time.Duration(after) * time.Hour)}
		d.mail = d.at.String()
		if kind == "reply" {
			d.verdict = "human"
		}
		return told{d, nil}
	}
	bounce := func(l *letter, after int, reply, status string, hard bool) told {
		b := hours(l, "bounce", after)
		b.status, b.hard, b.more = status, hard, map[string]any{"reply": reply}
		return b
	}
	hard := func(l *letter, after int) told { return bounce(l, after, "550 5.1.1 no such user", "5.1.1", true) }
	soft := func(l *letter, after int) told { return bounce(l, after, "452 4.2.2 mailbox full", "4.2.2", false) }
	blocked := func(l *letter, after int) told {
		b := bounce(l, after, "", "5.7.1", false)
		b.more = map[string]any{"bounce": map[string]any{"hard": false, "category": "blocked", "status": "5.7.1", "reply_code": "550"}}
		return b
	}
	cases := []struct {
		want string
		do   func(l *letter)
	}{
		{"sent", func(*letter) {}},
		{"sent", func(l *letter) { w.tell(hours(l, "delivered", 1)) }},
		{"sent", func(l *letter) { w.tell(hours(l, "delay", 1)) }},
		{"sent", func(l *letter) { w.open(l, curl); w.click(l, 0, gateway) }},
		{"sent", func(l *letter) { w.tell(hours(l, "auto_reply", 1)) }},
		{"opened", func(l *letter) { w.open(l, person) }},
		{"clicked", func(l *letter) { w.click(l, 0, person) }},
		{"replied", func(l *letter) { w.reply(l, l.recipient, "human"); w.click(l, 0, person) }},
		{"replied", func(l *letter) { w.tell(hours(l, "reply", 2), hours(l, "delivered", 1)) }},
		{"sent", func(l *letter) { w.reply(l, "stranger@example.net", "unknown") }},
		{"bounced_temporary", func(l *letter) { w.tell(soft(l, 1)) }},
		{"bounced_temporary", func(l *letter) { w.tell(hours(l, "delivered", 1), soft(l, 2)) }},
		{"bounced_permanent", func(l *letter) { w.tell(hard(l, 1)) }},
		{"bounced_permanent", func(l *letter) { w.tell(hard(l, 1), soft(l, 2)) }},
		{"bounced_permanent", func(l *letter) { w.bounce(l, unknownUser(l.recipient)) }},
		{"blocked", func(l *letter) { w.tell(blocked(l, 1)) }},
		{"blocked", func(l *letter) { w.tell(hard(l, 1), blocked(l, 2)) }},
		{"sent", func(l *letter) { w.tell(hard(l, 1), hours(l, "delivered", 2)) }},
		{"opened", func(l *letter) { w.tell(hard(l, 1), soft(l, 2)); w.open(l, person) }},
		{"replied", func(l *letter) { w.tell(blocked(l, 1), hours(l, "reply", 2)) }},
		{"dropped", func(l *letter) { w.tell(hours(l, "dropped", 1)) }},
		{"complained", func(l *letter) { w.open(l, person); w.complain(l, "abuse", true) }},
		{"opened", func(l *letter) {
			w.open(l, person)
			w.complain(l, "abuse", true)
			w.later()
			w.complain(l, "not-spam", true)
		}},
		{"unsubscribed", func(l *letter) { w.tell(hours(l, "complaint", 1), hours(l, "unsubscribe", 2), hours(l, "reply", 3)) }},
	}
	letters := w.set("status", len(cases))
	for i, c := range cases {
		c.do(letters[i])
	}
	// Somebody minted a token, and nobody registered the letter.
	minted := &letter{account: "acme", sender: "status", sequence: "s", contact: "c-sending", name: "sending@example.org", sentAt: w.ago(80 * time.Hour)}
	minted.minted = w.link(nil, minted)
	if _, _, err := curl.visit(minted.minted.OpenURL); err != nil {
		t.Fatal(err)
	}
	w.until("the token's letter is known", func() bool { return w.status(minted) == "sending" })
	w.send(minted)
	w.until("the letter is registered", func() bool { return w.status(minted) == "sent" })
	w.add(deedDone{kind: "open", letter: minted, at: time.Now(), verdict: "scanner", agent: curl.agent})
	w.checkEvents(t)
	for i, c := range cases {
		w.again(t, func() []string { return w.message(letters[i], fmt.Sprintf("case %d", i), c.want) })
	}
	w.checkScores(t, time.Now())
	answer, _, err := call(http.MethodGet, "http://"+w.api+"/v1/messages/nobody@example.org?account=acme", nil, "", nil)
	if err != nil || answer.StatusCode != http.StatusNotFound || answer.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("an unknown message: %v, %v", answer, err)
	}
}

// status asks for a letter's status, "" if it is not known.
func (w *world) status(l *letter) string {
	var m struct{ Status string }
	answer, body, err := call(http.MethodGet, "http://"+w.api+"/v1/messages/"+url.PathEscape(l.name)+"?account="+l.account, nil, "", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if answer.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, &m); err != nil {
			w.t.Fatal(err)
		}
	}
	return m.Status
}

// message compares what is told of a letter.
func (w *world) message(l *letter, what, status string) (wrong []string) {
	var got struct {
		Account, Sender, Sequence, Contact, Message, Recipient, Status string

		Events []toldEvent
	}
	w.get("/v1/messages/"+url.PathEscape("<"+l.name+">")+"?account="+l.account, &got)
	if got.Status != status {
		wrong = append(wrong, fmt.Sprintf("%s: %s is %s, want %s", what, l, got.Status, status))
	}
	if got.Account != l.account || got.Sender != l.sender || got.Sequence != l.sequence || got.Contact != l.contact || got.Message != l.name {
		wrong = append(wrong, fmt.Sprintf("%s: told as %+v", what, got))
	}
	if !slices.IsSortedFunc(got.Events, func(a, b toldEvent) int { return a.Time.Compare(b.Time) }) {
		wrong = append(wrong, fmt.Sprintf("%s: events are not oldest first", what))
	}
	var events []string
	for _, e := range got.Events {
		events = append(events, e.summary())
	}
	var want []string
	for summary, n := range (&model{letters: []*letter{l}, deeds: slices.DeleteFunc(slices.Clone(w.deeds), func(d *deedDone) bool { return d.letter != l })}).events() {
		want = append(want, slices.Repeat([]string{summary}, n)...)
	}
	slices.Sort(events)
	slices.Sort(want)
	if !slices.Equal(events, want) {
		wrong = append(wrong, fmt.Sprintf("%s: events\n%s\nwant\n%s", what, strings.Join(events, "\n"), strings.Join(want, "\n")))
	}
	return wrong
}
