package refine

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	// Node, Incarnation and Sequence say where the fact was journaled.
	Node        string `json:"node"`
	Incarnation string `json:"incarnation"`
	Sequence    uint64 `json:"sequence"`
	// Partition and Offset are those of the input record that told it, Time its log time in milliseconds.
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
	Time      int64 `json:"time"`
	// Origin is where the reject was released; those of one partition only grow.
	Origin RejectOrigin `json:"origin"`
	// Bytes are the event as it was journaled.
	Bytes []byte `json:"bytes"`
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
	p.metrics.rejected(reason)
	o := &p.step.rejects
	at := len(o.buf)
	o.buf = append(o.buf, value...)
	o.recs = append(o.recs, span{key: at, value: at, end: len(o.buf), at: p.now.at})
	return nil
}
