package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/kafka"
)

// outageVariable shortens the broker's outage for those who wait.
const outageVariable = "CAROM_TEST_KAFKA_OUTAGE"

// Three edges and two workers, and everything that can break breaks while traffic goes on; one process alone hears the
// same traffic and has a quiet day. At the end nobody can tell the two apart, and an independent reader of the events'
// topic finds every acknowledged deed, once.
func TestBrokerChaos(t *testing.T) {
	t.Parallel()
	outage := seconds(t, outageVariable, time.Minute)
	broker := newOwnBroker(t)
	f := newFleet(t, broker.address, 3, 2)
	f.makeTopics()
	x := newChaos(t, f)
	f.start()
	x.alone.start()
	x.history()
	x.listen()
	stop := x.traffic()
	x.pass(300)

	x.killEdge()
	x.pass(200)
	x.restoreEdge()
	x.pass(100)

	t.Logf("%d deeds; the broker goes away for %v", x.done.Load(), outage)
	over := time.After(outage)
	broker.stop()
	x.pass(200)
	x.killEdge()
	x.pass(100)
	x.restoreEdge() // without a broker
	x.answersQuiet(-1)
	f.workers[1].kill()
	f.workers[1].wipe()
	f.workers[1].launch()
	f.workers[1].until("worker-1 answers", func() bool { status, _ := f.workers[1].said(t); return status != 0 })
	x.answersQuiet(1) // it knows nothing, and says so
	<-over
	broker.start()

	t.Logf("%d deeds; the broker is back, worker-0 dies", x.done.Load())
	x.knows(1)
	f.workers[0].kill()
	x.pass(200)
	x.answersQuiet(0)
	f.start(f.workers[0])
	x.pass(200)

	t.Logf("%d deeds; worker-1 dies and loses its disk", x.done.Load())
	x.knows(0)
	broker.freeze() // it keeps its connections and says nothing
	x.pass(300)
	x.answersQuiet(-1)
	broker.thaw()
	f.workers[1].kill()
	f.workers[1].wipe()
	x.answersQuiet(1)
	x.pass(200)
	f.start(f.workers[1])
	x.pass(300)
	stop()
	t.Logf("%d deeds of %d messages; %d answers about what is quiet, %d times 503", x.done.Load(), len(x.letters), x.answered.Load(), x.refused.Load())

	x.drain()
	x.compareEvents()
	x.compareTail()
	x.compareScores()
	x.compareTimelines()
	x.readTopic()
	f.broken(t)
}

// chaos is a fleet, a process alone, and the model of all that was done to both.
type chaos struct {
	*fleet
	alone *server
	base  time.Time

	mu sync.Mutex // of the model
	model
	given map[string]bool // ids of events whose time was told, not heard
	quiet []baseline

	listener *listener
	lives    [3]atomic.Int64 // how often the edge was started, negative while it is dead
	done     atomic.Int64    // deeds that the fleet acknowledged
	failures atomic.Int64
	answered atomic.Int64
	refused  atomic.Int64
	numbers  atomic.Int64
}

// killedEdge is the one that dies. What must stay in order goes to one of the others.
const killedEdge = 0

func newChaos(t *testing.T, f *fleet) *chaos {
	x := &chaos{fleet: f, alone: newServer(t), base: time.Now().UTC().Truncate(time.Minute), given: make(map[string]bool)}
	x.alone.name = "alone"
	for _, pair := range f.edges[0].more { // the same keys and URLs
		if !strings.HasPrefix(pair, "CAROM_KAFKA_") && !strings.HasPrefix(pair, "CAROM_ROLES=") {
			x.alone.more = append(x.alone.more, pair)
		}
	}
	for i := range x.lives {
		x.lives[i].Store(1)
	}
	return x
}

// killEdge is told to those who ask before it happens: what fails from then on is excused.
func (x *chaos) killEdge() {
	x.lives[killedEdge].Store(-x.lives[killedEdge].Load())
	x.edges[killedEdge].kill()
}

func (x *chaos) restoreEdge() {
	x.t.Helper()
	x.start(x.edges[killedEdge])
	x.lives[killedEdge].Store(1 - x.lives[killedEdge].Load())
}

// pass waits until the fleet has acknowledged so many more deeds.
func (x *chaos) pass(more int64) {
	x.t.Helper()
	want := x.done.Load() + more
	x.edges[1].until(fmt.Sprintf("%d deeds are acknowledged", want), func() bool { return x.done.Load() >= want })
}

