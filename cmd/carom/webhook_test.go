package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"carom/pipeline/kafka"
)

// hookServer is somebody's server of webhooks. It keeps what it takes.
type hookServer struct {
	*httptest.Server
	t *testing.T

	mu    sync.Mutex
	hold  chan struct{} // until it is closed no request is answered; nil: all are
	held  int           // requests that wait for an answer
	bytes map[string]string
	told  []toldEvent // in their order, again when they come again
}

func newHookServer(t *testing.T) *hookServer {
	h := &hookServer{t: t, bytes: make(map[string]string)}
	h.Server = httptest.NewServer(h)
	t.Cleanup(func() { h.CloseClientConnections(); h.Close() })
	return h
}

func (h *hookServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender has died
	}
	var events []toldEvent
	if err := json.Unmarshal(body, &events); err != nil {
		h.t.Errorf("a webhook's body: %v: %s", err, body)
	}
	if r.URL.Path != "/" {
		h.t.Errorf("another account gets %s", body)
	}
	id := r.Header.Get("webhook-id")
	h.mu.Lock()
	if was, again := h.bytes[id]; again && was != string(body) {
		h.t.Errorf("%s came with\n%s\nand with\n%s", id, was, body)
	}
	h.bytes[id] = string(body)
	h.told = append(h.told, events...)
	hold := h.hold
	h.held++
	h.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done(): // the sender has died
		}
	}
	h.mu.Lock()
	h.held--
	h.mu.Unlock()
}

func (h *hookServer) stopAnswering() (goOn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hold := make(chan struct{})
	h.hold = hold
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.hold = nil
		close(hold)
	}
}

// waiting is how many requests wait for their answer.
func (h *hookServer) waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held
}

// firsts are the events that came, each where it came first.
func (h *hookServer) firsts() []toldEvent {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []toldEvent
	seen := make(map[string]bool)
	for _, e := range h.told {
		if of := fmt.Sprint(e.ID, e.Revision); !seen[of] {
			seen[of] = true
			list = append(list, e)
		}
	}
	return list
}

// bySender orders the ids of events by sender, and keeps their order.
func bySender(events []toldEvent) map[string][]string {
	m := make(map[string][]string)
	for _, e := range events {
		of := e.Account + "/" + e.Sender
		m[of] = append(m[of], fmt.Sprintf("%s %d", e.ID, e.Revision))
	}
	return m
}

// putHook makes a webhook of an account.
func (s *server) putHook(account, name, url string) {
	s.t.Helper()
	s.must(http.MethodPut, "/v1/webhooks/"+name+"?account="+account, fmt.Sprintf(`{"url":%q,"max_wait":"0s","max_events":7}`, url))
}

// must sends an object and wants 200.
func (s *server) must(method, path, object string) []byte {
	s.t.Helper()
	answer, body, err := call(method, "http://"+s.api+path, http.Header{"Content-Type": {"application/json"}}, "", strings.NewReader(object))
	if err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s: %v, %v: %s", method, path, answer, err, body)
	}
	return body
}

