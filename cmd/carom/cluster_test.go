package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"carom/pipeline/kafka"
)

// The tests named TestBroker… need a real broker, which `make test-kafka` starts.

// sharedBroker returns the address of the broker that all tests share. Nobody stops it.
func sharedBroker(t *testing.T) string {
	t.Helper()
	address := os.Getenv("CAROM_TEST_KAFKA")
	if address == "" {
		t.Skip("CAROM_TEST_KAFKA is not set: there is no Kafka broker; 'make test-kafka' starts one")
	}
	return address
}

// ownBroker is a Kafka node that one test has for itself, to stop and start.
type ownBroker struct {
	t       *testing.T
	port    int
	address string
}

const (
	brokerScript = "../../deploy/kafka/node.sh"
	brokerPorts  = 5 // that follow one another
)

// newOwnBroker starts a broker with data of its own, which is stopped and wiped when the test ends.
func newOwnBroker(t *testing.T) *ownBroker {
	t.Helper()
	sharedBroker(t) // or skip
	b := &ownBroker{t: t, port: freePorts(t, brokerPorts)}
	b.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(b.port))
	t.Cleanup(func() {
		_ = b.signal(syscall.SIGCONT) // if it is frozen, it would not stop
		b.stop()
		if text, err := os.ReadFile(filepath.Join(b.home(), "log")); t.Failed() && err == nil {
			t.Logf("the broker said last:\n%s", text[max(0, len(text)-8<<10):])
		}
		if err := os.RemoveAll(b.home()); err != nil {
			t.Error(err)
		}
	})
	b.start()
	return b
}

func (b *ownBroker) start() { b.t.Helper(); b.run("up") }
func (b *ownBroker) stop()  { b.t.Helper(); b.run("down") }

// freeze stops the process where it is, thaw lets it go on.
func (b *ownBroker) freeze() { b.t.Helper(); b.want(b.signal(syscall.SIGSTOP)) }
func (b *ownBroker) thaw()   { b.t.Helper(); b.want(b.signal(syscall.SIGCONT)) }

func (b *ownBroker) want(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *ownBroker) signal(signal syscall.Signal) error {
	text, err := os.ReadFile(filepath.Join(b.home(), "pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, signal)
}

// home is the folder of the node, which node.sh names by its port.
func (b *ownBroker) home() string {
	return filepath.Join("..", "..", ".kafka", "node-"+strconv.Itoa(b.port))
}

func (b *ownBroker) run(verb string) {
	b.t.Helper()
	cmd := exec.Command(brokerScript, verb)
	cmd.Env = append(os.Environ(), "KAFKA_PORT="+strconv.Itoa(b.port))
	// The node outlives the script, so it must not get a pipe of ours: we would wait for its end.
	said, err := os.CreateTemp(b.t.TempDir(), "broker")
	if err != nil {
		b.t.Fatal(err)
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		b.t.Fatalf("broker %s: %v:\n%s", verb, err, text)
	}
}

// freePorts finds n ports that follow one another, are free now, and are given to nobody else by this process.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for range ports {
		last := portsTaken.Add(int64(n))
		first := firstPort + int((int64(os.Getpid())*101+last)%ports) - n + 1
		if first >= firstPort && allFree(first, n) {
			return first
		}
	}
	t.Fatal("no ports are free")
	return 0
}

func allFree(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return false
		}
		defer l.Close()
	}
	return true
}

// fleet is a cluster of nodes in processes of their own, which share a broker and the keys: edges that hear, workers that
// count.
//
//	edges ─▶ broker ─▶ workers
type fleet struct {
	t       *testing.T
	kafka   kafka.Options // what the test itself needs of them
	keys    string        // file
	env     []string      // of all nodes
	edges   []*server
	workers []*server
}

// fleetPartitions is more than there are workers, so that each has several.
const fleetPartitions = 4

// newFleet prepares nodes and starts none. Its topics are its own, and are deleted at the end.
func newFleet(t *testing.T, broker string, edges, workers int) *fleet {
	t.Helper()
	f := &fleet{t: t, kafka: kafka.Default()}
	f.kafka.Brokers, f.kafka.Partitions = []string{broker}, fleetPartitions
	f.kafka.TopicPrefix = "carom-test-" + strings.ToLower(rand.Text())
	f.keys = filepath.Join(t.TempDir(), "keys.yaml")
	if _, stderr, code := carom(t, nil, "keys", "new", "--out", f.keys); code != exitDone {
		t.Fatal(stderr)
	}
	f.env = []string{
		"CAROM_KEYS_FILE=" + f.keys, "CAROM_KAFKA_BROKERS=" + broker, "CAROM_KAFKA_TOPIC_PREFIX=" + f.kafka.TopicPrefix,
		"CAROM_KAFKA_PARTITIONS=" + strconv.Itoa(f.kafka.Partitions),
		"CAROM_INBOUND_FEEDBACK_ADDRESSES=" + feedbackAddress, "CAROM_INBOUND_REPLY_ADDRESSES=" + repliesAddress,
	}
	for i := range edges {
		edge := newServer(t)
		edge.name = fmt.Sprintf("edge-%d", i)
		f.edges = append(f.edges, edge)
	}
	for i := range workers {
		worker := newServer(t)
		worker.name = fmt.Sprintf("worker-%d", i)
		f.workers = append(f.workers, worker)
	}
	f.assign(workers)
	t.Cleanup(func() {
		f.tell()
		f.kill()
		f.deleteTopics()
	})
	return f
}

