package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Everything that can come back of a mail comes back here, over real HTTP and SMTP. Then every event and every number of
// every score object must be what was done, before and after a restart.
func TestContractDeeds(t *testing.T) {
	t.Parallel()
	testDeeds(t, newWorld(t))
}

func testDeeds(t *testing.T, w *world) {
	t.Helper()
	repeats := w.repeats()
	w.registrations()
	w.visits()
	w.crowd()
	w.busy()
	w.bounces()
	w.lifted()
	w.overtaken()
	w.foreign()
	w.replies()
	w.complaints()
	w.unsubscribes()
	w.nameless()
	w.facts()
	w.echoes()
	repeats()
	now := time.Now()
	asOf := []time.Time{now, now.Add(73 * time.Hour), w.asOf(-12 * time.Hour), w.asOf(-5 * 24 * time.Hour), w.asOf(-20 * 24 * time.Hour)}
	w.checkEvents(t)
	w.checkScores(t, asOf...)
	w.checkNow(t)
	w.checkMetrics(t)
	w.checkRestart(t, asOf...)
}

// checkNow asks without saying for when.
func (w *world) checkNow(t *testing.T) {
	t.Helper()
	var body json.RawMessage
	w.get("/v1/senders/alice/score?account=acme&window=30d", &body)
	var got scoreObject
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if age := time.Since(got.AsOf); age < -time.Second || age > time.Minute {
		t.Errorf("answered for %v", got.AsOf)
	}
	want := w.expected(question{"acme", "alice", nil, "30d", got.AsOf})
	for _, difference := range want.differencesIn(body) {
		t.Error(difference)
	}
}

// checkMetrics looks for what must and must not be told to everybody who may read metrics.
func (w *world) checkMetrics(t *testing.T) {
	t.Helper()
	body := w.metrics(t)
	conflicts := 0.0
	for line := range strings.Lines(body) {
		if name, value, ok := strings.Cut(line, " "); ok && strings.Contains(name, "conflicts_total") && name != "#" {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Errorf("%s: %v", line, err)
			}
			conflicts += n
		}
	}
	if conflicts == 0 {
		t.Error("no conflict was counted")
	}
	for _, secret := range []string{"acme", "alice", "day-1", "@", "c-1", "Thunderbird"} {
		if strings.Contains(body, secret) {
			t.Errorf("the metrics name %q", secret)
		}
	}
}

// repeats clicks and opens twice at once. The returned function does so again when the repeats are over.
func (w *world) repeats() (again func()) {
	l := &letter{account: "acme", sender: "alice", sequence: "twice", name: "twice@example.org", recipient: "u@example.com", links: []string{"https://example.com/a", "https://example.com/b"}, sentAt: w.ago(80 * time.Hour)}
	w.send(l)
	visits := func() {
		for range 2 {
			w.open(l, person)
			w.click(l, 0, person)
			w.open(l, curl) // a machine never hides a human, nor the other way round
			w.click(l, 0, curl)
			w.click(l, 1, person)
			w.click(l, 0, browser) // another client
		}
	}
	visits()
	done := time.Now()
	return func() {
		w.until("a repeat is none any more", func() bool { return time.Since(done) > repeatWithin+time.Second })
		visits()
	}
}

// registrations are retried, contradicted, in bulk and alone, and of all ages.
func (w *world) registrations() {
	var all []*letter
	for day := range 41 {
		for _, account := range []string{"acme", "globex"} {
			all = append(all, &letter{
				account: account, sender: "alice", sequence: []string{"", "q3", "q4"}[day%3], name: fmt.Sprintf("day-%d@example.org", day),
				recipient: fmt.Sprintf("day-%d@example.com", day%20), contact: fmt.Sprintf("c-%d", day%20), sentAt: w.ago(time.Duration(day)*24*time.Hour + 50*time.Minute),
			})
		}
	}
	w.send(all...)
	w.register([]string{all[3].registration(), all[3].registration(), all[4].registration()}) // retried in a bulk
	first := all[5]
	// A retry is the same; a second opinion changes nothing, and what is minted for it counts for the first.
	for _, other := range []letter{
		*first,
		{account: first.account, name: " <" + first.name + "> ", sender: first.sender, sequence: first.sequence, recipient: first.recipient, contact: first.contact, sentAt: first.sentAt},
		{account: first.account, name: first.name, sender: "mallory", sequence: "x", recipient: "other@example.com", contact: "other", sentAt: w.ago(0)},
	} {
		minted := w.register([]string{other.registration()})[0]
		if minted.ReturnPath != first.minted.ReturnPath || minted.ReplyTo != first.minted.ReplyTo {
			w.t.Errorf("addresses changed: %+v, %+v", minted, first.minted)
		}
		first.minted = minted
		w.open(first, person)
	}
	w.alone()
}