// act is one thing that is done to a node; nil means that it is acknowledged.
type act func(s *server) error

// anyEdge lets the dice choose.
const anyEdge = -1

// actor is one client of both worlds.
type actor struct {
	*chaos
	*rand.Rand
}

// living is an edge that lives, and its life.
func (a *actor) living() (edge int, life int64) {
	for {
		edge = a.IntN(len(a.edges))
		if life = a.lives[edge].Load(); life > 0 {
			return edge, life
		}
	}
}

// do does something at an edge, at others until one has acknowledged it, and then to the process alone.
func (a *actor) do(at int, what string, do act) {
	a.once(at, what, do)
	if err := do(a.alone); err != nil {
		a.fail("alone", what, err)
	}
	a.done.Add(1)
	later()
}

// once does something until the fleet has acknowledged it. Only an edge that dies may fail, once.
func (a *actor) once(at int, what string, do act) {
	for {
		edge, life := at, int64(1)
		if at == anyEdge {
			edge, life = a.living()
		}
		err := do(a.edges[edge])
		if err == nil {
			return
		}
		if a.lives[edge].Load() == life {
			a.fail(a.edges[edge].name, what, err)
			return
		}
	}
}

func (a *actor) fail(who, what string, err error) {
	if n := a.failures.Add(1); n <= 20 {
		a.t.Errorf("%s: %s: %v", who, what, err)
	}
}

// later waits until the next millisecond, so that what follows is later by every clock.
func later() {
	was := time.Now().UnixMilli()
	for time.Now().UnixMilli() <= was+1 {
		<-time.After(time.Millisecond)
	}
}

func (x *chaos) record(d deedDone) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if d.at.IsZero() {
		d.at = time.Now()
	}
	if d.id != "" {
		x.given[d.id] = true
	}
	x.add(d)
}

// posted posts JSON and decodes the answer.
func posted(path, body string, into any) act {
	return func(s *server) error {
		answer, all, err := call(http.MethodPost, "http://"+s.api+path, http.Header{"Content-Type": {"application/json"}}, "", strings.NewReader(body))
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", answer.Status, all)
		}
		return json.Unmarshal(all, into)
	}
}

// requested makes a request to a minted URL at the node itself.
func (x *chaos) requested(v visitor, target string, want int) act {
	base := "http://" + x.edges[0].track
	return func(s *server) error {
		answer, _, err := v.visit("http://" + s.track + strings.TrimPrefix(target, base))
		if err != nil {
			return err
		}
		if answer.StatusCode != want {
			return fmt.Errorf("%s: %s", target, answer.Status)
		}
		return nil
	}
}

func mailed(to string, m *mail) act {
	text := m.String()
	return func(s *server) error { return s.deliverFrom(m.from, to, text) }
}

// letter makes one that is not registered yet.
func (a *actor) letter(sender string, flags ...string) *letter {
	n := a.numbers.Add(1)
	l := &letter{
		account: []string{"acme", "globex"}[a.IntN(2)], sender: sender, sequence: []string{"", "q3", "q4"}[a.IntN(3)],
		name: fmt.Sprintf("m-%d@example.org", n), contact: fmt.Sprintf("u%d@example.com", a.IntN(int(n)+1)),
		links: []string{"https://example.com/a", "https://example.com/b"}, flags: flags,
		sentAt: a.base.Add(-time.Duration(1+a.IntN(36*24*6))*10*time.Minute - 5*time.Minute),
	}
	l.recipient = fmt.Sprintf("%d-%s", n, l.contact) // an address each, so that no bounce stops another's mail at a time that nobody knows
	return l
}

