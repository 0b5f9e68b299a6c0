package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

const (
	// fetchVersion names topics by id, so a topic that was made anew can't be taken for the former; from Kafka 3.1 on,
	// as minMetadata.
	fetchVersion = 13
	// fetchWait is how long a broker waits for a record before it answers that there is none.
	fetchWait = 500 * time.Millisecond
	// fetchBytes is how much a broker gives at once. Its first batch it gives whole, however large.
	fetchBytes = 1 << 20
	// maxFetch bounds a response: a batch may have 32 MiB at most (Options.maxMessageBytes).
	maxFetch = 64 << 20
)

// fetchRequest reads a partition from an offset on. kafka-go's own names the topic by name, reads record batches one
// record at a time, and takes for LogAppendTime what the producer wrote; so this one writes itself, as
// metadataRequest does.
//
// The messages are those of Kafka's FetchRequest.json and FetchResponse.json.
type fetchRequest struct {
	client    string
	leader    int32 // whom to ask
	id        TopicID
	partition int32
	offset    int64
	// buffer is what the response is read into, if it is large enough. It belongs to the exchange from then on, even
	// when the caller has given up waiting.
	buffer []byte
}

// fetchResponse is the answer about one partition.
type fetchResponse struct {
	err          error // what the broker says is wrong
	oldest, next int64 // the partition's bounds; -1: not known
	batches      []byte
	buffer       []byte // what batches lies in, for the next request
}

func (*fetchRequest) ApiKey() protocol.ApiKey                 { return protocol.Fetch }
func (*fetchResponse) ApiKey() protocol.ApiKey                { return protocol.Fetch }
func (*fetchRequest) Required(map[protocol.ApiKey]int16) bool { return true }

// Broker makes kafka-go ask the leader. Where kafka-go looks for one, in its cache, a former may stand for seconds.
func (r *fetchRequest) Broker(protocol.Cluster) (protocol.Broker, error) {
	return protocol.Broker{ID: r.leader}, nil
}

// RawExchange writes the request and reads the response. The deadline is set on rw already.
func (r *fetchRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if _, err := rw.Write(r.append(nil)); err != nil {
		return nil, err
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(rw, head); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(head))
	if size > maxFetch {
		return nil, fmt.Errorf("fetch response of %d bytes: want at most %d", size, maxFetch)
	}
	body := slices.Grow(r.buffer[:0], size)[:size]
	if _, err := io.ReadFull(rw, body); err != nil {
		return nil, err
	}
	return decodeFetch(body, r.id, r.partition)
}

func (r *fetchRequest) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0) // the size, below
	dst = binary.BigEndian.AppendUint16(dst, uint16(protocol.Fetch))
	dst = binary.BigEndian.AppendUint16(dst, fetchVersion)
	dst = binary.BigEndian.AppendUint32(dst, correlation)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.client))) // the header keeps the old form of strings
	dst = append(dst, r.client...)
	dst = append(dst, noTags)
	dst = appendInt32(dst, -1) // no replica
	dst = appendInt32(dst, int32(fetchWait.Milliseconds()))
	dst = appendInt32(dst, 1)          // answer when there is a byte
	dst = appendInt32(dst, fetchBytes) // of all partitions
	dst = append(dst, 0)               // what transactions have not committed too: we know of none
	dst = appendInt32(dst, 0)          // no session
	dst = appendInt32(dst, -1)
	dst = append(dst, 1+1) // topics
	dst = append(dst, r.id[:]...)
	dst = append(dst, 1+1) // partitions
	dst = appendInt32(dst, r.partition)
	dst = appendInt32(dst, -1) // of whatever leader epoch
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.offset))
	dst = appendInt32(dst, -1) // the epoch of the record before is not kept
	dst = binary.BigEndian.AppendUint64(dst, 1<<64-1)
	dst = appendInt32(dst, fetchBytes)  // of this partition
	dst = append(dst, noTags, noTags)   // of the partition, of the topic
	dst = append(dst, 0+1, 0+1, noTags) // forget no topic of a session; no rack
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

func appendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }

var errFetch = errors.New("malformed fetch response")

// The least bytes of an element of a fetch response.
const (
	minFetchTopic     = 16 + 1 + 1
	minFetchPartition = 4 + 2 + 8 + 8 + 8 + 1 + 4 + 1 + 1
	minAborted        = 8 + 8 + 1
)

// decodeFetch reads a response without its size. It must be about the one partition that was asked for.
func decodeFetch(body []byte, id TopicID, partition int32) (*fetchResponse, error) {
	d := &decoder{rest: body}
	if d.int32() != correlation {
		return nil, fmt.Errorf("%w: it answers another request", errFetch)
	}
	d.tags()
	d.int32() // throttled for so long, already
	answer := &fetchResponse{err: errorOf(d.int16()), oldest: -1, next: -1, buffer: body}
	d.int32() // session
	found := 0
	for range d.length(minFetchTopic) {
		var topic TopicID
		copy(topic[:], d.bytes(len(topic)))
		for range d.length(minFetchPartition) {
			answer.decodePartition(d, partition)
			if topic == id {
				found++
			}
		}
		d.tags()
	}
	d.tags()
	if d.failed || len(d.rest) > 0 || found > 1 || found == 0 && answer.err == nil {
		return nil, errFetch
	}
	return answer, nil
}

func (r *fetchResponse) decodePartition(d *decoder, partition int32) {
	if d.int32() != partition {
		d.fail()
	}
	if err := errorOf(d.int16()); err != nil {
		r.err = err
	}
	r.next = d.int64()
	d.int64() // last stable offset
	r.oldest = d.int64()
	for range d.length(minAborted) {
		d.bytes(8 + 8)
		d.tags()
	}
	d.int32() // a better replica to read from
	r.batches = d.bytes(d.length(1))
	d.tags()
}

func (d *decoder) int64() int64 { return int64(binary.BigEndian.Uint64(d.bytes(8))) }

// fetch asks for the record batches from offset on. The error of the answer is in it.
func (c *Client) fetch(ctx context.Context, r *fetchRequest) (*fetchResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.RequestTimeout+fetchWait)
	defer cancel()
	answer, err := c.RoundTrip(ctx, c.api.Addr, r)
	if err != nil {
		return nil, err
	}
	return answer.(*fetchResponse), nil
}

// bounds asks for the oldest and the next offset of a partition.
func (c *Client) bounds(ctx context.Context, topic string, partition int32) (oldest, next int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.RequestTimeout)
	defer cancel()
	answer, err := c.api.ListOffsets(ctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{
		topic: {kafkago.FirstOffsetOf(int(partition)), kafkago.LastOffsetOf(int(partition))},
	}})
	if err != nil {
		return 0, 0, err
	}
	for _, p := range answer.Topics[topic] {
		if p.Partition != int(partition) {
			continue
		}
		if p.Error == nil && (p.FirstOffset < 0 || p.LastOffset < p.FirstOffset) {
			p.Error = fmt.Errorf("bounds %d to %d make no sense", p.FirstOffset, p.LastOffset)
		}
		return p.FirstOffset, p.LastOffset, p.Error
	}
	return 0, 0, fmt.Errorf("the broker says nothing of %s", topic)
}
