package api

import (
	"context"
	"errors"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"carom/pipeline/event"
)

// A bulk has goroutines of its own, so that lines are read on all cores while those before are on their way to the disk:
//
//	                 ┌▶ unread ─▶ read: events, answers ┐
//	body ─▶ cut into lines ─▶ batches, in order ────────┴▶ commit: one Facts for ─▶ settle: wait for ─▶ backlog ─▶ write
//	         └ hands over when it would                     all that wait              the answers        └ as fast as the
//	           have to wait for more                        └ on failure, problems replace them             client reads
//
// An interactive client gets its answer at once; a fast one fills the batches while a commit runs.
type bulk struct {
	s        *Server
	endpoint string
	job
	rc      *http.ResponseController
	lines   *lineReader
	batches chan *batch // in the order of their lines
	unread  chan *batch // the same, for whoever reads them
	taken   chan takenBatch
	ahead   *ahead
	typical atomic.Int64 // bytes of a line's answer, as they were lately
	backlog *backlog
	pace    *limiter // of the caller's lines; nil: none
	atOnce  int      // lines of a batch

	mu       sync.Mutex // guards the deadlines
	ended    bool       // reading was ended early, by halt
	cut      bool       // reading ended early, and the last line says so; written before batches is closed
	stopping atomic.Bool
}

// job is what becomes of the lines of a bulk.
type job struct {
	read reader
	// parallel is set where lines may be read by several goroutines at once, and in any order.
	parallel bool
	// sink is nil where nothing is taken: what read answers is all.
	sink taker
	// settle appends the answer of a line that was taken, where that depends on what became of it; draft is what read
	// made, without its line end. nil: draft is the answer. Lines are settled in order.
	settle func(dst, draft []byte, line int) []byte
	// last appends a line after all others. bad lines were the client's fault, failed ones could not be taken, and cut says
	// that reading ended early. nil: there is no such line.
	last func(dst []byte, bad, failed int, cut bool) []byte
}

// takeBulk takes the lines of a request.
func (s *Server) takeBulk(w http.ResponseWriter, r *http.Request, j job) *problem {
	j.read = j.read.of(callerOf(r))
	pace := (*limiter)(nil)
	if c := callerOf(r); c != nil && c.lines != nil {
		pace = c.lines
		if wait := pace.take(0); wait > 0 {
			s.metrics.limited.WithLabelValues("lines").Inc()
			return tooMany("lines", wait)
		}
	}
	select {
	case s.bulks <- struct{}{}:
		defer func() { <-s.bulks }()
	default:
		return unavailable(strconv.Itoa(cap(s.bulks)) + " bulk requests run already.")
	}
	b := &bulk{
		s: s, endpoint: r.Pattern, job: j, rc: http.NewResponseController(w),
		lines: newLineReader(r.Body, s.o.MaxLineBytes), batches: make(chan *batch, batchesWaiting), unread: make(chan *batch, batchesWaiting),
		taken: make(chan takenBatch, batchesWaiting),
		ahead: newAhead(), backlog: newBacklog(s.budget), pace: pace, atOnce: pace.batch(batchLines),
	}
	// HTTP/1 servers read all of a body before they answer, unless they are told that the client can do both at once.
	if err := b.rc.EnableFullDuplex(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return s.fail("prepare a bulk", err)
	}
	w.Header().Set("Content-Type", linesType)
	defer context.AfterFunc(s.stopping, b.stopReading)()

	b.run(w)
	if b.backlog.failed() {
		panic(http.ErrAbortHandler) // the client must not take what it has for the whole answer
	}
	return nil
}

// run returns when all goroutines have ended, even if cutting meets a bug: nobody may write an answer after its handler.
func (b *bulk) run(w http.ResponseWriter) {
	var rest sync.WaitGroup
	defer rest.Wait()
	rest.Go(b.commitAll)
	rest.Go(b.settleAll)
	rest.Go(func() { b.writeAll(w) })
	readers := 1
	if b.parallel {
		readers = min(runtime.GOMAXPROCS(0), maxReaders)
	}
	for range readers {
		rest.Go(b.readAll)
	}
	b.cutAll()
}

// maxReaders bounds the goroutines that read the lines of one bulk: what they make has to go through one commit.
const maxReaders = 8