// alone registers one message with nothing but what is required, and checks the answer.
func (w *world) alone() {
	l := &letter{account: "default", sender: "Zoë / R&D?", name: "alone@example.org", sentAt: time.Now()}
	status, answer := w.post("/v1/messages", "application/json", `{"sender":"Zoë / R&D?","message":" <alone@example.org> "}`)
	if status != http.StatusOK || answer["message"] != l.name || answer["send"] != true {
		w.t.Fatalf("answered %d %v", status, answer)
	}
	if err := json.Unmarshal([]byte(mustJSON(answer)), &l.minted); err != nil {
		w.t.Fatal(err)
	}
	for _, field := range strings.Fields("message send open_url click_urls honeypot_url unsubscribe_url return_path reply_to headers") {
		if answer[field] == nil {
			w.t.Errorf("%s is missing in %v", field, answer)
		}
	}
	h := l.minted.Headers
	if h["X-Carom-Ref"] == "" || h["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click" || !strings.Contains(h["List-Unsubscribe"], "<"+l.minted.UnsubscribeURL+">") ||
		!strings.Contains(h["List-Unsubscribe"], "<mailto:u-") || !strings.HasPrefix(l.minted.ReturnPath, "b-") || !strings.HasPrefix(l.minted.ReplyTo, "r-") {
		w.t.Errorf("minted %+v", l.minted)
	}
	w.letters = append(w.letters, l)
	w.open(l, gmail.when("unknown")) // within a minute after sending
	// Nobody sees the honeypot's link.
	honeypot, _, err := person.visit(answer["honeypot_url"].(string))
	if err != nil || honeypot.StatusCode != http.StatusFound {
		w.t.Errorf("the honeypot: %v, %v", honeypot, err)
	}
	w.hit(deedDone{kind: "click", letter: l, url: honeypot.Header.Get("Location"), honeypot: true, verdict: "scanner", agent: person.agent})
}

// when is the same visitor, of whom something else must be thought.
func (v visitor) when(open string) visitor {
	v.open = open
	return v
}

// visits opens and clicks with everything that makes requests.
func (w *world) visits() {
	var all []*letter
	visitors := []visitor{person, browser, gmail, yahoo, apple, nobody, outlook, gateway, curl, crawler, okhttp, headOnly, prefetch}
	for i := range visitors {
		all = append(all, &letter{
			account: "acme", sender: "agents", sequence: "all", name: fmt.Sprintf("agent-%d@example.org", i), recipient: fmt.Sprintf("a%d@example.com", i),
			links: []string{"https://example.com/1", "https://example.com/2?a=b&c=d#e"}, sentAt: w.ago(75 * time.Hour),
		})
	}
	w.send(all...)
	for i, v := range visitors {
		w.open(all[i], v)
		if v.click != "" {
			w.click(all[i], 1, v)
		}
	}
	w.click(all[2], 0, person)
	w.click(all[2], 1, person)
}

// crowd opens and clicks the same letter many times at once.
func (w *world) crowd() {
	l := w.set("crowd", 1)[0]
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for _, target := range []string{l.minted.OpenURL, l.minted.OpenURL + "?nocache=1", l.minted.ClickURLs[0], l.minted.ClickURLs[0] + "?utm_source=x"} {
				if _, _, err := browser.visit(target); err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	all.Wait()
	w.hit(deedDone{kind: "open", letter: l, verdict: "human", agent: browser.agent})
	w.hit(deedDone{kind: "click", letter: l, url: l.links[0], verdict: "human", agent: browser.agent})
}

// busy is a contact to whom much is written, and one letter that very many clients open.
func (w *world) busy() {
	var all []*letter
	for i := range 90 {
		all = append(all, &letter{
			account: "acme", sender: "busy", sequence: "s", name: fmt.Sprintf("busy-%d@example.org", i), recipient: "busy@example.com",
			links: []string{"https://example.com/"}, sentAt: w.ago(time.Duration(80+10*i) * time.Hour),
		})
	}
	w.send(all...)
	w.complain(all[80], "abuse", true)
	w.bounce(all[81], unknownUser(all[81].recipient))
	w.later()
	for i := range 90 {
		w.open(all[0], visitor{agent: fmt.Sprintf("%s Edition/%d", curl.agent, i), open: "scanner"})
		w.open(all[i], browser)
	}
	w.later()
	w.click(all[87], 0, person)
	w.bounce(all[88], fullMailbox(all[88].recipient))
}

// set is n letters of a sender, sent 80 hours ago.
func (w *world) set(sender string, n int, flags ...string) (all []*letter) {
	for i := range n {
		all = append(all, &letter{
			account: "acme", sender: sender, sequence: "s", name: fmt.Sprintf("%s-%d@example.org", sender, i), recipient: fmt.Sprintf("%s-%d@example.com", sender, i),
			contact: fmt.Sprintf("%s-c%d", sender, i), links: []string{"https://example.com/"}, sentAt: w.ago(80 * time.Hour), flags: flags,
		})
	}
	w.send(all...)
	return all
}

// bounces come as notifications to return paths.
func (w *world) bounces() {
	set := w.set("bounces", 9)
	w.bounce(set[0], unknownUser(set[0].recipient))
	w.bounce(set[0], unknownUser(set[0].recipient)) // again, with another Message-ID
	w.bounce(set[1], fullMailbox(set[1].recipient))
	w.bounce(set[2], noAnswer(set[2].recipient))
	w.bounce(set[2], noAnswer(set[2].recipient)) // another report, another delay
	w.bounce(set[3], arrived(set[3].recipient))
	w.bounce(set[4], unknownUser(set[4].recipient), arrived("second@example.com"), noAnswer("third@example.com"))
	w.bounce(set[5], noAnswer(set[5].recipient))
	w.later()
	w.bounce(set[5], unknownUser(set[5].recipient))
	// A resending MTA sends the very same mail again.
	id := w.mailID()
	same := statusMail(id, set[6].minted.ReturnPath, "", fullMailbox(set[6].recipient))
	for range 2 {
		w.mail(set[6].minted.ReturnPath, same)
		w.fails(set[6], id, fullMailbox(set[6].recipient))
	}
	// MTAs fold the case of addresses.
	id = w.mailID()
	w.mail(strings.ToUpper(set[7].minted.ReturnPath), statusMail(id, set[7].minted.ReturnPath, "", unknownUser(set[7].recipient)))
	w.fails(set[7], id, unknownUser(set[7].recipient))
	// set[8] is fine.
}

// later waits until the next millisecond: what follows is strictly later than what was.
func (w *world) later() {
	was := time.Now().UnixMilli()
	w.until("time passes", func() bool { return time.Now().UnixMilli() > was+1 })
}

// lifted are bounces that something later contradicts, or nearly.
func (w *world) lifted() {
	set := w.set("lifted", 8)
	for _, l := range set {
		w.bounce(l, unknownUser(l.recipient))
	}
	w.later()
	w.open(set[0], person)
	w.open(set[1], curl) // a machine proves nothing
	w.click(set[2], 0, browser)
	w.click(set[3], 0, gateway)
	w.reply(set[4], set[4].recipient, "human")
	w.reply(set[5], "stranger@example.net", "unknown")
	w.bounce(set[6], arrived(set[6].recipient))
	w.later()
	w.bounce(set[0], fullMailbox(set[0].recipient)) // and yet it bounces
	w.bounce(set[4], fullMailbox(set[4].recipient)) // a reply overrides that
}

// nameless letters are opened and clicked by someone.
func (w *world) nameless() {
	var all []*letter
	for i, flag := range []string{"anonymous", "shared", "untracked", "anonymous", "shared"} {
		all = append(all, &letter{
			account: "acme", sender: "discreet", sequence: []string{"a", "b"}[i%2], name: fmt.Sprintf("discreet-%d@example.org", i),
			recipient: fmt.Sprintf("discreet-%d@example.com", i), contact: fmt.Sprintf("secret-%d", i), flags: []string{flag},
			links: []string{"https://example.com/"}, sentAt: w.ago(74 * time.Hour),
		})
	}
	w.send(all...)
	for _, l := range all[:3] {
		w.open(l, person)
		w.click(l, 0, person)
		w.open(l, gateway)
	}
	w.bounce(all[3], unknownUser(all[3].recipient)) // what mail servers tell is no tracking
	w.later()
	w.open(all[3], gmail)
}

// unsubscribes come by POST and by mail, never by GET.
func (w *world) unsubscribes() {
	set := w.set("unsubscribes", 5)
	for _, l := range set {
		for _, v := range []visitor{person, gateway, headOnly} {
			answer, _, err := v.visit(l.minted.UnsubscribeURL)
			if err != nil || answer.StatusCode != http.StatusOK {
				w.t.Errorf("looked at the unsubscribe page: %v, %v", answer, err)
			}
		}
	}
	var form bytes.Buffer
	f := multipart.NewWriter(&form)
	if err := f.WriteField("List-Unsubscribe", "One-Click"); err != nil {
		w.t.Fatal(err)
	}
	f.Close()
	oneClick := url.Values{"List-Unsubscribe": {"One-Click"}}.Encode()
	for i, body := range []struct {
		contentType string
		body        string
	}{{"application/x-www-form-urlencoded", oneClick}, {f.FormDataContentType(), form.String()}} {
		for range 2 { // a retry is no second one
			answer, _, err := call(http.MethodPost, set[i].minted.UnsubscribeURL, http.Header{"Content-Type": {body.contentType}}, "", strings.NewReader(body.body))
			if err != nil || answer.StatusCode != http.StatusOK {
				w.t.Errorf("unsubscribed: %v, %v", answer, err)
			}
			w.add(deedDone{kind: "unsubscribe", letter: set[i], at: time.Now()})
		}
	}
	_, after, _ := strings.Cut(set[2].minted.Headers["List-Unsubscribe"], "<mailto:")
	address, _, _ := strings.Cut(after, ">")
	address, _, _ = strings.Cut(address, "?")
	w.mail(address, newMail("From: "+set[2].recipient, "To: "+address, "Subject: unsubscribe").text("\n").by(set[2].recipient))
	w.add(deedDone{kind: "unsubscribe", letter: set[2], at: time.Now()})
	w.complain(set[3], "opt-out", true)
}
