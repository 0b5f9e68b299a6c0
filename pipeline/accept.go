package pipeline

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/pipeline/bot"
	"carom/pipeline/event"
	"carom/pipeline/journal"
)

// Journal is where events go. Append returns when they are on disk, or with an error that says why they aren't. AppendThen
// doesn't wait, but calls done with that.
type Journal interface {
	Append(class journal.Class, evs ...*event.Event) error
	AppendThen(class journal.Class, done func(error), evs ...*event.Event)
}

// Denials knows whose opens and clicks are not to be recorded any more. It is asked for every hit: it must neither wait
// nor allocate.
type Denials interface {
	Denied(account, contact string) bool
}

// Acceptor is the first stage. It is safe for concurrent use.
type Acceptor struct {
	journal Journal
	log     *zap.Logger
	rules   atomic.Pointer[bot.Rules]
	clients *clients
	repeats *repeats
	shared  *sharedAddresses
	metrics *metrics
	denials Denials   // nil: nobody is denied
	hits    sync.Pool // of *accepted

	keeps         keeps
	selfAddresses selfAddresses
	own           OwnAddresses // nil: there are none but those

	rulesDir   string
	rulesMu    sync.Mutex // held while rules are replaced
	rulesState rulesState // of rulesMu
}

// New returns an Acceptor. Nodes whose client keys are the same give a client the same hash, on the same day.
func New(o Options, j Journal, rules *bot.Rules, clientKey [32]byte, log *zap.Logger, reg prometheus.Registerer) (*Acceptor, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	k, err := newKeeps(&o)
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	own, err := newSelfAddresses(o.SelfAddresses)
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	log = log.Named("accept")
	log.Info("what is kept of clients", zap.String("address", o.KeepAddress),
		zap.String("agent", o.KeepAgent), zap.Int("accounts-of-their-own", len(k.accounts)))
	a := &Acceptor{
		journal: j,
		shared:  newSharedAddresses(o.SharedAddress),
		clients: newClients(clientKey),
		repeats: newRepeats(o.RepeatEntries, o.Repeat),
		metrics: newMetrics(reg),

		keeps:         k,
		selfAddresses: own,

		log:      log,
		rulesDir: o.RulesDir,
	}
	a.hits.New = a.newAccepted
	a.useRules(rules)
	return a, nil
}

// Deny has d asked from now on. Call it before the first Hit.
func (a *Acceptor) Deny(d Denials) { a.denials = d }

// accepted is what one hit needs besides its arguments, until it is on disk.
type accepted struct {
	evs     [1]*event.Event // as a slice for the journal
	scratch clientScratch
	reasons [bot.MaxReasons + 1]string

	repeat repeat
	time   event.Millis
	count  prometheus.Counter // of events like this

	then func(error) // ends the hit, and calls done
	done func(error)
}

func (a *Acceptor) newAccepted() any {
	h := new(accepted)
	h.then = func(err error) {
		done := h.done
		done(a.settled(h, err))
	}
	return h
}

// Hit records an open or a click. ev has its kind, time, key and ref; Hit fills in who acted and what may be kept of
// the client. It returns nil when the event is on disk, when it repeats one that is, and when its ref or its contact is
// not to be recorded; it keeps nothing of ev and req. The actor's reasons are valid until it returns.
//
// An error says that the event is lost, and its Reason why. The reader must get the answer all the same.
func (a *Acceptor) Hit(ev *event.Event, req *event.Request) error {
	h := a.prepare(ev, req)
	if h == nil {
		return nil
	}
	return a.settled(h, a.journal.Append(classOf(ev), h.evs[:]...))
}

// HitThen is Hit that doesn't wait: it calls done, which must not wait either, with what Hit would return (see AppendThen of
// the journal).
func (a *Acceptor) HitThen(ev *event.Event, req *event.Request, done func(error)) {
	h := a.prepare(ev, req)
	if h == nil {
		done(nil)
		return
	}
	h.done = done
	a.journal.AppendThen(classOf(ev), h.then, h.evs[:]...)
}

// prepare fills in ev. It returns nil where there is nothing to record.
func (a *Acceptor) prepare(ev *event.Event, req *event.Request) *accepted {
	if ev.Kind != event.Open && ev.Kind != event.Click {
		panic("BUG: a hit is an open or a click, not " + ev.Kind.String())
	}
	if ev.Flags.Has(event.Untracked) {
		a.metrics.untracked.Inc()
		return nil
	}
	if a.denials != nil && a.denials.Denied(ev.Account, ev.Contact) {
		a.metrics.denied.Inc()
		return nil
	}
	h := a.hits.Get().(*accepted)
	ev.Actor, ev.Soon = a.rules.Load().Judge(ev.Kind, req, h.reasons[:0])
	if reasons := a.selfReasons(h.reasons[:0], ev, req); len(reasons) > 0 { // stands above all other verdicts
		ev.Actor.Verdict, ev.Actor.Reasons, ev.Soon = event.Self, reasons, event.Soon{}
	}
	ev.Client = a.keeps.client(&h.scratch, ev, req)
	ev.Client.Hash = a.clients.hash(&h.scratch, ev.Time, req)
	ev.Client.AddressHash = a.clients.addressHash(&h.scratch, ev.Time, req)

	h.repeat, h.time = repeatOf(ev), ev.Time
	if a.repeats.seen(h.repeat, ev.Time) {
		a.metrics.repeats[ev.Kind].Inc()
		a.hits.Put(h)
		return nil
	}
	if ev.Actor.Verdict != event.Self && a.shared.add(ev) {
		ev.Actor.Reasons = append(ev.Actor.Reasons, sharedAddress)
	}
	if ev.Flags.Nameless() {
		ev.Contact = ""
		a.clients.unlink(&h.scratch, ev)
	}
	h.evs[0], h.count = ev, a.metrics.accepted.of(ev)
	return h
}

// settled takes note of what became of a hit, which ends with it.
func (a *Acceptor) settled(h *accepted, err error) error {
	if err != nil {
		err = &UnrecordedError{reason: reasonOf(err), err: err}
	} else {
		// Only now: a repeat of what was never on disk must get its own chance. Two hits at once may both pass the check
		// in prepare and both be recorded; refine counts one.
		a.repeats.add(h.repeat, h.time)
		h.count.Inc()
	}
	h.evs[0], h.done = nil, nil
	a.hits.Put(h)
	return err
}

// classOf says how dear a hit is when the journal fills up.
func classOf(ev *event.Event) journal.Class {
	// A sender's own hits count no more than a machine's.
	switch machine := ev.Actor.Verdict.Machine() || ev.Actor.Verdict == event.Self; {
	case ev.Kind == event.Open && machine:
		return journal.MachineOpen
	case ev.Kind == event.Open:
		return journal.HumanOpen
	case machine:
		return journal.MachineClick
	}
	return journal.HumanClick
}

// Facts records what mail and API calls tell, all of it or nothing, and returns nil when it is on disk. It keeps
// nothing of evs. After an error their sender must be told to try again.
func (a *Acceptor) Facts(evs ...*event.Event) error {
	if err := a.journal.Append(journal.Essential, evs...); err != nil {
		return &UnrecordedError{reason: reasonOf(err), err: err}
	}
	for _, ev := range evs {
		a.metrics.accepted.of(ev).Inc()
	}
	return nil
}
