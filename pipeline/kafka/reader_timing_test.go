package kafka

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// BenchmarkKafkaRead reads raw records that the relay wrote (zstd) from a kfake in a process of its own: fetch, check,
// decompress, decode, open the envelope. The metrics: records per CPU second of this process, records and bytes (of
// events) per second, allocations and bytes on the wire per record.
func BenchmarkKafkaRead(b *testing.B) {
	const records = 400_000
	o := options(fakeProcess(b))
	c := benchClient(b, o)
	createTopic(b, c, o.TopicName(Raw), o.Partitions)
	relayAll(b, c, memoryJournal(records))
	var total usage
	for b.Loop() {
		reg := prometheus.NewRegistry()
		var readers []*Reader
		for p := range int32(o.Partitions) {
			r := c.NewReader(Raw, p, reg)
			if err := r.Refresh(context.Background()); err != nil {
				b.Fatal(err)
			}
			readers = append(readers, r)
		}
		n := 0
		u := measured(b, records, func() {
			for _, r := range readers {
				var recs []log.Record
				_, next := r.Bounds()
				for at := int64(0); at < next; at = recs[len(recs)-1].Offset + 1 {
					var err error
					if recs, err = r.Read(context.Background(), at, 1024, recs[:0]); err != nil {
						b.Fatal(err)
					}
					n += len(recs)
					for i := range recs {
						total.bytes += int64(len(recs[i].Value))
						if recs[i].Source.Node == "" {
							b.Fatal("not a record of the relay's")
						}
					}
				}
			}
		})
		if n != records {
			b.Fatalf("read %d records of %d", n, records)
		}
		for _, r := range readers {
			u.sent += int64(counted(b, r.metrics.bytes))
			if err := r.Close(); err != nil {
				b.Fatal(err)
			}
		}
		total.add(u)
	}
	total.report(b)
}

func benchClient(b *testing.B, o Options) *Client {
	b.Helper()
	c, err := New(o, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

func (u *usage) report(b *testing.B) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(u.perCPU(), "records/cpu-s")
	b.ReportMetric(float64(u.records)/u.wall.Seconds(), "records/s")
	b.ReportMetric(float64(u.bytes)/u.wall.Seconds(), "B/s")
	b.ReportMetric(float64(u.mallocs)/float64(u.records), "allocs/record")
	b.ReportMetric(float64(u.bytes)/float64(u.records), "B/record")
	b.ReportMetric(float64(u.sent)/float64(u.records), "wire-B/record")
}

// BenchmarkKafkaMirror copies one partition of events from a kfake in a process of its own to a mirror in Pebble, in
// memory: as BenchmarkKafkaRead, and the headers, the origins, and a commit for every 1,024 records at most.
func BenchmarkKafkaMirror(b *testing.B) {
	const records = 200_000
	o := options(fakeProcess(b))
	o.Partitions = 1
	c := benchClient(b, o)
	createTopic(b, c, o.TopicName(Events), 1)
	written := writeEvents(b, c, records)
	var total usage
	for b.Loop() {
		store, err := kv.Open("state", kv.Options{FS: vfs.NewMem()})
		if err != nil {
			b.Fatal(err)
		}
		reg := prometheus.NewRegistry()
		r := c.NewReader(Events, 0, reg)
		m, err := log.OpenMirror(store, kv.LogEvents, 0, zap.NewNop(), reg)
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		m.OnPassed(func(offset int64) {
			if offset >= records {
				cancel()
			}
		})
		u := measured(b, records, func() {
			if err := m.Run(ctx, r); err != nil {
				b.Fatal(err)
			}
		})
		u.bytes, u.sent = written, int64(counted(b, r.metrics.bytes))
		if _, next := m.Bounds(); next != m.Passed() || next < records {
			b.Fatalf("copied up to %d", next)
		}
		total.add(u)
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
	}
	total.report(b)
}

// writeEvents writes clicks as refine does, and returns the bytes of their values.
func writeEvents(b *testing.B, c *Client, records int) (size int64) {
	b.Helper()
	p := c.NewProducer(prometheus.NewRegistry())
	w := p.Events()
	for i := 0; i < records; {
		var recs []log.Record
		for range min(1024, records-i) {
			e := event.Refined{
				ID: event.ID{byte(i), byte(i >> 8), byte(i >> 16)}, Kind: event.Click, Time: event.Millis(1.7e12) + event.Millis(i),
				Ref: event.Ref{
					Account: "acme", Sender: fmt.Sprint("sender-", i%50), Sequence: "q4", Contact: fmt.Sprint("c-", i*7919%100_000), Message: fmt.Sprint("m-", i),
				},
				Actor: event.Actor{Verdict: event.Human, Via: "gmail"}, Origin: event.Origin{Node: "edge-1", Partition: int32(i % 4), Offset: int64(i)},
			}
			recs = append(recs, log.Record{Time: e.Time, Key: []byte("acme/" + e.Sender), Value: e.AppendJSON(nil), Head: e.Head()})
			size += int64(len(recs[len(recs)-1].Value))
			i++
		}
		if err := w.Write(context.Background(), nil, recs); err != nil {
			b.Fatal(err)
		}
		w.Committed()
	}
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
	return size
}
