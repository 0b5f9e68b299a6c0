package api

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"carom/pipeline/event"
)

// A bulk has three goroutines, so that lines are read and checked while those before are on their way to the disk:
//
//	body ─▶ read: lines, events, answers ─▶ batches ─▶ commit: one Facts for all that wait ─▶ backlog ─▶ write
//	         └ hands over when it would                 └ on failure, problems replace                └ as fast as the
//	           have to wait for more                      the answers                                   client reads
//
// An interactive client gets its answer at once; a fast one fills the batches while a commit runs.
type bulk struct {
	s        *Server
	endpoint string
	job
	rc      *http.ResponseController
	lines   *lineReader
	batches chan *batch
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
	// sink is nil where nothing is taken: what read answers is all.
	sink taker
	// settle appends the answer of a line that was taken, where that depends on what became of it; draft is what read
	// made, without its line end. nil: draft is the answer. Lines are settled in order.
	settle func(dst, draft []byte, line int) []byte
	// last appends a line after all others. bad lines were the client's fault, failed ones could not be taken, and cut says
	// that reading ended early. nil: there is no such line.
	last func(dst []byte, bad, failed int, cut bool) []byte
}

const (
	// batchLines bounds the lines of one batch, and commitLines those of one commit.
	batchLines  = 256
	commitLines = 1024
	// batchesWaiting bounds how far reading runs ahead of the commits. Small batches, as one line a packet makes them,
	// are put together again.
	batchesWaiting = 32
	// batchBytes ends a batch of long lines early, and commitBytes a group of them: the journal takes 8 MiB at once.
	batchBytes  = 1 << 20
	commitBytes = 4 << 20
)

// batch is what was read in one go. Its events lie in events, its answers one after another in answers.
type batch struct {
	entries []entry
	events  []event.Event
	answers []byte
	bytes   int // of the lines
	bad     int // lines that are the client's fault
}

// entry is one line: an event, or what is answered already, such as a problem.
type entry struct {
	line int
	end  int // of its answer in answers
	fact bool
}

var batchPool = sync.Pool{New: func() any { return new(batch) }}

func getBatch() *batch { return batchPool.Get().(*batch) }

// putBatch gives back what is worth keeping. Events hold strings, which must not stay alive.
func putBatch(b *batch) {
	if cap(b.answers) > 2*batchBytes {
		return
	}
	clear(b.events)
	*b = batch{entries: b.entries[:0], events: b.events[:0], answers: b.answers[:0]}
	batchPool.Put(b)
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
		lines: newLineReader(r.Body, s.o.MaxLineBytes), batches: make(chan *batch, batchesWaiting),
		backlog: newBacklog(s.budget), pace: pace, atOnce: pace.batch(batchLines),
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

// run returns when all three have ended, even if reading meets a bug: nobody may write an answer after its handler.
func (b *bulk) run(w http.ResponseWriter) {
	var rest sync.WaitGroup
	defer rest.Wait()
	rest.Go(b.commitAll)
	rest.Go(func() { b.writeAll(w) })
	b.readAll()
}

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

// readAll reads lines until there are no more, and hands them over in batches.
func (b *bulk) readAll() {
	defer close(b.batches)
	current := getBatch()
	for {
		line, tooLong, ok := b.lines.next()
		if ok {
			b.take(current, line, tooLong)
		}
		if len(current.entries) > 0 && (!ok || len(current.entries) >= b.atOnce || current.bytes >= batchBytes) {
			lines := len(current.entries)
			b.batches <- current
			current = getBatch()
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

// take puts a line into the batch.
func (b *bulk) take(to *batch, line []byte, tooLong bool) {
	if tooLong {
		to.fail(b.lines.number, tooLarge("The line is longer than "+strconv.Itoa(b.lines.most)+" bytes."))
		return
	}
	if isBlank(line) {
		return
	}
	n := len(to.events)
	to.events = append(to.events, event.Event{})
	to.bytes += len(line)
	fact := b.sink != nil
	answers, p := b.read(string(line), event.FromTime(b.s.d.Clock()), &to.events[n], to.answers)
	if p != nil {
		to.events = to.events[:n]
		to.fail(b.lines.number, p)
		return
	}
	if !fact {
		to.events = to.events[:n]
	}
	to.answers = append(answers, '\n')
	to.entries = append(to.entries, entry{line: b.lines.number, end: len(to.answers), fact: fact})
}

func isBlank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

// fail answers a line with its problem.
func (t *batch) fail(line int, p *problem) {
	p.Line = line
	t.answers = append(p.appendJSON(t.answers), '\n')
	t.entries = append(t.entries, entry{line: line, end: len(t.answers)})
	t.bad++
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
		last.bad-- // no line of the client's
		b.cut = true
		b.batches <- last
	}
}

func timedOut(detail string) *problem {
	return newProblem(http.StatusRequestTimeout, "timeout", "The request came too slowly", detail)
}

// commitAll puts what was read on disk and its answers into the backlog, in order.
func (b *bulk) commitAll() {
	defer b.backlog.close()
	allBad, allFailed := 0, 0
	var group []*batch
	var events []*event.Event
	for first := range b.batches {
		group = b.gather(append(group[:0], first))
		events = events[:0]
		bad := 0
		for _, t := range group {
			for i := range t.events {
				events = append(events, &t.events[i])
			}
			bad += t.bad
		}
		allBad += bad
		b.s.metrics.fact(b.endpoint, factBad, bad)
		var failed *problem
		if len(events) > 0 {
			failed = b.commit(events)
		}
		for i, t := range group {
			b.backlog.add(b.settled(t, failed))
			group[i] = nil
			putBatch(t)
		}
		if failed != nil {
			allFailed += len(events)
		}
		clear(events)
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

// gather adds the batches that wait already to a group of one, up to commitLines and commitBytes.
func (b *bulk) gather(group []*batch) []*batch {
	n, size := len(group[0].entries), group[0].bytes
	for n <= commitLines-batchLines && size <= commitBytes-batchBytes {
		select {
		case t, ok := <-b.batches:
			if !ok {
				return group
			}
			group = append(group, t)
			n += len(t.entries)
			size += t.bytes
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

// answersAfter returns the answers, with the problem in place of those of facts if there is one.
func (t *batch) answersAfter(failed *problem) []byte {
	if failed == nil || len(t.events) == 0 {
		return t.answers
	}
	var answers []byte
	begin := 0
	for _, e := range t.entries {
		if e.fact {
			failed.Line = e.line
			answers = append(failed.appendJSON(answers), '\n')
		} else {
			answers = append(answers, t.answers[begin:e.end]...)
		}
		begin = e.end
	}
	return answers
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
