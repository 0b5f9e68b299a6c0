package load

import (
	"sync/atomic"
	"time"

	"carom/bench/result"
)

// recorder counts what became of the requests. Clients share shards, which are counted in without a lock and merged when
// somebody looks.
type recorder struct {
	from   time.Duration // what starts before is warm-up
	shards []*shard
	steps  []*step // none, or one for each stage
	errs   errorTally
}

type shard struct {
	latency, service, lateness histogram

	requests, items, bytes, failed, warm atomic.Int64
	last                                 atomic.Int64 // when the last good answer came
}

// maxShards bounds the memory: a shard takes some 0.6 MB.
const maxShards = 8

func newRecorder(from time.Duration, shards int) *recorder {
	r := &recorder{from: from}
	for range min(max(shards, 1), maxShards) {
		r.shards = append(r.shards, &shard{})
	}
	return r
}

// answersPerClient bounds how many sorts of answers are told apart.
const answersPerClient = 64

// tally is what one client's goroutine counts alone.
type tally struct {
	*shard
	r       *recorder
	answers []result.Answers
	// When its first request started and when the last one ended, of those that count.
	first, until time.Duration
}

func (r *recorder) client(i int) *tally { return &tally{shard: r.shards[i%len(r.shards)], r: r} }

// count counts one request: when it should have started and whether the client was free then, when it was sent, when
// its answer was there.
func (t *tally) count(o order, sent, done time.Duration, a *Answer) {
	if o.start < t.r.from {
		t.warm.Add(1)
		return
	}
	if t.until == 0 {
		t.first = o.start
	}
	t.until = done
	t.answer(a)
	t.r.countStep(o.start, done, a.Err)
	if o.free {
		t.lateness.record(sent - o.start)
	}
	if a.Err != nil {
		t.failed.Add(1)
		t.r.errs.add(a.Err, 1)
		// A failure may be quick, and must not make the latencies look better. One that ran out of time makes them worse.
		if timedOut(a.Err) {
			t.latency.record(done - o.start)
			t.service.record(done - sent)
		}
		return
	}
	t.latency.record(done - o.start)
	t.service.record(done - sent)
	t.requests.Add(1)
	t.items.Add(int64(a.Items))
	t.bytes.Add(int64(a.Bytes))
	for {
		last := t.last.Load()
		if int64(done) <= last || t.last.CompareAndSwap(last, int64(done)) {
			return
		}
	}
}

func (t *tally) answer(a *Answer) {
	for i := range t.answers {
		if s := &t.answers[i]; s.Code == a.Code && s.Kind == a.Kind {
			s.Count++
			return
		}
	}
	if len(t.answers) < answersPerClient {
		t.answers = append(t.answers, result.Answers{Kind: a.Kind, Code: a.Code, Count: 1})
	}
}

// unsent counts requests that no client was free for until the end.
func (r *recorder) unsent(start, end time.Duration, n int64) {
	if start < r.from {
		return
	}
	s := r.shards[0]
	s.failed.Add(n)
	s.latency.recordMany(end-start, n)
	r.errs.add(errUnsent, n)
	if len(r.steps) > 0 {
		due := r.stepAt(start)
		due.failed.Add(n)
		due.latency.recordMany(end-start, n)
	}
}

// sums are all shards together at one moment.
type sums struct {
	latency, service, lateness []int64

	requests, items, bytes, failed, warm int64
	last                                 time.Duration
}

// sum adds up the shards. Without all, only what the progress is made of.
func (r *recorder) sum(all bool) *sums {
	s := &sums{latency: make([]int64, buckets)}
	if all {
		s.service, s.lateness = make([]int64, buckets), make([]int64, buckets)
	}
	for _, sh := range r.shards {
		sh.latency.addTo(s.latency)
		if all {
			sh.service.addTo(s.service)
			sh.lateness.addTo(s.lateness)
		}
		s.requests += sh.requests.Load()
		s.items += sh.items.Load()
		s.bytes += sh.bytes.Load()
		s.failed += sh.failed.Load()
		s.warm += sh.warm.Load()
		s.last = max(s.last, time.Duration(sh.last.Load()))
	}
	return s
}
