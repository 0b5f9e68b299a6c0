package kafka

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// TopicID is what a broker calls a topic. A topic that was deleted and made again has the same name and another id:
// its offsets start anew, so a position in the former says nothing.
type TopicID [16]byte

func (id TopicID) String() string { return hex.EncodeToString(id[:]) }

// Broker is one broker, where it says that clients find it.
type Broker struct {
	ID      int32
	Address string
}

// Topic is a topic as the brokers know it.
type Topic struct {
	Name       string
	ID         TopicID
	Partitions []TopicPartition // by number, from 0 on
	Err        error            // why the brokers say no more of it, such as kafka-go's UnknownTopicOrPartition
}

// TopicPartition is one partition.
type TopicPartition struct {
	Leader   int32 // -1: none just now
	Replicas []int32
	Err      error
}

// Replication is on how many brokers the least replicated partition is kept.
func (t Topic) Replication() int {
	least := 0
	for i, p := range t.Partitions {
		if n := len(p.Replicas); i == 0 || n < least {
			least = n
		}
	}
	return least
}

// clusterInfo is an answer to a metadata request.
type clusterInfo struct {
	ID      string
	Brokers []Broker
	Topics  []Topic
}

// describe asks a broker for the topics named, past all caches; with an empty list for the brokers alone. A topic
// that does not exist is not made.
func (c *Client) describe(ctx context.Context, topics []string) (clusterInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.RequestTimeout)
	defer cancel()
	answer, err := c.RoundTrip(ctx, c.api.Addr, &metadataRequest{client: c.options.ClientID, topics: topics})
	if err != nil {
		return clusterInfo{}, c.explain(ctx, fmt.Errorf("describe topics: %w", err))
	}
	return answer.(*metadataResponse).clusterInfo, nil
}

// metadataRequest asks for version 12, which has topic ids. kafka-go stops at 8 and answers from a cache, so this
// one writes itself (protocol.RawExchanger).
//
// The messages are those of Kafka's MetadataRequest.json and MetadataResponse.json, in the flexible encoding of
// KIP-482: lengths are uvarints of n+1, 0 is null, and every struct ends in tagged fields.
type metadataRequest struct {
	client string
	topics []string
}

type metadataResponse struct{ clusterInfo }

func (*metadataRequest) ApiKey() protocol.ApiKey                 { return protocol.Metadata }
func (*metadataResponse) ApiKey() protocol.ApiKey                { return protocol.Metadata }
func (*metadataRequest) Required(map[protocol.ApiKey]int16) bool { return true }

// correlation is echoed by the response. The connection carries one request at a time, so any number does.
const correlation = 0x6361726f

// maxMetadata bounds a response: six topics of 4096 partitions of 16 replicas are some 5 MB.
const maxMetadata = 32 << 20

// RawExchange writes the request and reads the response. The deadline is set on rw already.
func (r *metadataRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if _, err := rw.Write(r.append(nil)); err != nil {
		return nil, err
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(rw, head); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head)
	if size > maxMetadata {
		return nil, fmt.Errorf("metadata response of %d bytes: want at most %d", size, maxMetadata)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(rw, body); err != nil {
		return nil, err
	}
	info, err := decodeMetadata(body)
	if err != nil {
		return nil, err
	}
	return &metadataResponse{info}, nil
}

func (r *metadataRequest) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0) // the size, below
	dst = binary.BigEndian.AppendUint16(dst, uint16(protocol.Metadata))
	dst = binary.BigEndian.AppendUint16(dst, minMetadata)
	dst = binary.BigEndian.AppendUint32(dst, correlation)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.client))) // the header keeps the old form of strings
	dst = append(dst, r.client...)
	dst = append(dst, noTags)
	dst = binary.AppendUvarint(dst, uint64(len(r.topics)+1))
	for _, name := range r.topics {
		dst = append(dst, make([]byte, len(TopicID{}))...) // by name, not by id
		dst = binary.AppendUvarint(dst, uint64(len(name)+1))
		dst = append(dst, name...)
		dst = append(dst, noTags)
	}
	dst = append(dst, 0, 0, noTags) // make no topics, tell no permissions
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

