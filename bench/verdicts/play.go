package verdicts

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"carom/bench/machine"
	"carom/bench/node"
	"carom/bench/progress"
)

const (
	account     = "verdicts"
	connections = 32
)

// Options of a play.
type Options struct {
	Scripts []Script
	Seed    uint64
	// Settle is how long the node lets clicks wait.
	Settle time.Duration
	// PID is the process of the node, whose use of the machine is then told; 0: not known.
	PID int
	// Progress gets lines and bars for people.
	Progress io.Writer
}

// Play plays the scripts and measures what the node made of them.
func Play(ctx context.Context, t node.Target, o Options) (*Result, error) {
	c, err := node.New(t, connections)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	begin := time.Now()
	run := fmt.Sprintf("v%x", begin.UnixMilli())
	messages, hits := makePlan(o.Scripts, o.Seed, run, begin)
	p := &player{client: c, progress: o.Progress}
	used, err := machine.NewUsage(o.PID)
	if err != nil {
		return nil, err
	}
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	go used.Watch(watching)
	if err := p.register(ctx, messages); err != nil {
		return nil, err
	}
	if err := p.play(ctx, hits); err != nil {
		return nil, err
	}
	used.Stop()
	r, err := p.measure(ctx, o, messages)
	if err != nil {
		return nil, err
	}
	r.Harness, r.Server = used.Totals(int64(len(hits)))
	r.Machine = machine.Describe()
	return r, nil
}

// player plays a plan against a node.
type player struct {
	client   *node.Client
	progress io.Writer
}

func (p *player) register(ctx context.Context, messages []*message) error {
	bar := progress.New(p.progress, "register", len(messages))
	defer bar.Done()
	all := make([]node.Registration, len(messages))
	for i, m := range messages {
		all[i] = m.registration()
	}
	return p.client.RegisterAll(ctx, all, func(i int, l node.Links) {
		messages[i].links = l
		bar.Add(1)
	})
}

func (m *message) registration() node.Registration {
	r := node.Registration{Account: account, Sender: m.script.Name, Contact: m.id, Message: m.id, Recipient: m.id, SentAt: m.sentAt}
	for i := range m.script.Links {
		r.Links = append(r.Links, fmt.Sprintf("https://example.com/%s/%d", m.script.Name, i))
	}
	return r
}

// play sends every hit when it is due. A player that can't keep up would play other distances than the scripts say, so
// that is an error.
func (p *player) play(ctx context.Context, hits []*hit) error {
	bar := progress.New(p.progress, "hits", len(hits))
	defer bar.Done()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(connections)
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for _, h := range hits {
		timer.Reset(time.Until(begin.Add(h.due)))
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-timer.C:
		}
		group.Go(func() error {
			defer bar.Add(1)
			h.at = time.Now()
			if late := h.at.Sub(begin.Add(h.due)); late > maxLate {
				return fmt.Errorf("the play is %v behind the scripts: this machine is too busy, or there are too many messages", late.Round(time.Millisecond))
			}
			defer func() { h.answered = time.Now() }()
			return p.send(ctx, h)
		})
	}
	return group.Wait()
}

// send plays a hit, which must be answered as a visitor expects.
func (p *player) send(ctx context.Context, h *hit) error {
	request := &node.Hit{Method: h.method, Agent: h.agent, Address: h.address, Headers: h.headers}
	if h.do == doUnsubscribe {
		request.URL = h.message.links.UnsubscribeURL
		return p.client.Unsubscribe(ctx, request)
	}
	request.URL, request.Want = h.target()
	return p.client.Hit(ctx, request)
}

// target returns the URL of a hit, and the status of a good answer.
func (h *hit) target() (string, int) {
	l := &h.message.links
	switch h.do {
	case doOpen:
		return l.OpenURL, http.StatusOK
	case doClick:
		return l.ClickURLs[h.link], http.StatusFound
	case doHoneypot:
		return l.HoneypotURL, http.StatusFound
	}
	return l.UnsubscribeURL, http.StatusOK
}

// maxLate is how late a hit may be. The closest that any rule looks is 2 s.
const maxLate = time.Second

// measure waits until all has settled, and compares.
func (p *player) measure(ctx context.Context, o Options, messages []*message) (*Result, error) {
	find := newFinder(messages)
	if _, err := p.client.Read(ctx, node.Journal, "", "", find.early); err != nil {
		return nil, fmt.Errorf("read the verdicts at once: %w", err)
	}
	quiet := o.Settle + 3*time.Second // a tick comes after a second of silence, and each stage takes its time
	fmt.Fprintf(p.progress, "waiting %v for clicks to settle\n", quiet)
	cursor, last := "", time.Now()
	for time.Since(last) < quiet {
		next, err := p.client.Read(ctx, node.Events, "", cursor, func(e *node.Event) {
			if find.final(e) {
				last = time.Now()
			}
		})
		if err != nil {
			return nil, fmt.Errorf("read the events: %w", err)
		}
		cursor = next
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pollEvery):
		}
	}
	find.judge()
	return newResult(o.Scripts, messages, find.unsubscribed), nil
}

const pollEvery = 250 * time.Millisecond
