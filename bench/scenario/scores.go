package scenario

import (
	"context"
	"fmt"
	"time"

	"carom/bench/node"
	"carom/bench/progress"
)

// expectCounts foretells each sender's counts, by number, from what has arrived: met by message, and the ledger for the
// clicks of scanners, of which one message has many. It keeps a row for each sender.
func expectCounts(p *plan, l *ledger, all []met) []node.Counts {
	rows := make([]node.Counts, p.senders())
	for i, m := range all {
		m.addTo(&rows[p.senderNumber(i)])
	}
	l.each(func(e *entry) {
		if e.state&seen != 0 && e.fact.kind() == click && e.fact.who() == scanner {
			rows[p.senderNumber(e.fact.message())].MachineClicks++
		}
	})
	return rows
}

// addTo counts one message, which is an enrollment of its own: every contact gets one.
func (m met) addTo(c *node.Counts) {
	opened := m&(metOpen|metInferred) != 0
	reached := opened || m&(metClick|metReply) != 0
	bounced := m&(metHard|metSoft) != 0 && !reached
	for _, one := range []struct {
		n    *int
		when bool
	}{
		{&c.Completed, m&metSent != 0},
		{&c.Replied, m&metReply != 0},
		{&c.Bounced, bounced},
		{&c.BouncedHard, bounced && m&metHard != 0},
		{&c.Complained, m&metComplaint != 0},
		{&c.Unsubscribed, m&metUnsubscribe != 0},
		{&c.Opened, opened},
		{&c.Clicked, m&metClick != 0},
		{&c.MachineOpened, m&metProxyOpen != 0},
		{&c.MachineClicked, m&metScan != 0},
		{&c.Opens, m&metOpen != 0},
		{&c.Opens, m&metInferred != 0},
		{&c.Clicks, m&metClick != 0},
		{&c.MachineOpens, m&metProxyOpen != 0},
	} {
		if one.when {
			*one.n++
		}
	}
}

// checkScores waits until every sender's counts are what the events tell, but no longer than patience after the last one
// that became right.
func (p *player) checkScores(ctx context.Context, want []node.Counts) (*Check, error) {
	check := newCheck("scores of senders")
	open := make([]int, len(want))
	for n := range want {
		open[n] = n
	}
	bar := progress.New(p.options.Progress, "scores", len(want))
	defer bar.Done()
	for last := time.Now(); ; {
		var differ []int
		for _, n := range open {
			score, err := p.client.Score(ctx, p.plan.account, p.plan.senderNumbered(n))
			if err != nil {
				return nil, err
			}
			if score.Counts == want[n] {
				bar.Add(1)
				continue
			}
			differ = append(differ, n)
			if time.Since(last) > p.options.Patience {
				p.countDifferences(check, n, &want[n], &score.Counts)
			}
		}
		if len(differ) < len(open) {
			last = time.Now()
		}
		open = differ
		check.Events, check.Facts, check.Arrived = int64(len(want)), int64(len(want)), int64(len(want)-len(open))
		if len(open) == 0 || !check.Right() {
			return check, nil
		}
		if err := pause(ctx, scorePause); err != nil {
			return nil, err
		}
	}
}

const scorePause = 200 * time.Millisecond

func (p *player) countDifferences(check *Check, n int, want, got *node.Counts) {
	wanted := want.List()
	for i, number := range got.List() {
		if number.N != wanted[i].N {
			check.differ(counted, fmt.Sprintf("score of %s, %s: %d, want %d", p.plan.senderNumbered(n), number.What, number.N, wanted[i].N))
		}
	}
}

// pause waits for d, or for the end of ctx, which is an error.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
