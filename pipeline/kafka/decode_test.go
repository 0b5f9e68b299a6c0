package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kmsg"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// sent is one record of a batch as a broker sends it.
type sent struct {
	delta int32 // of the offset
	value string
}

// encodeBatch makes a batch with franz-go's codec, which is none of ours. Its records are stamped first, first+1, ….
func encodeBatch(t testing.TB, base int64, codec int16, mend func(*kmsg.RecordBatch), recs ...sent) []byte {
	t.Helper()
	b := kmsg.NewRecordBatch()
	b.FirstOffset, b.Magic, b.Attributes = base, batchMagic, codec
	b.FirstTimestamp, b.MaxTimestamp = 1000, 5000
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = -1, -1, -1
	b.NumRecords = int32(len(recs))
	var data []byte
	for i, s := range recs {
		b.LastOffsetDelta = s.delta
		r := kmsg.NewRecord()
		r.OffsetDelta, r.TimestampDelta64 = s.delta, int64(i)
		r.Key, r.Value = []byte("key of "+s.value), []byte(s.value)
		r.Headers = []kmsg.Header{{Key: "k", Value: []byte("v")}, {Key: "", Value: nil}}
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		data = r.AppendTo(data)
	}
	b.Records = deflate(t, codec, data)
	if mend != nil {
		mend(&b)
	}
	return checksummed(b.AppendTo(nil))
}

