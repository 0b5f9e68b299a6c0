package api

import (
	"context"
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
)

// tail is one client that follows the log of events.
type tail struct {
	s         *Server
	m         *merger
	f         filter
	w         http.ResponseWriter
	rc        *http.ResponseController
	heartbeat time.Duration
	sent      time.Time // of the last write
	buf       []byte
}

// getTail answers with events as they come, from Last-Event-ID or after= on, otherwise from now on.
func (s *Server) getTail(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "after", "kind", "account", "sender", "message")
	t := &tail{s: s, m: s.eventMerger(), f: p.filter(), w: w, rc: http.NewResponseController(w), heartbeat: s.heartbeat}
	if p.problem != nil {
		return p.problem
	}
	leave := s.watch.join()
	defer leave()
	if problem := t.seek(r, p); problem != nil {
		return problem
	}
	select {
	case s.tails <- struct{}{}:
		defer func() { <-s.tails }()
	default:
		return unavailable(fmt.Sprintf("%d live tails are open already.", cap(s.tails)))
	}
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
		return t.m.end()
	}
	return t.m.seek(field, text)
}

// follow writes until the client is gone or too slow, the server stops, a part of the log is out of reach, or it was
// trimmed under a slow reader.
func (t *tail) follow(ctx context.Context) {
	// The server watches an idle connection by reading from it: the read deadline of the request would end the tail.
	_ = t.rc.SetReadDeadline(time.Time{})
	// With an id from the beginning, so that who loses the connection before the first event misses none.
	t.buf = append(t.m.cursor().append(append(t.buf, ": events as they come\nid: "...)), "\n\n"...)
	for t.flush() == nil {
		rung := t.s.watch.bell.Rung()
		some, err := t.collect(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			t.end(err)
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
	some = false
	for n := 0; n < tailStep && len(t.buf) < maxTailBytes; n++ {
		rec, err := t.m.next(ctx)
		if err != nil || rec == nil {
			return some, err
		}
		some = true
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
func (t *tail) end(err error) {
	var p *problem
	if errors.Is(err, log.ErrTrimmed) {
		p = t.m.gone("Last-Event-ID", "this reader was so slow that what follows was trimmed")
	} else {
		p = t.s.failure("follow the log of events", err)
	}
	t.buf = append(p.appendJSON(append(t.buf, "event: problem\ndata: "...)), "\n\n"...)
	_ = t.flush()
}