// send registers a letter everywhere, and now and then twice.
func (a *actor) send(l *letter) *letter {
	a.do(anyEdge, "register", posted("/v1/messages", l.registration(), &l.minted))
	if a.IntN(10) == 0 {
		a.do(anyEdge, "register again", posted("/v1/messages", l.registration(), &l.minted))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.letters = append(a.letters, l)
	return l
}

// visit makes a hit, and the same hit at another edge at once. All clicks on a letter follow one link: whether two links
// are followed at once would depend on how long an edge was away.
func (a *actor) visit(at int, l *letter, kind string, v visitor, twice bool) {
	d := deedDone{kind: kind, letter: l, agent: v.agent, verdict: v.open}
	target, want := l.minted.OpenURL, http.StatusOK
	if kind == "click" {
		d.verdict, d.link, want = v.click, len(l.name)%len(l.links), http.StatusFound
		d.url, target = l.links[d.link], l.minted.ClickURLs[d.link]
	}
	a.do(at, kind, a.requested(v, target, want))
	if twice {
		a.do(at, kind+" again", a.requested(v, target, want))
	}
	if !l.has("untracked") {
		a.record(d)
	}
}

// bounceMails are the ways in which it is said that nobody has this address.
func (a *actor) bounceMail(l *letter) (to string, m *mail) {
	id := fmt.Sprintf("bounce-%d@example.net", a.numbers.Add(1))
	switch a.IntN(3) {
	case 0:
		return l.minted.ReturnPath, statusMail(id, l.minted.ReturnPath, "", unknownUser(l.recipient))
	case 1:
		return feedbackAddress, statusMail(id, feedbackAddress, returned(l, true), unknownUser(l.recipient))
	}
	return feedbackAddress, statusMail(id, feedbackAddress, returned(l, false), unknownUser(l.recipient))
}

func (a *actor) bounced(l *letter) {
	a.record(deedDone{kind: "bounce", letter: l, recipient: l.recipient, status: "5.1.1", hard: true})
}

// fact tells something that another system knows, at two edges now and then.
func (a *actor) fact(d deedDone, more map[string]any) {
	var answer, alone struct{ ID string }
	text := d.fact(more)
	what := "tell of " + d.kind
	a.once(anyEdge, what, posted("/v1/events", text, &answer))
	if a.IntN(4) == 0 {
		a.once(anyEdge, what, posted("/v1/events", text, &answer))
	}
	if err := posted("/v1/events", text, &alone)(a.alone); err != nil || alone != answer {
		a.t.Errorf("alone: %s: %v, id %s, not %s", what, err, alone.ID, answer.ID)
	}
	a.done.Add(1)
	d.id = answer.ID
	a.record(d)
}

// stories are what can happen to a letter. Within one, nothing that counts depends on what a node hears first of two
// things that are told to different edges; what does is told to one that does not die.
func (a *actor) stories(sender string) []func() {
	name := func(prefix string) string { return fmt.Sprintf("%s-%d@example.net", prefix, a.numbers.Add(1)) }
	return []func(){
		func() { // one pixel at two edges, and a machine
			l := a.send(a.letter(sender))
			a.visit(anyEdge, l, "open", person, true)
			a.visit(anyEdge, l, "open", curl, true)
		},
		func() { // a click without an open, among machines
			l := a.send(a.letter(sender))
			a.visit(anyEdge, l, "click", gateway, true)
			a.visit(anyEdge, l, "click", browser, true)
			a.visit(anyEdge, l, "open", apple, false)
		},
		func() { // an open, then a click
			l, edge := a.send(a.letter(sender)), 1+a.IntN(2)
			a.visit(edge, l, "open", browser, false)
			a.visit(edge, l, "click", browser, true)
		},
		func() { // nobody's names
			l := a.send(a.letter(sender, []string{"anonymous", "shared", "untracked"}[a.IntN(3)]))
			a.visit(anyEdge, l, "open", person, true)
			a.visit(anyEdge, l, "click", curl, false)
		},
		func() { // a bounce, resent, and maybe lifted
			l := a.send(a.letter(sender))
			to, m := a.bounceMail(l)
			a.do(anyEdge, "bounce", mailed(to, m))
			a.do(anyEdge, "bounce again", mailed(to, m))
			a.bounced(l)
			if a.IntN(3) == 0 {
				a.visit(anyEdge, l, "open", person, false)
			}
		},
		func() { // a bounce that overtakes its send
			l := a.letter(sender)
			if err := posted("/v1/messages", l.registration(), &l.minted)(a.alone); err != nil {
				a.fail("alone", "register", err)
			}
			to, m := a.bounceMail(l)
			a.do(anyEdge, "early bounce", mailed(to, m))
			a.send(l)
			a.bounced(l)
		},
		func() { // a reply, and its copy
			l := a.send(a.letter(sender))
			id := name("reply")
			m := replyMail(id, l.recipient, l.minted.ReplyTo, "In-Reply-To: <"+l.name+">")
			a.do(anyEdge, "reply", mailed(l.minted.ReplyTo, m))
			a.do(anyEdge, "copy of a reply", mailed(repliesAddress, m))
			a.record(deedDone{kind: "reply", letter: l, verdict: "human", mail: id})
		},
		func() { // a complaint, maybe taken back
			l := a.send(a.letter(sender))
			id := name("complaint")
			m := feedbackMail(id, feedbackAddress, "abuse", returned(l, a.IntN(2) == 0))
			a.do(anyEdge, "complaint", mailed(feedbackAddress, m))
			a.do(anyEdge, "complaint again", mailed(feedbackAddress, m))
			a.record(deedDone{kind: "complaint", letter: l, mail: id})
			if a.IntN(2) == 0 {
				id := name("complaint")
				a.do(anyEdge, "not-spam", mailed(feedbackAddress, feedbackMail(id, feedbackAddress, "not-spam", returned(l, true))))
				a.record(deedDone{kind: "complaint", letter: l, mail: id, takesBack: true})
			}
		},
		func() { // unsubscribed, twice
			l := a.send(a.letter(sender))
			unsubscribe := func(s *server) error {
				target := "http://" + s.track + strings.TrimPrefix(l.minted.UnsubscribeURL, "http://"+a.edges[0].track)
				answer, _, err := call(http.MethodPost, target, nil, "", nil)
				if err == nil && answer.StatusCode != http.StatusOK {
					err = fmt.Errorf("%s: %s", target, answer.Status)
				}
				return err
			}
			a.do(anyEdge, "unsubscribe", unsubscribe)
			a.do(anyEdge, "unsubscribe again", unsubscribe)
			a.record(deedDone{kind: "unsubscribe", letter: l})
		},
		func() { // a delay, an auto-reply
			l, id := a.send(a.letter(sender)), name("delay")
			a.do(anyEdge, "delay", mailed(l.minted.ReturnPath, statusMail(id, l.minted.ReturnPath, "", noAnswer(l.recipient))))
			a.record(deedDone{kind: "delay", letter: l, recipient: l.recipient, mail: id})
			id = name("auto")
			a.do(anyEdge, "auto-reply", mailed(l.minted.ReturnPath, vacationMail(id, l.recipient, l.minted.ReturnPath)))
			a.record(deedDone{kind: "auto_reply", letter: l, mail: id})
		},
		func() { // what other systems know, in any order, some before the send
			l := a.letter(sender)
			at := func(minutes int) time.Time { return l.sentAt.Add(time.Duration(minutes) * time.Minute) }
			facts := []deedDone{
				{kind: "delivered", letter: l, recipient: l.recipient, at: at(1 + a.IntN(4))},
				{kind: "bounce", letter: l, recipient: l.recipient, status: "5.2.2", at: at(1 + a.IntN(4))},
				{kind: "reply", letter: l, verdict: "human", at: at(3 + a.IntN(3))},
				{kind: "completed", letter: l, at: at(5)},
				{kind: "unsubscribe", letter: l, at: at(4)},
			}
			facts[2].mail = facts[2].at.String()
			if l.sequence != "" {
				facts[3].letter, facts[3].about = nil, l.enrollment()
			}
			a.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
			facts = facts[:1+a.IntN(len(facts))]
			early := a.IntN(len(facts) + 1)
			for i, d := range facts {
				if i == early {
					a.send(l)
				}
				more := map[string]any{}
				switch d.kind {
				case "bounce":
					more["reply"], more["recipient"] = "552 5.2.2 mailbox full", d.recipient
				case "delivered":
					more["recipient"] = d.recipient
				}
				a.fact(d, more)
			}
			if early == len(facts) {
				a.send(l)
			}
		},
	}
}

// clients is how many do things at once, each one after the other.
const clients = 6

// traffic goes on until the returned function is called; meanwhile what is quiet is asked for again and again.
func (x *chaos) traffic() (stop func()) {
	over := make(chan struct{})
	var all sync.WaitGroup
	for i := range clients {
		a := &actor{x, rand.New(rand.NewPCG(uint64(i), 7))}
		all.Go(func() {
			for {
				stories := a.stories(fmt.Sprintf("live-%d", a.IntN(6)))
				stories[a.IntN(len(stories))]()
				select {
				case <-over:
					return
				case <-time.After(100 * time.Millisecond): // enough happens, and at the end all of it is compared
				}
			}
		})
	}
	all.Go(func() { x.probe(over) })
	stop = sync.OnceFunc(func() { close(over); all.Wait() })
	x.t.Cleanup(stop)
	return stop
}

// listener follows the live tail, and connects again with the last id that it saw when the tail ends: while a worker is
// dead there is none.
type listener struct {
	edge *server
	mu   sync.Mutex
	told []toldEvent
}

// listen begins behind the first event and goes on to the end of the test.
func (x *chaos) listen() {
	x.t.Helper()
	first := x.world(x.edges[1], x.fleet).page(url.Values{"limit": {"1"}})
	x.listener = &listener{edge: x.edges[1], told: first}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { x.listener.listen(ctx, first[0].Cursor) })
	x.t.Cleanup(func() { cancel(); ended.Wait() })
}