// Two workers deliver what each of them has; one dies in the middle of it, comes back, dies again and is replaced by one
// with an empty disk. Their customer misses nothing, gets each sender's events in their order, and a batch that comes
// again is the same. Around all that a bounce rate crosses its threshold: that is told once on the topic, in the tail,
// and to the webhook.
func TestBrokerWebhooks(t *testing.T) {
	f := newFleet(t, sharedBroker(t), 1, 2)
	for _, w := range f.workers {
		w.more = append(w.more, "CAROM_SCORE_ALERT_BOUNCE_RATES=0.05", "CAROM_WEBHOOKS_RETRY_FIRST=50ms", "CAROM_WEBHOOKS_RETRY_MOST=100ms")
	}
	f.makeTopics()
	f.start()
	edge := f.edges[0]
	h := newHookServer(t)
	for _, w := range f.workers { // a webhook begins with what comes after it was made
		w.until(w.name+" has joined", func() bool { return strings.Contains(w.metrics(t), "\ncarom_kafka_joined_count 1") })
	}
	edge.putHook("acme", "crm", h.URL+"/")
	edge.putHook("other", "crm", h.URL+"/other")

	tail := &listener{edge: edge}
	ctx, cancel := context.WithCancel(context.Background())
	var listening sync.WaitGroup
	listening.Go(func() { tail.listen(ctx, "") })
	defer listening.Wait()
	defer cancel()
	edge.until("the tail is open", func() bool { return strings.Contains(edge.metrics(t), "\ncarom_api_tails_count 1") })

	sent := 0
	send := func(each int) {
		t.Helper()
		var lines []string
		for range each {
			sent++
			for s := range 6 {
				lines = append(lines, fmt.Sprintf(`{"account":"acme","sender":"s%d","message":"s%d-%d","recipient":"c%d@example.com"}`, s, s, sent, sent))
			}
		}
		edge.register(lines)
	}
	got := func(n int) func() bool { return func() bool { return len(h.firsts()) >= n } }
	bothWait := func() bool { return h.waiting() >= 2 }

	send(4)
	edge.until("the first events are delivered", got(24))
	goOn := h.stopAnswering()
	send(2)
	edge.until("each worker waits for an answer", bothWait)
	f.workers[0].kill()
	goOn()
	send(2)
	f.start(f.workers[0])
	edge.until("the events are delivered", got(48))

	goOn = h.stopAnswering()
	send(2)
	edge.until("each worker waits for an answer again", bothWait)
	f.workers[0].kill()
	f.workers[0].wipe()
	goOn()
	send(2)
	f.start(f.workers[0])
	edge.until("the events are delivered in spite of a lost disk", got(72))

	// 10 of 100 are 5.5 % at least. Who counts dies before he has told, and after.
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprintf(`{"account":"acme","sender":"bouncy","message":"b-%d","recipient":"b%d@example.com"}`, i, i))
	}
	edge.register(lines)
	bounce := func(i int) {
		edge.tell(fmt.Sprintf(`{"kind":"bounce","account":"acme","message":"b-%d","bounce":{"reply":"550 5.1.1 no such user"}}`, i))
	}
	for i := range 9 {
		bounce(i)
	}
	counted := func(n int) func() bool {
		return func() bool {
			answer, body, err := call(http.MethodGet, "http://"+edge.api+"/v1/senders/bouncy/score?account=acme&window=24h", nil, "", nil)
			var score struct {
				Recent struct {
					Day struct{ Bounced int } `json:"day"`
				} `json:"recent"`
			}
			return err == nil && answer.StatusCode == http.StatusOK && json.Unmarshal(body, &score) == nil && score.Recent.Day.Bounced == n
		}
	}
	edge.until("9 bounces are counted", counted(9))
	for i := 9; i < 12; i++ {
		bounce(i)
	}
	f.workers[0].kill()
	f.workers[1].kill()
	f.start(f.workers...)
	edge.until("12 bounces are counted", counted(12))
	isAlert := func(e toldEvent) bool { return e.Kind == "alert" }
	edge.until("the webhook has the alert", func() bool { return slices.ContainsFunc(h.firsts(), isAlert) })
	f.workers[0].kill()
	f.workers[1].kill()
	f.start(f.workers...)
	bounce(12)
	edge.until("13 bounces are counted", counted(13))

	w := &world{server: edge, fleet: f}
	all := w.told(url.Values{"account": {"acme"}}, 10_000)
	alerts := slices.DeleteFunc(slices.Clone(all), func(e toldEvent) bool { return !isAlert(e) })
	if len(alerts) != 1 || alerts[0].Sender != "bouncy" || !strings.Contains(alerts[0].line, `"rule":"bounce_rate","level":0.05`) {
		t.Errorf("alerts: %+v", alerts)
	}
	edge.until("the tail has told all", func() bool { return tail.count() >= len(all) })
	edge.until("the webhook has got all", got(len(all)))
	tail.mu.Lock()
	defer tail.mu.Unlock()
	if got, want := bySender(tail.told), bySender(all); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the tail told\n%v, want\n%v", got, want)
	}
	if got, want := bySender(h.firsts()), bySender(all); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the webhook got\n%v, want\n%v", got, want)
	}
	events, _ := dropRepeats(t, readWithKcat(t, f.kafka.Brokers[0], f.kafka.TopicName(kafka.Events)))
	if n := len(slices.DeleteFunc(events, func(e toldEvent) bool { return !isAlert(e) })); n != 1 {
		t.Errorf("%d alerts on the topic", n)
	}
	f.broken(t)
}

// One process that is killed again and again in the middle of a delivery loses nothing either; and that a webhook rests is
// told once to its account, also by the account's other webhook.
func TestWebhooksSurviveKills(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.more = []string{"CAROM_WEBHOOKS_RETRY_FIRST=20ms", "CAROM_WEBHOOKS_RETRY_MOST=50ms"}
	s.start()
	h := newHookServer(t)
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	t.Cleanup(gone.Close)
	s.putHook("acme", "crm", h.URL+"/")
	s.putHook("acme", "gone", gone.URL)
	sent := 0
	send := func() {
		t.Helper()
		var lines []string
		for range 10 {
			sent++
			lines = append(lines, fmt.Sprintf(`{"account":"acme","sender":"s%d","message":"m-%d","recipient":"c%d@example.com"}`, sent%3, sent, sent))
		}
		s.register(lines)
	}
	for range 3 {
		goOn := h.stopAnswering()
		send()
		s.until("the webhook waits for an answer", func() bool { return h.waiting() > 0 })
		s.kill()
		goOn()
		s.start()
	}
	send()
	w := &world{server: s}
	all := func() []toldEvent { return w.told(url.Values{"account": {"acme"}}, 10_000) }
	s.until("all is sent, and that one rests", func() bool { return len(all()) == sent+1 })
	s.until("all is delivered", func() bool { return len(h.firsts()) == sent+1 })
	if got, want := bySender(h.firsts()), bySender(all()); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the webhook got\n%v, want\n%v", got, want)
	}
	i := slices.IndexFunc(all(), func(e toldEvent) bool { return e.Kind == "alert" })
	if e := all()[i]; e.Account != "acme" || !strings.Contains(e.line, `"alert":{"rule":"webhook_disabled","webhook":"gone","reason":"the server answered 410`) {
		t.Errorf("%s", e.line)
	}
}
