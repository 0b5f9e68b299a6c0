package refine

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// rejected refines one record, which must be rejected.
func rejected(t *testing.T, rec log.Record) Reject {
	t.Helper()
	w := openWorld(t, testOptions(), vfs.NewMem(), newFeed(rec))
	defer w.close()
	w.drain(all)
	rejects := rejectsOf(t, contents(t, w.rejects))
	if len(rejects) != 1 {
		t.Fatalf("%d rejects", len(rejects))
	}
	if events := contents(t, w.events); len(events) != 0 {
		t.Fatalf("%d events", len(events))
	}
	return rejects[0]
}

// What can't be read says why in words that help, and keeps the bytes.
func TestUndecodable(t *testing.T) {
	e := sentEvent("m1")
	whole := e.AppendBinary(nil)
	journaled := func(b ...byte) log.Record {
		rec := b1(event.Event{})
		rec.Value = b
		return rec
	}
	alien := func(b ...byte) log.Record { return log.Record{Time: epoch, Value: b} }
	for _, tt := range []struct {
		rec       log.Record
		detail    string
		enveloped bool
	}{
		{alien(0xC1, 0x0A, 0x10, 1), "an envelope that is damaged", true},
		{alien(0xC2, 1, 2), "an envelope of format 0xc2, this Carom reads 0xc1: it was written by a newer Carom", true},
		{alien([]byte("hello")...), "a record that no Carom wrote: it has no envelope", true},
		{alien(), "a record that no Carom wrote: it has no envelope", true},
		{alien(0xFF, 0xFE), "a record that no Carom wrote: it has no envelope", true},
		{alien(whole...), "an event without an envelope: it names no journal", true},
		{journaled(2, 8, 1), "event: record of format 2, this Carom reads 1: it was written by a newer Carom", false},
		{journaled([]byte("garbage")...), "event: record of format 103, this Carom reads 1", false},
		{journaled(1, 8), "event: malformed record: field 1: unexpected EOF", false},
		{journaled(), "event: malformed record: empty", false},
	} {
		r := rejected(t, tt.rec)
		if r.Reason != rejectUndecodable || r.Detail != tt.detail || r.Enveloped() != tt.enveloped || !bytes.Equal(r.Bytes, tt.rec.Value) {
			t.Errorf("%x: got %+v, want %s", tt.rec.Value, r, tt.detail)
		}
		if e, err := r.Event(); err == nil {
			t.Errorf("%x is the event %+v", tt.rec.Value, e)
		}
	}
}

// A fact that could be read but not used can be played again.
func TestEventOfReject(t *testing.T) {
	e := bounceByKey("m1", 1)
	e.Kind = event.Kind(99)
	r := rejected(t, b1(e))
	if r.Reason != rejectBadFact || r.Node != "n1" || r.Sequence != 1 || r.Enveloped() {
		t.Fatalf("got %+v", r)
	}
	back, err := r.Event()
	if err != nil || !reflect.DeepEqual(back, e) {
		t.Errorf("got %+v, %v\nwant %+v", back, err, e)
	}
	r.Bytes = []byte{2}
	if _, err := r.Event(); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("a newer event: %v", err)
	}
}

func TestReadReject(t *testing.T) {
	good := rejected(t, b1(event.Event{Kind: 99}))
	for _, tt := range []struct {
		change func(*Reject)
		want   string
	}{
		{func(r *Reject) { r.Reason = "" }, "no reason"},
		{func(r *Reject) { r.Incarnation = "" }, "incarnation: want 32 hexadecimal digits"},
		{func(r *Reject) { r.Incarnation = strings.Repeat("x", 32) }, "incarnation: want 32 hexadecimal digits"},
		{func(r *Reject) { r.Incarnation += "00" }, "incarnation: want 32 hexadecimal digits"},
		{func(r *Reject) { r.Partition = -1 }, "partition: -1: want 0 to 65535"},
		{func(r *Reject) { r.Partition = 1 << 16 }, "partition: 65536: want 0 to 65535"},
		{func(r *Reject) { r.Offset = -1 }, "offset and origin"},
		{func(r *Reject) { r.Offset = r.Origin.Offset + 1 }, "offset and origin"},
		{func(r *Reject) { r.Origin.N = -1 }, "offset and origin"},
		{func(r *Reject) { r.Time = -1 }, "time: want milliseconds"},
		{func(r *Reject) { r.Time = maxMillis + 1 }, "time: want milliseconds"},
		{func(r *Reject) { r.Bytes = make([]byte, maxRejected+1) }, "bytes: 4259841, at most 4259840 are allowed"},
		{func(r *Reject) { r.Detail = strings.Repeat("x", MaxRejectBytes) }, "bytes, at most"},
	} {
		r := good
		tt.change(&r)
		value, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadReject(value); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	for _, value := range []string{"", "{", "[]", `{"bytes":"?"}`, `{"partition":1e9}`} {
		if _, err := ReadReject([]byte(value)); err == nil {
			t.Errorf("%s is a reject", value)
		}
	}
	// What a later Carom says besides is passed over.
	if r, err := ReadReject([]byte(`{"more":1,"reason":"x","incarnation":"` + good.Incarnation + `"}`)); err != nil || r.Reason != "x" {
		t.Errorf("got %+v, %v", r, err)
	}
}
