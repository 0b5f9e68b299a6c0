package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"
)

const (
	people       = 64
	sampleEvery  = 10 * time.Second
	findFor      = time.Minute
	lagAllowed   = 50_000 // records not yet worked off, above which nothing is sent while the rate is sought
	soakFraction = 0.5
	// leastSoak is the shortest time in which the second half has a sample for each block of a slope.
	leastSoak = 2 * blocks * sampleEvery
)

// soakSettings make the node forget within the time of a soak what it forgets in days: the journal as soon as it is
// passed, the logs and the messages after an hour or at their sizes. And they have it keep connections: at a low rate a
// person is silent for a minute, and a request fails that meets the end of its connection.
var soakSettings = []string{
	"CAROM_JOURNAL_RETENTION=1m", "CAROM_JOURNAL_MAX_BYTES=268435456",
	"CAROM_EVENTS_KEEP=1h", "CAROM_EVENTS_MAX_BYTES=134217728", "CAROM_ADDRESSES_KEEP=1h", "CAROM_REJECTS_KEEP=1h",
	"CAROM_REFINE_KEEP=9m", "CAROM_REFINE_PARK=5m", "CAROM_TRACK_IDLE_TIMEOUT=1h",
}

// soak runs a node with all roles for a long time at half its rate.
func soak(ctx context.Context, o *options, out, show io.Writer) (err error) {
	lasts := time.Duration(o.minutes * float64(time.Minute))
	if lasts < leastSoak {
		return fmt.Errorf("-minutes %g: want %g or more: of fewer samples there is no verdict", o.minutes, leastSoak.Minutes())
	}
	dir := filepath.Join(o.dir, "node")
	if _, err := makeFolder(dir); err != nil {
		return err
	}
	n, err := startNode(ctx, o.carom, dir, "", soakSettings...)
	if err != nil {
		return err
	}
	defer func() { _ = n.kill() }()
	p, err := newPlatform(n, "soak")
	if err != nil {
		return err
	}
	rate := o.rate
	if rate <= 0 {
		rate, err = p.find(ctx, findFor)
		if err := errors.Join(err, p.failures()); err != nil {
			return fmt.Errorf("while the rate was sought: %w", err)
		}
		fmt.Fprintf(out, "closed loop: %.0f events/s from socket to score; soak at %.0f\n", rate, rate*soakFraction)
		rate *= soakFraction
	}
	samples, err := p.steady(ctx, rate, lasts, show)
	if len(samples) > 0 { // an hour's, though it was ended early
		err = errors.Join(err, writeSamples(o.out, samples))
	}
	if err != nil {
		return err
	}
	return errors.Join(p.verdict(ctx, out, samples), n.stop())
}

// verdict is why a soak fails: what grew, what was acknowledged and is not counted, what was not answered as it should.
func (p *platform) verdict(ctx context.Context, out io.Writer, samples []sample) error {
	return errors.Join(judge(out, samples), p.complete(ctx, out), p.failures())
}

// play has all people send bulks; each waits for its turn, and ends when there is none. What is under way then is finished.
func (p *platform) play(ctx context.Context, turn func() bool) {
	var group sync.WaitGroup
	for range people {
		group.Go(func() {
			one, err := newPerson(ctx, p)
			if err != nil {
				p.fail(err)
				return
			}
			defer one.close()
			for turn() {
				one.bulk(ctx)
			}
		})
	}
	group.Wait()
}

// find returns how many events a second go all the way to the scores, when nobody waits but for that.
func (p *platform) find(ctx context.Context, lasts time.Duration) (rate float64, err error) {
	began := time.Now()
	playing, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	var mu sync.Mutex // guards behind and looked
	var behind bool
	var looked time.Time
	p.play(ctx, func() bool {
		for playing.Err() == nil {
			mu.Lock()
			if time.Since(looked) > 500*time.Millisecond {
				looked = time.Now()
				f, err := p.node.figures(playing)
				behind = err == nil && backlog(f) > lagAllowed
			}
			wait := behind
			mu.Unlock()
			if !wait {
				return true
			}
			time.Sleep(20 * time.Millisecond)
		}
		return false
	})
	lasted := time.Since(began)
	f, err := p.node.figures(ctx)
	if err != nil {
		return 0, err
	}
	arrived := float64(p.events()) - backlog(f)
	if err := p.drained(ctx); err != nil {
		return 0, err
	}
	p.heard() // how late answers were at another rate
	if p.events() == 0 {
		return 0, errors.New("nothing was answered")
	}
	return arrived / lasted.Seconds(), nil
}

// steady plays at a constant rate and takes samples.
func (p *platform) steady(ctx context.Context, rate float64, lasts time.Duration, show io.Writer) (samples []sample, err error) {
	began := time.Now()
	playing, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	const perBulk = bulkMessages + (bulkMessages+openEvery-1)/openEvery*(clickEvery+1)/clickEvery + 1
	interval := time.Duration(float64(time.Second) * perBulk / rate)
	var mu sync.Mutex // guards due
	due := began
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.play(ctx, func() bool {
			mu.Lock()
			at := due
			due = due.Add(interval)
			mu.Unlock()
			select {
			case <-playing.Done():
				return false
			case <-time.After(time.Until(at)):
				return playing.Err() == nil
			}
		})
	}()
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	since := pace{began, p.events()}
	failed := float64(p.failed.Load())
	for {
		select {
		case <-p.node.exited:
			return samples, fmt.Errorf("the node ended: %s", p.node.lastLine())
		case <-ended:
			return samples, ctx.Err()
		case <-ticker.C:
			s, err := p.sample(ctx, began, &since)
			if err != nil {
				return samples, err
			}
			samples = append(samples, s)
			if s.Failed > failed {
				failed = s.Failed
				fmt.Fprintln(show, p.failures())
			}
			fmt.Fprintf(show, "%5.0f s  %6.0f events/s  %d failed  p99 %.1f ms  lag %.0f  RSS %.0f MB  heap %.0f MB  disk %.0f + %.0f MB\n",
				s.Seconds, s.Rate, p.failed.Load(), s.P99, s.Lag, s.RSS/1e6, s.Heap/1e6, s.DiskJournal/1e6, s.DiskState/1e6)
		}
	}
}

// complete checks that all that was acknowledged is counted.
func (p *platform) complete(ctx context.Context, out io.Writer) error {
	if p.events() == 0 {
		return errors.New("nothing was acknowledged")
	}
	if err := p.drained(ctx); err != nil {
		return err
	}
	c, err := p.counted(ctx)
	if err != nil {
		return err
	}
	var wrong []error
	fmt.Fprintln(out)
	for _, row := range []struct {
		what               string
		acknowledged, told int64
	}{
		{"registered", p.registered.Load(), int64(c.Completed)},
		{"opened", p.opened.Load(), int64(c.Opened + c.MachineOpened)},
		{"clicked", p.clicked.Load(), int64(c.Clicked + c.MachineClicked)},
		{"bounced", p.bounced.Load(), int64(c.Bounced)},
	} {
		fmt.Fprintf(out, "%-10s %10d acknowledged, %10d in the scores\n", row.what, row.acknowledged, row.told)
		// What failed may have been recorded all the same.
		if row.told < row.acknowledged || row.told > row.acknowledged+p.failed.Load()*bulkMessages {
			wrong = append(wrong, fmt.Errorf("%s: %d acknowledged, %d in the scores", row.what, row.acknowledged, row.told))
		}
	}
	return errors.Join(wrong...)
}
