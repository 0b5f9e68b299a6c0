package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/kafka"
)

const (
	erasedContact   = "c-unmistakable-77"
	erasedRecipient = "unmistakable.person@example.net"
	erasedMessages  = 12 // of two senders and three sequences, one of them none
)

// erasing is a fleet that knows a contact of whom both workers have messages, and others.
type erasing struct {
	*fleet
	his   []minted
	names []string          // what nothing may hold afterwards
	owed  map[string]bool   // passages that the erase must tell of
	path  string            // of the contact
	asked map[string]string // scores, by path
}

func newErasing(t *testing.T) *erasing {
	t.Helper()
	e := &erasing{
		fleet: newFleet(t, startFake(t), 2, 2), names: []string{erasedContact, erasedRecipient}, owed: make(map[string]bool),
		path: "/v1/contacts/" + erasedContact,
	}
	e.makeTopics()
	e.start()
	t.Cleanup(func() { e.broken(t) })
	var lines []string
	sentAt := time.Now().UTC().Add(-2 * time.Hour).Format(time.RFC3339)
	owners := make(map[int]bool)
	for i := range erasedMessages {
		message, sender, sequence := fmt.Sprintf("m-unmistakable-%d", i), []string{"alice", "bert"}[i%2], []string{"q4", "q5", ""}[i%3]
		lines = append(lines, fmt.Sprintf(`{"account":"acme","sender":%q,"sequence":%q,"contact":%q,"recipient":%q,"message":%q,"links":["https://example.com/"],"sent_at":%q}`,
			sender, sequence, erasedContact, erasedRecipient, message, sentAt))
		e.names = append(e.names, message)
		e.owed["acme/"+sender+"/"+sequence] = true
		owners[int(rawPartition(message, fleetPartitions))%len(e.workers)] = true
	}
	if len(owners) != len(e.workers) {
		t.Fatal("one worker has all messages")
	}
	for i := range 20 {
		lines = append(lines, fmt.Sprintf(`{"account":"acme","sender":"alice","sequence":"q4","contact":"other-%d","recipient":"other-%[1]d@example.net","message":"m-other-%[1]d","links":["https://example.com/"]}`, i))
	}
	all := e.edges[0].register(lines)
	e.his = all[:erasedMessages]
	for i, m := range append(slices.Clone(e.his), all[erasedMessages:erasedMessages+4]...) {
		e.visit(e.edges[i%2], m.OpenURL, m.ClickURLs[0])
	}
	if err := e.edges[1].deliver(e.his[1].ReturnPath, bounceMail(e.his[1], erasedRecipient)); err != nil {
		t.Fatal(err)
	}
	// Per message a send, an open and a click.
	e.edges[0].until("all is refined", func() bool {
		return strings.Count(e.events(e.edges[0]), "m-unmistakable") >= 3*erasedMessages+1
	})
	return e
}

// visit asks one edge for links, which name the first.
func (e *erasing) visit(edge *server, links ...string) {
	e.t.Helper()
	for _, link := range links {
		u, err := url.Parse(link)
		if err != nil {
			e.t.Fatal(err)
		}
		u.Host = edge.track
		if answer, _, err := person.visit(u.String()); err != nil || answer.StatusCode >= 400 {
			e.t.Fatalf("%v %v", answer, err)
		}
	}
}