func (l *listener) listen(ctx context.Context, last string) {
	for ctx.Err() == nil {
		l.follow(ctx, &last)
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// follow reads one answer to its end, or to what says that the tail ends.
func (l *listener) follow(ctx context.Context, last *string) {
	target := "http://" + l.edge.api + "/v1/events"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Last-Event-ID", *last)
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for answer.StatusCode == http.StatusOK && lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			*last = value
		case "data":
			var e toldEvent
			if json.Unmarshal([]byte(value), &e) != nil || e.ID == "" {
				return // a problem
			}
			e.line = value
			l.mu.Lock()
			l.told = append(l.told, e)
			l.mu.Unlock()
		}
	}
}

func (l *listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.told)
}

// compareTail compares what the live tail told with the pages.
func (x *chaos) compareTail() {
	x.t.Helper()
	w := x.world(x.edges[1], x.fleet)
	all := w.told(nil, 10_000)
	x.edges[1].until(fmt.Sprintf("the live tail has told all %d events", len(all)), func() bool { return x.listener.count() >= len(all) })
	x.listener.mu.Lock()
	defer x.listener.mu.Unlock()
	if !w.same(x.listener.told, all) {
		x.t.Errorf("the live tail has told %d events, and there are %d, or others", len(x.listener.told), len(all))
	}
}

