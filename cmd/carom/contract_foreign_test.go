package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// overtaken are facts that arrive before their letter is registered; the links were minted offline.
func (w *world) overtaken() {
	all := []*letter{}
	for i := range 3 {
		l := &letter{account: "acme", sender: "early", sequence: "s", name: fmt.Sprintf("early-%d@example.org", i), recipient: fmt.Sprintf("early-%d@example.com", i), links: []string{"https://example.com/x"}, sentAt: w.ago(90 * time.Hour)}
		l.contact = l.recipient
		l.minted = w.link(nil, l)
		all = append(all, l)
	}
	w.bounce(all[0], unknownUser(all[0].recipient))
	w.bounce(all[0], unknownUser(all[0].recipient))
	w.open(all[1], person)
	w.click(all[1], 0, person)
	id := w.mailID()
	w.mail(repliesAddress, replyMail(id, all[2].recipient, "early@example.org", "In-Reply-To: <"+all[2].name+">"))
	w.add(deedDone{kind: "reply", letter: all[2], at: time.Now(), verdict: "human", mail: id})
	offline := []minted{all[0].minted, all[1].minted, all[2].minted}
	w.send(all...)
	for i, l := range all {
		if l.minted.ReturnPath != offline[i].ReturnPath {
			w.t.Errorf("return path %s, offline %s", l.minted.ReturnPath, offline[i].ReturnPath)
		}
	}
	w.open(all[0], curl)
}

// link mints with `carom link`.
func (w *world) link(env []string, l *letter) (m minted) {
	w.t.Helper()
	args := []string{"link", "--dev", "--account", l.account, "--sender", l.sender, "--sequence", l.sequence, "--contact", l.contact, "--message", l.name, "--sent-at", l.sentAt.Format(time.RFC3339)}
	for _, u := range l.links {
		args = append(args, "--url", u)
	}
	stdout, stderr, code := carom(w.t, append(w.env(), env...), args...)
	if code != exitDone {
		w.t.Fatalf("link: %d, %s", code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &m); err != nil {
		w.t.Fatalf("%v: %q", err, stdout)
	}
	return m
}

// foreign are mails and links that are not ours: none of them may count.
func (w *world) foreign() {
	l := w.set("forged", 1)[0]
	keys := w.dir + "/other-keys.yaml"
	if _, stderr, code := carom(w.t, nil, "keys", "new", "--out", keys); code != exitDone {
		w.t.Fatal(stderr)
	}
	other := w.link([]string{"CAROM_KEYS_FILE=" + keys}, l)
	for _, to := range []string{
		other.ReturnPath, other.ReplyTo, flip(l.minted.ReturnPath, 10), flip(l.minted.ReturnPath, 40), flip(l.minted.ReplyTo, 30),
		"b-@bounce.localhost", "b-" + strings.Repeat("a", 45) + "@bounce.localhost", strings.Replace(l.minted.ReturnPath, "b-", "u-", 1),
		strings.Replace(l.minted.ReplyTo, "r-", "b-", 1), strings.Replace(strings.Replace(l.minted.ReturnPath, "b-", "r-", 1), "@bounce.", "@reply.", 1), strings.Replace(l.minted.ReturnPath, "@bounce.", "@elsewhere.", 1), "somebody@bounce.localhost",
	} {
		err := w.deliver(to, statusMail(w.mailID(), to, "", unknownUser(l.recipient)).String())
		if smtpCode(err) != 550 || !strings.Contains(err.Error(), "5.1.1") {
			w.t.Errorf("mail to %s: %v, want 550 5.1.1", to, err)
		}
	}
	for _, target := range []string{other.OpenURL, flip(l.minted.OpenURL, 60), l.minted.OpenURL + "x", l.minted.OpenURL[:len(l.minted.OpenURL)-3], strings.Replace(l.minted.ClickURLs[0], "/c/", "/o/", 1)} {
		answer, gif, err := person.visit(target)
		if err != nil || answer.StatusCode != http.StatusOK || !bytes.HasPrefix(gif, []byte("GIF8")) {
			w.t.Errorf("a bad pixel token: %v, %v", answer, err)
		}
	}
	for _, target := range []string{other.ClickURLs[0], flip(l.minted.ClickURLs[0], 60), strings.Replace(l.minted.OpenURL, "/o/", "/c/", 1), strings.Replace(l.minted.UnsubscribeURL, "/u/", "/c/", 1), flip(l.minted.UnsubscribeURL, 60), other.UnsubscribeURL} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			answer, _, err := visitor{method: method, agent: person.agent}.visit(target)
			if err != nil || answer.StatusCode != http.StatusNotFound || answer.Header.Get("Location") != "" {
				w.t.Errorf("a bad token: %v, %v", answer, err)
			}
		}
	}
	answer, _, err := call(http.MethodPost, flip(l.minted.UnsubscribeURL, 60), nil, "", strings.NewReader("List-Unsubscribe=One-Click"))
	if err != nil || answer.StatusCode != http.StatusNotFound {
		w.t.Errorf("unsubscribed with a bad token: %v, %v", answer, err)
	}
}

// flip changes the character at i from the front of a token, which begins after the last slash or at the start.
func flip(s string, i int) string {
	i += strings.LastIndexByte(s, '/') + 1
	b := []byte(s)
	if b[i]++; b[i] > 'y' || b[i] == ':' || b[i] == '[' {
		b[i] = 'b'
	}
	return string(b)
}
