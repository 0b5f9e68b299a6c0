package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"google.golang.org/protobuf/encoding/protowire"

	"carom/bench/node"
	"carom/bench/progress"
	"carom/pipeline/event"
)

// How the topics are read.
const (
	brokerTimeout = 30 * time.Second // of a connection, and of each fetch
	maxFetch      = 8 << 20
)

// readTopic hands every record of a topic to got, partition by partition, from the first to the last that is there now.
func (p *player) readTopic(ctx context.Context, topic string, got func(partition int, value []byte) error) error {
	dialer := &kafka.Dialer{Timeout: brokerTimeout}
	broker, err := dialer.DialContext(ctx, "tcp", p.options.Brokers[0])
	if err != nil {
		return fmt.Errorf("connect to the broker %s: %w", p.options.Brokers[0], err)
	}
	defer broker.Close()
	partitions, err := broker.ReadPartitions(topic)
	if err != nil {
		return fmt.Errorf("read the partitions of %s: %w", topic, err)
	}
	bar := progress.New(p.options.Progress, topic, len(partitions))
	defer bar.Done()
	for _, one := range partitions {
		if err := p.readPartition(ctx, topic, one.ID, got); err != nil {
			return fmt.Errorf("read %s, partition %d: %w", topic, one.ID, err)
		}
		bar.Add(1)
	}
	return nil
}

func (p *player) readPartition(ctx context.Context, topic string, id int, got func(int, []byte) error) error {
	dialing, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	leader, err := kafka.DialLeader(dialing, "tcp", p.options.Brokers[0], topic, id)
	if err != nil {
		return err
	}
	defer leader.Close()
	first, end, err := leader.ReadOffsets()
	if err != nil {
		return err
	}
	for at := first; at < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := leader.Seek(at, kafka.SeekAbsolute); err != nil {
			return err
		}
		if err := leader.SetDeadline(time.Now().Add(brokerTimeout)); err != nil {
			return err
		}
		before := at
		if at, err = readBatch(leader, at, func(value []byte) error { return got(id, value) }); err != nil {
			return fmt.Errorf("offset %d: %w", at, err)
		}
		if at == before {
			return fmt.Errorf("offset %d: the broker gives nothing, although it has records up to %d", at, end)
		}
	}
	return nil
}

// readBatch makes one fetch and returns the offset to go on from.
func readBatch(leader *kafka.Conn, at int64, got func(value []byte) error) (next int64, err error) {
	batch := leader.ReadBatchWith(kafka.ReadBatchConfig{MinBytes: 1, MaxBytes: maxFetch, MaxWait: time.Second})
	defer batch.Close()
	for {
		record, err := batch.ReadMessage()
		switch {
		case errors.Is(err, io.EOF):
			return at, nil
		case err != nil:
			return at, err
		}
		at = record.Offset + 1
		if err := got(record.Value); err != nil {
			return at, err
		}
	}
}

