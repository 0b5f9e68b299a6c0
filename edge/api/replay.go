package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/refine"
)

// Bounds of one call of a replay. Where one of them ends it, its answer says where to go on.
const (
	usualReplay  = 1000
	maxReplay    = 10_000
	maxPositions = 1000
	// maxReplayBytes is passed by one reject at most.
	maxReplayBytes = 8 << 20
	// replayStep is how many events are journaled at once.
	replayStep = 256
)

// replay is what POST /v1/rejects/replay takes.
type replay struct {
	filter    rejectFilter
	positions []string
	after     string
	limit     int
	dryRun    bool
}

// replayed is its answer.
type replayed struct {
	Matched    int    `json:"matched"`
	Replayed   int    `json:"replayed"`
	Unreadable int    `json:"unreadable"`
	Next       string `json:"next"`
}

func (y *replay) readMember(r *event.JSONReader, name string) bool {
	switch name {
	case "reason":
		y.filter.reason = r.String()
	case "node":
		y.filter.node = r.String()
	case "from":
		y.filter.from = readTime(r)
	case "to":
		y.filter.to = readTime(r)
	case "positions":
		for range r.Elements() {
			if len(y.positions) == maxPositions {
				r.Fail("want at most " + strconv.Itoa(maxPositions))
				break
			}
			y.positions = append(y.positions, r.String())
		}
	case "after":
		y.after = r.String()
	case "limit":
		y.limit = int(r.Uint(maxReplay))
	case "dry_run":
		y.dryRun = r.Bool()
	default:
		return false
	}
	return true
}

// check says what does not go together.
func (y *replay) check() *problem {
	var c texts
	c.check("reason", y.filter.reason, maxID)
	c.check("node", y.filter.node, maxID)
	switch {
	case c.problem != nil:
		return c.problem
	case len(y.positions) > 0 && (y.filter != rejectFilter{} || y.after != "" || y.limit != 0):
		return badField("positions", "want nothing else with it but dry_run")
	}
	return nil
}

// postReplay journals rejects anew: as facts that this node has heard now. What was taken before is the same fact
// again and counts once, because of its identity; of an open or click within 10 s of the one that counted, likewise.
func (s *Server) postReplay(w http.ResponseWriter, r *http.Request) *problem {
	if p := readParams(r).problem; p != nil {
		return p
	}
	bulk, p := bodyType(r.Header)
	if p == nil && bulk {
		p = mediaProblem("Content-Type: want application/json: one object.")
	}
	if p != nil {
		return p
	}
	body, p := s.readBody(w, r)
	if p != nil {
		return p
	}
	var y replay
	if p := readObject(string(body), y.readMember); p != nil {
		return p
	}
	if p := y.check(); p != nil {
		return p
	}
	if len(s.d.Rejects) == 0 {
		return s.failure("read the rejects", ErrNotReady)
	}
	leave, p := s.enterPage(r.Context())
	if p != nil {
		return p
	}
	defer leave()
	return s.answerReplay(w, r, &y)
}

func (s *Server) answerReplay(w http.ResponseWriter, r *http.Request, y *replay) *problem {
	ctx, cancel := context.WithTimeout(r.Context(), s.o.RequestTimeout)
	defer cancel()
	g := &pager{s: s, m: newMerger(logRejects, s.d.Rejects), doing: "read the rejects"}
	var answer replayed
	var evs []*event.Event
	var err error
	if err = g.m.refresh(ctx); err == nil {
		if len(y.positions) > 0 {
			evs, err = s.readPositions(ctx, y, &answer)
		} else {
			evs, err = g.readMatching(ctx, y, &answer)
		}
	}
	if err != nil {
		return g.problem(r.Context(), ctx, err)
	}
	if y.dryRun {
		return s.writeJSON(w, answer)
	}
	for from := 0; from < len(evs); from += replayStep {
		step := evs[from:min(from+replayStep, len(evs))]
		if err := s.d.Sink.Facts(step...); err != nil {
			s.metrics.fact(r.Pattern, factFailed, len(step))
			return s.notTaken(err)
		}
		s.metrics.fact(r.Pattern, factTaken, len(step))
		answer.Replayed += len(step)
	}
	return s.writeJSON(w, answer)
}

