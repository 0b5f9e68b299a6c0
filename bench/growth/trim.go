package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"carom/pipeline/event"
	"carom/pipeline/journal"
)

const (
	trimReader = "growth"
	// trimBefore and trimAfter are how long appends are timed before all of the journal may go, and from then on.
	trimBefore = 5 * time.Second
	trimAfter  = 30 * time.Second
	appenders  = 64
	trimLeast  = 1 << 30
	// trimTimes is how many times its size on disk the journal may take, which counts what it holds before that is
	// compressed: four times as much, measured. It must neither be full, nor find all of it too little for a trim.
	trimTimes = 64
)

// trim lets all of a full journal go at once, which is more than retention ever does, while events are appended.
func trim(ctx context.Context, dir string, out io.Writer) error {
	o := unbounded()
	o.Retention = 0
	o.MaxBytes = max(trimLeast, trimTimes*diskBytes(dir))
	s, err := openJournal(dir, o, trimReader)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	was := s.kv.DB().Metrics().DiskSpaceUsage()
	oldest, next := s.journal.Bounds()
	before, err := appendFor(ctx, s.journal, trimBefore)
	if err != nil {
		return err
	}
	began := time.Now()
	s.journal.Passed(trimReader, next)
	trimmed := make(chan time.Duration, 1)
	go func() {
		for ctx.Err() == nil && time.Since(began) < trimAfter {
			if now, _ := s.journal.Bounds(); now > oldest {
				trimmed <- time.Since(began)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		close(trimmed)
	}()
	after, err := appendFor(ctx, s.journal, trimAfter)
	if err != nil {
		return err
	}
	took, ok := <-trimmed
	if !ok {
		return fmt.Errorf("trim: of %d events none has gone after %v", next-oldest, trimAfter)
	}
	m := s.kv.DB().Metrics()
	fmt.Fprintf(out, "\ntrim: %d events went %.1f s after they might, %.2f GB on disk before and %.2f GB %.0f s later\n",
		next-oldest, took.Seconds(), float64(was)/1e9, float64(m.DiskSpaceUsage())/1e9, trimAfter.Seconds())
	fmt.Fprintf(out, "appends before: %s\nappends while:  %s\n", before, after)
	return s.close()
}

// appended is how appends fared.
type appended struct {
	rate    float64
	latency *hdrhistogram.Histogram
}

func (a appended) String() string {
	ms := func(q float64) float64 { return float64(a.latency.ValueAtQuantile(q)) / 1000 }
	return fmt.Sprintf("%.0f/s, p50 %.2f ms, p99 %.2f ms, longest %.1f ms", a.rate, ms(50), ms(99), ms(100))
}

func appendFor(ctx context.Context, j *journal.Journal, lasts time.Duration) (appended, error) {
	a := appended{latency: newHistogram()}
	var mu sync.Mutex // guards a and failure
	var failure error
	var number atomic.Int64
	end := time.Now().Add(lasts)
	var group sync.WaitGroup
	for range appenders {
		group.Go(func() {
			latency := newHistogram()
			var err error
			for ctx.Err() == nil && err == nil && time.Now().Before(end) {
				r := messageRef("trim", number.Add(1))
				ev := event.Event{Kind: event.Open, Time: event.Now(), KnownBy: event.ByRef, Key: keyOf(&r), Ref: r}
				ev.Client.UserAgent = agent
				began := time.Now()
				err = j.Append(journal.HumanOpen, &ev)
				_ = latency.RecordValue(max(1, time.Since(began).Microseconds()))
			}
			mu.Lock()
			defer mu.Unlock()
			a.latency.Merge(latency)
			if err != nil {
				failure = err
			}
		})
	}
	group.Wait()
	a.rate = float64(a.latency.TotalCount()) / lasts.Seconds()
	if failure == nil {
		failure = ctx.Err()
	}
	return a, failure
}
