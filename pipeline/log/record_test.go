package log

import (
	"bytes"
	"encoding/hex"
	"testing"

	"carom/kv"
	"carom/pipeline/event"
)

// The stored bytes are a promise to every log there is.
func TestRecordLayout(t *testing.T) {
	got := hex.EncodeToString(appendRecord(nil, 0x0102, []byte("ke"), []byte("val")))
	if want := "01" + "0000000000000102" + "02" + "6b65" + "76616c"; got != want {
		t.Errorf("value %s, want %s", got, want)
	}
	l := &Local{table: table{log: kv.LogRejects, partition: 0x0304}}
	if got, want := hex.EncodeToString(l.key(0x05)), "20"+"02"+"0304"+"0000000000000005"; got != want {
		t.Errorf("key %s, want %s", got, want)
	}
	if got := offsetOf(l.key(maxOffset)); got != maxOffset {
		t.Errorf("offset %d", got)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(appendRecord(nil, 1, []byte("key"), []byte("value")))
	f.Add(appendRecord(nil, -1, nil, nil))
	f.Add([]byte{recordVersion + 1})
	f.Fuzz(func(t *testing.T, src []byte) {
		rec, err := decodeRecord(src)
		if err != nil {
			return
		}
		rec.detach()
		again, err := decodeRecord(appendRecord(nil, rec.Time, rec.Key, rec.Value))
		if err != nil || again.Time != rec.Time || !bytes.Equal(again.Key, rec.Key) || !bytes.Equal(again.Value, rec.Value) {
			t.Fatalf("%x: %+v became %+v, %v", src, rec, again, err)
		}
	})
}

func FuzzRecordValues(f *testing.F) {
	f.Add(int64(5), []byte("key"), []byte("value"))
	f.Fuzz(func(t *testing.T, at int64, key, value []byte) {
		rec, err := decodeRecord(appendRecord(nil, event.Millis(at), key, value))
		if err != nil || rec.Time != event.Millis(at) || !bytes.Equal(rec.Key, key) || !bytes.Equal(rec.Value, value) {
			t.Fatalf("got %+v, %v", rec, err)
		}
	})
}
