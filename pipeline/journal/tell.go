package journal

import "runtime"

const (
	// tellAtOnce is how many waiters a teller takes on. A batch of no more is told by the committer: to wake somebody for
	// it would take longer.
	tellAtOnce = 8
	// tellerBacklog is how many batches may wait for tellers before the committer does.
	tellerBacklog = 64
)

// tellers is how many goroutines tell waiters that their records are on disk, while the committer writes the next batch.
// What they call is mostly a write to a socket. On few cores there is none and the committer does it: one goroutine writes
// some 150,000 answers a second, which is more than three cores take in, and whom it need not wake costs nothing (measured
// on two: 6 to 12 % of a hit's CPU).
func tellers() int { return runtime.GOMAXPROCS(0) / 4 }

func (j *Journal) tellLoop() {
	for b := range j.telling {
		j.tellAll(b)
		j.release(b)
	}
}

// share has b's waiters told, by the tellers if there are any and it is worth it. The caller holds a reference.
func (j *Journal) share(b *batch) {
	n := len(b.waiters)
	if j.tellers == 0 || n <= tellAtOnce {
		j.tellAll(b)
		return
	}
	for i := 0; i < j.tellers && i*tellAtOnce < n; i++ {
		b.refs.Add(1)
		j.telling <- b
	}
}

// tellAll tells all of b's waiters whom nobody else has taken on. b is settled.
func (j *Journal) tellAll(b *batch) {
	for {
		to := int(b.told.Add(tellAtOnce))
		from := to - tellAtOnce
		if from >= len(b.waiters) {
			return
		}
		for _, w := range b.waiters[from:min(to, len(b.waiters))] {
			j.tell(w, b.err)
		}
	}
}

func (j *Journal) tell(w waiter, err error) {
	if err != nil && w.class != uncounted {
		j.metrics.refused(w.class, err)
	}
	w.done(err)
}
