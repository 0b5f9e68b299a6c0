package main

import (
	"context"
	"crypto/rand"
	"os"
	"slices"
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// The commands against a broker in this process.
func TestTopics(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	testTopicsCommands(t, cluster.ListenAddrs()[0], "carom")
}

// The same against a real one.
func TestBrokerTopics(t *testing.T) {
	address := os.Getenv("CAROM_TEST_KAFKA")
	if address == "" {
		t.Skip("CAROM_TEST_KAFKA is not set: there is no Kafka broker; 'make test-kafka' starts one")
	}
	prefix := "carom-test-" + strings.ToLower(rand.Text())
	t.Cleanup(func() {
		request := &kafkago.DeleteTopicsRequest{}
		for _, kind := range []string{"raw", "events", "addresses", "scores", "suppressions", "rejects"} {
			request.Topics = append(request.Topics, prefix+"."+kind)
		}
		if _, err := (&kafkago.Client{Addr: kafkago.TCP(address)}).DeleteTopics(context.Background(), request); err != nil {
			t.Error(err)
		}
	})
	testTopicsCommands(t, address, prefix)
}

func testTopicsCommands(t *testing.T, broker, prefix string) {
	env := []string{"CAROM_KAFKA_BROKERS=" + broker, "CAROM_KAFKA_TOPIC_PREFIX=" + prefix, "CAROM_KAFKA_PARTITIONS=3"}
	for _, step := range []struct {
		name string
		env  []string
		args []string
		code int
		out  []string // of each line without an indent, the sign and the kind
		errs string
	}{
		{"production settings", nil, []string{"plan"}, exitFailed, []string{"! raw", "! events", "! addresses", "! scores", "! suppressions", "! rejects", "! controls"}, "nothing was changed"},
		{"apply them", nil, []string{"apply"}, exitFailed, []string{"! raw", "! events", "! addresses", "! scores", "! suppressions", "! rejects", "! controls"}, "nothing was changed"},
		{"plan", nil, []string{"plan", "--development"}, exitDone, []string{"+ raw", "+ events", "+ addresses", "+ scores", "+ suppressions", "+ rejects", "+ controls"}, "1 broker\n"},
		{"check", nil, []string{"plan", "--development", "--check"}, exitFailed, []string{"+ raw", "+ events", "+ addresses", "+ scores", "+ suppressions", "+ rejects", "+ controls"}, "'carom topics apply'"},
		{"apply", nil, []string{"apply", "--development"}, exitDone, []string{"+ raw", "+ events", "+ addresses", "+ scores", "+ suppressions", "+ rejects", "+ controls"}, "done"},
		{"nothing to do", nil, []string{"apply", "--dev"}, exitDone, []string{"= raw", "= events", "= addresses", "= scores", "= suppressions", "= rejects", "= controls"}, "nothing to do"},
		{"checked", nil, []string{"plan", "--check", "--dev"}, exitDone, []string{"= raw", "= events", "= addresses", "= scores", "= suppressions", "= rejects", "= controls"}, "nothing to do"},
		{"change", []string{"CAROM_KAFKA_REJECTS_RETENTION=48h"}, []string{"apply", "--dev"}, exitDone, []string{"= raw", "= events", "= addresses", "= scores", "= suppressions", "~ rejects", "= controls"}, "done"},
		{"too many partitions", []string{"CAROM_KAFKA_PARTITIONS=4"}, []string{"apply", "--dev"}, exitFailed, []string{"! raw", "! events", "~ addresses", "! scores", "= suppressions", "! rejects", "= controls"}, "nothing was changed"},
		{"nothing listens", []string{"CAROM_KAFKA_BROKERS=" + freeAddress(t)}, []string{"plan"}, exitFailed, nil, "kafka.brokers: can't be reached"},
		{"no brokers", []string{"CAROM_KAFKA_BROKERS="}, []string{"plan"}, exitUsage, nil, "kafka.brokers: is empty"},
		{"bad setting", []string{"CAROM_KAFKA_REPLICATION=0"}, []string{"plan"}, exitUsage, nil, "kafka.replication: 0: want 1 to 16"},
		{"argument", nil, []string{"plan", "raw"}, exitUsage, nil, "raw"},
	} {
		set := env
		if step.name == "too many partitions" { // and a change that must not be made
			set = append(slices.Clone(env), "CAROM_KAFKA_ADDRESSES_RETENTION=48h")
		}
		out, errs, code := carom(t, append(slices.Clone(set), step.env...), append([]string{"topics"}, step.args...)...)
		var signs []string
		for line := range strings.Lines(strings.ReplaceAll(out, prefix+".", "")) {
			if !strings.HasPrefix(line, " ") {
				signs = append(signs, strings.TrimSpace(line))
			}
		}
		if code != step.code || !slices.Equal(signs, step.out) || !strings.Contains(errs, step.errs) {
			t.Errorf("%s: exit code %d, want %d; topics %q, want %q; standard error %q, want %q in it", step.name, code, step.code, signs, step.out, errs, step.errs)
		}
	}
}
