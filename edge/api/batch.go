package api

import (
	"sync"

	"carom/pipeline/event"
)

const (
	// batchLines bounds the lines of one batch, and commitLines those of one commit.
	batchLines  = 256
	commitLines = 2048
	// batchesWaiting bounds how far the body is read ahead of the commits. Small batches, as one line a packet makes them,
	// are put together again.
	batchesWaiting = 32
	// batchBytes ends a batch of long lines early, and commitBytes a group of them: the journal takes 8 MiB at once.
	batchBytes  = 1 << 20
	commitBytes = 4 << 20
	// answersAhead bounds the answers that wait for their commits. Short lines may have long answers.
	answersAhead = 16 << 20
	// linksKept bounds the links of an event whose memory is kept.
	linksKept = 16
)

// batch is what was read in one go: first its lines, then what became of them. Its events lie in events, its answers one
// after another in answers.
type batch struct {
	place int // among the bulk's batches, from 0
	text  []byte
	lines []textLine
	ready chan struct{} // gets one value when the lines are read

	entries []entry
	events  []event.Event
	answers []byte
	bad     int // lines that are the client's fault
	failed  int // lines that met a bug
}

// textLine is a line that was not read yet.
type textLine struct {
	number  int
	end     int // in text
	tooLong bool
}

// entry is one line: an event, or what is answered already, such as a problem.
type entry struct {
	line int
	end  int // of its answer in answers
	fact bool
}

var batchPool = sync.Pool{New: func() any { return &batch{ready: make(chan struct{}, 1)} }}

func getBatch() *batch { return batchPool.Get().(*batch) }

// putBatch gives back what is worth keeping. Events hold strings, which must not stay alive.
func putBatch(b *batch) {
	if cap(b.answers) > 2*batchBytes || cap(b.text) > 2*batchBytes {
		return
	}
	for i := range b.events {
		empty(&b.events[i])
	}
	*b = batch{
		text: b.text[:0], lines: b.lines[:0], ready: b.ready,
		entries: b.entries[:0], events: b.events[:0], answers: b.answers[:0],
	}
	batchPool.Put(b)
}

// empty leaves of an event the memory of its links.
func empty(e *event.Event) {
	links := e.Links
	if cap(links) > linksKept {
		links = nil
	}
	clear(links[:cap(links)])
	*e = event.Event{Links: links[:0]}
}

// add puts a line into the batch.
func (t *batch) add(line []byte, number int, tooLong bool) {
	t.text = append(t.text, line...)
	t.lines = append(t.lines, textLine{number: number, end: len(t.text), tooLong: tooLong})
}

// next returns an empty event behind the others.
func (t *batch) next() *event.Event {
	n := len(t.events)
	if n < cap(t.events) {
		t.events = t.events[:n+1]
	} else {
		t.events = append(t.events, event.Event{})
	}
	return &t.events[n]
}

// drop takes the last event back.
func (t *batch) drop() {
	n := len(t.events) - 1
	empty(&t.events[n])
	t.events = t.events[:n]
}

// fail answers a line with its problem.
func (t *batch) fail(line int, p *problem) {
	p.Line = line
	t.answers = append(p.appendJSON(t.answers), '\n')
	t.entries = append(t.entries, entry{line: line, end: len(t.answers)})
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

// ahead bounds the answers of a bulk that wait for their commit. The batch that the commit waits for is never held up, so
// the bound is passed by one batch for each goroutine that reads lines.
type ahead struct {
	mu     sync.Mutex
	change sync.Cond // of mu
	wanted int       // the place of the batch that the commit waits for
	held   int
}

func newAhead() *ahead {
	a := new(ahead)
	a.change.L = &a.mu
	return a
}

// enter waits until the lines of a batch may be read.
func (a *ahead) enter(place int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.held >= answersAhead && place > a.wanted {
		a.change.Wait()
	}
}

// hold counts answers, and with less than nothing those that wait no more.
func (a *ahead) hold(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held += n
	a.change.Broadcast()
}

// await returns when the lines of a batch are read.
func (a *ahead) await(t *batch) *batch {
	a.mu.Lock()
	a.wanted = t.place
	a.change.Broadcast()
	a.mu.Unlock()
	<-t.ready
	return t
}
