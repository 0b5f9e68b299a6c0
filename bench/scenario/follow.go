package scenario

import (
	"context"
	"fmt"
	"time"

	"carom/bench/node"
	"carom/bench/progress"
)

// follower reads the events of the API from first to last, once, while the play runs and until all has arrived.
type follower struct {
	cursor string
	failed time.Time // since when no page has come; zero: one just did
}

// pollPause is how long the follower rests when there was nothing new: by so much may an event look later than it was.
const pollPause = 10 * time.Millisecond

// maxOutage is how long the API may fail while it is followed.
const maxOutage = time.Minute

// poll reads the next page and reports whether there may be more at once.
func (p *player) poll(ctx context.Context) (more bool, err error) {
	if err := p.gate.wait(ctx); err != nil {
		return false, err
	}
	f := &p.followed
	next, n, err := p.client.Page(ctx, node.Events, p.plan.account, f.cursor, p.checker.event)
	more = next != f.cursor || n > 0
	f.cursor = next
	switch {
	case err == nil:
		f.failed = time.Time{}
		return more, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case f.failed.IsZero():
		f.failed = time.Now()
	case time.Since(f.failed) > maxOutage:
		return false, fmt.Errorf("read the events: %w", err)
	}
	return false, pause(ctx, 10*pollPause)
}

// follow reads on until stop is closed.
func (p *player) follow(ctx context.Context, stop <-chan struct{}) error {
	for {
		more, err := p.poll(ctx)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		select {
		case <-stop:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollPause):
		}
	}
}

// settle reads on until all has arrived and nothing more comes, or nothing has come for as long as patience lasts.
func (p *player) settle(ctx context.Context) (arrived time.Time, err error) {
	bar := progress.New(p.options.Progress, "arrived", int(p.ledger.acked.Load()))
	defer bar.Done()
	shown := int64(0)
	for {
		more, err := p.poll(ctx)
		if err != nil {
			return arrived, err
		}
		there, acked := p.ledger.arrived.Load(), p.ledger.acked.Load()
		bar.Add(int(there - shown))
		shown = there
		if there == acked && arrived.IsZero() {
			arrived = time.Now()
			p.usage.Stop() // what follows is waiting
		}
		wait := p.options.Patience
		if there == acked {
			wait = p.options.Settle + quiet
		}
		if !more && p.checker.quiet() > wait {
			return arrived, nil
		}
		if !more {
			if err := pause(ctx, pollPause); err != nil {
				return arrived, err
			}
		}
	}
}

// quiet is how long, beside the time that clicks wait, nothing must come for all to be there: a silent log is woken after
// a second, and each stage takes its time.
const quiet = 3 * time.Second
