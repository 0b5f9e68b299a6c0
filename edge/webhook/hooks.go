package webhook

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/control"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// Controls is the log by which all nodes know the same webhooks.
type Controls interface {
	Set(ctx context.Context, entries ...control.Control) error
	Remove(ctx context.Context, entries ...control.Control) error
	Get(kind control.Kind, account, name string) (control.Control, bool, error)
	List(kind control.Kind, account, after string, limit int) (page []control.Control, next string, err error)
	Each(kind control.Kind, f func(control.Control) error) error
	Rung() <-chan struct{}
}

// Deps are the parts that webhooks need.
type Deps struct {
	Store    *kv.Store // of the state
	Controls Controls
	Sealer   Sealer
	// Events are the partitions of events that this node delivers.
	Events []log.Reader
	// Copied says, where Events are copies, up to which offset a partition had been copied before this node was started, by
	// whatever node and disk; ok is false as long as nobody knows. nil: they are no copies.
	Copied     func(partition int32) (offset int64, ok bool)
	Teller     Teller // may be nil: then nobody is told of webhooks that come to rest
	Logger     *zap.Logger
	Registerer prometheus.Registerer // may be nil
}

// Hooks are the webhooks of all accounts. Its methods are safe for concurrent use.
type Hooks struct {
	o          Options
	g          guard
	configured []Hook
	store      *kv.Store
	controls   Controls
	sealer     Sealer
	teller     Teller
	copied     func(partition int32) (int64, bool)
	client     *http.Client
	logger     *zap.Logger
	metrics    *metrics
	readers    map[int32]log.Reader

	changing sync.Mutex // serialises what the API changes

	// Run's own.
	running map[string]*running // by id
	broken  chan error          // a feed's
	starve  func()              // ends the feeds; nil where there are none

	mu       sync.Mutex // guards what follows, and what says so
	feeds    map[int32]*feed
	couriers map[string]*courier // by id
	states   map[string]int      // how many webhooks there are, by state
}

// running is a webhook, and its courier if it does not rest.
type running struct {
	tag   string
	state state
	end   func() // ends the courier and waits for it
}

// New makes webhooks; nothing is sent before Run.
func New(o Options, d Deps) (*Hooks, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("webhooks.%w", err)
	}
	allowed, err := o.allowed()
	if err != nil {
		return nil, err
	}
	h := &Hooks{
		o: o, g: guard{allowed}, store: d.Store, controls: d.Controls, sealer: d.Sealer, logger: d.Logger.Named("webhook"),
		teller: d.Teller, copied: d.Copied,
		readers: make(map[int32]log.Reader), running: make(map[string]*running), broken: make(chan error, 1),
		feeds: make(map[int32]*feed), couriers: make(map[string]*courier), states: make(map[string]int),
	}
	if h.configured, err = o.configured(); err != nil {
		return nil, err
	}
	for _, r := range d.Events {
		h.readers[r.Partition()] = r
	}
	h.client = newClient(&h.o, h.g)
	h.metrics = newMetrics(d.Registerer, h)
	return h, nil
}

// Run delivers until ctx is done, which is no error, or something fails for good. It is called once.
func (h *Hooks) Run(ctx context.Context) error {
	defer h.client.CloseIdleConnections()
	defer h.endAll()
	for first := true; ; first = false {
		rung := h.controls.Rung()
		if err := h.reconcile(ctx, first); err != nil {
			return unlessDone(ctx, err)
		}
		select {
		case <-rung:
		case err := <-h.broken:
			return unlessDone(ctx, err)
		case <-ctx.Done():
			return nil
		}
	}
}

func unlessDone(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("webhooks: %w", err)
}

// wanted is a webhook as it should be running.
type wanted struct {
	hook  Hook
	state state
}

// all returns the webhooks of settings and log, by id.
func (h *Hooks) all() (map[string]wanted, error) {
	list := make(map[string]wanted)
	names := make(map[[2]string]string) // account and name: id
	for _, hook := range h.configured {
		list[hook.ID] = wanted{hook, state{ID: hook.ID, State: Active}}
		names[[2]string{hook.Account, hook.Name}] = hook.ID
	}
	err := h.controls.Each(control.Webhook, func(c control.Control) error {
		hook, err := hookOf(c)
		if err != nil {
			h.metrics.foreign.Inc()
			h.logger.Error("passed over a webhook that can't be read: a newer Carom wrote it", zap.Error(err))
			return nil
		}
		key := [2]string{hook.Account, hook.Name}
		if _, ok := names[key]; ok { // the settings win
			return nil
		}
		list[hook.ID], names[key] = wanted{hook, state{ID: hook.ID, State: Active}}, hook.ID
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, h.controls.Each(control.WebhookState, func(c control.Control) error {
		w, ok := list[names[[2]string{c.Account, c.Name}]]
		if !ok {
			return nil
		}
		s, err := stateOf(c)
		if err != nil {
			h.metrics.foreign.Inc()
			h.logger.Error("passed over the state of a webhook that can't be read: a newer Carom wrote it", zap.Error(err))
			return nil
		}
		w.state = s.of(&w.hook)
		list[w.hook.ID] = w
		return nil
	})
}

// reconcile starts, ends and changes couriers, so that they are those of the webhooks that there are.
func (h *Hooks) reconcile(ctx context.Context, first bool) error {
	list, err := h.all()
	if err != nil {
		return err
	}
	gone := first
	for id, r := range h.running {
		w, ok := list[id]
		if ok && w.hook.tag() == r.tag && w.state.State == r.state.State && w.state.Serial == r.state.Serial {
			continue
		}
		gone = gone || !ok
		h.end(id)
	}
	if gone {
		if err := dropRows(h.store, func(id string) bool { _, ok := list[id]; return ok }); err != nil {
			return err
		}
	}
	states := make(map[string]int)
	for id, w := range list {
		states[w.state.State]++
		if h.running[id] != nil {
			continue
		}
		if err := h.begin(ctx, w); err != nil {
			return err
		}
	}
	h.mu.Lock()
	h.states = states
	hungry := len(h.couriers)
	h.mu.Unlock()
	if hungry == 0 {
		h.endFeeds()
	}
	return nil
}

// begin starts a webhook's courier, if it has anything to do.
func (h *Hooks) begin(ctx context.Context, w wanted) error {
	r := &running{tag: w.hook.tag(), state: w.state, end: func() {}}
	h.running[w.hook.ID] = r
	if w.state.State != Active || len(h.readers) == 0 {
		return nil
	}
	c, err := h.newCourier(ctx, w.hook, w.state)
	if err != nil {
		return err
	}
	h.beginFeeds(ctx)
	h.mu.Lock()
	h.couriers[w.hook.ID] = c
	h.mu.Unlock()
	within, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { c.run(within) })
	r.end = func() { cancel(); running.Wait() }
	return nil
}

// end ends a webhook's courier.
func (h *Hooks) end(id string) {
	h.running[id].end()
	delete(h.running, id)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.couriers, id)
}

