package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"carom/pipeline/kafka"
)

// The tests of this file run against a broker in this process, unless they are named TestBroker….

// fakeBrokerAt starts one at an address.
func fakeBrokerAt(t *testing.T, address string) {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	startFake(t, kfake.Ports(port))
}

// startFake starts one and returns its address.
func startFake(t *testing.T, more ...kfake.Opt) (address string) {
	t.Helper()
	broker, err := kfake.NewCluster(append(more, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return broker.ListenAddrs()[0]
}

// edgeWorld is a fleet whose first edge hears everything.
func edgeWorld(t *testing.T, f *fleet) *world {
	return &world{server: f.edges[0], fleet: f, base: time.Now().UTC().Truncate(time.Minute)}
}

// said returns the status of /readyz and why.
func (s *server) said(t *testing.T) (status int, why string) {
	t.Helper()
	select {
	case <-s.exited:
		t.Fatalf("%s stopped:\n%s", s.name, s.output.tail())
	default:
	}
	answer, body, err := call(http.MethodGet, "http://"+s.api+"/readyz", nil, "", nil)
	if err != nil {
		return 0, ""
	}
	return answer.StatusCode, string(body)
}

// clear reports whether text holds all of want.
func clear(text string, want []string) bool {
	return !slices.ContainsFunc(want, func(one string) bool { return !strings.Contains(text, one) })
}

// waits checks that both nodes say what is wrong, that the worker is not ready and the edge is, and that the edge goes
// on hearing: what w is told here must be counted when all is well.
func (w *world) waits(t *testing.T, want ...string) {
	t.Helper()
	edge, worker := w.fleet.edges[0], w.fleet.workers[0]
	worker.until(fmt.Sprintf("the worker is not ready because of %q", want), func() bool {
		status, why := worker.said(t)
		return status == http.StatusServiceUnavailable && clear(strings.ReplaceAll(why, `\"`, `"`), want)
	})
	edge.until("the edge is ready", edge.ready)
	for _, node := range []*server{edge, worker} {
		node.until(fmt.Sprintf("%s logs %q", node.name, want), func() bool {
			for line := range strings.Lines(node.output.String()) {
				if clear(strings.ReplaceAll(line, `\"`, `"`), want) {
					return true
				}
			}
			return false
		})
	}
	w.hears()
	if status, why := edge.said(t); status != http.StatusOK {
		t.Errorf("the edge is not ready: %d, %s", status, why)
	}
	if status, _ := worker.said(t); status != http.StatusServiceUnavailable {
		t.Errorf("the worker is ready, %d", status)
	}
}

// hears tells the edge something new.
func (w *world) hears() {
	w.t.Helper()
	w.mails++
	set := w.set(fmt.Sprintf("held-%d", w.mails), 3)
	w.open(set[0], person)
	w.click(set[1], 0, curl)
	w.bounce(set[2], unknownUser(set[2].recipient))
}

// heals checks that the same processes come to count what was heard.
func (w *world) heals(t *testing.T) {
	t.Helper()
	for _, node := range w.fleet.nodes() {
		node.until(node.name+" is ready", node.ready)
	}
	w.counts(t)
}

// counts checks that everything that was heard is counted.
func (w *world) counts(t *testing.T) {
	t.Helper()
	w.hears()
	w.answers()
	w.checkEvents(t)
	w.checkScores(t, time.Now(), w.asOf(73*time.Hour))
	w.fleet.broken(t)
}

// launch starts all nodes and waits for none.
func (f *fleet) launch() {
	f.t.Helper()
	for _, node := range f.nodes() {
		node.launch()
	}
}

// Nobody listens at kafka.brokers, and then somebody does.
func TestFleetWithoutBroker(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	f := newFleet(t, address, 1, 1)
	w := edgeWorld(t, f)
	f.launch()
	w.waits(t, "kafka.brokers: can't be reached", address)
	if code := f.stop(); code != exitDone {
		t.Errorf("stopped with exit code %d", code)
	}
	f.launch()
	w.waits(t, "kafka.brokers: can't be reached", address)
	fakeBrokerAt(t, address)
	w.waits(t, "kafka.topic_prefix", f.kafka.TopicName(kafka.Raw), "'carom topics apply' makes it")
	f.makeTopics()
	w.heals(t)
}

// The topics have fewer partitions than the settings say, until they are given more.
func TestFleetWithFewPartitions(t *testing.T) {
	t.Parallel()
	address := startFake(t)
	f := newFleet(t, address, 1, 1)
	w := edgeWorld(t, f)
	f.makeTopics("CAROM_KAFKA_PARTITIONS=2")
	f.launch()
	w.waits(t, "kafka.partitions: 4: topic "+f.kafka.TopicPrefix, "has 2")
	request := &kafkago.CreatePartitionsRequest{}
	for _, kind := range []string{kafka.Raw, kafka.Events, kafka.Scores, kafka.Rejects} {
		request.Topics = append(request.Topics, kafkago.TopicPartitionsConfig{Name: f.kafka.TopicName(kind), Count: fleetPartitions})
	}
	answer, err := (&kafkago.Client{Addr: kafkago.TCP(address)}).CreatePartitions(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	for topic, err := range answer.Errors {
		if err != nil {
			t.Fatalf("%s: %v", topic, err)
		}
	}
	w.heals(t)
}

// The nodes' disks are of topics that are no more, and then of topics with another number of partitions.
func TestFleetWithOtherTopics(t *testing.T) {
	t.Parallel()
	address := startFake(t)
	f := newFleet(t, address, 1, 1)
	w := edgeWorld(t, f)
	f.makeTopics()
	f.start()
	w.counts(t)
	f.kill()
	f.deleteTopics()
	f.makeTopics()
	f.launch()
	w.waits(t, "kafka.topic_prefix: topic "+f.kafka.TopicPrefix, "was deleted and made again", "remove the node's state")
	f.kill()

	t.Log("the topics have other partitions, as the settings now say")
	f.deleteTopics()
	f.env = append(f.env, "CAROM_KAFKA_PARTITIONS=2")
	f.assign(1)
	f.makeTopics()
	f.launch()
	w.waits(t, f.kafka.TopicPrefix, "remove the node's state")
}

// The topics are deleted and made again under running nodes, which look at them once a minute. With their state removed
// they begin anew.
func TestBrokerTopicsMadeAgain(t *testing.T) {
	t.Parallel()
	f := newFleet(t, sharedBroker(t), 1, 1)
	w := edgeWorld(t, f)
	f.makeTopics()
	f.start()
	w.counts(t)
	f.deleteTopics()
	f.makeTopics()
	w.waits(t, "kafka.topic_prefix: topic "+f.kafka.TopicPrefix, "was deleted and made again")
	f.kill()
	f.deleteTopics() // some of what was heard meanwhile may be in the new ones
	f.makeTopics()
	for _, node := range f.nodes() {
		node.wipe()
	}
	f.start()
	edgeWorld(t, f).counts(t)
}

// What was counted without Kafka can't be continued with it, nor the other way round.
func TestFleetWithOtherFolder(t *testing.T) {
	t.Parallel()
	address := startFake(t)
	f := newFleet(t, address, 1, 1)
	f.makeTopics()
	embedded := newServer(t)
	embedded.start()
	embedded.stop()
	f.start()
	f.stop()
	for _, test := range []struct {
		name string
		node *server
		env  []string
		want []string
	}{
		{"embedded, then a worker", embedded, f.workers[0].more, []string{"data.dir", "without Kafka"}},
		{"embedded, then an edge", embedded, f.edges[0].more, []string{"data.dir", "without Kafka"}},
		{"a worker, then embedded", f.workers[0], nil, []string{"data.dir", "kafka.brokers is empty"}},
		{"an edge, then embedded", f.edges[0], nil, []string{"data.dir", "kafka.brokers is empty"}},
	} {
		// In a copy of its folder: each of them is refused, not what the one before made of it.
		node := newServer(t)
		if err := os.CopyFS(filepath.Join(node.dir, "data"), os.DirFS(filepath.Join(test.node.dir, "data"))); err != nil {
			t.Fatal(err)
		}
		node.more = append(slices.DeleteFunc(slices.Clone(test.env), func(pair string) bool { return strings.HasPrefix(pair, "CAROM_KAFKA_WORKERS=") }),
			"CAROM_KEYS_FILE="+f.keys)
		_, stderr, code := carom(t, node.env(), "serve", "--dev")
		if code != exitFailed || !clear(stderr, test.want) {
			t.Errorf("%s: exit code %d, want %q in:\n%s", test.name, code, test.want, stderr)
		}
	}
}

// produce writes records to one partition of a topic, as anybody may.
func (f *fleet) produce(t *testing.T, kind string, partition int, records ...kafkago.Record) {
	t.Helper()
	answer, err := (&kafkago.Client{Addr: kafkago.TCP(f.kafka.Brokers[0])}).Produce(t.Context(), &kafkago.ProduceRequest{
		Topic: f.kafka.TopicName(kind), Partition: partition, RequiredAcks: kafkago.RequireAll, Records: kafkago.NewRecordReader(records...),
	})
	if err == nil {
		err = answer.Error
	}
	if err != nil {
		t.Fatal(err)
	}
}

func record(value string, headers ...kafkago.Header) kafkago.Record {
	return kafkago.Record{Time: time.Now(), Key: kafkago.NewBytes([]byte("acme/x")), Value: kafkago.NewBytes([]byte(value)), Headers: headers}
}

// Records that are not ours stop nothing: those among the raw ones are rejected and can be read, those among the events
// are passed over.
func TestFleetWithForeignRecords(t *testing.T) {
	t.Parallel()
	address := startFake(t)
	f := newFleet(t, address, 1, 1)
	w := edgeWorld(t, f)
	f.makeTopics()
	f.start()
	w.counts(t)
	raw := []string{"nonsense", `{"kind":"open"}`, "\xc1", "\xc1\xff\xff\xff", "\xc1\x22\x03abc", "\xc2\x22\x03abc", strings.Repeat("x", 100_000)}
	events := []kafkago.Record{
		record("nonsense"), record(`{}`), record(`{"id":"aaaaaaaaaaaaaaaaaaaaaaaaaa","kind":"open"}`), record(strings.Repeat("x", 100_000)),
		record("nonsense", kafkago.Header{Key: "ce_origin", Value: []byte("0/0/0")}),
		record(`{"specversion":"1.0"}`, kafkago.Header{Key: "ce_id", Value: []byte("1")}, kafkago.Header{Key: "ce_type", Value: []byte("com.example.other")}, kafkago.Header{Key: "ce_origin", Value: []byte("x")}),
	}
	// These have the headers of ours, and values that are no events; their origins are of a partition that there is not.
	for i, value := range []string{"nonsense", `{}`, `{"id":"aaaaaaaaaaaaaaaaaaaaaaaaaa","kind":"open"}`, ""} {
		events = append(events, record(value, kafkago.Header{Key: "ce_id", Value: []byte(strings.Repeat("a", 26))}, kafkago.Header{Key: "ce_type", Value: []byte("carom.open")},
			kafkago.Header{Key: "ce_time", Value: []byte("2026-11-21T12:00:00.000Z")}, kafkago.Header{Key: "ce_origin", Value: fmt.Append(nil, "77/", i, "/0")}))
	}
	for p := range fleetPartitions {
		for _, value := range raw {
			f.produce(t, kafka.Raw, p, record(value))
		}
		f.produce(t, kafka.Events, p, events...)
	}
	w.counts(t)
	f.kill()
	f.start()
	w.counts(t)
	var rejects []json.RawMessage
	w.until("all foreign records are among the rejects", func() bool {
		rejects = w.lines(t, "/v1/rejects?limit=1000")
		return len(rejects) >= len(raw)*fleetPartitions
	})
	if len(rejects) != len(raw)*fleetPartitions {
		t.Errorf("%d rejects, want %d", len(rejects), len(raw)*fleetPartitions)
	}
	for _, line := range rejects {
		var reject struct{ Reason string }
		if err := json.Unmarshal(line, &reject); err != nil || reject.Reason != "undecodable" {
			t.Errorf("rejected %.300s", line)
		}
	}
	for _, node := range f.nodes() {
		if status, why := node.said(t); status != http.StatusOK {
			t.Errorf("%s is not ready: %s", node.name, why)
		}
	}
}

// lines are those of an answer of JSON lines.
func (w *world) lines(t *testing.T, path string) (lines []json.RawMessage) {
	t.Helper()
	answer, all, err := call(http.MethodGet, "http://"+w.api+path, nil, "", nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v, %v, %s", path, answer, err, all)
	}
	decoder := json.NewDecoder(strings.NewReader(string(all)))
	for {
		var line json.RawMessage
		if err := decoder.Decode(&line); errors.Is(err, io.EOF) {
			return lines
		} else if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
}

// One worker, then two, then one again: the numbers stay those of what was done.
func TestFleetOfOtherWorkers(t *testing.T) {
	t.Parallel()
	address := startFake(t)
	f := newFleet(t, address, 1, 2)
	w := edgeWorld(t, f)
	f.makeTopics()
	for round, workers := range []int{1, 2, 1, 2} {
		f.assign(workers)
		f.start(append(slices.Clone(f.edges), f.workers[:workers]...)...)
		t.Logf("round %d: %d workers", round, workers)
		w.counts(t)
		for _, l := range w.letters {
			if l.sender == "held-1" { // and what happens to old letters
				w.reply(l, l.recipient, "human")
			}
		}
		w.counts(t)
		for _, node := range append(slices.Clone(f.edges), f.workers[:workers]...) {
			node.stop()
		}
	}
}

// Two nodes that both take themselves for the only worker write everything twice, which shows nowhere; and an edge that
// comes back with an empty disk is another one, whose records are no repeats.
func TestFleetWithTwins(t *testing.T) {
	t.Parallel()
	address := startFake(t)
	f := newFleet(t, address, 1, 2)
	w := edgeWorld(t, f)
	f.makeTopics()
	f.assign(1)
	f.workers[1].more = f.workers[0].more
	f.start()
	w.counts(t)
	f.edges[0].kill()
	f.edges[0].wipe()
	f.start(f.edges[0])
	w.counts(t)
	f.workers[0].kill()
	w.hears()
	f.start(f.workers[0])
	w.counts(t)
}

// Some nodes refine, and others roll up.
func TestFleetWithRollupWorkers(t *testing.T) {
	t.Parallel()
	address := startFake(t)
	f := newFleet(t, address, 1, 3)
	w := edgeWorld(t, f)
	f.makeTopics()
	lists := []string{"CAROM_KAFKA_WORKERS=" + f.workers[0].api, "CAROM_KAFKA_ROLLUP_WORKERS=" + f.workers[1].api + "," + f.workers[2].api}
	for _, edge := range f.edges {
		edge.more = append(edge.more, lists...)
	}
	for i, role := range []string{"CAROM_ROLES=refine", "CAROM_ROLES=rollup", "CAROM_ROLES=rollup"} {
		f.workers[i].more = append(append(f.workers[i].more, lists...), role, "CAROM_KAFKA_WORKER="+strconv.Itoa(max(0, i-1)))
	}
	f.start()
	w.counts(t)
	f.workers[1].kill()
	f.workers[1].wipe()
	f.start(f.workers[1])
	w.counts(t)
}

// One node of all roles does over topics what it does without.
func TestFleetOfOne(t *testing.T) {
	t.Parallel()
	address := startFake(t)
	f := newFleet(t, address, 1, 0)
	f.edges[0].more = append(slices.Clone(f.env), "CAROM_NODE=all")
	f.makeTopics()
	w := edgeWorld(t, f)
	w.serve()
	testDeeds(t, w)
	f.broken(t)
}

// A node that is started while the brokers are away answers from its disk at once, also where that has nothing.
func TestFleetAnswersWithoutBroker(t *testing.T) {
	t.Parallel()
	address := startFake(t)
	f := newFleet(t, address, 1, 0)
	node := f.edges[0]
	node.more = append(slices.Clone(f.env), "CAROM_NODE=all")
	f.makeTopics()
	w := edgeWorld(t, f)
	w.serve()
	w.counts(t)
	want := w.lines(t, "/v1/events")
	node.stop()
	node.more = append(node.more, "CAROM_KAFKA_BROKERS="+freeAddress(t))
	f.start()
	if got := w.lines(t, "/v1/events"); len(want) == 0 || len(got) != len(want) {
		t.Errorf("%d events, want %d", len(got), len(want))
	}
	for _, path := range []string{"/v1/senders", "/v1/senders/nobody/sequences"} {
		if answer, body, err := call(http.MethodGet, "http://"+node.api+path, nil, "", nil); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %v, %s", path, err, body)
		}
	}
	node.stop()
	node.wipe()
	f.start()
	if answer, body, err := call(http.MethodGet, "http://"+node.api+"/v1/events", nil, "", nil); err != nil || answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("with an empty disk: %v, %s", err, body)
	}
}

// Wrong credentials are named; the edge does not mind.
func TestBrokerWrongCredentials(t *testing.T) {
	sharedBroker(t)
	password, err := os.ReadFile(filepath.Join(os.Getenv("CAROM_TEST_KAFKA_SECRETS"), "password"))
	if err != nil {
		t.Fatal(err)
	}
	right := []string{"CAROM_KAFKA_SASL_MECHANISM=scram-sha-256", "CAROM_KAFKA_SASL_USERNAME=carom", "CAROM_KAFKA_SASL_PASSWORD=" + strings.TrimSpace(string(password))}
	secret := rand.Text()
	for _, test := range []struct {
		name string
		env  []string
		want []string
	}{
		{"password", append(slices.Clone(right), "CAROM_KAFKA_SASL_PASSWORD="+secret), []string{"kafka.sasl_username", `"carom": the broker refuses this user or its password`}},
		{"user", append(slices.Clone(right), "CAROM_KAFKA_SASL_USERNAME=eve"), []string{"kafka.sasl_username", `"eve": the broker refuses`}},
		{"none", nil, []string{"kafka.sasl_mechanism", "is empty, but the broker seems to demand credentials"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFleet(t, os.Getenv("CAROM_TEST_KAFKA_SASL"), 1, 1)
			f.env = append(f.env, test.env...)
			f.assign(1)
			w := edgeWorld(t, f)
			f.launch()
			w.waits(t, test.want...)
			for _, node := range f.nodes() {
				if strings.Contains(node.output.String(), secret) {
					t.Errorf("%s logs the password", node.name)
				}
			}
			// With the right ones, what was heard meanwhile is counted.
			f.kill()
			f.env = append(f.env, right...)
			f.assign(1)
			f.makeTopics()
			f.start()
			w.counts(t)
			f.dropTopics(sharedBroker(t))
		})
	}
}

// dropTopics deletes the topics over another listener.
func (f *fleet) dropTopics(broker string) {
	f.kafka.Brokers = []string{broker}
	f.deleteTopics()
}
