package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"carom/bench/machine"
	"carom/bench/node"
	"carom/bench/progress"
)

// Options of a play.
type Options struct {
	Scenario Scenario
	// Account that the messages belong to. Empty: one that nobody else uses.
	Account string
	// Settle is how long the node lets clicks wait (refine.settle).
	Settle time.Duration
	// Patience is how long nothing may arrive before the rest counts as missing.
	Patience time.Duration
	// Kills is how often Restart is called, evenly over the play.
	Kills int
	// Restart kills the node, starts it again at the same place and returns when it is ready.
	Restart func(context.Context) error
	// Mint makes what registering would, without registering. Only late messages want it.
	Mint func(*node.Registration) (node.Links, error)
	// PID is the process of the node, whose use of the machine is then told; nil or 0: not known.
	PID func() int
	// Brokers have the node's topics, if they are to be checked; Prefix is the topics'.
	Brokers []string
	Prefix  string
	// Progress gets lines and bars for people.
	Progress io.Writer
}

// Play plays the scenario against a node and checks that what was acknowledged is what arrived. An error says that it
// could not be played or checked; what differs is in the report. When ctx ends no message begins any more: those under way
// are played to their end, and what was acknowledged by then is checked as ever.
func Play(ctx context.Context, t node.Target, o Options) (*Report, error) {
	if err := o.validate(&t); err != nil {
		return nil, err
	}
	client, err := node.New(t, o.Scenario.Connections)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	p := newPlayer(client, o, time.Now())
	p.ended = ctx.Done()
	return p.run(context.WithoutCancel(ctx))
}

func (o *Options) validate(t *node.Target) error {
	switch {
	case o.Scenario.Complains() && t.Feedback == "":
		return errors.New("complaints: the scenario has some: name the address that feedback reports go to")
	case o.Scenario.IsLate() && o.Mint == nil:
		return errors.New("late: the scenario registers messages late: what they carry can only be minted with the node's keys")
	case o.Kills > 0 && o.Restart == nil:
		return errors.New("only a node that was started for the play can be killed")
	}
	return nil
}

// player plays a scenario against a node.
type player struct {
	client  *node.Client
	options Options
	plan    *plan
	ledger  *ledger
	checker *checker
	begin   time.Time
	gate    *gate
	mailers chan *node.Mailer // free ones; nil where none is connected

	http, smtp, api *listener
	behind          *latency     // of messages, from when they were due until they began; nil without a rate
	played          atomic.Int64 // messages
	unanswered      atomic.Int64 // facts
	repeats         atomic.Int64
	bar             *progress.Bar
	kill            chan struct{} // asks for one
	followed        follower
	usage           *machine.Usage
	killed          int             // how often; the killer's until the play is over
	ended           <-chan struct{} // closed: no message begins any more
}

// cut reports whether the play was cut short.
func (p *player) cut() bool {
	select {
	case <-p.ended:
		return int(p.played.Load()) < p.options.Scenario.Messages
	default:
		return false
	}
}

func newPlayer(client *node.Client, o Options, begin time.Time) *player {
	run := fmt.Sprintf("e%x", begin.UnixMilli())
	alone := o.Account == ""
	if alone {
		o.Account = run
	}
	p := &player{
		client: client, options: o, plan: newPlan(&o.Scenario, o.Account, run, begin), ledger: newLedger(begin), begin: begin,
		gate: newGate(), mailers: make(chan *node.Mailer, o.Scenario.MailConnections), kill: make(chan struct{}, max(o.Kills, 1)),
		http: newListener("http"), smtp: newListener("smtp"), api: newListener("api"),
	}
	if o.Scenario.Rate > 0 {
		p.behind = newLatency()
	}
	for range o.Scenario.MailConnections {
		p.mailers <- nil
	}
	p.checker = newChecker(p.plan, p.ledger, "events of the API", alone)
	return p
}

