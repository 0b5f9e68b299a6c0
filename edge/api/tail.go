package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

const (
	// tailType is the media type of server-sent events (WHATWG HTML §9.2).
	tailType = "text/event-stream"
	// heartbeatEvery is how often a silent tail says that it is there: under the 30 s after which many proxies hang up.
	heartbeatEvery = 15 * time.Second
	// tailStep is how many records are looked at for one write.
	tailStep = 256
	// maxTailBytes is how much is collected for one write, passed by one record at most.
	maxTailBytes = 1 << 20
	// maxMaxBehind bounds the parameter max_behind.
	maxMaxBehind = 1 << 30
)

// tail is one client that follows the log of events.
type tail struct {
	s         *Server
	m         *merger
	f         filter
	w         http.ResponseWriter
	rc        *http.ResponseController
	heartbeat time.Duration
	refused   func() *problem // why who asks may not have it any more
	maxBehind int64           // how many offsets the reader may be behind; 0: any number
	sent      time.Time       // of the last write
	buf       []byte
}

// missed tells a reader of a tail what it did not get. Its count is of everybody's records, and at most that: the numbers
// of a log that is copied from a topic have gaps.
type missed struct {
	Count  int64  `json:"count"`
	Reason string `json:"reason"` // trimmed or behind
	From   string `json:"from"`   // the cursor of where the reader was
	To     string `json:"to"`     // the cursor of where the tail goes on
}

// getTail answers with events as they come, from Last-Event-ID or after= on, otherwise from now on.
func (s *Server) getTail(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, append(filterParams(), "after", "max_behind")...)
	t := &tail{
		s: s, m: s.eventMerger(), f: p.filter(), w: w, rc: http.NewResponseController(w),
		heartbeat: s.heartbeat, refused: s.guard.later(r, ScopeRead, inFilter),
	}
	t.m.frugal()
	t.maxBehind = int64(p.number("max_behind", 1, maxMaxBehind))
	if p.problem != nil {
		return p.problem
	}
	leave := s.watch.join()
	defer leave()
	if problem := t.seek(r, p); problem != nil {
		return problem
	}
	leaveTails, problem := s.enterTails(callerOf(r))
	if problem != nil {
		return problem
	}
	defer leaveTails()
	w.Header().Set("Content-Type", tailType)
	w.Header().Set("X-Accel-Buffering", "no") // nginx would collect what is to be seen at once
	if r.Method == http.MethodHead {
		return nil
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	t.follow(ctx)
	return nil
}

// enterTails finds a place among the tails; call what it returns at the end.
func (s *Server) enterTails(c *caller) (leave func(), p *problem) {
	var own chan struct{} // nil: there is no bound
	if c != nil && c.tails != nil {
		select {
		case c.tails <- struct{}{}:
			own = c.tails
		default:
			return nil, tooManyTails(cap(c.tails))
		}
	}
	leaveOwn := func() {
		if own != nil {
			<-own
		}
	}
	select {
	case s.tails <- struct{}{}:
		return func() { <-s.tails; leaveOwn() }, nil
	default:
		leaveOwn()
		return nil, unavailable(fmt.Sprintf("%d live tails are open already.", cap(s.tails)))
	}
}

// seek finds where to begin. A browser that connects again repeats the URL with its old after=, so the header wins.
func (t *tail) seek(r *http.Request, p *params) *problem {
	field, text := "Last-Event-ID", r.Header.Get("Last-Event-ID")
	if text == "" {
		field, text = "after", p.values.Get("after")
	}
	ctx, cancel := context.WithTimeout(r.Context(), t.s.o.RequestTimeout)
	defer cancel()
	if err := t.m.refresh(ctx); err != nil {
		return t.s.failure("follow the log of events", err)
	}
	if text == "" {
		if p := t.m.end(); p != nil {
			return p
		}
		t.begin()
		return nil
	}
	if p := t.m.place(field, text); p != nil {
		return p
	}
	from := t.m.cursor().String()
	passed, err := t.m.skipTrimmed()
	if err != nil {
		return problemOf(err)
	}
	if p := t.m.check(field); p != nil {
		return p
	}
	t.begin()
	t.miss(missed{passed, "trimmed", from, t.m.cursor().String()})
	return nil
}

// begin says where the tail begins, so that who loses the connection before the first event misses none.
func (t *tail) begin() {
	t.buf = append(t.m.cursor().append(append(t.buf, ": events as they come\nid: "...)), "\n\n"...)
}

