package refine

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"carom/pipeline/event"
)

// Why a fact was rejected.
const (
	rejectUndecodable  = "undecodable"  // garbage, or written by a newer Carom
	rejectBadFact      = "bad_fact"     // decodable, but no fact that makes sense
	rejectAmbiguous    = "ambiguous"    // its Message-ID belongs to several messages
	rejectUnattributed = "unattributed" // its message did not become known in time
	rejectParkFull     = "park_full"    // too much waits already
	rejectMessageFull  = "message_full" // too many facts about one message
)

var rejectReasons = []string{
	rejectUndecodable, rejectBadFact, rejectAmbiguous, rejectUnattributed, rejectParkFull, rejectMessageFull,
}

// Reject is a record of the rejects log, as JSON: what couldn't be understood, why, and the bytes, so that it can be
// looked at and played again.
type Reject struct {
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
	// Node, Incarnation and Sequence say where the fact was journaled; Incarnation, in hexadecimal, is all zeros if the
	// record's envelope could not be read.
	Node        string `json:"node"`
	Incarnation string `json:"incarnation"`
	Sequence    uint64 `json:"sequence"`
	// Partition and Offset are those of the input record that told it, Time its log time in milliseconds.
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
	Time      int64 `json:"time"`
	// Origin is where the reject was released; those of one partition only grow.
	Origin RejectOrigin `json:"origin"`
	// Bytes are the event as it was journaled; if the envelope could not be read, they are the record's whole value.
	Bytes []byte `json:"bytes"`
}

// MaxRejectBytes bounds a reject's JSON: the biggest event, in base64, and what is said of it.
const MaxRejectBytes = maxRejected/3*4 + 64<<10

// maxRejected bounds Bytes: an event, and an envelope around it.
const maxRejected = event.MaxBinaryBytes + 64<<10

// incarnationDigits is the length of an incarnation.
const incarnationDigits = 2 * len(event.Source{}.Incarnation)

// ReadReject reads a record of the rejects log.
func ReadReject(value []byte) (Reject, error) {
	if len(value) > MaxRejectBytes {
		return Reject{}, fmt.Errorf("refine: reject: %d bytes, at most %d are allowed", len(value), MaxRejectBytes)
	}
	var r Reject
	if err := json.Unmarshal(value, &r); err != nil {
		return Reject{}, fmt.Errorf("refine: reject: %w", err)
	}
	switch _, err := hex.DecodeString(r.Incarnation); {
	case r.Reason == "":
		return Reject{}, errors.New("refine: reject: no reason")
	case err != nil || len(r.Incarnation) != incarnationDigits:
		return Reject{}, errors.New("refine: reject: incarnation: want 32 hexadecimal digits")
	case r.Partition < 0 || r.Partition > math.MaxUint16:
		return Reject{}, fmt.Errorf("refine: reject: partition: %d: want 0 to %d", r.Partition, math.MaxUint16)
	case r.Offset < 0 || r.Origin.Offset < r.Offset || r.Origin.N < 0:
		return Reject{}, errors.New("refine: reject: offset and origin: want numbers from 0, the origin not before the offset")
	case r.Time < 0 || r.Time > maxMillis:
		return Reject{}, errors.New("refine: reject: time: want milliseconds of the years 1970 to 9999")
	case len(r.Bytes) > maxRejected:
		return Reject{}, fmt.Errorf("refine: reject: bytes: %d, at most %d are allowed", len(r.Bytes), maxRejected)
	}
	return r, nil
}

// Enveloped reports whether Bytes are a whole record of the raw log, with its envelope, and not an event.
func (r *Reject) Enveloped() bool { return strings.Trim(r.Incarnation, "0") == "" }

// Event returns the event that was rejected, so that it can be played again. It fails where this Carom can't read it. An
// enveloped one has to be taken out of its envelope first.
func (r *Reject) Event() (event.Event, error) {
	var e event.Event
	if r.Enveloped() {
		return e, errors.New("refine: the reject is a whole raw record: its envelope could not be read")
	}
	if err := e.DecodeBinary(r.Bytes); err != nil {
		return event.Event{}, fmt.Errorf("refine: event of a reject: %w", err)
	}
	return e, nil
}

// RejectOrigin is the place of a reject among the rejects.
type RejectOrigin struct {
	Offset int64 `json:"offset"`
	N      int32 `json:"n"`
}

// reject writes f to the rejects.
func (p *Partition) reject(f *fact, reason, detail string) error {
	value, err := json.Marshal(Reject{
		Reason: reason, Detail: detail,
		Node: f.source.Node, Incarnation: hex.EncodeToString(f.source.Incarnation[:]), Sequence: f.source.Sequence,
		Partition: p.number, Offset: f.offset, Time: int64(f.logTime),
		Origin: RejectOrigin{Offset: p.now.offset, N: p.meta.rejects},
		Bytes:  f.raw,
	})
	if err != nil {
		return fmt.Errorf("encode reject: %w", err)
	}
	p.meta.rejects++
	o := &p.step.rejects
	at := len(o.buf)
	o.buf = append(o.buf, value...)
	o.recs = append(o.recs, span{key: at, value: at, end: len(o.buf), at: p.now.at})
	if p.withheld() {
		o.withhold()
		return nil
	}
	p.metrics.rejected(reason)
	return nil
}