// moved gives the connection another StallTimeout. It is called before each read and write, and so after the one before
// has moved something. A client that sends all before it reads keeps writes waiting for as long as it sends: movement in
// one direction counts for both.
func (b *bulk) moved() {
	b.mu.Lock()
	defer b.mu.Unlock()
	deadline := time.Now().Add(b.s.o.StallTimeout)
	_ = b.rc.SetWriteDeadline(deadline)
	if !b.ended {
		_ = b.rc.SetReadDeadline(deadline)
	}
}

// halt ends reading, wherever it waits.
func (b *bulk) halt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	_ = b.rc.SetReadDeadline(time.Unix(1, 0))
}

func (b *bulk) stopReading() {
	b.stopping.Store(true)
	b.halt()
}

// cutAll cuts the body into lines until there are no more, and hands them over in batches.
func (b *bulk) cutAll() {
	defer close(b.batches)
	defer close(b.unread)
	current, place := getBatch(), 0
	for {
		line, tooLong, ok := b.lines.next()
		if ok && (tooLong || !isBlank(line)) {
			current.add(line, b.lines.number, tooLong)
		}
		if len(current.lines) > 0 && (!ok || len(current.lines) >= b.atOnce || len(current.text) >= batchBytes) {
			lines := len(current.lines)
			b.batches <- current
			b.unread <- current
			place++
			current = getBatch()
			current.place = place
			b.rest(lines)
		}
		switch {
		case ok:
		case b.lines.ended():
			b.end(current)
			return
		default:
			b.moved()
			b.lines.fill()
		}
	}
}

// rest waits until the caller may send more than the lines that it has sent.
func (b *bulk) rest(lines int) {
	if b.pace == nil {
		return
	}
	if wait := b.pace.owe(lines); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-b.s.stopping.Done():
		}
		b.moved() // what the client had to wait for is no fault of its own
	}
}

// readAll reads the lines of batches.
func (b *bulk) readAll() {
	for t := range b.unread {
		b.ahead.enter(t.place)
		b.readLines(t)
		b.ahead.hold(len(t.answers))
		t.ready <- struct{}{}
	}
}

// readLines makes events and answers of a batch's lines.
func (b *bulk) readLines(t *batch) {
	defer func() {
		if v := recover(); v != nil { // this is not the request's goroutine, where serve would catch it
			b.s.met(v, http.MethodPost, b.endpoint)
			t.entries, t.events, t.answers, t.bad = t.entries[:0], t.events[:0], t.answers[:0], 0
			for _, line := range t.lines {
				t.fail(line.number, internal())
			}
			t.failed = len(t.lines)
		}
	}()
	text := string(t.text) // which the strings of events and orders are parts of
	t.answers = slices.Grow(t.answers, min(len(t.lines)*int(b.typical.Load()), batchBytes))
	now := event.FromTime(b.s.d.Clock())
	begin := 0
	for _, line := range t.lines {
		b.take(t, text[begin:line.end], line, now)
		begin = line.end
	}
	b.typical.Store(int64(len(t.answers)/len(t.lines)) * 9 / 8)
}

// take reads a line.
func (b *bulk) take(t *batch, text string, line textLine, now event.Millis) {
	if line.tooLong {
		t.bad++
		t.fail(line.number, tooLarge("The line is longer than "+strconv.Itoa(b.lines.most)+" bytes."))
		return
	}
	answers, p := b.read(text, now, t.next(), t.answers)
	fact := p == nil && b.sink != nil
	if !fact {
		t.drop()
	}
	if p != nil {
		t.bad++
		t.fail(line.number, p)
		return
	}
	t.answers = append(answers, '\n')
	t.entries = append(t.entries, entry{line: line.number, end: len(t.answers), fact: fact})
}

func isBlank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

// end says in a last line why reading ended, if not because the client had sent all.
func (b *bulk) end(last *batch) {
	cause := b.lines.cause()
	var p *problem
	switch {
	case cause == nil || b.backlog.failed():
	case b.stopping.Load():
		p = unavailable("The server is stopping. Send this line and what follows again.")
	case errors.Is(cause, os.ErrDeadlineExceeded):
		p = timedOut("Nothing came for " + b.s.o.StallTimeout.String() + ". Send this line and what follows again.")
	default:
		p = badJSON("The body ends too early. Send this line and what follows again.")
	}
	if p != nil {
		last.fail(b.lines.number+1, p)
		b.cut = true
		last.ready <- struct{}{}
		b.batches <- last
	}
}

