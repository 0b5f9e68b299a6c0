package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	feedbackAddress = "fbl@bounce.localhost"
	repliesAddress  = "replies@reply.localhost"
)

// world is a running server and the model of all that is done to it.
type world struct {
	*server
	model
	// fleet is what runs if it is no single process: server's addresses are then those of different edges of it.
	fleet *fleet
	// base is the start of the test, down to the minute. Times of letters lie on a grid of ten minutes from it, five
	// minutes off, and the times that scores are asked for lie near the grid: no number depends on what the clock does.
	base  time.Time
	mails int
	// tired is set once something never came: the rest is not waited for as long.
	tired bool
}

func newWorld(t *testing.T, more ...string) *world {
	t.Helper()
	w := &world{server: newServer(t), base: time.Now().UTC().Truncate(time.Minute)}
	w.more = more
	w.serve()
	return w
}

func (w *world) serve() {
	w.t.Helper()
	if w.fleet != nil {
		w.fleet.start()
		w.answers()
		return
	}
	w.start("CAROM_INBOUND_FEEDBACK_ADDRESSES="+feedbackAddress, "CAROM_INBOUND_REPLY_ADDRESSES="+repliesAddress)
}

// answers waits until all workers of the fleet answer: one that is ready may still be reading what it missed.
func (w *world) answers() {
	w.t.Helper()
	w.until("all workers answer", func() bool {
		for _, path := range []string{"/v1/events?limit=1", "/v1/senders?account=acme&window=30d"} {
			answer, _, err := call(http.MethodGet, "http://"+w.api+path, nil, "", nil)
			if err != nil || answer.StatusCode != http.StatusOK {
				return false
			}
		}
		return true
	})
}

// kill is kill -9 of everything.
func (w *world) kill() {
	if w.fleet != nil {
		w.fleet.kill()
		return
	}
	w.server.kill()
}

// stop returns the highest exit code.
func (w *world) stop() int {
	if w.fleet != nil {
		return w.fleet.stop()
	}
	return w.server.stop()
}

func (w *world) metrics(t *testing.T) string {
	t.Helper()
	if w.fleet != nil {
		return w.fleet.metrics(t)
	}
	return w.server.metrics(t)
}

// same reports whether two readings tell the same events in the same order. With several partitions there is an order
// of each sender's events only, and cursors differ from reading to reading.
func (w *world) same(a, b []toldEvent) bool {
	if w.fleet == nil {
		return slices.EqualFunc(a, b, func(x, y toldEvent) bool { return x.line == y.line })
	}
	bySender := func(x, y toldEvent) int {
		return cmp.Or(strings.Compare(x.Account, y.Account), strings.Compare(x.Sender, y.Sender))
	}
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortStableFunc(a, bySender)
	slices.SortStableFunc(b, bySender)
	return slices.EqualFunc(a, b, func(x, y toldEvent) bool { return x.fact() == y.fact() })
}

// ago is a time on the letters' grid.
func (w *world) ago(d time.Duration) time.Time {
	return w.base.Add(-d.Truncate(10*time.Minute) - 5*time.Minute)
}

// asOf is a time to ask for: never on the edge of a minute, and far from all letters.
func (w *world) asOf(d time.Duration) time.Time {
	return w.base.Add(d.Truncate(10*time.Minute) + 30*time.Second)
}