// miss tells the reader what it will not get, if that is anything.
func (t *tail) miss(m missed) {
	if m.Count == 0 {
		return
	}
	data, err := json.Marshal(m)
	if err != nil {
		panic("BUG: numbers that JSON can't hold: " + err.Error())
	}
	t.buf = append(append(append(t.buf, "id: "...), m.To...), "\nevent: missed\ndata: "...)
	t.buf = append(append(t.buf, data...), "\n\n"...)
	t.s.metrics.missed.WithLabelValues(m.Reason).Add(float64(m.Count))
}

// follow writes until the client is gone or reads nothing, the server stops, or a part of the log is out of reach.
func (t *tail) follow(ctx context.Context) {
	// The server watches an idle connection by reading from it: the read deadline of the request would end the tail.
	_ = t.rc.SetReadDeadline(time.Time{})
	for t.flush() == nil {
		rung := t.s.watch.bell.Rung()
		if p := t.refused(); p != nil {
			t.end(p)
			return
		}
		some, err := t.collect(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			t.end(t.s.failure("follow the log of events", err))
			return
		case len(t.buf) > 0:
			continue
		case !some:
			t.rest(ctx, rung)
		}
		if time.Since(t.sent) >= t.heartbeat {
			// Nothing happens, or nothing that is asked for. The id comes along, so that who follows something rare
			// does not fall behind the log's trimming.
			t.buf = append(t.m.cursor().append(append(t.buf, ": still here\nid: "...)), "\n\n"...)
		}
	}
}

// rest waits for news, until the next heartbeat at most.
func (t *tail) rest(ctx context.Context, rung <-chan struct{}) {
	timer := time.NewTimer(time.Until(t.sent.Add(t.heartbeat)))
	defer timer.Stop()
	select {
	case <-rung:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// collect takes some records that are there, and collects what is to be written of them. It reports whether there were
// any.
func (t *tail) collect(ctx context.Context) (some bool, err error) {
	if err := t.s.watch.failed(); err != nil {
		return false, err
	}
	if some, err = t.m.look(); !some || err != nil {
		return false, err
	}
	if t.maxBehind > 0 && t.m.behind() > t.maxBehind {
		from := t.m.cursor().String()
		passed, err := t.m.skipToEnd()
		t.miss(missed{passed, "behind", from, t.m.cursor().String()})
		return true, err
	}
	some = false
	for n := 0; n < tailStep && len(t.buf) < maxTailBytes; n++ {
		rec, err := t.m.next(ctx)
		if errors.Is(err, log.ErrTrimmed) {
			return t.trimmed(err)
		}
		if err != nil || rec == nil {
			return some, err
		}
		some = true
		if !t.f.matchKey(rec.Key) {
			continue
		}
		var e event.Refined
		if err := e.DecodeJSON(rec.Value); err != nil {
			return some, fmt.Errorf("record %d: %w", rec.Offset, err)
		}
		if !t.f.match(&e) {
			continue
		}
		c := t.m.cursor()
		t.buf = c.append(append(t.buf, "id: "...))
		t.buf = append(append(t.buf, "\nevent: "...), e.Kind.String()...)
		if t.buf, err = appendWithCursor(append(t.buf, "\ndata: "...), rec, c); err != nil {
			return some, err
		}
		t.buf = append(t.buf, '\n', '\n')
	}
	return some, nil
}

// trimmed goes on behind what was trimmed under a slow reader.
func (t *tail) trimmed(err error) (bool, error) {
	from := t.m.cursor().String()
	passed, skipErr := t.m.skipTrimmed()
	if skipErr != nil {
		return false, skipErr
	}
	if passed == 0 { // a log that contradicts itself
		return false, err
	}
	t.miss(missed{passed, "trimmed", from, t.m.cursor().String()})
	return true, nil
}

// flush sends what was collected, if the client takes it in time.
func (t *tail) flush() error {
	if len(t.buf) == 0 {
		return nil
	}
	t.sent = time.Now()
	_ = t.rc.SetWriteDeadline(t.sent.Add(t.s.o.StallTimeout))
	_, err := t.w.Write(t.buf)
	t.buf = t.buf[:0]
	if err != nil {
		return err
	}
	return t.rc.Flush()
}

// end says why the tail ends. A client that connects again with its last id gets the same problem as an answer.
func (t *tail) end(p *problem) {
	t.buf = append(p.appendJSON(append(t.buf, "event: problem\ndata: "...)), "\n\n"...)
	_ = t.flush()
}