func timedOut(detail string) *problem {
	return newProblem(http.StatusRequestTimeout, "timeout", "The request came too slowly", detail)
}

// commitAll puts what was read on disk and its answers into the backlog, in order.
func (b *bulk) commitAll() {
	defer close(b.taken)
	var group []*batch
	var events []*event.Event
	for first := range b.batches {
		group = b.gather(append(group[:0], first))
		events = events[:0]
		bad, met := 0, 0
		for _, t := range group {
			for i := range t.events {
				events = append(events, &t.events[i])
			}
			bad += t.bad
			met += t.failed
		}
		b.s.metrics.fact(b.endpoint, factBad, bad)
		b.s.metrics.fact(b.endpoint, factFailed, met)
		var failed *problem
		if len(events) > 0 {
			failed = b.commit(events)
		}
		for i, t := range group {
			b.taken <- takenBatch{t, failed}
			group[i] = nil
		}
		clear(events)
	}
}

// takenBatch is a batch that was committed, unless failed says why not.
type takenBatch struct {
	*batch
	failed *problem
}

// settleAll puts answers into the backlog, in order. It may have to wait for them, and the next commits do not.
func (b *bulk) settleAll() {
	defer b.backlog.close()
	allBad, allFailed := 0, 0
	for t := range b.taken {
		allBad += t.bad
		allFailed += t.batch.failed
		if t.failed != nil {
			allFailed += len(t.events)
		}
		n := len(t.answers)
		b.backlog.add(b.settled(t.batch, t.failed))
		b.ahead.hold(-n)
		putBatch(t.batch)
	}
	if b.last != nil {
		b.backlog.add(append(b.last(nil, allBad, allFailed, b.cut), '\n'))
	}
}

// settled returns the answers to a batch whose events are on disk, unless failed says why they are not.
func (b *bulk) settled(t *batch, failed *problem) (answers []byte) {
	if failed != nil || b.settle == nil || b.backlog.failed() {
		return t.answersAfter(failed)
	}
	defer func() {
		if v := recover(); v != nil {
			b.s.met(v, http.MethodPost, b.endpoint)
			answers = t.answersAfter(internal())
		}
	}()
	begin := 0
	for _, e := range t.entries {
		text := t.answers[begin:e.end]
		if e.fact {
			answers = append(b.settle(answers, text[:len(text)-1], e.line), '\n')
		} else {
			answers = append(answers, text...)
		}
		begin = e.end
	}
	return answers
}

// gather adds the batches that wait already to a group of one, up to commitLines, commitBytes and answersAhead, and waits
// until their lines are read.
func (b *bulk) gather(group []*batch) []*batch {
	first := b.ahead.await(group[0])
	n, size, answers := len(first.lines), len(first.text), len(first.answers)
	for n <= commitLines-batchLines && size <= commitBytes-batchBytes && answers < answersAhead {
		select {
		case t, ok := <-b.batches:
			if !ok {
				return group
			}
			group = append(group, b.ahead.await(t))
			n += len(t.lines)
			size += len(t.text)
			answers += len(t.answers)
		default:
			return group
		}
	}
	return group
}

// commit returns when the events are on disk, or the problem to answer each with.
func (b *bulk) commit(events []*event.Event) (failed *problem) {
	defer func() {
		if v := recover(); v != nil { // this is not the request's goroutine, where serve would catch it
			b.s.met(v, http.MethodPost, b.endpoint)
			failed = internal()
		}
	}()
	if err := b.sink(events...); err != nil {
		b.s.metrics.fact(b.endpoint, factFailed, len(events))
		return b.s.notTaken(err)
	}
	b.s.metrics.fact(b.endpoint, factTaken, len(events))
	return nil
}

// writeAll writes the backlog as fast as the client reads it. When the client is gone, reading ends.
func (b *bulk) writeAll(w http.ResponseWriter) {
	for {
		piece, ok := b.backlog.take()
		if !ok {
			return
		}
		b.moved()
		_, err := w.Write(piece)
		if err == nil {
			err = b.rc.Flush()
		}
		if err != nil && !errors.Is(err, http.ErrNotSupported) {
			b.backlog.fail()
			b.halt()
			return
		}
		b.backlog.giveBack(piece)
	}
}