func (h *Hooks) endAll() {
	for id := range h.running {
		h.end(id)
	}
	h.endFeeds()
}

// beginFeeds starts what reads the log for all couriers, if it does not run.
func (h *Hooks) beginFeeds(ctx context.Context) {
	if h.starve != nil {
		return
	}
	within, cancel := context.WithCancel(ctx)
	var feeding sync.WaitGroup
	h.mu.Lock()
	defer h.mu.Unlock()
	for p, r := range h.readers {
		f := &feed{h: h, reader: r}
		_, f.at = r.Bounds() // couriers read what is before by themselves
		h.feeds[p] = f
		feeding.Go(func() {
			if err := f.run(within); err != nil {
				select {
				case h.broken <- err:
				default: // one is enough
				}
			}
		})
	}
	h.starve = func() { cancel(); feeding.Wait() }
}

func (h *Hooks) endFeeds() {
	if h.starve != nil {
		h.starve()
		h.starve = nil
	}
}

// count returns how many webhooks there are in a state.
func (h *Hooks) count(state string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.states[state]
}

// failing returns how long the webhook fails that has failed longest.
func (h *Hooks) failing(now time.Time) (longest time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.couriers {
		c.mu.Lock()
		if since := c.status.row.failing; since != 0 {
			longest = max(longest, now.Sub(since.Time()))
		}
		c.mu.Unlock()
	}
	return longest
}

// behind returns how many records the webhook is behind that is furthest behind.
func (h *Hooks) behind() (most int64) {
	h.mu.Lock()
	ids := slices.Collect(maps.Keys(h.couriers))
	h.mu.Unlock()
	for _, id := range ids {
		if d, ok, err := h.Delivery(id); ok && err == nil {
			most = max(most, d.Behind)
		}
	}
	return most
}

// Delivery is how a webhook stands on one node.
type Delivery struct {
	// Next is by partition the first record that was not delivered, or passed over.
	Next map[int32]int64
	// Behind is how many records there are from there on, whoever's they are, at most.
	Behind    int64
	Delivered int64        // events, ever
	Last      event.Millis // when some were taken last; 0: never
	Missed    int64        // records that were trimmed before they were looked at
	Failing   event.Millis // since when no request is taken; 0: the last one was
	Attempts  int64        // that have failed since
	Status    int          // of the last answer since the node was started; 0: none
	Error     string       // why the last request failed
	Again     event.Millis // when the next is sent, if the last failed
}

// Delivery returns how a webhook stands on this node; ok is false where it has nothing to deliver.
func (h *Hooks) Delivery(id string) (d Delivery, ok bool, err error) {
	if len(h.readers) == 0 {
		return d, false, nil
	}
	h.mu.Lock()
	c := h.couriers[id]
	h.mu.Unlock()
	if c == nil {
		r, known, err := readRow(h.store, id)
		if err != nil || !known {
			return d, false, err
		}
		return h.delivery(&r, nil), true, nil
	}
	looked := c.looked() // before the status: what is clean later was so up to there
	c.mu.Lock()
	s := c.status
	c.mu.Unlock()
	if !s.clean {
		looked = nil
	}
	d = h.delivery(&s.row, looked)
	d.Status, d.Error = s.tried.status, s.tried.detail
	if d.Failing != 0 && !s.next.IsZero() {
		d.Again = event.FromTime(s.next)
	}
	return d, true, nil
}

// delivery tells of a row; looked is how far each partition was looked at, if nothing of that is to be delivered.
func (h *Hooks) delivery(r *row, looked map[int32]int64) Delivery {
	d := Delivery{
		Next: make(map[int32]int64), Delivered: r.delivered, Last: r.last, Missed: r.missed, Failing: r.failing, Attempts: r.attempts,
	}
	for p, at := range r.places {
		reader := h.readers[p]
		if reader == nil {
			continue
		}
		next := max(at.next, looked[p])
		_, end := reader.Bounds()
		d.Next[p], d.Behind = next, d.Behind+max(0, end-next)
	}
	return d
}
