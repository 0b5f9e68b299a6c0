package kafka

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// Of an outage that many meet one tells, once a minute, and one says that it is over.
func TestOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		o := newOutages(zap.New(core))
		counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "errors"})
		readers := make([]*tries, 64)
		for i := range readers {
			readers[i] = &tries{log: o.log, outages: o, errors: counter, doing: "read"}
		}
		fail := func(err error) {
			t.Helper()
			var all sync.WaitGroup
			for _, r := range readers {
				all.Go(func() {
					if !r.again(t.Context(), err) {
						t.Error("gave up")
					}
				})
			}
			all.Wait()
		}
		want := func(messages ...string) {
			t.Helper()
			var got []string
			for _, entry := range logs.TakeAll() {
				got = append(got, entry.Message)
			}
			if !slices.Equal(got, messages) {
				t.Errorf("got %q, want %q", got, messages)
			}
		}
		fail(away("brokers", "gone"))
		fail(away("brokers", "gone"))
		want("tries until it succeeds")
		if n := counted(t, counter); n != 128 {
			t.Errorf("counted %v errors, want all 128", n)
		}
		fail(wrong("sasl_username", "another cause"))
		want("tries until it succeeds")
		time.Sleep(repeatAfter)
		readers[7].again(t.Context(), away("brokers", "gone"))
		readers[8].again(t.Context(), away("brokers", "gone"))
		want("tries until it succeeds")
		for _, r := range readers[1:] {
			r.done()
		}
		want()
		readers[0].done()
		readers[0].done()
		want("Kafka is back")
		// Who is closed meanwhile has not seen it come back, and keeps nobody from saying so.
		time.Sleep(repeatAfter)
		readers[0].again(t.Context(), away("brokers", "gone"))
		readers[1].again(t.Context(), away("brokers", "gone"))
		readers[1].leave()
		readers[0].done()
		want("tries until it succeeds", "Kafka is back")
		time.Sleep(repeatAfter)
		readers[0].again(t.Context(), away("brokers", "gone"))
		readers[0].leave()
		want("tries until it succeeds")
		// What can't be read is another cause in each place.
		for i, place := range []string{"topic a, partition 0", "topic a, partition 1", "topic a, partition 0"} {
			readers[i].place = place
			readers[i].again(t.Context(), errUnreadable)
		}
		want("tries until it succeeds", "tries until it succeeds")
	})
}

// What a broker refuses for good is tried for ever, and Trouble tells of it after a minute.
func TestTrouble(t *testing.T) {
	for _, test := range []struct {
		code  *kerr.Error
		words []string
	}{
		{kerr.InvalidRecord, []string{"topic carom.rejects, partition 2: records have waited since ", "Invalid Record"}},
		{kerr.CorruptMessage, []string{"CRC"}},
		{kerr.PolicyViolation, []string{"olicy"}},
		{kerr.MessageTooLarge, []string{"kafka.batch_bytes", "max.message.bytes"}},
	} {
		t.Run(test.code.Message, func(t *testing.T) {
			cluster := fake(t)
			c, p := producing(t, cluster, nil)
			var mended atomic.Bool
			answerProduce(cluster, func(*kmsg.ProduceRequest) (*kerr.Error, bool) { return test.code, !mended.Load() })
			done := make(chan error, 1)
			go func() { done <- p.Rejects(2).Write(testContext(t), nil, testRecords(0, 1)) }()
			eventually(t, func(context.Context) error {
				if !p.trouble.some() {
					return errors.New("no trouble yet")
				}
				return nil
			})
			if lines := p.trouble.lines(time.Now().Add(-time.Hour)); len(lines) > 0 {
				t.Errorf("told at once: %q", lines)
			}
			lines := p.trouble.lines(time.Now().Add(2 * troubleAfter))
			if len(lines) != 1 {
				t.Fatalf("got %q, want one line", lines)
			}
			for _, word := range test.words {
				if !strings.Contains(lines[0], word) {
					t.Errorf("got %q, want it to tell %q", lines[0], word)
				}
			}
			mended.Store(true)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if lines := p.trouble.lines(time.Now().Add(2 * troubleAfter)); len(lines) > 0 {
				t.Errorf("still told: %q", lines)
			}
			if got := len(consume(t, c.options, Rejects, 1)); got != 1 {
				t.Errorf("got %d records, want 1", got)
			}
		})
	}
}

// However many partitions fail, there is a line for each topic and cause.
func TestTroubleIsBrief(t *testing.T) {
	c := newClient(t, options("127.0.0.1:1"))
	p := newProducer(t, c)
	for partition := range int32(32) {
		p.trouble.failed(&lane{p: p, topic: "carom.raw", partition: partition}, failureOf(away("brokers", "can't be reached")))
		p.trouble.failed(&lane{p: p, topic: "carom.events", partition: partition}, failureOf(away("brokers", "can't be reached")))
	}
	lines := p.trouble.lines(time.Now().Add(2 * troubleAfter))
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "topic carom.events, partition 0, 1, 2, 3 and 28 more: ") || !strings.Contains(lines[1], "kafka.brokers: can't be reached") {
		t.Errorf("got %q", lines)
	}
}