// checkEventsTopic checks the topic of events, as a consumer reads it: what it has seen it drops by its origin.
func (p *player) checkEventsTopic(ctx context.Context) (*Check, error) {
	p.ledger.forget()
	topic := p.options.Prefix + ".events"
	c := newChecker(p.plan, p.ledger, topic, false)
	type source struct{ partition, origin int }
	last := make(map[source]event.Origin)
	err := p.readTopic(ctx, topic, func(partition int, value []byte) error {
		var e node.Event
		if err := json.Unmarshal(value, &e); err != nil {
			return err
		}
		at := event.Origin{Partition: e.Origin.Partition, Offset: e.Origin.Offset, N: int32(e.Origin.N)}
		from := source{partition, int(e.Origin.Partition)}
		if before, ok := last[from]; ok && !at.After(before) {
			c.check.Again++
			return nil
		}
		last[from] = at
		if e.Account == p.plan.account {
			c.event(&e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	check, _ := c.finish()
	return check, nil
}

// checkRawTopic checks the topic of what was heard. Repeats are there too, so a fact may come several times; what the
// relay wrote again is known by its place in the journal.
func (p *player) checkRawTopic(ctx context.Context) (*Check, error) {
	p.ledger.forget()
	topic := p.options.Prefix + ".raw"
	c := newChecker(p.plan, p.ledger, topic, false)
	messages := make(map[uint64]uint32, p.plan.scenario.Messages) // by the beginning of their keys
	for i := range p.plan.scenario.Messages {
		messages[keyStart(event.KeyOf(p.plan.account, p.plan.messageID(i)))] = uint32(i)
	}
	type journal struct {
		partition   int
		incarnation [16]byte
	}
	last := make(map[journal]uint64)
	err := p.readTopic(ctx, topic, func(partition int, value []byte) error {
		r, err := openRaw(value)
		if err != nil {
			return err
		}
		from := journal{partition, r.incarnation}
		if r.sequence != 0 && r.sequence <= last[from] {
			c.check.Again++
			return nil
		}
		last[from] = max(last[from], r.sequence)
		i, ok := messages[keyStart(r.event.Key)]
		if k, known := kindNamed(r.event.Kind.String()); ok && known {
			c.raw(int(i), k, &r.event)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list := faultList{}
	p.ledger.each(func(e *entry) { c.finishEntry(e, &list) })
	list.into(c.check, p.plan)
	return c.check, nil
}

// raw takes in one record about message i.
func (c *checker) raw(i int, k kind, e *event.Event) {
	c.check.Events++
	heard := node.Event{Sender: e.Sender}
	heard.Client.UserAgent, heard.Actor.Verdict, heard.Link.Index = e.Client.UserAgent, e.Actor.Verdict.String(), int(e.Link)
	heard.Bounce.Hard, heard.Bounce.Category, heard.Bounce.Status, heard.Bounce.Recipient = e.Bounce.Hard, e.Bounce.Category, e.Bounce.Status, e.Recipient
	f, g := c.fact(i, k, &heard)
	if e.Sender == "" { // known by its address or Message-ID alone
		g.wrong &^= wrongSender
	}
	if c.ledger.hear(f, g.wrong) {
		c.check.differ(invented, f.name(c.plan))
	}
}

func keyStart(k event.Key) (n uint64) {
	for _, b := range k[:8] {
		n = n<<8 | uint64(b)
	}
	return n
}

// rawRecord is a record of the raw topic: an event and where it was journaled.
type rawRecord struct {
	incarnation [16]byte
	sequence    uint64
	event       event.Event
}

// The fields of a raw record, behind its version.
const (
	rawVersion     = 0xC1
	rawIncarnation = 1
	rawSequence    = 2
	rawEvent       = 4
)

func openRaw(value []byte) (r rawRecord, err error) {
	if len(value) == 0 || value[0] != rawVersion {
		return r, fmt.Errorf("raw record: want version %#x", rawVersion)
	}
	for rest := value[1:]; len(rest) > 0; {
		field, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return r, fmt.Errorf("raw record: %w", protowire.ParseError(n))
		}
		rest = rest[n:]
		size := protowire.ConsumeFieldValue(field, typ, rest)
		if size < 0 {
			return r, fmt.Errorf("raw record: %w", protowire.ParseError(size))
		}
		switch {
		case field == rawSequence && typ == protowire.VarintType:
			r.sequence, _ = protowire.ConsumeVarint(rest)
		case field == rawIncarnation && typ == protowire.BytesType:
			b, _ := protowire.ConsumeBytes(rest)
			copy(r.incarnation[:], b)
		case field == rawEvent && typ == protowire.BytesType:
			b, _ := protowire.ConsumeBytes(rest)
			if err := r.event.DecodeBinary(b); err != nil {
				return r, err
			}
		}
		rest = rest[size:]
	}
	return r, nil
}
