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
	// tailStep is how many records are read for one write.
	tailStep = 256
)

// tail is one client that follows the log of events.
type tail struct {
	s         *Server
	g         *pager
	f         filter
	w         http.ResponseWriter
	rc        *http.ResponseController
	heartbeat time.Duration
	sent      time.Time // of the last write
	next      int64     // offset of the first record that was not looked at yet
	records   []log.Record
	buf       []byte
}

// getTail answers with events as they come, from Last-Event-ID or after= on, otherwise from now on.
func (s *Server) getTail(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "after", "kind", "account", "sender", "message")
	t := &tail{s: s, g: s.eventPager(), f: p.filter(), w: w, rc: http.NewResponseController(w), heartbeat: s.heartbeat}
	if p.problem != nil {
		return p.problem
	}
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
func (t *tail) seek(r *http.Request, p *params) (problem *problem) {
	field, text := "Last-Event-ID", r.Header.Get("Last-Event-ID")
	if text == "" {
		field, text = "after", p.values.Get("after")
	}
	if text == "" {
		_, t.next = t.g.reader.Bounds()
		return nil
	}
	t.next, problem = t.g.start(field, text)
	return problem
}

// follow writes until the client is gone or too slow, the server stops, or the log was trimmed under a slow reader.
func (t *tail) follow(ctx context.Context) {
	// The server watches an idle connection by reading from it: the read deadline of the request would end the tail.
	_ = t.rc.SetReadDeadline(time.Time{})
	t.buf = append(t.buf, ": events as they come\n\n"...)
	for t.flush() == nil {
		switch err := t.read(ctx); {
		case err == nil && (len(t.buf) > 0 || time.Since(t.sent) < t.heartbeat):
		case ctx.Err() != nil:
			return
		case err == nil, errors.Is(err, context.DeadlineExceeded):
			// Nothing happens, or nothing that is asked for. The id comes along, so that who follows something rare
			// does not fall behind the log's trimming.
			t.buf = append(t.g.cursor(t.next).append(append(t.buf, ": still here\nid: "...)), "\n\n"...)
		default:
			t.end(err)
			return
		}
	}
}

// read waits for records, a heartbeat at most, and collects what is to be written of them.
func (t *tail) read(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, t.heartbeat)
	defer cancel()
	if t.records, err = t.g.reader.Read(ctx, t.next, tailStep, t.records[:0]); err != nil {
		return err
	}
	for i := range t.records {
		rec := &t.records[i]
		var e event.Refined
		if err := e.DecodeJSON(rec.Value); err != nil {
			return fmt.Errorf("record %d: %w", rec.Offset, err)
		}
		t.next = rec.Offset + 1
		if !t.f.match(&e) {
			continue
		}
		c := t.g.cursor(t.next)
		t.buf = c.append(append(t.buf, "id: "...))
		t.buf = append(append(t.buf, "\nevent: "...), e.Kind.String()...)
		if t.buf, err = appendWithCursor(append(t.buf, "\ndata: "...), rec.Value, c); err != nil {
			return err
		}
		t.buf = append(t.buf, '\n', '\n')
	}
	return nil
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
		oldest, _ := t.g.reader.Bounds()
		p = goneCursor("Last-Event-ID", "this reader was so slow that what follows was trimmed", t.g.cursor(oldest))
	} else {
		p = t.s.fail("follow the log of events", err)
	}
	t.buf = append(p.appendJSON(append(t.buf, "event: problem\ndata: "...)), "\n\n"...)
	_ = t.flush()
}
