package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carom/bench/machine"
	"carom/bench/result"
)

// run plays, waits and checks.
func (p *player) run(ctx context.Context) (*Report, error) {
	var err error
	if p.usage, err = machine.NewUsage(p.pid()); err != nil {
		return nil, err
	}
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	go p.usage.Watch(watching)
	if err := p.playAndFollow(ctx); err != nil {
		return nil, err
	}
	if p.cut() {
		if p.ledger.acked.Load() == 0 {
			return nil, errors.New("play: ended before anything was acknowledged")
		}
		fmt.Fprintln(p.options.Progress, "cut short: what was acknowledged until now is checked")
	}
	played := time.Now()
	arrived, err := p.settle(ctx)
	if err != nil {
		return nil, err
	}
	r := p.newReport(played, arrived)
	if err := p.fill(r, played); err != nil {
		return nil, err
	}
	return r, p.checkAll(ctx, r)
}

// playAndFollow plays while the events are read.
func (p *player) playAndFollow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop, followed := make(chan struct{}), make(chan error, 1)
	go func() {
		err := p.follow(ctx, stop)
		if err != nil {
			cancel() // nothing can be checked any more
		}
		followed <- err
	}()
	playErr := p.play(ctx)
	close(stop)
	if playErr != nil {
		cancel()
	}
	followErr := <-followed
	if followErr != nil && !errors.Is(followErr, context.Canceled) {
		return followErr
	}
	return playErr
}

func (p *player) pid() int {
	if p.options.PID == nil {
		return 0
	}
	return p.options.PID()
}

// restart kills the node and starts it again, while everybody waits.
func (p *player) restart(ctx context.Context) error {
	p.gate.shut()
	p.usage.Died()
	if err := p.options.Restart(ctx); err != nil {
		return fmt.Errorf("kill and restart the node: %w", err)
	}
	p.killed++
	if err := p.usage.Born(p.pid()); err != nil {
		return err
	}
	p.gate.reopen()
	return nil
}

// newReport says what was played.
func (p *player) newReport(played, arrived time.Time) *Report {
	s := &p.options.Scenario
	r := &Report{
		Format: Format, Kind: "e2e", Name: s.Name, Target: p.client.Target().API, Account: p.plan.account, Began: p.begin.UTC(),
		Seed: s.Seed, Messages: s.Messages, Played: int(p.played.Load()), CutShort: p.cut(), Senders: p.plan.senders(), Connections: s.Connections, Rate: s.Rate,
		Settle: p.options.Settle.Seconds(), Seconds: played.Sub(p.begin).Seconds(), Kills: p.killed,
		Acknowledged: p.ledger.acked.Load(), Unanswered: p.unanswered.Load(), Repeats: p.repeats.Load(),
		Machine: machine.Describe(),
	}
	if !arrived.IsZero() {
		r.ArrivedSeconds = arrived.Sub(p.begin).Seconds()
		r.Sustained = float64(r.Acknowledged) / r.ArrivedSeconds
	}
	return r
}

// fill adds the figures that were measured.
func (p *player) fill(r *Report, played time.Time) error {
	for _, l := range []*listener{p.http, p.smtp, p.api} {
		one, err := l.report(played.Sub(p.begin))
		if err != nil {
			return err
		}
		r.Listeners = append(r.Listeners, one)
	}
	if p.behind != nil {
		d, err := p.behind.distribution()
		if err != nil {
			return err
		}
		r.Behind = &d
	}
	all := result.NewHistogram()
	for k := sent; k < inferredOpen; k++ {
		h := p.checker.visible[k]
		h.RecordMany(0, p.ledger.early[k].Load())
		if h.Count() == 0 {
			continue
		}
		d, err := h.Distribution()
		if err != nil {
			return err
		}
		r.Visible = append(r.Visible, Visible{k.String(), d})
		if err := all.Add(h); err != nil {
			return err
		}
	}
	d, err := all.Distribution()
	if err != nil {
		return err
	}
	r.Visible = append(r.Visible, Visible{"all", d})
	r.Harness, r.Server = p.usage.Totals(r.Acknowledged)
	r.AccountBytes = p.ledger.bytes()
	return nil
}

// checkAll compares everything that arrived with the account.
func (p *player) checkAll(ctx context.Context, r *Report) error {
	events, all := p.checker.finish()
	r.Checks = append(r.Checks, events)
	scores, err := p.checkScores(ctx, expectCounts(p.plan, p.ledger, all))
	if err != nil {
		return fmt.Errorf("read the scores: %w", err)
	}
	r.Checks = append(r.Checks, scores)
	if len(p.options.Brokers) == 0 {
		return nil
	}
	for _, check := range []func(context.Context) (*Check, error){p.checkEventsTopic, p.checkRawTopic} {
		c, err := check(ctx)
		if err != nil {
			return err
		}
		r.Checks = append(r.Checks, c)
	}
	return nil
}
