package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"carom/edge/api"
	"carom/pipeline/event"
	"carom/pipeline/journal"
	"carom/pipeline/log"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"
	"carom/pipeline/scrub"
)

// contactsHere are the contacts of the partitions that this node refines, and the events that it counts.
type contactsHere struct {
	refines []*refining
	counts  []counted
}

// counted is a partition of events with what is counted of it.
type counted interface {
	// countAll waits until all is counted that was published before the call.
	countAll(ctx context.Context) error
	// scrubbing reports whether what is counted may hold copies of what a contact's erase took.
	scrubbing(contact event.ContactKey) (bool, error)
}

// countWait is how long an answer about an erase waits for the events that tell of it.
const countWait = time.Second

// Contact returns a page of a contact's messages.
func (c contactsHere) Contact(account, contact, after string, limit int) (refine.ContactPage, error) {
	pages, err := ofRefines(c.refines, func(p *refine.Partition) (refine.ContactPage, error) {
		return p.Contact(account, contact, after, limit)
	})
	return refine.MergeContact(limit, pages), err
}

// List returns a page of messages.
func (c contactsHere) List(q refine.ListQuery) (refine.ListPage, error) {
	pages, err := ofRefines(c.refines, func(p *refine.Partition) (refine.ListPage, error) { return p.List(q) })
	return refine.MergeList(q.Limit, pages), err
}

// Contacts returns a page of the contacts of such a list.
func (c contactsHere) Contacts(q refine.ListQuery) (refine.ContactsPage, error) {
	pages, err := ofRefines(c.refines, func(p *refine.Partition) (refine.ContactsPage, error) { return p.Contacts(q) })
	return refine.MergeContacts(q.Limit, pages), err
}

// ofRefines asks all partitions, which must have caught up.
func ofRefines[P any](refines []*refining, ask func(*refine.Partition) (P, error)) (pages []P, err error) {
	for _, r := range refines {
		if !r.goal.reached(r.stage.Passed()) {
			return nil, api.ErrNotReady
		}
		page, err := ask(r.stage)
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

// Scrubbing reports whether this node's disk may hold traces of an erased contact.
func (c contactsHere) Scrubbing(ctx context.Context, account, contact string) (bool, error) {
	key, erased := event.ContactKeyOf(account, contact), len(c.refines) == 0
	for _, r := range c.refines {
		if found, err := r.stage.Scrubbing(key); found || err != nil {
			return found, err
		}
		page, err := r.stage.Contact(account, contact, "", 0)
		if err != nil {
			return false, err
		}
		erased = erased || page.ErasedAt != 0
	}
	if !erased {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, countWait)
	defer cancel()
	for _, r := range c.counts {
		if r.countAll(ctx) != nil {
			return true, nil // not known, and an erase that is not known to be done is not done
		}
		if found, err := r.scrubbing(key); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func (r *rolling) countAll(ctx context.Context) error {
	if err := r.in.Refresh(ctx); err != nil {
		return err
	}
	_, published := r.in.Bounds()
	if err := reach(ctx, published, r.mirror.Passed); err != nil {
		return err
	}
	_, copied := r.mirror.Bounds()
	return reach(ctx, copied, r.rollup.Passed)
}

func (r *rolling) scrubbing(contact event.ContactKey) (bool, error) {
	return r.rollup.Scrubbing(contact)
}

// countedHere is the one partition of a node that has no topics.
type countedHere struct{ *embedded }

func (e countedHere) countAll(ctx context.Context) error {
	_, published := e.events.Bounds()
	return reach(ctx, published, e.rollup.Passed)
}

func (e countedHere) scrubbing(contact event.ContactKey) (bool, error) {
	return e.rollup.Scrubbing(contact)
}

// reach waits until passed is at an offset.
func reach(ctx context.Context, offset int64, passed func() int64) error {
	for passed() < offset {
		select {
		case <-time.After(countWait / 100):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// sorted returns the partitions in their order.
func sorted(refines map[int32]*refining) (c []*refining) {
	for _, p := range slices.Sorted(maps.Keys(refines)) {
		c = append(c, refines[p])
	}
	return c
}

// erases tells the scrubber of what this node's partitions erased: refine's own, and what rollup met in the copies of
// events. Another worker's partition may publish what it had of a contact later than this one's, so each is a job.
type erases struct {
	stages []*refine.Partition
	rollup []*rollup.Partition
	done   map[scrub.Job][]func() error
}

// Jobs is scrub.Source's.
func (e *erases) Jobs(limit int) ([]scrub.Job, error) {
	e.done = make(map[scrub.Job][]func() error)
	for _, stage := range e.stages {
		list, err := stage.Scrubs(limit)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			job := scrub.Job{Contact: s.Contact, At: s.At}
			e.done[job] = append(e.done[job], func() error { return stage.Scrubbed([]refine.Scrub{s}) })
		}
	}
	for _, stage := range e.rollup {
		list, err := stage.Scrubs(limit)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			job := scrub.Job{Contact: s.Contact, At: s.At}
			e.done[job] = append(e.done[job], func() error { return stage.Scrubbed([]rollup.Scrub{s}) })
		}
	}
	return slices.Collect(maps.Keys(e.done)), nil
}

// Done is scrub.Source's.
func (e *erases) Done(jobs []scrub.Job) error {
	var errs []error
	for _, job := range jobs {
		for _, done := range e.done[job] {
			errs = append(errs, done())
		}
	}
	return errors.Join(errs...)
}

// Buried is scrub.Source's.
func (e *erases) Buried(ev *event.Event) (bool, error) {
	for _, stage := range e.stages {
		if gone, err := stage.Buried(ev); gone || err != nil {
			return gone, err
		}
	}
	return false, nil
}

// scrubLocal is a log in the state store, which may be rewritten up to where its reader is.
func scrubLocal(name string, l rewriter, by func(*scrub.Work) log.Rewriting, end func() int64) scrub.Log {
	return scrub.Log{
		Name: name, End: end,
		Rewrite: func(from, end int64, most int, w *scrub.Work) (int64, int, error) {
			return l.Rewrite(from, end, most, by(w))
		},
	}
}

type rewriter interface {
	Rewrite(from, end int64, most int, fn log.Rewriting) (next int64, changed int, err error)
}

// scrubJournal is the journal, which may be rewritten up to what its reader passed.
func scrubJournal(j *journal.Journal, passed func() int64) scrub.Log {
	return scrub.Log{
		Name: "journal", End: passed,
		Rewrite: func(from, end int64, most int, w *scrub.Work) (int64, int, error) {
			return j.Rewrite(from, end, most, w.Raw)
		},
	}
}

// ends returns how far a log goes.
func ends(l log.Reader) func() int64 {
	return func() int64 {
		_, next := l.Bounds()
		return next
	}
}

// runScrub is a stage's run.
func runScrub(ctx context.Context, s *scrub.Scrubber) error {
	if s == nil {
		return nil
	}
	return named("scrub", s.Run(ctx))
}
