package kafka

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

var testSource = event.Source{Node: "edge-1", Sequence: 300, Incarnation: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}

func TestEnvelope(t *testing.T) {
	for _, test := range []struct {
		src    event.Source
		ev     string
		golden string
	}{
		{testSource, "event", "c1" + "0a10" + "0102030405060708090a0b0c0d0e0f10" + "10ac02" + "1a06656467652d31" + "22056576656e74"},
		{event.Source{}, "tick", "c1" + "22047469636b"},
		{event.Source{Node: "n"}, "", "c1" + "1a016e" + "2200"},
	} {
		value := appendRaw([]byte("before"), test.src, []byte(test.ev))[len("before"):]
		if got := hex.EncodeToString(value); got != test.golden {
			t.Errorf("got %s, want %s", got, test.golden)
		}
		if n := rawSize(test.src, []byte(test.ev)); n != len(value) {
			t.Errorf("size %d, want %d", n, len(value))
		}
		src, ev, err := decodeRaw(value)
		if err != nil || src != test.src || string(ev) != test.ev {
			t.Errorf("got %+v, %q, %v", src, ev, err)
		}
	}
}

// A later Carom of the same version may add fields; what has another version is for newer ones.
func TestEnvelopeOfOthers(t *testing.T) {
	ours := string(appendRaw(nil, testSource, []byte("event")))
	for _, added := range []string{"\x28\x01", "\x2a\x03new", "\x31\x01\x02\x03\x04\x05\x06\x07\x08", "\xfd\xff\xff\x7f\x01\x02\x03\x04"} {
		src, ev, err := decodeRaw([]byte(ours + added))
		if err != nil || src != testSource || string(ev) != "event" {
			t.Errorf("%x: got %+v, %q, %v", added, src, ev, err)
		}
	}
	for name, value := range map[string]string{
		"the next version":       "\xc2" + ours[1:],
		"nothing":                "",
		"no event":               "\xc1",
		"JSON":                   `{"a":1}`,
		"an event alone":         string((&event.Event{Kind: event.Open}).AppendBinary(nil)),
		"cut":                    ours[:len(ours)-1],
		"tag cut":                ours + "\x80",
		"short incarnation":      "\xc1\x0a\x01x\x22\x00",
		"incarnation as number":  "\xc1\x08\x01\x22\x00",
		"sequence as text":       "\xc1\x12\x01x\x22\x00",
		"event as number":        "\xc1\x20\x01",
		"group without an end":   ours + "\x2b",
		"field 0":                ours + "\x02\x00",
		"node too long":          "\xc1\x1a\x80\x02" + strings.Repeat("n", 256) + "\x22\x00",
		"length beyond its end":  "\xc1\x22\xff\xff\xff\xff\x0f",
		"varint that never ends": "\xc1\x10" + strings.Repeat("\xff", 11),
	} {
		if src, ev, err := decodeRaw([]byte(value)); err == nil || src != (event.Source{}) || ev != nil {
			t.Errorf("%s: got %+v, %q, %v; want an error and nothing else", name, src, ev, err)
		}
	}
}

func FuzzDecodeRaw(f *testing.F) {
	f.Add(appendRaw(nil, testSource, []byte("event")))
	f.Add([]byte("\xc1\x22\x00"))
	f.Fuzz(func(t *testing.T, value []byte) {
		src, ev, err := decodeRaw(value)
		if err != nil {
			return
		}
		again, same, err := decodeRaw(appendRaw(nil, src, ev))
		if err != nil || again != src || !bytes.Equal(same, ev) {
			t.Fatalf("got %+v, %x, %v; want %+v, %x", again, same, err, src, ev)
		}
	})
}

// As Java computes them (Kafka's UtilsTest.testMurmur2), and as franz-go does.
func TestKeyPartition(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("%q: got %d, want %d", key, got, want)
		}
	}
	for _, n := range []int32{1, 4, 32, 97} {
		theirs := kgo.StickyKeyPartitioner(nil).ForTopic("t")
		for i := range 200 {
			key := fmt.Appendf(nil, "acme/%d", i*i*i)[:1+i%8]
			if got, want := KeyPartition(key, n), theirs.Partition(&kgo.Record{Key: key}, int(n)); int(got) != want {
				t.Errorf("%q of %d: got %d, want %d", key, n, got, want)
			}
		}
	}
}

func TestRawPartition(t *testing.T) {
	for _, n := range []int32{1, 7, 32} {
		key := event.Key{0xff, 0xfe, 0xfd, 0xfc, 9}
		if got, want := RawPartition(key, n), int32(0xfffefdfc%int64(n)); got != want || got != int32(key.Partition(int(n))) {
			t.Errorf("of %d: got %d, want %d", n, got, want)
		}
	}
}

// Records of a node share its name, and those of several keep theirs apart.
func TestFillRaw(t *testing.T) {
	fill := filler(Raw)
	other := testSource
	other.Node = "edge-2"
	for _, src := range []event.Source{testSource, testSource, other, {}, testSource} {
		rec := log.Record{Value: appendRaw(nil, src, []byte("event"))}
		if fill(&rec, nil); rec.Source != src || string(rec.Value) != "event" {
			t.Errorf("got %+v, want %+v", rec, src)
		}
	}
	value := appendRaw(nil, testSource, []byte("event"))
	rec := new(log.Record)
	if n := testing.AllocsPerRun(100, func() {
		rec.Value = value
		fill(rec, nil)
	}); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}
