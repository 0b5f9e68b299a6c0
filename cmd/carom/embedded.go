package main

import (
	"context"
	"fmt"

	"carom/edge/api"
	"carom/kv"
	"carom/pipeline/control"
	"carom/pipeline/journal"
	"carom/pipeline/kafka"
	"carom/pipeline/log"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"
	"carom/pipeline/scrub"
	"carom/pipeline/suppress"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// Embedded, every log has one partition.
const embeddedPartition = 0

// embedded is the pipeline behind the journal in one process, with the logs between the stages in the state store, and the
// controls beside the journal:
//
//	journal ─▶ refine ─▶ events ─▶ rollup
//	              └─▶ addresses ─▶ suppress ─▶ suppressions ─▶ book
type embedded struct {
	events  *log.Local
	rejects *log.Local
	keeper  *log.Keeper
	control *control.Controls
	scrub   *scrub.Scrubber   // nil without the role refine
	refine  *refine.Partition // nil without the role
	rollup  *rollup.Partition // nil without the role

	addresses *log.Local
	suppress  suppressing
}

func openEmbedded(c *Config, secret suppress.Secret, j *journal.Journal, heard, state *kv.Store, logger *zap.Logger, reg prometheus.Registerer) (_ *embedded, err error) {
	if bound, err := kafka.Bound(state); err != nil {
		return nil, err
	} else if bound {
		return nil, fmt.Errorf("data.dir: %s holds the state of topics, and kafka.brokers is empty: name the brokers, or move that folder away to begin anew", state.Dir())
	}
	if err := j.Bind(state); err != nil {
		return nil, fmt.Errorf("data.dir: %w", err)
	}
	e := &embedded{}
	if e.events, err = log.NewLocal(state, kv.LogEvents, embeddedPartition); err != nil {
		return nil, err
	}
	addresses, err := log.NewLocal(state, kv.LogAddresses, embeddedPartition)
	if err != nil {
		return nil, err
	}
	if e.rejects, err = log.NewLocal(state, kv.LogRejects, embeddedPartition); err != nil {
		return nil, err
	}
	// Nothing can tell again who was denied, so that lies where the journal does: all of the state can be made anew.
	controls, err := log.NewLocal(heard, kv.LogControls, embeddedPartition)
	if err != nil {
		return nil, err
	}
	if e.control, err = control.Open(c.Control, heard, control.Log{In: controls, Out: controls}, logger, reg); err != nil {
		return nil, err
	}
	if e.suppress, err = openSuppressing(c, secret, j, addresses, state, logger, reg); err != nil {
		return nil, err
	}
	e.addresses = addresses
	if c.has(roleRefine) {
		out := refine.Outputs{Events: e.events, Addresses: addresses, Rejects: e.rejects}
		if e.refine, err = refine.Open(c.Refine, state, j, out, j, logger, reg); err != nil {
			return nil, err
		}
		e.refine.OnPassed(func(offset int64) { j.Passed(readerRefine, offset) })
	}
	if e.refine != nil {
		defer func() {
			if err == nil {
				e.scrub = e.newScrub(j, addresses, state, logger, reg)
			}
		}()
	}
	if c.has(roleRollup) {
		if e.rollup, err = rollup.Open(c.Rollup, c.Score, state, e.events, nil, logger, reg); err != nil {
			return nil, err
		}
		e.rollup.TellAlerts(teller{j}, func() bool { return true })
	}
	e.keeper = log.NewKeeper([]log.Kept{
		{Name: "events", Log: e.events, Retention: c.Events, Passed: e.counted()},
		{Name: "addresses", Log: addresses, Retention: c.Addresses, Passed: e.suppress.heard(addresses)},
		{Name: "rejects", Log: e.rejects, Retention: c.Rejects, Passed: ends(e.rejects)},
	}, logger, reg)
	return e, nil
}

// counted tells up to where the events are counted: of those that nobody counts, to their end.
func (e *embedded) counted() func() int64 {
	if e.rollup != nil {
		return e.rollup.Passed
	}
	return ends(e.events)
}

func (e *embedded) run(ctx context.Context) error {
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return named("controls", e.control.Run(ctx)) })
	parts.Go(func() error { return runScrub(ctx, e.scrub) })
	parts.Go(func() error { return named("keeper", e.keeper.Run(ctx)) })
	parts.Go(func() error { return e.suppress.runStage(ctx) })
	parts.Go(func() error { return e.suppress.runBook(ctx) })
	if e.refine != nil {
		parts.Go(func() error { return named(roleRefine, e.refine.Run(ctx)) })
	}
	if e.rollup != nil {
		parts.Go(func() error { return named(roleRollup, e.rollup.Run(ctx)) })
	}
	return parts.Wait()
}

func (e *embedded) copied() func(int32) (int64, bool) { return nil }

func (e *embedded) controls() *control.Controls { return e.control }

func (e *embedded) answer(d *api.Dependencies) {
	d.Events, d.Rejects = []log.Reader{e.events}, []log.Reader{e.rejects}
	if e.refine != nil {
		here := contactsHere{refines: []*refining{{stage: e.refine}}}
		if e.rollup != nil {
			here.counts = append(here.counts, countedHere{e})
		}
		d.Messages, d.Contacts = e.refine, here
	}
	d.Suppressions = e.suppress.book
	if e.rollup != nil {
		d.Scores = e.rollup
	}
}

// newScrub returns what rewrites the logs on this disk after an erase.
func (e *embedded) newScrub(j *journal.Journal, addresses *log.Local, state *kv.Store, logger *zap.Logger, reg prometheus.Registerer) *scrub.Scrubber {
	erased := &erases{stages: []*refine.Partition{e.refine}}
	if e.rollup != nil {
		erased.rollup = append(erased.rollup, e.rollup)
	}
	return scrub.New(state, erased, []scrub.Log{
		scrubLocal("events", e.events, func(w *scrub.Work) log.Rewriting { return w.Event }, e.counted()),
		scrubLocal("addresses", addresses, func(w *scrub.Work) log.Rewriting { return w.Address }, e.suppress.heard(addresses)),
		scrubLocal("rejects", e.rejects, func(w *scrub.Work) log.Rewriting { return w.Reject }, ends(e.rejects)),
		scrubJournal(j, e.refine.Passed),
	}, logger, reg)
}

func (e *embedded) notReady() []api.Problem { return nil }

func (e *embedded) close() error { return nil }