// baseline is an answer that may not change: of a sender or a message to which nothing happens any more.
type baseline struct {
	path  string
	owner int // place of the worker that answers
	body  string
}

// history is told first, and left alone: the answers about it are known.
func (x *chaos) history() {
	x.t.Helper()
	a := &actor{x, rand.New(rand.NewPCG(7, 7))}
	for i := range 6 {
		for _, story := range a.stories(fmt.Sprintf("quiet-%d", i)) {
			story()
		}
	}
	x.drain()
	x.t.Logf("%d deeds of %d messages are history", x.done.Load(), len(x.letters))
	for _, q := range x.questions(x.base.Add(73 * time.Hour)) {
		x.quiet = append(x.quiet, baseline{path: q.path(), owner: x.rollupOwner(q.account, q.sender)})
	}
	for _, l := range x.letters {
		x.quiet = append(x.quiet, baseline{path: l.path(), owner: x.refineOwner(l.account, l.name)})
	}
	for i := range x.quiet {
		status, body, err := x.ask(x.edges[1], x.quiet[i].path)
		if err != nil || status != http.StatusOK {
			x.t.Fatalf("%s: %d, %v, %s", x.quiet[i].path, status, err, body)
		}
		x.quiet[i].body = body
	}
}

func (l *letter) path() string {
	return "/v1/messages/" + url.PathEscape(l.name) + "?account=" + url.QueryEscape(l.account)
}

// rollupOwner is the place of the worker that answers for a sender, refineOwner that of the one for a message.
func (f *fleet) rollupOwner(account, sender string) int {
	return int(kafka.KeyPartition([]byte(account+"/"+sender), fleetPartitions)) % len(f.workers)
}

func (f *fleet) refineOwner(account, message string) int {
	return int(kafka.RawPartition(event.KeyOf(account, message), fleetPartitions)) % len(f.workers)
}

// ask makes a GET request to a node's API.
func (x *chaos) ask(s *server, path string) (status int, body string, err error) {
	answer, all, err := call(http.MethodGet, "http://"+s.api+path, nil, "", nil)
	if err != nil {
		return 0, "", err
	}
	return answer.StatusCode, string(all), nil
}

