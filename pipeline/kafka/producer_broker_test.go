package kafka

import (
	"testing"
	"time"
)

// A real broker checks what kfake does not: each record of a batch, compressed or not.
func TestBrokerProduce(t *testing.T) {
	for _, name := range []string{Zstd, LZ4, Snappy, None} {
		o := broker(t, "")
		o.Compression = name
		c := newClient(t, o)
		applyTopics(t, c)
		testWriting(t, c, newProducer(t, c))
	}
}

func TestBrokerRelay(t *testing.T) {
	o := broker(t, "")
	o.BatchBytes = minBatchBytes
	c := newClient(t, o)
	applyTopics(t, c)
	p := newProducer(t, c)
	j, state := openJournal(t), openState(t)
	hear(t, j, 0, 1000)
	r := newRelay(t, p, j, j.Incarnation(), state)
	stop := start(t, r)
	hear(t, j, 1000, 1000)
	waitPassed(t, r, 2200)
	stop()
	relayed(t, o, j, 2000, 2000)
}

// A record over the topic's bound is an error that names the setting, from a real broker too; a batch is divided.
func TestBrokerTooLarge(t *testing.T) {
	o := broker(t, "")
	o.Compression, o.BatchBytes = None, minBatchBytes
	c := newClient(t, o)
	applyTopics(t, c) // of a smaller bound than the producer's
	o.BatchBytes, o.Linger = maxBatchBytes, time.Second
	larger := newClient(t, o)
	p := newProducer(t, larger)
	recs := testRecords(0, 4)
	for i := range recs {
		recs[i].Value = make([]byte, 3<<20)
		recs[i].Value[0] = byte(i)
	}
	write(t, p.Addresses(), recs)
	for i, r := range consume(t, o, Addresses, len(recs)) {
		if len(r.Value) != 3<<20 || r.Value[0] != byte(i) {
			t.Errorf("record %d: %d bytes, the first %d", i, len(r.Value), r.Value[0])
		}
	}
	if counted(t, p.metrics.splits) == 0 {
		t.Error("nothing was split")
	}
}

// applyTopics makes our topics, and removes them at the end.
func applyTopics(t testing.TB, c *Client) {
	t.Helper()
	plan, err := c.Plan(testContext(t))
	if err == nil {
		err = c.Apply(testContext(t), plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { deleteTopics(t, c, c.options.topicNames()...) })
}