// take counts a reject, and appends its event if this Carom can read it.
func (s *Server) take(a *replayed, r *refine.Reject, evs []*event.Event) []*event.Event {
	a.Matched++
	e, err := s.rejected(r)
	if err != nil || e.Kind == event.Tick {
		a.Unreadable++
		return evs
	}
	return append(evs, &e)
}

// rejected returns the event of a reject, out of its envelope if it is still in there: a newer Carom opens what an
// older one could not.
func (s *Server) rejected(r *refine.Reject) (event.Event, error) {
	if !r.Enveloped() || s.d.OpenEnvelope == nil {
		return r.Event()
	}
	var e event.Event
	value, err := s.d.OpenEnvelope(r.Bytes)
	if err == nil {
		err = e.DecodeBinary(value)
	}
	return e, err
}

// readMatching reads on from where the call before ended. It goes no further than the log went at the first call: what
// is rejected anew is not replayed again.
func (g *pager) readMatching(ctx context.Context, y *replay, a *replayed) (evs []*event.Event, err error) {
	if p := g.seekReplay(y.after); p != nil {
		return nil, &problemError{p}
	}
	if _, err := g.m.look(); err != nil {
		return nil, err
	}
	limit := y.limit
	if limit == 0 {
		limit = usualReplay
	}
	for bytes, scanned := 0, 0; a.Matched < limit && bytes < maxReplayBytes && scanned < maxPageScan; scanned++ {
		rec, err := g.m.next(ctx)
		if err != nil {
			return nil, err
		}
		if rec == nil {
			return evs, nil
		}
		if r := readReject(rec); y.filter.match(&r) {
			bytes += len(r.Bytes)
			evs = g.s.take(a, &r, evs)
		}
	}
	if rest, err := g.m.more(ctx); err != nil || !rest {
		return evs, err
	}
	a.Next = g.m.cursor().String() + "." + g.m.ends().String()
	return evs, nil
}

// seekReplay goes to where the call before ended, and takes its end over.
func (g *pager) seekReplay(after string) *problem {
	if after == "" {
		return g.m.seek("after", "")
	}
	from, until, _ := strings.Cut(after, ".")
	if from == "" || until == "" {
		return badCursor("after", errCursor)
	}
	end := newMerger(g.m.name, g.m.readers)
	if p := end.seek("after", until); p != nil {
		return p
	}
	g.m.until = make([]int64, len(end.parts))
	for i := range end.parts {
		g.m.until[i] = end.parts[i].next
	}
	return g.m.seek("after", from)
}

// readPositions reads single rejects. One that is not there spoils all.
func (s *Server) readPositions(ctx context.Context, y *replay, a *replayed) (evs []*event.Event, err error) {
	bytes := 0
	for i, text := range y.positions {
		field := "positions[" + strconv.Itoa(i) + "]"
		partition, offset, ok := parsePosition(text)
		if !ok {
			return nil, &problemError{badField(field, "want a position of GET /v1/rejects, such as 0/17")}
		}
		rec, err := s.rejectAt(ctx, partition, offset)
		if err != nil {
			return nil, err
		}
		if rec == nil {
			return nil, &problemError{badField(field, "the log of rejects holds no "+text)}
		}
		r := readReject(rec)
		if bytes += len(r.Bytes); bytes > maxReplayBytes {
			return nil, &problemError{tooLarge(fmt.Sprintf("The rejects up to %s have more than %d bytes: replay fewer at once.", field, maxReplayBytes))}
		}
		evs = s.take(a, &r, evs)
	}
	return evs, nil
}

// rejectAt returns the record at a place, nil if there is none.
func (s *Server) rejectAt(ctx context.Context, partition int32, offset int64) (*log.Record, error) {
	for _, reader := range s.d.Rejects {
		if reader.Partition() != partition {
			continue
		}
		if oldest, next := reader.Bounds(); offset < oldest || offset >= next {
			return nil, nil
		}
		recs, err := reader.Read(ctx, offset, 1, nil)
		if errors.Is(err, log.ErrTrimmed) || err == nil && (len(recs) == 0 || recs[0].Offset != offset) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return &recs[0], nil
	}
	return nil, nil
}