// all is the environment of every node, with the first n workers as the directory.
func (f *fleet) all(n int) []string {
	var directory []string
	for _, worker := range f.workers[:n] {
		directory = append(directory, worker.api)
	}
	return append(slices.Clone(f.env), "CAROM_KAFKA_WORKERS="+strings.Join(directory, ","))
}

// assign makes the first n workers the owners of all partitions, when they are started the next time.
func (f *fleet) assign(n int) {
	for i, worker := range f.workers[:n] {
		worker.more = append(f.all(n), "CAROM_NODE="+worker.name, "CAROM_ROLES=refine,rollup", "CAROM_KAFKA_WORKER="+strconv.Itoa(i))
	}
	for _, edge := range f.edges { // all mint the URLs of the first: clients may ask any
		edge.more = append(f.all(n), "CAROM_NODE="+edge.name, "CAROM_ROLES=track,inbound,api,relay", "CAROM_TRACK_BASE_URL=http://"+f.edges[0].track)
	}
}

func (f *fleet) nodes() []*server { return slices.Concat(f.edges, f.workers) }

// makeTopics is what an operator does first.
func (f *fleet) makeTopics(more ...string) {
	f.t.Helper()
	if out, errs, code := carom(f.t, append(slices.Clone(f.env), more...), "topics", "apply", "--development"); code != exitDone {
		f.t.Fatalf("topics apply: exit code %d\n%s%s", code, out, errs)
	}
}

// start starts nodes and waits until all are ready; none given: all.
func (f *fleet) start(nodes ...*server) {
	f.t.Helper()
	if len(nodes) == 0 {
		nodes = f.nodes()
	}
	for _, node := range nodes {
		node.launch()
	}
	for _, node := range nodes {
		node.until(node.name+" is ready", node.ready)
	}
}

// kill is kill -9 of all nodes that were ever started.
func (f *fleet) kill() {
	for _, node := range f.nodes() {
		if node.cmd != nil {
			node.kill()
		}
	}
}

// stop asks all nodes to end and returns the highest exit code.
func (f *fleet) stop() (code int) {
	for _, node := range f.nodes() {
		code = max(code, node.stop())
	}
	return code
}

// wipe takes everything from the disk of a node that does not run.
func (s *server) wipe() {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, "data")); err != nil {
		s.t.Fatal(err)
	}
}

// tell shows the end of each node's log if the test has failed.
func (f *fleet) tell() {
	if !f.t.Failed() {
		return
	}
	for _, node := range f.nodes() {
		f.t.Logf("%s said last:\n%s", node.name, node.output.tail())
	}
}

// broken looks for what no log may hold.
func (f *fleet) broken(t *testing.T) {
	t.Helper()
	for _, node := range f.nodes() {
		for line := range strings.Lines(node.output.String()) {
			if strings.Contains(line, "panic") || strings.Contains(line, "BUG") || strings.Contains(line, "DATA RACE") {
				t.Errorf("%s met a bug: %s", node.name, line)
			}
		}
	}
}

// deleteTopics deletes the topics, if the broker is there, and waits until it knows: it tells of deleted ones for a while.
func (f *fleet) deleteTopics() {
	var names []string
	for _, kind := range []string{kafka.Raw, kafka.Events, kafka.Addresses, kafka.Scores, kafka.Suppressions, kafka.Rejects, kafka.Controls} {
		names = append(names, f.kafka.TopicName(kind))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	broker := kafkago.TCP(f.kafka.Brokers[0])
	_, err := (&kafkago.Client{Addr: broker}).DeleteTopics(ctx, &kafkago.DeleteTopicsRequest{Topics: names})
	for known := err == nil; known && ctx.Err() == nil; {
		transport := &kafkago.Transport{} // a new one each time: it remembers what it heard
		answer, err := (&kafkago.Client{Addr: broker, Transport: transport}).Metadata(ctx, &kafkago.MetadataRequest{Topics: names})
		transport.CloseIdleConnections()
		known = err == nil && slices.ContainsFunc(answer.Topics, func(t kafkago.Topic) bool { return t.Error == nil })
	}
}

// metrics are those of all nodes, one after the other.
func (f *fleet) metrics(t *testing.T) string {
	t.Helper()
	var all bytes.Buffer
	for _, node := range f.nodes() {
		all.WriteString(node.metrics(t))
	}
	return all.String()
}

// sum adds up a metric over its labels and all nodes.
func (f *fleet) sum(t *testing.T, metric string) (sum float64) {
	t.Helper()
	for line := range strings.Lines(f.metrics(t)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if name, _, _ = strings.Cut(name, "{"); !ok || name != metric {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		sum += n
	}
	return sum
}

// seconds reads a length of time from a variable.
func seconds(t *testing.T, variable string, usual time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return d
}

// runKcat runs the independent client of Kafka, which `make test-kafka` installs.
func runKcat(t *testing.T, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("kcat")
	if err != nil {
		t.Fatalf("%v: on Debian it is in the package kcat", err)
	}
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kcat %q: %v: %s", args, err, &errs)
	}
	return out
}