// probe asks living edges for what is quiet: they tell all of it, or 503. And they are ready.
func (x *chaos) probe(over chan struct{}) {
	a := &actor{x, rand.New(rand.NewPCG(1, 1))}
	for wrong := 0; wrong < 10; {
		select {
		case <-over:
			return
		case <-time.After(10 * time.Millisecond):
		}
		edge, life := a.living()
		b := x.quiet[a.IntN(len(x.quiet))]
		status, body, err := x.ask(x.edges[edge], b.path)
		ready, why, readyErr := x.ask(x.edges[edge], "/readyz")
		switch {
		case x.lives[edge].Load() != life: // it died
		case err != nil, status != http.StatusOK && status != http.StatusServiceUnavailable, status == http.StatusOK && body != b.body:
			wrong++
			x.t.Errorf("%s answers %s with %d, %v, %s\nwant %s", x.edges[edge].name, b.path, status, err, body, b.body)
		case readyErr != nil || ready != http.StatusOK:
			wrong++
			x.t.Errorf("%s is not ready: %d, %v, %s", x.edges[edge].name, ready, readyErr, why)
		case status == http.StatusOK:
			x.answered.Add(1)
		default:
			x.refused.Add(1)
		}
	}
}

// answersQuiet asks for all that is quiet while one worker is dead, or none: its answers are 503, and the others'
// are whole.
func (x *chaos) answersQuiet(dead int) {
	x.t.Helper()
	edge := x.edges[1]
	for _, b := range x.quiet {
		want := http.StatusOK
		if b.owner == dead {
			want = http.StatusServiceUnavailable
		}
		status, body, err := x.ask(edge, b.path)
		if err != nil || status != want || want == http.StatusOK && body != b.body {
			x.t.Fatalf("worker-%d is dead: %s, which worker-%d has: %d, %v, %s\nwant %d %s", dead, b.path, b.owner, status, err, body, want, b.body)
		}
	}
	if dead < 0 {
		return
	}
	for _, path := range []string{"/v1/events?limit=10", "/v1/senders?account=acme&window=30d"} {
		if status, body, err := x.ask(edge, path); err != nil || status != http.StatusServiceUnavailable {
			x.t.Errorf("worker-%d is dead: %s: %d, %v, %s", dead, path, status, err, body)
		}
	}
}

// knows waits until a worker answers about all that is quiet again.
func (x *chaos) knows(worker int) {
	x.t.Helper()
	x.workers[worker].until("it answers about all that is quiet", func() bool {
		return !slices.ContainsFunc(x.quiet, func(b baseline) bool {
			if b.owner != worker {
				return false
			}
			status, _, err := x.ask(x.edges[1], b.path)
			return err != nil || status != http.StatusOK
		})
	})
}

// world is one of the two with the model of what was done to both.
func (x *chaos) world(s *server, f *fleet) *world {
	return &world{server: s, fleet: f, model: x.model, base: x.base}
}

// drain waits until all events are there.
func (x *chaos) drain() {
	x.t.Helper()
	want := 0
	for _, n := range x.model.events() {
		want += n
	}
	for _, s := range []*server{x.alone, x.edges[2]} {
		n := 0
		s.until(fmt.Sprintf("%s tells all %d events", s.name, want), func() bool {
			status, body, err := x.ask(s, "/v1/events?limit=1")
			if err != nil || status != http.StatusOK && status != http.StatusServiceUnavailable {
				x.t.Fatalf("%s: events: %d, %v, %s", s.name, status, err, body)
			}
			if status != http.StatusOK {
				return false // a worker is being rebuilt
			}
			n = len(latest(x.world(s, nil).told(nil, 10_000)))
			return n >= want
		})
	}
}

// compareEvents compares the events that both worlds tell with what was done, and those that the edges tell.
func (x *chaos) compareEvents() {
	x.t.Helper()
	x.world(x.alone, nil).checkEvents(x.t)
	first := x.world(x.edges[0], x.fleet)
	first.checkEvents(x.t)
	all := first.told(nil, 10_000)
	for i, limit := range map[int]int{1: 10_000, 2: 777} {
		if other := x.world(x.edges[i], x.fleet).told(nil, limit); !first.same(all, other) {
			x.t.Errorf("%s tells %d events, %s %d, or others", x.edges[0].name, len(all), x.edges[i].name, len(other))
		}
	}
}

