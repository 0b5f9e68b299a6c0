package api

import (
	"context"
	"fmt"

	"carom/pipeline/event"
	"carom/pipeline/log"

	"golang.org/x/sync/errgroup"
)

// Bounds of reading several partitions at once.
const (
	// firstBuffered and mostBuffered are how many records of all partitions together are read ahead: at first, and by
	// who reads on and on. Each partition has leastStep.
	firstBuffered = 2048
	mostBuffered  = 1 << 16
	leastStep     = 8
	// fillAtOnce is how many partitions are read at the same time.
	fillAtOnce = 16
)

// merger reads the partitions of a log as one: the oldest record first, by log time, then by partition; within a
// partition in its order.
//
//	partition 0: [12:01 12:05 …]──┐
//	partition 1: [12:02 …]────────┼─▶ heap by time ─▶ next
//	partition 2: [] at its end    ┘
//
// What it has handed out is told by cursor. It is not safe for concurrent use.
type merger struct {
	name    byte // of the log, in cursors
	readers []log.Reader
	// clustered is set where nodes make copies at their own pace: a cursor that is ahead of one is not wrong then.
	clustered bool
	// until, if not nil, says where the partitions end for this reader.
	until []int64

	parts   []part
	heap    []int // partitions with a record at hand, the oldest on top
	dry     []int // partitions whose next record is to be read
	mostDry int   // records that a partition may read ahead

	last    int     // partition that the record came from that was handed out last
	offsets []int64 // memory of cursor
}

// frugal has the merger read ahead no more than at first, for who reads a few records at a time, and slowly.
func (m *merger) frugal() {
	for i := range m.parts {
		m.mostDry = m.parts[i].step
	}
}

// part is a merger's place in one partition.
type part struct {
	next  int64 // first record that was not handed out
	end   int64 // where the partition ended when look was there
	step  int   // how many records are read next
	buf   []log.Record
	at    int // in buf, of the record at next
	inDry bool
}

func newMerger(name byte, readers []log.Reader) *merger {
	n := max(1, len(readers))
	m := &merger{
		name: name, readers: readers, parts: make([]part, len(readers)),
		mostDry: min(readStep, max(leastStep, mostBuffered/n)),
	}
	for i := range m.parts {
		m.parts[i].step = min(readStep, max(leastStep, firstBuffered/n))
	}
	if n > 1 {
		m.offsets = make([]int64, n)
	}
	return m
}

// refresh learns where the partitions end that are kept elsewhere.
func (m *merger) refresh(ctx context.Context) error {
	var asked errgroup.Group
	asked.SetLimit(fillAtOnce)
	peers := make(map[*peer]bool)
	for _, r := range m.readers {
		if remote, ok := r.(*remoteReader); ok {
			if remote.peer != nil && peers[remote.peer] {
				continue // one answer tells of all its partitions
			}
			peers[remote.peer] = true
		}
		asked.Go(func() error { return r.Refresh(ctx) })
	}
	return asked.Wait()
}

// bounds is log.Reader's, and fails where the owner did not name the partition.
func (m *merger) bounds(i int) (oldest, next int64, err error) {
	if remote, ok := m.readers[i].(*remoteReader); ok {
		return remote.told()
	}
	oldest, next = m.readers[i].Bounds()
	return oldest, next, nil
}

// seek goes behind the cursor text, to the oldest records if that is empty. Refresh must have been there.
func (m *merger) seek(field, text string) *problem {
	if p := m.place(field, text); p != nil || text == "" {
		return p
	}
	return m.check(field)
}

// place is seek, and does not look whether the log holds what follows.
func (m *merger) place(field, text string) *problem {
	if text == "" {
		for i := range m.parts {
			oldest, _, err := m.bounds(i)
			if err != nil {
				return problemOf(err)
			}
			m.parts[i].next = oldest
		}
		return nil
	}
	var c cursor
	var err error
	if len(m.readers) == 1 {
		c, err = parseCursor(text, m.name, uint16(m.readers[0].Partition()))
		m.parts[0].next = c.offset
	} else if c, err = parseCursors(text, m.name, len(m.readers)); err == nil {
		for i, offset := range c.offsets {
			m.parts[i].next = offset
		}
	}
	if n := int64(len(m.readers)); err != nil {
		if of := otherShape(text, m.name); of > 0 && of != n {
			err = fmt.Errorf("is of a log of %d partitions, and this one has %d: begin without it", of, n)
		}
		return badCursor(field, err)
	}
	return nil
}