// play registers all messages and lets them live.
func (p *player) play(ctx context.Context) error {
	s := &p.options.Scenario
	p.bar = progress.New(p.options.Progress, "messages", s.Messages)
	defer p.bar.Done()
	group, ctx := errgroup.WithContext(ctx)
	registered := make(chan *message, 2*s.Batch)
	late := make(chan *message, s.Batch)
	done := make(chan struct{})
	group.Go(func() error { defer close(registered); return p.register(ctx, registered) })
	group.Go(func() error { return p.registerLate(ctx, late) })
	workers, workCtx := errgroup.WithContext(ctx)
	for range s.Connections {
		workers.Go(func() error { return p.work(workCtx, registered, late) })
	}
	group.Go(func() error { defer close(done); defer close(late); return workers.Wait() })
	group.Go(func() error { return p.killer(ctx, done) })
	err := group.Wait()
	for range s.MailConnections {
		(<-p.mailers).Close()
	}
	return err
}

// work plays one message after the other.
func (p *player) work(ctx context.Context, registered <-chan *message, late chan<- *message) error {
	for m := range registered {
		if p.cut() {
			continue
		}
		if p.behind != nil {
			p.behind.record(time.Since(p.dueAt(m.index)))
		}
		if err := p.live(ctx, m); err != nil {
			return err
		}
		if m.fate.has(isLate) {
			select {
			case late <- m:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		p.bar.Add(1)
		n, kills := p.played.Add(1), int64(p.options.Kills)
		if total := int64(p.options.Scenario.Messages); kills > 0 && n*(kills+1)/total > (n-1)*(kills+1)/total && n < total {
			p.kill <- struct{}{}
		}
	}
	return nil
}

// killer kills the node when it is asked to, while all others are at work.
func (p *player) killer(ctx context.Context, done <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.kill:
		case <-done:
			if len(p.kill) == 0 {
				return nil
			}
			<-p.kill // the play was faster: what it did must be there all the same
		}
		if err := p.restart(ctx); err != nil {
			return err
		}
	}
}