// compareScores compares every number, and the bytes of every answer.
func (x *chaos) compareScores() {
	x.t.Helper()
	now := time.Now()
	asOf := []time.Time{now, now.Add(73 * time.Hour), x.base.Add(-5*24*time.Hour + 30*time.Second)}
	var paths []string
	for _, q := range x.questions(asOf...) {
		paths = append(paths, q.path())
		_, body, err := x.ask(x.alone, q.path())
		want := x.expected(q)
		for _, difference := range want.differencesIn([]byte(body)) {
			x.t.Errorf("alone: %s: %v, %s", q.path(), err, difference)
		}
	}
	for _, at := range asOf {
		for _, account := range x.accounts() {
			values := url.Values{"account": {account}, "as_of": {at.Format(time.RFC3339Nano)}, "limit": {"100"}}
			for _, window := range []string{"24h", "7d", "30d"} {
				values.Set("window", window)
				for _, sort := range []string{"sender", "score", "completed", "bounce_rate"} {
					values.Set("sort", sort)
					paths = append(paths, "/v1/senders?"+values.Encode())
				}
				values.Del("sort")
				for _, sender := range x.senders(account) {
					few := url.Values{"account": {account}, "as_of": values["as_of"], "window": {window}}
					paths = append(paths, "/v1/senders/"+url.PathEscape(sender)+"/sequences?"+few.Encode())
				}
			}
		}
	}
	x.compare(paths, func(path, alone, fleet string) string {
		if alone != fleet {
			return "the fleet says\n" + fleet + "\nand the process alone\n" + alone
		}
		return ""
	})
}

// compareTimelines compares all that is told of each message, but for what says who heard a hit, and when.
func (x *chaos) compareTimelines() {
	x.t.Helper()
	var paths []string
	for _, l := range x.letters {
		paths = append(paths, l.path())
	}
	x.compare(paths, func(_, alone, fleet string) string {
		one, err := x.timeline(alone)
		if err != nil {
			return "alone: " + err.Error() + ": " + alone
		}
		other, err := x.timeline(fleet)
		if err != nil {
			return "fleet: " + err.Error() + ": " + fleet
		}
		if !slices.Equal(one, other) {
			return "the fleet says\n" + strings.Join(other, "\n") + "\nand the process alone\n" + strings.Join(one, "\n")
		}
		return ""
	})
}

// timeline is the answer about a message in a form that can be compared: first all but the events, then the events whose
// times were told, in their order, then the others.
func (x *chaos) timeline(body string) (lines []string, err error) {
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return nil, err
	}
	events, _ := m["events"].([]any)
	delete(m, "events")
	clients, _ := m["clients"].([]any) // the same ones, seen at other times, and so in another order
	for i := range clients {
		c, _ := clients[i].(map[string]any)
		delete(c, "first_seen")
		delete(c, "last_seen")
		clients[i] = mustJSON(c)
	}
	slices.SortFunc(clients, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	var told, heard []string
	var last string
	for _, one := range events {
		e, _ := one.(map[string]any)
		delete(e, "origin")
		delete(e, "revision")                             // how often it was told anew depends on what was heard first
		if actor, ok := e["actor"].(map[string]any); ok { // each edge counts for itself who shares an address
			reasons, _ := actor["reasons"].([]any)
			actor["reasons"] = slices.DeleteFunc(reasons, func(r any) bool { return r == "shared_address" })
		}
		id, _ := e["id"].(string)
		kind, _ := e["kind"].(string)
		if inferred, _ := e["inferred"].(bool); (kind == "open" || kind == "click") && !inferred {
			delete(e, "id")
		}
		at, _ := e["time"].(string)
		if at < last {
			return nil, fmt.Errorf("%s comes after %s", at, last)
		}
		last = at
		if x.given[id] || kind == "sent" {
			told = append(told, mustJSON(e))
			continue
		}
		delete(e, "time")
		heard = append(heard, mustJSON(e))
	}
	slices.Sort(heard)
	return slices.Concat([]string{mustJSON(m)}, told, heard), nil
}

// compare asks both worlds for the same, the fleet at any edge, until they agree or patience ends.
func (x *chaos) compare(paths []string, different func(path, alone, fleet string) string) {
	x.t.Helper()
	end := time.Now().Add(patience)
	wrong := 0
	for i, path := range paths {
		for {
			_, alone, err := x.ask(x.alone, path)
			if err != nil {
				x.t.Fatal(err)
			}
			status, fleet, err := x.ask(x.edges[i%len(x.edges)], path)
			if err != nil {
				x.t.Fatal(err)
			}
			difference := different(path, alone, fleet)
			if difference == "" && status == http.StatusOK {
				break
			}
			if time.Now().After(end) {
				if wrong++; wrong <= 5 {
					x.t.Errorf("%s: %d: %s", path, status, difference)
				}
				break
			}
			<-time.After(100 * time.Millisecond)
		}
	}
	if wrong > 0 {
		x.t.Errorf("%d of %d answers differ", wrong, len(paths))
	}
}