// check refuses a place that the log does not hold.
func (m *merger) check(field string) *problem {
	for i := range m.parts {
		oldest, next, err := m.bounds(i)
		switch {
		case err != nil:
			return problemOf(err)
		case m.parts[i].next < oldest:
			return m.gone(field, "what follows it was trimmed")
		case m.parts[i].next > next && m.clustered:
			return notReadyHere(fmt.Sprintf("Partition %d of the log has come to offset %d only, and the cursor is at %d", i, next, m.parts[i].next))
		case m.parts[i].next > next:
			return m.gone(field, "the log ends before it: it was made anew")
		}
	}
	return nil
}

// gone is the problem of a place that the log does not hold, with the nearest that it does.
func (m *merger) gone(field, detail string) *problem {
	for i := range m.parts {
		oldest, next, err := m.bounds(i)
		if err != nil {
			return problemOf(err)
		}
		p := &m.parts[i]
		if p.next < oldest || p.next > next && !m.clustered {
			p.next = oldest
		}
	}
	return goneCursor(field, detail, m.cursor())
}

// skipTrimmed goes on at the oldest records that the log holds, where those at hand were trimmed. It returns how many
// offsets lie between.
func (m *merger) skipTrimmed() (passed int64, err error) {
	return m.skip(func(i int) (int64, error) {
		oldest, _, err := m.bounds(i)
		return oldest, err
	})
}

// skipToEnd goes on where look saw the ends.
func (m *merger) skipToEnd() (passed int64, err error) {
	return m.skip(func(i int) (int64, error) { return m.parts[i].end, nil })
}

// skip goes on at the offset that to says of each partition, unless it is behind it already. Look must follow.
func (m *merger) skip(to func(i int) (int64, error)) (passed int64, err error) {
	m.heap, m.dry = m.heap[:0], m.dry[:0]
	for i := range m.parts {
		p := &m.parts[i]
		clear(p.buf)
		p.buf, p.at, p.inDry = p.buf[:0], 0, false
		at, err := to(i)
		if err != nil {
			return passed, err
		}
		passed += max(0, at-p.next)
		p.next = max(p.next, at)
	}
	return passed, nil
}

// behind returns how many offsets there are before where look saw the ends.
func (m *merger) behind() (n int64) {
	for i := range m.parts {
		n += max(0, m.parts[i].end-m.parts[i].next)
	}
	return n
}

// end goes to where the log ends now.
func (m *merger) end() *problem {
	for i := range m.parts {
		_, next, err := m.bounds(i)
		if err != nil {
			return problemOf(err)
		}
		m.parts[i].next = next
	}
	return nil
}

// cursor says where to go on. It is valid until the stream is read again.
func (m *merger) cursor() cursor {
	if len(m.readers) == 1 {
		return cursor{log: m.name, partition: uint16(m.readers[0].Partition()), offset: m.parts[0].next}
	}
	for i := range m.parts {
		m.offsets[i] = m.parts[i].next
	}
	return cursor{log: m.name, offsets: m.offsets}
}

// look sees how far the partitions reach now, and reports whether there is anything to read.
func (m *merger) look() (bool, error) {
	for i := range m.parts {
		_, next, err := m.bounds(i)
		if err != nil {
			return false, err
		}
		if m.until != nil {
			next = min(next, m.until[i])
		}
		m.parts[i].end = next
		m.dryIf(i)
	}
	return len(m.heap)+len(m.dry) > 0, nil
}

// dryIf notes that partition i is to be read, if so.
func (m *merger) dryIf(i int) {
	p := &m.parts[i]
	if !p.inDry && p.at == len(p.buf) && p.next < p.end {
		p.inDry = true
		m.dry = append(m.dry, i)
	}
}

