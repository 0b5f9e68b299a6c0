package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/refine"
)

// rejectLine is a line of GET /v1/rejects, without its cursor.
type rejectLine struct {
	refine.Reject
	// Position names it in a replay: partition and offset in the log of rejects.
	Position string `json:"position"`
}

// notAReject is the reason that stands with a record of the log of rejects that refine has not written.
const notAReject = "not_a_reject"

// rejectFilter selects rejects. The zero value selects all.
type rejectFilter struct {
	reason, node string
	from, to     told // of log time; to is not part of it
}

func (f *rejectFilter) match(r *refine.Reject) bool {
	return (f.reason == "" || f.reason == r.Reason) && (f.node == "" || f.node == r.Node) &&
		(!f.from.set || event.Millis(r.Time) >= f.from.at) && (!f.to.set || event.Millis(r.Time) < f.to.at)
}

// readReject never fails: what refine has not written is a reject of its own kind.
func readReject(rec *log.Record) refine.Reject {
	r, err := refine.ReadReject(rec.Value)
	if err != nil {
		return refine.Reject{Reason: notAReject, Detail: err.Error(), Time: int64(rec.Time), Bytes: rec.Value}
	}
	return r
}

// getRejects answers a page of what refine has rejected.
func (s *Server) getRejects(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "after", "limit", "reason", "node")
	f := rejectFilter{reason: p.text("reason", maxID), node: p.text("node", maxID)}
	after, limit := p.text("after", longestCursor(len(s.d.Rejects))), p.limit(usualLimit, s.o.MaxLimit)
	if p.problem != nil {
		return p.problem
	}
	if len(s.d.Rejects) == 0 {
		return s.failure("read the rejects", ErrNotReady)
	}
	g := &pager{s: s, m: newMerger(logRejects, s.d.Rejects), doing: "read a page of rejects"}
	g.line = func(dst []byte, rec *log.Record, after func() cursor) ([]byte, bool, error) {
		reject := readReject(rec)
		if !f.match(&reject) {
			return dst, false, nil
		}
		value, err := json.Marshal(rejectLine{reject, position(g.m.partition(), rec.Offset)})
		if err != nil {
			return dst, false, fmt.Errorf("write reject %d: %w", rec.Offset, err)
		}
		dst, err = appendWithCursor(dst, &log.Record{Offset: rec.Offset, Value: value}, after())
		return append(dst, '\n'), true, err
	}
	return g.answer(w, r, after, limit)
}

func position(partition int32, offset int64) string {
	return strconv.FormatInt(int64(partition), 10) + "/" + strconv.FormatInt(offset, 10)
}

// parsePosition reads what position wrote.
func parsePosition(text string) (partition int32, offset int64, ok bool) {
	before, after, _ := strings.Cut(text, "/")
	p, err := strconv.ParseUint(before, 10, 16)
	o, offsetErr := strconv.ParseInt(after, 10, 64)
	if err != nil || offsetErr != nil || o < 0 || position(int32(p), o) != text {
		return 0, 0, false
	}
	return int32(p), o, true
}