// readTopic reads the topic of events as anybody may, and compares it with what was done.
func (x *chaos) readTopic() {
	x.t.Helper()
	records := readWithKcat(x.t, x.kafka.Brokers[0], x.kafka.TopicName(kafka.Events))
	events, repeats := dropRepeats(x.t, records)
	x.t.Logf("the topic of events has %d records, of which %d are repeats", len(records), repeats)
	// A worker may write again what it wrote in the moments before it died. One that begins anew on an empty disk writes
	// nothing that was shipped, which was a good part of all there is.
	if repeats > len(records)/10 {
		x.t.Errorf("of %d records %d are repeats", len(records), repeats)
	}
	revisions := make(map[string]bool)
	for _, e := range events {
		if of := fmt.Sprint(e.ID, " ", e.Revision); revisions[of] {
			x.t.Errorf("twice in the topic, with different origins: %s", e.line)
		} else {
			revisions[of] = true
		}
	}
	got := make(map[string]int)
	for _, e := range latest(events) {
		got[e.summary()]++
	}
	wrong := 0
	for summary, n := range x.model.events() {
		if got[summary] != n {
			if wrong++; wrong <= 10 {
				x.t.Errorf("the topic has %d times, want %d: %s", got[summary], n, summary)
			}
		}
		delete(got, summary)
	}
	for summary, n := range got {
		if wrong++; wrong <= 20 {
			x.t.Errorf("the topic has %d times what nobody did: %s", n, summary)
		}
	}
}

// kcatRecord is a line of `kcat -J`.
type kcatRecord struct {
	Partition int      `json:"partition"`
	Offset    int64    `json:"offset"`
	Headers   []string `json:"headers"` // names and values in turn
	Key       string   `json:"key"`
	Payload   string   `json:"payload"`
}

func (r *kcatRecord) header(name string) string {
	for i := 0; i+1 < len(r.Headers); i += 2 {
		if r.Headers[i] == name {
			return r.Headers[i+1]
		}
	}
	return ""
}

// dropRepeats does what a consumer is told to do: of each partition it keeps, by raw partition, the last origin, and
// drops what is not after it. What it drops must be a repeat in every byte.
func dropRepeats(t *testing.T, records []kcatRecord) (events []toldEvent, repeats int) {
	t.Helper()
	type from struct{ partition, raw int }
	type origin struct {
		offset int64
		n      int
	}
	last := make(map[from]origin)
	seen := make(map[string]string)
	for _, r := range records {
		var raw int
		var o origin
		text := r.header("ce_origin")
		if _, err := fmt.Sscanf(text, "%d/%d/%d", &raw, &o.offset, &o.n); err != nil {
			t.Fatalf("ce_origin %q: %v", text, err)
		}
		f := from{r.Partition, raw}
		if was, ok := last[f]; ok && (o.offset < was.offset || o.offset == was.offset && o.n <= was.n) {
			repeats++
			if seen[text] != r.Key+r.Payload {
				t.Errorf("dropped by its origin %s, and no repeat of %q: %s", text, seen[text], r.Payload)
			}
			continue
		}
		last[f] = o
		seen[text] = r.Key + r.Payload
		var e toldEvent
		if err := json.Unmarshal([]byte(r.Payload), &e); err != nil {
			t.Fatalf("%v: %s", err, r.Payload)
		}
		e.line = r.Payload
		if r.Key != e.Account+"/"+e.Sender || r.header("ce_id") == "" || r.header("ce_type") != "carom."+e.Kind {
			t.Errorf("the key is %q, the headers are %q: %s", r.Key, r.Headers, r.Payload)
		}
		events = append(events, e)
	}
	return events, repeats
}

// readWithKcat reads a topic from its start to its end.
func readWithKcat(t *testing.T, broker, topic string) (records []kcatRecord) {
	t.Helper()
	out := runKcat(t, "-C", "-b", broker, "-t", topic, "-o", "beginning", "-e", "-q", "-J")
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var r kcatRecord
		if err := decoder.Decode(&r); err == io.EOF {
			return records
		} else if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
}