// next hands out the oldest record, nil if there is none up to where look saw the ends. The record is valid until the
// next call.
func (m *merger) next(ctx context.Context) (*log.Record, error) {
	if err := m.fill(ctx); err != nil {
		return nil, err
	}
	if len(m.heap) == 0 {
		return nil, nil
	}
	i := m.heap[0]
	m.last = i
	p := &m.parts[i]
	rec := &p.buf[p.at]
	p.at++
	p.next = rec.Offset + 1
	if p.at == len(p.buf) {
		last := len(m.heap) - 1
		m.heap[0] = m.heap[last]
		m.heap = m.heap[:last]
		m.dryIf(i)
	}
	m.down(0)
	return rec, nil
}

// fill reads what is dry.
func (m *merger) fill(ctx context.Context) error {
	if len(m.dry) == 0 {
		return nil
	}
	var filling errgroup.Group
	filling.SetLimit(fillAtOnce)
	for _, i := range m.dry {
		filling.Go(func() error { return m.fillOne(ctx, i) })
	}
	if err := filling.Wait(); err != nil {
		return err
	}
	for _, i := range m.dry {
		m.parts[i].inDry = false
		m.push(i)
	}
	m.dry = m.dry[:0]
	return nil
}

func (m *merger) fillOne(ctx context.Context, i int) error {
	p := &m.parts[i]
	most := int(min(int64(p.step), p.end-p.next))
	clear(p.buf) // the records' memory is theirs
	p.at = 0
	var err error
	if remote, ok := m.readers[i].(*remoteReader); ok {
		p.buf, err = remote.fetch(ctx, p.next, most, p.buf[:0])
	} else {
		p.buf, err = m.readers[i].Read(ctx, p.next, most, p.buf[:0])
	}
	if err != nil {
		return err
	}
	if len(p.buf) == 0 { // there is one before the end, so somebody has not told the truth
		return fmt.Errorf("partition %d: no record from %d to %d", i, p.next, p.end)
	}
	for j := range p.buf {
		if p.buf[j].Offset < p.next || j > 0 && p.buf[j].Offset <= p.buf[j-1].Offset {
			return fmt.Errorf("partition %d: record %d out of order", i, p.buf[j].Offset)
		}
	}
	p.step = min(m.mostDry, 2*p.step)
	return nil
}

// more reports whether there is another record up to where look saw the ends.
func (m *merger) more(ctx context.Context) (bool, error) {
	err := m.fill(ctx)
	return len(m.heap) > 0, err
}

// partition returns the number of the partition whose record was handed out last.
func (m *merger) partition() int32 { return m.readers[m.last].Partition() }

// ends is the cursor of where look saw the ends.
func (m *merger) ends() cursor {
	if len(m.readers) == 1 {
		return cursor{log: m.name, partition: uint16(m.readers[0].Partition()), offset: m.parts[0].end}
	}
	c := cursor{log: m.name, offsets: make([]int64, len(m.parts))}
	for i := range m.parts {
		c.offsets[i] = m.parts[i].end
	}
	return c
}

// before orders the heap.
func (m *merger) before(i, j int) bool {
	a, b := m.time(i), m.time(j)
	return a < b || a == b && i < j
}

func (m *merger) time(i int) event.Millis { return m.parts[i].buf[m.parts[i].at].Time }

func (m *merger) push(i int) {
	m.heap = append(m.heap, i)
	for at := len(m.heap) - 1; at > 0; {
		up := (at - 1) / 2
		if !m.before(m.heap[at], m.heap[up]) {
			return
		}
		m.heap[at], m.heap[up] = m.heap[up], m.heap[at]
		at = up
	}
}

func (m *merger) down(at int) {
	for {
		least := at
		for _, child := range []int{2*at + 1, 2*at + 2} {
			if child < len(m.heap) && m.before(m.heap[child], m.heap[least]) {
				least = child
			}
		}
		if least == at {
			return
		}
		m.heap[at], m.heap[least] = m.heap[least], m.heap[at]
		at = least
	}
}