// register registers the messages in their order, or mints what late ones carry, and hands them on. It keeps the rate.
func (p *player) register(ctx context.Context, registered chan<- *message) error {
	s := &p.options.Scenario
	for start := 0; start < s.Messages; {
		n, err := p.due(ctx, start)
		if n == 0 {
			return err
		}
		batch := make([]*message, 0, n)
		var now []*message
		for i := start; i < start+n; i++ {
			m := p.plan.message(i)
			batch = append(batch, m)
			if !m.fate.has(isLate) {
				now = append(now, m)
				continue
			}
			r := p.plan.registration(m)
			if m.links, err = p.options.Mint(&r); err != nil {
				return fmt.Errorf("mint what a late message carries: %w", err)
			}
		}
		if err := p.registerBatch(ctx, now); err != nil {
			return err
		}
		for _, m := range batch {
			select {
			case registered <- m:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		start += n
	}
	return nil
}

// due waits until a message is due and says how many are, at most a batch: none when the play is cut short.
func (p *player) due(ctx context.Context, start int) (int, error) {
	s := &p.options.Scenario
	wait := time.Duration(0)
	if s.Rate > 0 {
		wait = time.Until(p.dueAt(start))
	}
	if wait > 0 {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-p.ended:
		case <-time.After(wait):
		}
	}
	rest := min(s.Batch, s.Messages-start)
	switch {
	case p.cut():
		return 0, nil
	case s.Rate == 0:
		return rest, nil
	}
	due := int(time.Since(p.begin).Seconds()*s.Rate) + 1 - start
	return max(1, min(rest, due)), nil
}

// dueAt is when message i is to begin, by the rate.
func (p *player) dueAt(i int) time.Time {
	return p.begin.Add(time.Duration(float64(i) / p.options.Scenario.Rate * float64(time.Second)))
}

// registerLate registers those whose life is over.
func (p *player) registerLate(ctx context.Context, late <-chan *message) error {
	var batch []*message
	for {
		m, ok := <-late
		if ok {
			batch = append(batch, m)
		}
		if len(batch) > 0 && (!ok || len(batch) == p.options.Scenario.Batch || len(late) == 0) {
			if err := p.registerBatch(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
		if !ok {
			return nil
		}
	}
}

// registerBatch registers messages until all are. Doing it twice is safe: the node keeps the first.
func (p *player) registerBatch(ctx context.Context, batch []*message) error {
	if len(batch) == 0 {
		return nil
	}
	all := make([]node.Registration, len(batch))
	for i, m := range batch {
		all[i] = p.plan.registration(m)
		p.ledger.try(newFact(m.index, sent, nobody, 0))
	}
	for {
		if err := p.gate.wait(ctx); err != nil {
			return err
		}
		began := time.Now()
		err := p.client.Register(ctx, all, func(i int, l node.Links) {
			batch[i].links = l
			p.ledger.ack(newFact(batch[i].index, sent, nobody, 0), time.Now())
		})
		if err := p.answered(ctx, p.api, began, len(all), err); err == nil || !errors.Is(err, errUnanswered) {
			return err
		}
	}
}

// errUnanswered says that one request had no good answer, and that the play goes on.
var errUnanswered = errors.New("unanswered")

// maxStreak is how many requests of a connection may fail, on average, before the play is given up.
const maxStreak = 50

// answered counts a request. Failures don't end the play, unless the node is gone.
func (p *player) answered(ctx context.Context, l *listener, began time.Time, items int, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	streak := l.answer(began, items, err)
	if err == nil {
		return nil
	}
	if streak >= maxStreak*p.options.Scenario.Connections {
		return fmt.Errorf("%d requests to the %s listener failed in a row: %w", streak, l.name, err)
	}
	if err := pause(ctx, min(time.Duration(streak)*time.Millisecond, 100*time.Millisecond)); err != nil {
		return err
	}
	return errUnanswered
}

// errorText is an error without what is another one each time: URLs and ports.
func errorText(err error) string {
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	const most = 200
	text := err.Error()
	return text[:min(len(text), most)]
}

// tell tells the node one fact, and perhaps once more.
func (p *player) tell(ctx context.Context, m *message, l *listener, f fact, do func() error) error {
	again := m.random.Float64() < m.group.Repeats
	if err := p.gate.wait(ctx); err != nil {
		return err
	}
	p.ledger.try(f)
	began := time.Now()
	err := p.answered(ctx, l, began, 1, do())
	if errors.Is(err, errUnanswered) {
		p.unanswered.Add(1)
		return nil
	}
	if err != nil {
		return err
	}
	p.ledger.ack(f, time.Now())
	if !again {
		return nil
	}
	if err := p.gate.wait(ctx); err != nil {
		return err
	}
	if time.Since(began) > maxRepeat { // later it could be another fact
		return nil
	}
	p.repeats.Add(1)
	if err := p.answered(ctx, l, time.Now(), 1, do()); err != nil && !errors.Is(err, errUnanswered) {
		return err
	}
	return nil
}

// maxRepeat is how long after the first a repeat may begin. Within 10 s it surely tells the same fact.
const maxRepeat = 5 * time.Second

// hit loads a pixel or follows a link.
func (p *player) hit(ctx context.Context, m *message, f fact, v *visitor) error {
	h := &node.Hit{URL: m.links.OpenURL, Agent: v.opens, Headers: openHeaders, Want: http.StatusOK, Address: m.readerAt}
	if f.kind() == click {
		h.URL, h.Agent, h.Headers, h.Want = m.links.ClickURLs[f.link()], v.clicks, clickHeaders, http.StatusFound
	}
	if v.who != person {
		h.Address = v.address(m.random)
	}
	return p.tell(ctx, m, p.http, f, func() error { return p.client.Hit(ctx, h) })
}