const noTags = 0

var errMetadata = errors.New("malformed metadata response")

// decodeMetadata reads a response of version 12 without its size.
func decodeMetadata(body []byte) (clusterInfo, error) {
	d := &decoder{rest: body}
	if d.int32() != correlation {
		return clusterInfo{}, fmt.Errorf("%w: it answers another request", errMetadata)
	}
	d.tags()
	d.int32() // throttled for so long, already
	var info clusterInfo
	for range d.length(minBrokerBytes) {
		id, host, port := d.int32(), d.string(), d.int32()
		d.string() // rack
		d.tags()
		info.Brokers = append(info.Brokers, Broker{ID: id, Address: net.JoinHostPort(host, strconv.Itoa(int(port)))})
	}
	info.ID = d.string()
	d.int32() // controller
	for range d.length(minTopicBytes) {
		info.Topics = append(info.Topics, d.topic())
	}
	d.tags()
	if d.failed || len(d.rest) > 0 {
		return clusterInfo{}, errMetadata
	}
	return info, nil
}

// The least bytes of an element, which bound the number of elements that a response can hold.
const (
	minBrokerBytes    = 4 + 1 + 4 + 1 + 1
	minTopicBytes     = 2 + 1 + 16 + 1 + 1 + 4 + 1
	minPartitionBytes = 2 + 4 + 4 + 4 + 1 + 1 + 1 + 1
)

// decoder reads a flexible message. After a failure it gives zeros.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) topic() Topic {
	t := Topic{Err: errorOf(d.int16()), Name: d.string()}
	copy(t.ID[:], d.bytes(len(t.ID)))
	d.bytes(1) // internal
	numbers := make(map[int32]TopicPartition)
	for range d.length(minPartitionBytes) {
		err, number := errorOf(d.int16()), d.int32()
		p := TopicPartition{Err: err, Leader: d.int32()}
		d.int32() // leader epoch
		p.Replicas = d.int32s()
		d.int32s() // in sync
		d.int32s() // offline
		d.tags()
		numbers[number] = p
	}
	for n := range int32(len(numbers)) {
		p, ok := numbers[n]
		if !ok {
			d.fail() // a gap
			break
		}
		t.Partitions = append(t.Partitions, p)
	}
	d.int32() // permissions
	d.tags()
	return t
}

func errorOf(code int16) error {
	if code == 0 {
		return nil
	}
	return kafkago.Error(code)
}

func (d *decoder) fail() { d.failed, d.rest = true, nil }

func (d *decoder) bytes(n int) []byte {
	if n > len(d.rest) {
		d.fail()
		return make([]byte, n)
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) int16() int16 { return int16(binary.BigEndian.Uint16(d.bytes(2))) }

func (d *decoder) int32() int32 { return int32(binary.BigEndian.Uint32(d.bytes(4))) }

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// length reads the number of elements of an array or a string, each of at least least bytes; null is none.
func (d *decoder) length(least int) int {
	n := d.uvarint()
	if n == 0 {
		return 0
	}
	if n--; n > uint64(len(d.rest)/least) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) string() string { return string(d.bytes(d.length(1))) }

func (d *decoder) int32s() []int32 {
	list := make([]int32, d.length(4))
	for i := range list {
		list[i] = d.int32()
	}
	return list
}

// tags skips the tagged fields, none of which we know.
func (d *decoder) tags() {
	const leastTag = 2
	n := d.uvarint()
	if n > uint64(len(d.rest)/leastTag) {
		d.fail()
		return
	}
	for range n {
		d.uvarint()
		size := d.uvarint()
		if size > uint64(len(d.rest)) {
			d.fail()
			return
		}
		d.bytes(int(size))
	}
}
