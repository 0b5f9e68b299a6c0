// Command go is an example of a consumer of refined events: it prints each new event on a line of its own, and counts
// them by kind. Repeats are dropped, and a restart counts nothing twice.
//
//	go run ./deploy/examples/go --brokers 127.0.0.1:19092 --state events.state
//
//	partitions ─▶ one Reader each ─▶ seen before? ─▶ stdout
//	                                      │
//	                                 state file: offsets, last origins and counts, always together
//
// Not obvious:
//
//   - Last origins are kept for each partition of the topic: across partitions they are in no order.
//   - Offsets alone are not enough. A repeat may stand after what was read before a restart, so the last origins belong
//     to them, and what was made of the events (here: counts) does too. In a database, write all three in one transaction.
//   - After a crash lines may be printed again that were printed since the last save: stdout takes part in no
//     transaction. The counts stay right.
//   - What has gone by retention before it was read is an error here, and not passed over.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
)

// saveEvery is how much work at most is done again after a crash.
const saveEvery = time.Second

// maxFetch is how many bytes a broker may send at once for a partition; a larger record comes alone.
const maxFetch = 8 << 20

func main() {
	brokers := flag.String("brokers", "127.0.0.1:9092", "addresses host:port of some brokers, with commas between")
	prefix := flag.String("prefix", "carom", "first part of the topic's name")
	file := flag.String("state", "events.state", "file that keeps how far we are")
	once := flag.Bool("once", false, "stop at what is the end of the topic now")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := &consumer{brokers: strings.Split(*brokers, ","), topic: *prefix + ".events", file: *file, once: *once, out: bufio.NewWriter(os.Stdout)}
	if err := c.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "events:", err)
		os.Exit(1)
	}
}

type consumer struct {
	brokers []string
	topic   string
	file    string
	once    bool
	out     *bufio.Writer
	state   *state
}

func (c *consumer) run(ctx context.Context) (err error) {
	if c.state, err = readState(c.file, c.topic); err != nil {
		return err
	}
	bounds, err := c.bounds(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	messages, failed := make(chan kafka.Message), make(chan error, len(bounds))
	var readers sync.WaitGroup
	for p, b := range bounds {
		next, err := c.state.begin(p, b)
		if err != nil {
			cancel()
			readers.Wait()
			return err
		}
		if c.once && next == b.end {
			continue
		}
		readers.Go(func() {
			if err := c.read(ctx, p, next, b.end, messages); err != nil && ctx.Err() == nil {
				failed <- err
				cancel()
			}
		})
	}
	go func() { readers.Wait(); close(messages) }()

	err = c.take(messages)
	cancel()
	for range messages { // let the readers go
		continue
	}
	select {
	case readErr := <-failed:
		err = errors.Join(err, readErr)
	default:
	}
	return err
}

// span is what a partition holds: [first, end).
type span struct{ first, end int64 }

// bounds asks for the topic's partitions.
func (c *consumer) bounds(ctx context.Context) (map[int]span, error) {
	client := &kafka.Client{Addr: kafka.TCP(c.brokers...), Timeout: 30 * time.Second}
	meta, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{c.topic}})
	if err != nil {
		return nil, fmt.Errorf("ask for topic %s: %w", c.topic, err)
	}
	var ask []kafka.OffsetRequest
	for _, t := range meta.Topics {
		if t.Error != nil {
			return nil, fmt.Errorf("topic %s: %w", t.Name, t.Error)
		}
		for _, p := range t.Partitions {
			ask = append(ask, kafka.FirstOffsetOf(p.ID), kafka.LastOffsetOf(p.ID))
		}
	}
	list, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{c.topic: ask}})
	if err != nil {
		return nil, fmt.Errorf("ask for the offsets of %s: %w", c.topic, err)
	}
	bounds := make(map[int]span)
	for _, p := range list.Topics[c.topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("offsets of partition %d of %s: %w", p.Partition, c.topic, p.Error)
		}
		bounds[p.Partition] = span{p.FirstOffset, p.LastOffset}
	}
	return bounds, nil
}

// read sends on the records of a partition from next on.
func (c *consumer) read(ctx context.Context, partition int, next, end int64, to chan<- kafka.Message) (err error) {
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: c.brokers, Topic: c.topic, Partition: partition, MaxBytes: maxFetch, MaxWait: time.Second,
	})
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.SetOffset(next); err != nil {
		return err
	}
	for !c.once || next < end {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			return fmt.Errorf("read partition %d of %s: %w", partition, c.topic, err)
		}
		select {
		case to <- m:
			next = m.Offset + 1
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// take handles what the readers read, until they all have ended, and saves now and then and at last.
func (c *consumer) take(messages <-chan kafka.Message) error {
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				return c.save()
			}
			if err := c.handle(&m); err != nil {
				return errors.Join(err, c.save())
			}
		case <-save.C:
			if err := c.save(); err != nil {
				return err
			}
		}
	}
}

func (c *consumer) handle(m *kafka.Message) error {
	var at origin
	kind := ""
	for _, h := range m.Headers {
		switch h.Key {
		case "ce_origin":
			if err := at.parse(string(h.Value)); err != nil {
				return fmt.Errorf("partition %d, offset %d: %w", m.Partition, m.Offset, err)
			}
		case "ce_type":
			kind = strings.TrimPrefix(string(h.Value), "carom.")
		}
	}
	if kind == "" {
		return fmt.Errorf("partition %d, offset %d: no header ce_type: not a record of Carom's", m.Partition, m.Offset)
	}
	fresh, err := c.state.pass(m.Partition, m.Offset, at)
	if !fresh || err != nil {
		return err
	}
	c.state.Counts[kind]++
	_, err = fmt.Fprintf(c.out, "%s\n", m.Value)
	return err
}

// save brings the output out before it says that it is.
func (c *consumer) save() error {
	if err := c.out.Flush(); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	return c.state.write(c.file)
}