// registration is the letter as POST /v1/messages takes it.
func (l *letter) registration() string {
	o := map[string]any{"account": l.account, "sender": l.sender, "message": l.name, "recipient": l.recipient}
	if l.sequence != "" {
		o["sequence"] = l.sequence
	}
	if l.contact != l.recipient {
		o["contact"] = l.contact
	}
	if l.links != nil {
		o["links"] = l.links
	}
	if !l.sentAt.IsZero() {
		o["sent_at"] = l.sentAt.Format(time.RFC3339Nano)
	}
	for _, f := range l.flags {
		o[f] = true
	}
	return mustJSON(o)
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// send registers letters in one bulk.
func (w *world) send(letters ...*letter) {
	w.t.Helper()
	lines := make([]string, len(letters))
	for i, l := range letters {
		if l.contact == "" {
			l.contact = l.recipient
		}
		lines[i] = l.registration()
	}
	now := time.Now()
	for i, minted := range w.register(lines) {
		l := letters[i]
		if l.minted = minted; minted.Message != l.name {
			w.t.Fatalf("registered %s, answered for %s", l.name, minted.Message)
		}
		if l.sentAt.IsZero() {
			l.sentAt = now
		}
	}
	w.letters = append(w.letters, letters...)
}

// visitor is who makes a request, and what must be thought of it.
type visitor struct {
	method, agent string
	header        http.Header
	open, click   string // verdicts
}

var (
	person   = visitor{agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0", open: "human", click: "human"}
	browser  = visitor{agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", open: "human", click: "human"}
	gmail    = visitor{agent: "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", open: "human"}
	yahoo    = visitor{agent: "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", open: "human"}
	apple    = visitor{agent: "Mozilla/5.0", open: "proxy"}
	nobody   = visitor{agent: "", open: "unknown", click: "scanner"}
	outlook  = visitor{agent: "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)", open: "human", click: "scanner"}
	gateway  = visitor{agent: "Barracuda Sentinel (EE)", open: "scanner", click: "scanner"}
	curl     = visitor{agent: "curl/8.5.0", open: "scanner", click: "scanner"}
	crawler  = visitor{agent: "Mozilla/5.0 (compatible; ExampleBot/2.1; +http://example.com/bot.html)", open: "scanner", click: "scanner"}
	okhttp   = visitor{agent: "okhttp/4.12.0", open: "unknown", click: "scanner"}
	headOnly = visitor{method: http.MethodHead, agent: browser.agent, open: "scanner", click: "scanner"}
	prefetch = visitor{agent: browser.agent, header: http.Header{"Sec-Purpose": {"prefetch;prerender"}}, open: "scanner", click: "scanner"}
)

// visit makes a request and returns the answer with its body read, following no redirect.
func (v visitor) visit(target string) (*http.Response, []byte, error) {
	method := v.method
	if method == "" {
		method = http.MethodGet
	}
	return call(method, target, v.header, v.agent, nil)
}

// call makes one request, without any header that the caller does not know of.
func call(method, target string, header http.Header, agent string, body io.Reader) (*http.Response, []byte, error) {
	request, err := http.NewRequest(method, target, body)
	if err != nil {
		return nil, nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header["User-Agent"] = []string{agent}
	if agent == "" {
		request.Header.Set("User-Agent", "") // net/http then sends none
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	return answer, all, err
}

// open loads the pixel of a letter.
func (w *world) open(l *letter, v visitor) *deedDone {
	w.t.Helper()
	answer, _, err := v.visit(l.minted.OpenURL)
	if err != nil || answer.StatusCode != http.StatusOK {
		w.t.Fatalf("open %s: %v, %v", l, answer, err)
	}
	return w.hit(deedDone{kind: "open", letter: l, verdict: v.open, agent: v.agent})
}

// click follows a link of a letter.
func (w *world) click(l *letter, link int, v visitor) *deedDone {
	w.t.Helper()
	answer, _, err := v.visit(l.minted.ClickURLs[link])
	if err != nil || answer.StatusCode != http.StatusFound || answer.Header.Get("Location") != l.links[link] {
		w.t.Fatalf("click %s: %v, %v", l, answer, err)
	}
	return w.hit(deedDone{kind: "click", letter: l, link: link, url: l.links[link], verdict: v.click, agent: v.agent})
}

func (w *world) hit(d deedDone) *deedDone {
	if d.letter.has("untracked") {
		return nil
	}
	d.at = time.Now()
	return w.add(d)
}

// mail delivers a mail that must be taken.
func (w *world) mail(to string, m *mail) {
	w.t.Helper()
	if err := w.deliverFrom(m.from, to, m.String()); err != nil {
		w.t.Fatalf("mail to %s: %v", to, err)
	}
}

// mailID is a new Message-ID.
func (w *world) mailID() string {
	w.mails++
	return fmt.Sprintf("mail-%d@example.net", w.mails)
}

// fails records what the blocks of a notification mean.
func (w *world) fails(l *letter, id string, blocks ...block) {
	now := time.Now()
	for _, b := range blocks {
		d := deedDone{letter: l, at: now, recipient: b.recipient}
		switch b.action {
		case "failed":
			d.kind, d.status, d.hard = "bounce", b.status, b.status == "5.1.1"
		case "delayed":
			d.kind, d.mail = "delay", id
		default:
			d.kind = "delivered"
		}
		w.add(d)
	}
}

// bounce sends a notification to the letter's return path.
func (w *world) bounce(l *letter, blocks ...block) {
	w.t.Helper()
	id := w.mailID()
	w.mail(l.minted.ReturnPath, statusMail(id, l.minted.ReturnPath, "", blocks...))
	w.fails(l, id, blocks...)
}

// reply sends a person's mail to the letter's reply address.
func (w *world) reply(l *letter, from, verdict string) {
	w.t.Helper()
	id := w.mailID()
	w.mail(l.minted.ReplyTo, replyMail(id, from, l.minted.ReplyTo))
	w.add(deedDone{kind: "reply", letter: l, at: time.Now(), verdict: verdict, mail: id})
}

// complain sends a feedback report about the letter.
func (w *world) complain(l *letter, feedbackType string, withRef bool) {
	w.t.Helper()
	id := w.mailID()
	w.mail(feedbackAddress, feedbackMail(id, feedbackAddress, feedbackType, returned(l, withRef)))
	d := deedDone{kind: "complaint", letter: l, at: time.Now(), mail: id, takesBack: feedbackType == "not-spam"}
	if feedbackType == "opt-out" {
		d.kind = "unsubscribe"
	}
	w.add(d)
}

// fact is a deed as POST /v1/events takes it.
func (d *deedDone) fact(more map[string]any) string {
	o := map[string]any{"kind": d.kind, "time": d.at.In(time.FixedZone("", 2*60*60)).Format(time.RFC3339Nano)}
	if d.letter != nil {
		o["account"], o["message"] = d.letter.account, d.letter.name
	} else {
		o["account"], o["sender"], o["sequence"], o["contact"] = d.about.account, d.about.sender, d.about.sequence, d.about.contact
	}
	for k, v := range more {
		o[k] = v
	}
	return mustJSON(o)
}

// told is a fact that another system tells.
type told struct {
	deedDone
	more map[string]any
}

// tell posts facts in one bulk and records them.
func (w *world) tell(facts ...told) {
	w.t.Helper()
	lines := make([]string, len(facts))
	for i := range facts {
		lines[i] = facts[i].fact(facts[i].more)
	}
	for i, line := range w.postLines("/v1/events", strings.NewReader(strings.Join(lines, "\n"))) {
		var answer struct{ ID string }
		if err := json.Unmarshal(line, &answer); err != nil || answer.ID == "" {
			w.t.Fatalf("told %s, answered %s", lines[i], line)
		}
		facts[i].id = answer.ID
		if l := facts[i].letter; l != nil && facts[i].recipient == "" {
			facts[i].recipient = l.recipient // whose else
		}
		switch d := w.add(facts[i].deedDone); d.id {
		case answer.ID:
		case "": // a mail told it before
			d.id, d.heard = answer.ID, true
		default:
			w.t.Errorf("told %s, which is no news, and got another id than before", lines[i])
		}
	}
}

const linesOfJSON = "application/x-ndjson"

// postLines posts a bulk and returns the lines of the answer.
func (w *world) postLines(path string, body io.Reader) (lines [][]byte) {
	w.t.Helper()
	answer, err := http.Post("http://"+w.api+path, linesOfJSON, body)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		w.t.Fatalf("a bulk was answered %s", answer.Status)
	}
	scanner := bufio.NewScanner(answer.Body)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		lines = append(lines, bytes.Clone(scanner.Bytes()))
	}
	if scanner.Err() != nil {
		w.t.Fatal(scanner.Err())
	}
	return lines
}

// post posts one object and returns the status and the answer.
func (w *world) post(path, contentType, body string) (int, map[string]any) {
	w.t.Helper()
	answer, all, err := call(http.MethodPost, "http://"+w.api+path, http.Header{"Content-Type": {contentType}}, "", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	var o map[string]any
	if err := json.Unmarshal(all, &o); err != nil {
		w.t.Fatalf("POST %s %.100q: %s: %v: %.200q", path, body, answer.Status, err, all)
	}
	return answer.StatusCode, o
}

// ask reads the score object that answers q.
func (q question) path() string {
	values := url.Values{"account": {q.account}, "window": {q.window}, "as_of": {q.asOf.Format(time.RFC3339Nano)}}
	if q.sequence != nil {
		values.Set("sequence", *q.sequence)
	}
	return "/v1/senders/" + url.PathEscape(q.sender) + "/score?" + values.Encode()
}

// smtpCode is the reply code that a mail was refused with, 0 if it was not refused.
func smtpCode(err error) int {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return reply.Code
	}
	return 0
}

// again polls check until it finds nothing wrong; what is wrong at the end is reported.
func (w *world) again(t *testing.T, check func() []string) {
	t.Helper()
	var wrong []string
	end := time.Now().Add(patience)
	if w.tired {
		end = time.Now().Add(patience / 20)
	}
	for {
		if wrong = check(); len(wrong) == 0 || time.Now().After(end) {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	w.tired = w.tired || len(wrong) > 0
	for i, one := range wrong {
		if t.Error(one); i == 30 {
			t.Errorf("and %d more", len(wrong)-i)
			return
		}
	}
}

// patience is how long the stages may take to come to what they must say. It only ends tests that fail.
const patience = time.Minute
