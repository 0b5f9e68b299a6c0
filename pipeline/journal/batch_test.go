package journal

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// encode makes the value of a batch of records.
func encode(h header, records ...string) []byte {
	h.count = len(records)
	value := make([]byte, headerSize)
	h.put(value)
	for _, r := range records {
		value = append(value, 0, 0, byte(len(r)>>8), byte(len(r)))
		value = append(value, r...)
	}
	return value
}

// The stored bytes are a promise to every journal there is.
func TestBatchLayout(t *testing.T) {
	got := hex.EncodeToString(encode(header{time: 0x0102, before: 0x0304}, "a", "", "bcd"))
	want := "01" + "0000000000000102" + "0000000000000304" + "00000003" +
		"00000001" + "61" + "00000000" + "00000003" + "626364"
	if got != want {
		t.Errorf("value %s\nwant  %s", got, want)
	}
	if got, want := hex.EncodeToString(batchKey(0x0506)), "100000000000000506"; got != want {
		t.Errorf("key %s, want %s", got, want)
	}
	if got := sequenceOf(batchKey(1 << 40)); got != 1<<40 {
		t.Errorf("sequence %d", got)
	}
	e := ev("x")
	record := appendEvent([]byte("before"), e)
	first, rest, err := nextRecord(record[len("before"):])
	if err != nil || len(rest) != 0 || !bytes.Equal(first, e.AppendBinary(nil)) {
		t.Errorf("event %x, %x, %v", first, rest, err)
	}
}

func TestSliceRecords(t *testing.T) {
	_, records, err := decodeHeader(encode(header{}, "a", "", "bcd"))
	if err != nil {
		t.Fatal(err)
	}
	for from := range 3 {
		for to := from + 1; to <= 3; to++ {
			part, err := sliceRecords(records, from, to)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for len(part) > 0 {
				var r []byte
				if r, part, err = nextRecord(part); err != nil {
					t.Fatal(err)
				}
				got = append(got, string(r))
			}
			wantIDs(t, got, []string{"a", "", "bcd"}[from:to]...)
		}
	}
	if _, err := sliceRecords(records, 0, 4); err == nil {
		t.Error("a fourth of three records")
	}
}

func FuzzBatch(f *testing.F) {
	f.Add(encode(header{time: 1, before: 2}, "a", "bcd"), uint8(0), uint8(2))
	f.Add(encode(header{}, ""), uint8(0), uint8(1))
	f.Add([]byte{2}, uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, value []byte, from, n uint8) {
		h, records, err := decodeHeader(value)
		if err != nil {
			return
		}
		again := make([]byte, headerSize)
		h.put(again)
		if !bytes.Equal(again, value[:headerSize]) {
			t.Fatalf("header %x became %x", value[:headerSize], again)
		}
		if int(from)+int(n) > h.count {
			return
		}
		j := &Journal{node: "n"}
		b := stored{header: h, first: 100, size: len(value), records: records}
		recs, err := j.appendRecords(nil, b, 100+int64(from), int(n))
		if err != nil {
			return
		}
		// What was read encodes to the bytes it came from.
		part, err := sliceRecords(records, int(from), int(from)+int(n))
		if err != nil {
			t.Fatal(err)
		}
		var back []byte
		for i, r := range recs {
			if r.Offset != 100+int64(from)+int64(i) || r.Source.Sequence != uint64(r.Offset) {
				t.Fatalf("record %d: %+v", i, r)
			}
			size := len(r.Value)
			back = append(back, byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
			back = append(back, r.Value...)
		}
		if n > 0 && !bytes.Equal(back, part) {
			t.Fatalf("records %x became %x", part, back)
		}
	})
}
