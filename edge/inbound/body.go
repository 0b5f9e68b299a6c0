package inbound

import (
	"errors"
	"sync"
	"sync/atomic"
)

const (
	// firstBody is the memory that a mail begins with. Most reports fit.
	firstBody = 32 << 10
	// smallBody is the memory of a mail up to which it may use the reserve. Nearly all reports fit, and so many
	// connections as one client may have by default take half of the default reserve.
	smallBody = 256 << 10
	// reserveFraction of the memory is kept for small mails. Otherwise a client with a handful of large mails, sent as
	// slowly as the timeouts allow, would keep all others out.
	reserveFraction = 4
)

// errDiscarded ends the reading of what is thrown away.
var errDiscarded = errors.New("inbound: refused mail without end")

// budget bounds the memory of all mails that are being read.
type budget struct {
	left    atomic.Int64
	reserve int64 // of it, for small mails
}

// set gives the budget all of the memory. The largest mail always fits into an idle server: while it grows to its last
// size, it has twice that at most.
func (b *budget) set(memory, largestMail int64) {
	b.left.Store(memory)
	b.reserve = max(0, min(memory/reserveFraction, memory-2*largestMail))
}

// take takes n bytes, the memory that one mail needs from now on, or nothing. It never waits: mails that wait for each
// other's memory would wait for ever.
func (b *budget) take(n int) bool {
	least := int64(0)
	if n > smallBody {
		least = b.reserve
	}
	if b.left.Add(-int64(n)) >= least {
		return true
	}
	b.left.Add(int64(n))
	return false
}

func (b *budget) give(n int) { b.left.Add(int64(n)) }

// body is the content of one mail while it arrives. Memory grows with what has come, not with what was announced.
type body struct {
	budget *budget
	max    int // of the mail, in bytes
	bytes  []byte
	// refusal says why the rest is thrown away; nil as long as all is well.
	refusal   *reply
	discarded int
}

// append adds what has arrived. Once the mail is refused it only counts, and fails at maxDiscard.
func (b *body) append(p []byte) error {
	if b.refusal == nil {
		if b.refusal = b.grow(len(b.bytes) + len(p)); b.refusal == nil {
			b.bytes = append(b.bytes, p...)
			return nil
		}
		b.release()
	}
	if b.discarded += len(p); b.discarded > maxDiscard {
		return errDiscarded
	}
	return nil
}

// grow makes room for n bytes in all.
func (b *body) grow(n int) *reply {
	if n > b.max {
		return replyTooBig
	}
	if n <= cap(b.bytes) {
		return nil
	}
	want := firstBody
	if n > firstBody {
		want = max(n, min(2*cap(b.bytes), b.max))
	}
	if !b.budget.take(want) {
		return replyNoMemory
	}
	old := b.bytes
	b.bytes = append(takeBuffer(want), old...)
	b.budget.give(cap(old))
	giveBuffer(old)
	return nil
}

// release gives the memory back.
func (b *body) release() {
	if cap(b.bytes) > 0 {
		b.budget.give(cap(b.bytes))
		giveBuffer(b.bytes)
	}
	b.bytes = nil
}

var firstBodies = sync.Pool{New: func() any { return new([firstBody]byte) }}

// takeBuffer returns an empty buffer of exactly that capacity.
func takeBuffer(size int) []byte {
	if size == firstBody {
		return firstBodies.Get().(*[firstBody]byte)[:0]
	}
	return make([]byte, 0, size)
}

func giveBuffer(b []byte) {
	if cap(b) == firstBody {
		firstBodies.Put((*[firstBody]byte)(b[:firstBody]))
	}
}