// checksummed sets length and checksum.
func checksummed(b []byte) []byte {
	binary.BigEndian.PutUint32(b[sentLengthAt:], uint32(len(b)-sentLengthEnd))
	binary.BigEndian.PutUint32(b[sentChecksumAt:], crc32.Checksum(b[sentAttributesAt:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

const codecXerial = codecSnappy | 0x100 // of the tests only

func deflate(t testing.TB, codec int16, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch codec &^ ^0x107 {
	case codecNone:
		return data
	case codecXerial:
		out.WriteString(xerial + "\x00\x00\x00\x01\x00\x00\x00\x01")
		for part := range slices.Chunk(data, 100) {
			block := snappy.Encode(nil, part)
			out.Write(binary.BigEndian.AppendUint32(nil, uint32(len(block))))
			out.Write(block)
		}
		return out.Bytes()
	case codecSnappy:
		return snappy.Encode(nil, data)
	case codecGzip:
		w = gzip.NewWriter(&out)
	case codecLZ4:
		w = compress.Lz4.Codec().NewWriter(&out)
	case codecZstd:
		z, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// decodeAll decodes batches from offset from on, up to an error or the end.
func decodeAll(src []byte, from int64, limit int) (recs []log.Record, err error) {
	inflate := newInflater(limit)
	defer inflate.close()
	for len(src) > 0 {
		var b sentBatch
		if b, src, err = cutBatch(src); err != nil {
			return recs, err
		}
		if recs, err = b.decode(recs, from, inflate, func(*log.Record, []header) {}); err != nil {
			return recs, err
		}
	}
	return recs, nil
}

func texts(recs []log.Record) (all []string) {
	for _, r := range recs {
		all = append(all, fmt.Sprintf("%d@%d %s", r.Offset, r.Time, r.Value))
	}
	return all
}

func wantTexts(t testing.TB, what string, recs []log.Record, want ...string) {
	t.Helper()
	if got := texts(recs); !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestDecodeBatches(t *testing.T) {
	for _, codec := range []int16{codecNone, codecGzip, codecSnappy, codecXerial, codecLZ4, codecZstd} {
		long := strings.Repeat("long ", 100)
		first := encodeBatch(t, 40, codec, nil, sent{0, "a"}, sent{1, long})
		gaps := encodeBatch(t, 50, codec, func(b *kmsg.RecordBatch) { b.LastOffsetDelta = 9 }, sent{2, "b"}, sent{5, "c"}) // compacted
		for _, b := range [][]byte{first, gaps} {
			b[sentAttributesAt] = 0 // the mark of the tests
			checksummed(b)
		}
		all := slices.Concat(first, gaps)
		want := []string{"40@1000 a", "41@1001 " + long, "52@1000 b", "55@1001 c"}
		recs, err := decodeAll(all, 0, maxBatch)
		if err != nil {
			t.Fatalf("codec %d: %v", codec, err)
		}
		wantTexts(t, "all", recs, want...)
		if string(recs[1].Key) != "key of "+long {
			t.Errorf("key %q", recs[1].Key)
		}
		for from, skipped := range map[int64]int{40: 0, 41: 1, 42: 2, 52: 2, 53: 3, 56: 4, 60: 4} {
			if recs, err = decodeAll(all, from, maxBatch); err != nil {
				t.Fatal(err)
			}
			wantTexts(t, fmt.Sprint("from ", from), recs, want[skipped:]...)
		}
		// What is larger than allowed is refused, whatever it says of itself.
		if _, err := decodeAll(first, 0, 900); codec != codecNone && err == nil {
			t.Errorf("codec %d: a batch beyond the limit was decoded", codec)
		}
	}
}

func TestDecodeKinds(t *testing.T) {
	with := func(attributes int16) func(*kmsg.RecordBatch) {
		return func(b *kmsg.RecordBatch) { b.Attributes |= attributes }
	}
	src := slices.Concat(
		encodeBatch(t, 10, codecNone, with(attributeAppended), sent{0, "a"}, sent{1, "b"}),
		encodeBatch(t, 12, codecNone, with(attributeControl|0x10), sent{0, "commit"}),
		encodeBatch(t, 13, codecNone, with(0x10), sent{0, "c"}),                                          // of a transaction
		encodeBatch(t, 14, codecNone, func(b *kmsg.RecordBatch) { b.LastOffsetDelta = 5 }),               // compacted to nothing
		encodeBatch(t, 20, codecNone, func(b *kmsg.RecordBatch) { b.FirstTimestamp = -1 }, sent{0, "d"}), // no time
	)
	recs, err := decodeAll(src, 0, maxBatch)
	if err != nil {
		t.Fatal(err)
	}
	wantTexts(t, "all", recs, "10@5000 a", "11@5000 b", "13@1000 c", "20@-1 d")
	var clock event.Millis
	keepClock(&clock, recs)
	wantTexts(t, "with a clock", recs, "10@5000 a", "11@5000 b", "13@5000 c", "20@5000 d")

	// Brokers cut their answers where they like.
	for n := range len(src) {
		recs, err := decodeAll(src[:n], 0, maxBatch)
		if err != nil && !errors.Is(err, errPartial) || err == nil && len(recs) == 0 && n > 0 {
			t.Fatalf("the first %d bytes: %d records, %v", n, len(recs), err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := encodeBatch(t, 10, codecNone, nil, sent{0, "a"}, sent{1, "b"})
	for name, c := range map[string]struct {
		mend func(*kmsg.RecordBatch)
		want string
	}{
		"old":            {func(b *kmsg.RecordBatch) { b.Magic = 1 }, "version 1"},
		"negative base":  {func(b *kmsg.RecordBatch) { b.FirstOffset = -5 }, "at offset -5"},
		"negative delta": {func(b *kmsg.RecordBatch) { b.LastOffsetDelta = -1 }, "-1"},
		"overflow":       {func(b *kmsg.RecordBatch) { b.FirstOffset = maxOffset - 1 }, "at offset"},
		"many":           {func(b *kmsg.RecordBatch) { b.NumRecords = 3 }, "3 records"},
		"huge":           {func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = 1<<30, 1<<30 }, "malformed"},
		"few":            {func(b *kmsg.RecordBatch) { b.NumRecords = 1 }, "malformed"},
		"beyond":         {func(b *kmsg.RecordBatch) { b.LastOffsetDelta, b.NumRecords = 0, 1 }, "malformed"},
		"negative count": {func(b *kmsg.RecordBatch) { b.NumRecords = -1 }, "-1 records"},
		"cut":            {func(b *kmsg.RecordBatch) { b.Records = b.Records[:len(b.Records)-1] }, "malformed"},
		"codec":          {func(b *kmsg.RecordBatch) { b.Attributes = 5 }, "compression 5"},
		"no zstd":        {func(b *kmsg.RecordBatch) { b.Attributes = codecZstd }, "decompress"},
		"no gzip":        {func(b *kmsg.RecordBatch) { b.Attributes = codecGzip }, "decompress"},
		"no lz4":         {func(b *kmsg.RecordBatch) { b.Attributes = codecLZ4 }, "decompress"},
		"no snappy":      {func(b *kmsg.RecordBatch) { b.Attributes = codecSnappy }, "decompress"},
		"xerial block": {func(b *kmsg.RecordBatch) {
			b.Attributes, b.Records = codecSnappy, []byte(xerial+"\x00\x00\x00\x01\x00\x00\x00\x01\xff\xff\xff\xff..")
		}, "unexpected EOF"},
		"xerial length": {func(b *kmsg.RecordBatch) {
			b.Attributes, b.Records = codecSnappy, []byte(xerial+"\x00\x00\x00\x01\x00\x00\x00\x01\xff")
		}, "unexpected EOF"},
		"snappy bomb": {func(b *kmsg.RecordBatch) { b.Attributes, b.Records = codecSnappy, []byte("\xff\xff\xff\x7f.") }, "larger than is allowed"},
		"snappy lie":  {func(b *kmsg.RecordBatch) { b.Attributes, b.Records = codecSnappy, []byte("\xff\xff\xff\x07.") }, "corrupt"},
	} {
		src := encodeBatch(t, 10, codecNone, c.mend, sent{0, "a"}, sent{1, "b"})
		recs, err := decodeAll(slices.Concat(good, src), 0, maxBatch)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		wantTexts(t, name, recs, "10@1000 a", "11@1001 b")
	}
	for at := range good[sentMagicAt:] {
		src := slices.Clone(good)
		src[sentMagicAt+at] ^= 0x40
		if _, err := decodeAll(src, 0, maxBatch); err == nil {
			t.Errorf("byte %d was changed, and nobody noticed", sentMagicAt+at)
		}
	}
	if _, err := decodeAll([]byte("........\x00\x00\x00\x00..................................................."), 0, maxBatch); err == nil || errors.Is(err, errPartial) {
		t.Errorf("a batch of a few bytes: %v", err)
	}
}

func FuzzDecodeBatches(f *testing.F) {
	for _, codec := range []int16{codecNone, codecGzip, codecSnappy, codecLZ4, codecZstd} {
		f.Add(encodeBatch(f, 10, codec, nil, sent{0, "a"}, sent{3, "b"}), int64(11))
	}
	f.Fuzz(func(t *testing.T, src []byte, from int64) {
		if len(src) >= sentHead { // a checksum hides the rest from who guesses
			checksummed(src)
		}
		const limit = 1 << 20
		recs, _ := decodeAll(src, from, limit)
		size := 0
		for i, r := range recs {
			size += len(r.Key) + len(r.Value)
			if r.Offset < from || i > 0 && r.Offset == recs[i-1].Offset {
				t.Fatalf("record %d, from %d", r.Offset, from)
			}
		}
		if size > limit+len(src) {
			t.Fatalf("%d bytes of records", size)
		}
	})
}

func FuzzDecodeFetch(f *testing.F) {
	id := TopicID{1}
	f.Add(encodeFetch(id, 3, 0, 5, 9, []byte("batches")))
	f.Fuzz(func(t *testing.T, body []byte) {
		answer, err := decodeFetch(body, id, 3)
		if err == nil && len(answer.batches) > len(body) {
			t.Fatal("more than there is")
		}
	})
}

// encodeFetch makes a response with franz-go's codec.
func encodeFetch(id TopicID, partition int32, code int16, oldest, next int64, batches []byte) []byte {
	response := kmsg.NewPtrFetchResponse()
	response.Version = fetchVersion
	topic := kmsg.NewFetchResponseTopic()
	topic.TopicID = id
	p := kmsg.NewFetchResponseTopicPartition()
	p.Partition, p.ErrorCode, p.LogStartOffset, p.HighWatermark, p.RecordBatches = partition, code, oldest, next, batches
	p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 1, FirstOffset: 2}}
	topic.Partitions = append(topic.Partitions, p)
	response.Topics = append(response.Topics, topic)
	return response.AppendTo(append(binary.BigEndian.AppendUint32(nil, correlation), noTags))
}

func TestFetchMessages(t *testing.T) {
	r := &fetchRequest{client: "carom", id: TopicID{7, 8}, partition: 3, offset: 99}
	wire := r.append(nil)
	if got := int(binary.BigEndian.Uint32(wire)); got != len(wire)-4 {
		t.Errorf("size %d of %d", got, len(wire)-4)
	}
	theirs := kmsg.NewPtrFetchRequest()
	theirs.Version = fetchVersion
	if err := theirs.ReadFrom(wire[4+2+2+4+2+len("carom")+1:]); err != nil {
		t.Fatal(err)
	}
	p := theirs.Topics[0].Partitions[0]
	if theirs.Topics[0].TopicID != r.id || p.Partition != 3 || p.FetchOffset != 99 || p.CurrentLeaderEpoch != -1 || p.LastFetchedEpoch != -1 ||
		p.LogStartOffset != -1 || p.PartitionMaxBytes != fetchBytes || theirs.MaxBytes != fetchBytes || theirs.MinBytes != 1 || theirs.SessionEpoch != -1 {
		t.Errorf("request %+v", theirs)
	}

	answer, err := decodeFetch(encodeFetch(TopicID{7}, 3, 0, 5, 9, []byte("batches")), TopicID{7}, 3)
	if err != nil || answer.err != nil || answer.oldest != 5 || answer.next != 9 || string(answer.batches) != "batches" {
		t.Errorf("response %+v, %v", answer, err)
	}
	if answer, err = decodeFetch(encodeFetch(TopicID{7}, 3, 6, -1, -1, nil), TopicID{7}, 3); err != nil || answer.err == nil {
		t.Errorf("response %+v, %v", answer, err)
	}
	for name, body := range map[string][]byte{
		"empty":           nil,
		"other request":   append([]byte{1}, encodeFetch(TopicID{7}, 3, 0, 5, 9, nil)[1:]...),
		"other topic":     encodeFetch(TopicID{8}, 3, 0, 5, 9, nil),
		"other partition": encodeFetch(TopicID{7}, 4, 0, 5, 9, nil),
		"more":            append(encodeFetch(TopicID{7}, 3, 0, 5, 9, nil), 0),
		"cut":             encodeFetch(TopicID{7}, 3, 0, 5, 9, []byte("batches"))[:70],
	} {
		if _, err := decodeFetch(body, TopicID{7}, 3); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestParseHead(t *testing.T) {
	want := event.Head{ID: event.ID{1, 2, 3}, Kind: event.Click, Time: 1234567890123, Origin: event.Origin{Partition: 3, Offset: 12345, N: 2}}
	set := func(changes ...string) (list []header) {
		values := map[string]string{"ce_id": want.ID.String(), "ce_type": "carom.click", "ce_time": "2009-02-13T23:31:30.123Z", "ce_origin": "3/12345/2", "ce_source": "/carom/edge", "x": ""}
		for i := 0; i < len(changes); i += 2 {
			values[changes[i]] = changes[i+1]
		}
		for k, v := range values {
			if v != "absent" {
				list = append(list, header{[]byte(k), []byte(v)})
			}
		}
		return list
	}
	if got := parseHead(set()); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, bad := range [][2]string{
		{"ce_id", "absent"},
		{"ce_type", "absent"},
		{"ce_time", "absent"},
		{"ce_origin", "absent"},
		{"ce_id", "short"},
		{"ce_type", "click"},
		{"ce_type", "carom.tick"},
		{"ce_type", "carom."},
		{"ce_time", "yesterday"},
		{"ce_origin", ""},
		{"ce_origin", "3/12345"},
		{"ce_origin", "3/12345/2/1"},
		{"ce_origin", "03/12345/2"},
		{"ce_origin", "+3/12345/2"},
		{"ce_origin", "3/-1/2"},
		{"ce_origin", "4096/12345/2"},
		{"ce_origin", "3/9223372036854775807/2"},
		{"ce_origin", "3/99999999999999999999/2"},
		{"ce_origin", "3/12345/2147483648"},
	} {
		if got := parseHead(set(bad[0], bad[1])); got != (event.Head{}) {
			t.Errorf("%s %q: %+v", bad[0], bad[1], got)
		}
	}
	if got := parseHead(append(set(), header{[]byte("ce_id"), []byte(want.ID.String())})); got != (event.Head{}) {
		t.Errorf("an id twice: %+v", got)
	}
}
