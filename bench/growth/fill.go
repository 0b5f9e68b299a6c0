package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"carom/bench/progress"
	"carom/kv"
	"carom/pipeline"
	"carom/pipeline/bot"
	"carom/pipeline/event"
	"carom/pipeline/journal"
)

const (
	nodeName = "growth"
	// batchEvents is how many records one batch takes: as many as a node has in one with 256 clients.
	batchEvents = 256
	fillers     = 4
	agent       = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15"
)

// messageRef is the identity of the n-th message of a world.
func messageRef(world string, n int64) event.Ref {
	return event.Ref{
		Account: "acme", Sender: fmt.Sprint("sender-", n%100), Sequence: "q4", Contact: fmt.Sprint("c-", n),
		Message: fmt.Sprintf("%s.%d@mail.example.com", world, n), SentAt: event.Now().Add(-time.Hour),
	}
}

// store is an open journal in this process.
type store struct {
	kv      *kv.Store
	journal *journal.Journal
}

func openJournal(dir string, o journal.Options, readers ...string) (*store, error) {
	s, err := kv.Open(filepath.Join(dir, kv.RoleJournal), kv.Options{Role: kv.RoleJournal})
	if err != nil {
		return nil, err
	}
	j, err := journal.Open(s, o, journal.Deps{Node: nodeName, Readers: readers, Registerer: prometheus.NewRegistry()})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &store{s, j}, nil
}

func (s *store) close() error { return errors.Join(s.journal.Close(), s.kv.Close()) }

// unbounded are the settings of a journal that records whatever comes.
func unbounded() journal.Options {
	o := journal.Default()
	o.MaxBytes = 1 << 40
	return o
}

// capture is the journal of an Acceptor that keeps what it is given for a batch.
type capture struct{ batch []*event.Event }

func (c *capture) Append(_ journal.Class, evs ...*event.Event) error {
	for _, ev := range evs {
		kept := *ev
		kept.Actor.Reasons = slices.Clone(kept.Actor.Reasons) // they are valid during Hit only
		c.batch = append(c.batch, &kept)
	}
	return nil
}

func (c *capture) AppendThen(class journal.Class, done func(error), evs ...*event.Event) {
	done(c.Append(class, evs...))
}

// fill appends events to a journal, numbered from from on, until there are so many or enough says so.
func fill(ctx context.Context, j *journal.Journal, from, events int64, enough func() bool, show io.Writer) (filled int64, err error) {
	rules, err := bot.Load("")
	if err != nil {
		return 0, err
	}
	bar := progress.New(show, "fill the journal", int(events))
	defer bar.Done()
	next := atomic.Int64{}
	next.Store(from)
	done := atomic.Int64{}
	group, ctx := errgroup.WithContext(ctx)
	for range fillers {
		group.Go(func() error {
			c := &capture{}
			accept, err := pipeline.New(pipeline.Default(), c, rules, [32]byte{1}, zap.NewNop(), prometheus.NewRegistry())
			if err != nil {
				return err
			}
			for ctx.Err() == nil && !enough() {
				first := next.Add(batchEvents) - batchEvents
				if first >= from+events {
					return nil
				}
				c.batch = c.batch[:0]
				for n := first; n < min(first+batchEvents, from+events); n++ {
					if err := hit(accept, n); err != nil {
						return err
					}
				}
				if err := j.Append(journal.HumanOpen, c.batch...); err != nil {
					return err
				}
				done.Add(int64(len(c.batch)))
				bar.Add(len(c.batch))
			}
			return ctx.Err()
		})
	}
	err = group.Wait()
	return done.Load(), err
}

// hit has Accept hear an open of the n-th message.
func hit(accept *pipeline.Acceptor, n int64) error {
	r := messageRef("filled", n)
	ev := event.Event{Kind: event.Open, Time: event.Now(), KnownBy: event.ByRef, Key: event.KeyOf(r.Account, r.Message), Ref: r}
	address := netip.AddrFrom4([4]byte{203, 0, byte(n >> 8), byte(n)})
	return accept.Hit(&ev, &event.Request{Method: "GET", IP: address, UserAgent: agent, Accept: "image/avif,image/webp,*/*"})
}