// read reads an answer of a node; empty while it has none.
func (e *erasing) read(node *server, path string) string {
	e.t.Helper()
	answer, body, err := call(http.MethodGet, "http://"+node.api+path, nil, "", nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

func (e *erasing) events(node *server) string { return e.read(node, "/v1/events?limit=10000") }

func (e *erasing) scores() map[string]string {
	e.t.Helper()
	if e.asked == nil {
		e.asked = make(map[string]string)
		at := time.Now().UTC().Add(100 * time.Hour).Format(time.RFC3339)
		for sender := range strings.FieldsSeq("alice bert") {
			for _, what := range []string{"score?", "sequences?", "score?sequence=q4&"} {
				e.asked["/v1/senders/"+sender+"/"+what+"account=acme&window=7d&as_of="+at] = ""
			}
		}
	}
	got := make(map[string]string)
	for path := range e.asked {
		for i, edge := range e.edges {
			edge.until("the score can be read", func() bool { got[path] = e.read(edge, path); return got[path] != "" })
			if i > 0 && e.asked[path] != "" && got[path] != e.asked[path] {
				e.t.Errorf("%s was %s, and is %s", path, e.asked[path], got[path])
			}
		}
		if !strings.Contains(got[path], `"completed":`) || strings.Contains(got[path], `"completed":0`) {
			e.t.Errorf("%s counts nothing: %s", path, got[path])
		}
	}
	return got
}

// checkKnown checks what is told of the contact before he is erased.
func (e *erasing) checkKnown() {
	e.t.Helper()
	for _, edge := range e.edges {
		listed := make(map[string]bool)
		for after := ""; ; {
			var page struct {
				Contact, Recipient, Next string
				Messages                 []struct{ Message, Status string }
			}
			edge.get(e.path+"?account=acme&limit=5&after="+after, &page)
			if page.Contact != erasedContact || page.Recipient != erasedRecipient || len(page.Messages) > 5 {
				e.t.Errorf("%s: %+v", edge.name, page)
			}
			for _, m := range page.Messages {
				want := "clicked"
				if m.Message == e.his[1].Message {
					want = "bounced_permanent" // after the click
				}
				if listed[m.Message] || m.Status != want {
					e.t.Errorf("%s: %+v, want %s; again: %v", edge.name, m, want, listed[m.Message])
				}
				listed[m.Message] = true
			}
			if after = page.Next; after == "" {
				break
			}
		}
		if len(listed) != erasedMessages {
			e.t.Errorf("%s lists %v", edge.name, listed)
		}
		export := e.read(edge, e.path+"/export?account=acme")
		for _, name := range e.names {
			if !strings.Contains(export, name) {
				e.t.Errorf("%s: the export lacks %s", edge.name, name)
			}
		}
		if n := strings.Count(export, `"kind":"click"`); n != erasedMessages {
			e.t.Errorf("%s: the export has %d clicks", edge.name, n)
		}
		if !strings.HasSuffix(export, fmt.Sprintf(`{"type":"end","data":{"messages":%d}}`+"\n", erasedMessages)) {
			e.t.Errorf("%s: the export ends otherwise: %s", edge.name, export[max(0, len(export)-200):])
		}
	}
}

// erase orders it at one node and waits until another says that it is done. Nothing is waited for then.
func (e *erasing) erase(at, asked *server) {
	e.t.Helper()
	if answer, body, err := call(http.MethodDelete, "http://"+at.api+e.path+"?account=acme", nil, "", nil); err != nil || answer.StatusCode != http.StatusAccepted {
		e.t.Fatal(answer, err, string(body))
	}
	e.done(asked)
}

func (e *erasing) done(asked *server) {
	e.t.Helper()
	asked.until("the erase is done", func() bool {
		return strings.Contains(e.read(asked, e.path+"/erasure?account=acme"), `"state":"done"`)
	})
}

// checkGone checks that no node tells anything of him.
func (e *erasing) checkGone() {
	e.t.Helper()
	for _, edge := range e.edges {
		var page struct{ Messages []any }
		edge.get(e.path+"?account=acme", &page)
		if len(page.Messages) != 0 {
			e.t.Errorf("%s still lists %v", edge.name, page.Messages)
		}
		if export := e.read(edge, e.path+"/export?account=acme"); !strings.Contains(export, `"messages":0`) {
			e.t.Errorf("%s exports %s", edge.name, export)
		}
		for i := range erasedMessages {
			if text := e.read(edge, fmt.Sprintf("/v1/messages/m-unmistakable-%d?account=acme", i)); text != "" {
				e.t.Errorf("%s answers %s", edge.name, text)
			}
		}
		events := e.events(edge)
		if !strings.Contains(events, "m-other-2") {
			e.t.Errorf("%s: others' events are gone", edge.name)
		}
		for _, name := range e.names {
			if strings.Contains(events, name) {
				e.t.Errorf("%s: the events tell %s", edge.name, name)
			}
		}
	}
}

// checkScores checks that all senders' are what they were.
func (e *erasing) checkScores(before map[string]string) {
	e.t.Helper()
	if after := e.scores(); !maps.Equal(after, before) {
		for path := range before {
			if after[path] != before[path] {
				e.t.Errorf("%s was %s, and is %s", path, before[path], after[path])
			}
		}
	}
}

// checkDisks stops all nodes and looks through the workers' stores.
func (e *erasing) checkDisks() {
	e.t.Helper()
	if code := e.stop(); code != exitDone {
		e.t.Errorf("exit code %d", code)
	}
	others := false
	for _, worker := range e.workers {
		others = lookForIn(e.t, filepath.Join(worker.dir, "data", kv.RoleState), kv.RoleState, e.names) || others
		lookInFiles(e.t, filepath.Join(worker.dir, "data", kv.RoleState), e.names)
	}
	if !others {
		e.t.Error("what is said of others can't be found either")
	}
}

// told reads the records of kind erase from the topic of events until they name so many messages.
func (e *erasing) told(messages int) (all []event.Refined) {
	e.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(e.kafka.Brokers...), kgo.ConsumeTopics(e.kafka.TopicName(kafka.Events)), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		e.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(e.t.Context(), waitBound)
	defer cancel()
	for n := 0; n < messages; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			e.t.Fatalf("of %d messages: %v: %+v", n, err, all)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			var got event.Refined
			if bytes.Contains(r.Value, []byte(`"kind":"erase"`)) && got.DecodeJSON(r.Value) == nil {
				all, n = append(all, got), n+len(got.Messages)
			}
		})
	}
	return all
}

// droppedErased is how many facts the workers dropped because they were of somebody who was erased.
func (e *erasing) droppedErased() int {
	n := 0
	for _, worker := range e.workers {
		for line := range strings.Lines(worker.metrics(e.t)) {
			var value int
			if name, rest, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(name, "carom_refine_dropped_total{") && strings.Contains(name, `reason="erased"`) {
				_, _ = fmt.Sscan(rest, &value)
				n += value
			}
		}
	}
	return n
}

// TestFleetErase erases a contact of whom several workers have something, at one node, and looks for him in all answers
// of all nodes and in every byte of the workers' stores; and again after a worker lost its disk and read all topics anew.
func TestFleetErase(t *testing.T) {
	t.Parallel()
	e := newErasing(t)
	e.checkKnown()
	e.asked = e.scores()
	before := e.asked

	e.erase(e.edges[1], e.edges[0])
	e.checkGone()
	e.checkScores(before)

	// Each partition tells of each passage once, and all together of each message once.
	passages, messages := make(map[string]bool), make(map[string]bool)
	type place struct {
		partition int32
		passage   string
	}
	once := make(map[place]bool)
	for _, r := range e.told(erasedMessages) {
		passage := strings.Join([]string{r.Account, r.Sender, r.Sequence}, "/")
		if r.Contact != erasedContact || once[place{r.Origin.Partition, passage}] {
			t.Errorf("told again, or of another: %+v", r)
		}
		passages[passage], once[place{r.Origin.Partition, passage}] = true, true
		for _, m := range r.Messages {
			if messages[m] {
				t.Errorf("told again of %s", m)
			}
			messages[m] = true
		}
	}
	if !maps.Equal(passages, e.owed) || len(messages) != erasedMessages {
		t.Errorf("told of %v, and of %v", passages, messages)
	}

	// Late facts, by key and by ref.
	dropped := e.droppedErased()
	if err := e.edges[0].deliver(e.his[0].ReturnPath, bounceMail(minted{Message: "x"}, "someone@example.net")); err != nil {
		t.Fatal(err)
	}
	e.visit(e.edges[1], e.his[2].OpenURL, e.his[4].ClickURLs[0]) // the other edge heard the same before
	e.edges[0].until("late facts are dropped", func() bool { return e.droppedErased() >= dropped+3 })
	e.checkGone()
	e.checkDisks()

	e.workers[0].wipe()
	e.start()
	e.edges[0].until("others' events are there again", func() bool { return strings.Contains(e.events(e.edges[0]), "m-other-2") })
	e.done(e.edges[1])
	e.checkGone()
	e.checkScores(before)
	e.checkDisks()
}

// TestFleetDenied denies a contact at one edge. The other honours it soon after, and when it is started while there is
// no broker.
func TestFleetDenied(t *testing.T) {
	t.Parallel()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	f := newFleet(t, broker.ListenAddrs()[0], 2, 1)
	e := &erasing{fleet: f}
	f.makeTopics()
	f.start()
	t.Cleanup(func() { f.broken(t) })
	all := f.edges[0].register([]string{
		`{"account":"acme","sender":"alice","contact":"denied","recipient":"denied@example.net","message":"m-denied"}`,
		`{"account":"acme","sender":"alice","contact":"other","recipient":"other@example.net","message":"m-other"}`,
	})
	if answer, body, err := call(http.MethodPut, "http://"+f.edges[0].api+"/v1/contacts/denied/denied?account=acme", nil, "", nil); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer, err, string(body))
	}
	// The answer is a promise on the node that gave it; the other must be waited for.
	e.visit(f.edges[0], all[0].OpenURL)
	denied := func(node *server) int {
		return strings.Count(node.metrics(t), "carom_pipeline_denied_total 1") // for the first
	}
	if !strings.Contains(f.edges[0].metrics(t), "carom_pipeline_denied_total") || denied(f.edges[0]) != 1 {
		t.Error("the node that was told records him")
	}
	f.edges[1].until("the other edge knows", func() bool {
		return strings.Contains(e.read(f.edges[1], "/v1/contacts/denied/denied?account=acme"), `"denied":true`)
	})
	e.visit(f.edges[1], all[0].OpenURL, all[1].OpenURL)
	if denied(f.edges[1]) != 1 {
		t.Error("the other edge records him")
	}
	f.edges[0].until("the other contact's open is there", func() bool {
		return strings.Contains(e.read(f.edges[0], "/v1/events?kind=open"), "m-other")
	})
	if text := e.read(f.edges[0], "/v1/events?kind=open"); strings.Contains(text, "m-denied") {
		t.Errorf("recorded: %s", text)
	}

	for _, edge := range f.edges {
		edge.kill()
	}
	broker.Close()
	f.edges[1].start()
	e.visit(f.edges[1], all[0].OpenURL, all[1].OpenURL)
	if denied(f.edges[1]) != 1 {
		t.Error("forgotten while there is no broker")
	}
	var page struct{ Denied []json.RawMessage }
	f.edges[1].get("/v1/denied?account=acme", &page)
	if len(page.Denied) != 1 {
		t.Errorf("listed: %s", page.Denied)
	}
	if answer, body, err := call(http.MethodPut, "http://"+f.edges[1].api+"/v1/contacts/other/denied?account=acme", nil, "", nil); err != nil || answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("denied while there is no broker: %v %v %s", answer, err, body)
	}
}
