package main

import (
	"context"
	"fmt"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/journal"
	"carom/pipeline/kafka"
	"carom/pipeline/log"
	"carom/pipeline/suppress"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// teller journals what stages say themselves.
type teller struct{ journal *journal.Journal }

// Facts returns when the events are on disk.
func (t teller) Facts(evs ...*event.Event) error {
	return t.journal.Append(journal.Essential, evs...)
}

// suppressing is what this node has of suppressions: the stage that decides, and the book that answers.
type suppressing struct {
	stage *suppress.Partition // nil: another node decides
	book  *suppress.Book      // nil: this node answers nobody
	group *kafka.Group        // of the stage, with Kafka
}

func (s *suppressing) runStage(ctx context.Context) error {
	if s.stage == nil {
		return nil
	}
	return named(roleSuppress, s.stage.Run(ctx))
}

func (s *suppressing) runBook(ctx context.Context) error {
	if s.book == nil {
		return nil
	}
	return named("suppressions", s.book.Run(ctx))
}

// heard is how far the log of addresses is read here; its end if nobody reads it.
func (s *suppressing) heard(addresses log.Reader) func() int64 {
	if s.stage != nil {
		return s.stage.Passed
	}
	return ends(addresses)
}

// openSuppressing opens both in one process. The book follows the log in any case, because nobody else empties it.
func openSuppressing(c *Config, secret suppress.Secret, j *journal.Journal, addresses log.Reader, state *kv.Store, logger *zap.Logger, reg prometheus.Registerer) (s suppressing, err error) {
	out, err := log.NewLocal(state, kv.LogSuppressions, embeddedPartition)
	if err != nil {
		return s, err
	}
	if c.suppresses() {
		s.stage, err = suppress.Open(c.Suppress, suppress.Deps{
			Secret: secret, Store: state, In: addresses, Out: out, Teller: teller{j}, Partitions: 1, Logger: logger, Registerer: reg,
		})
		if err != nil {
			return s, err
		}
	}
	s.book, err = suppress.OpenBook(c.Suppress, secret, state, suppress.Log{In: out}, logger, reg)
	return s, err
}

// openSuppress opens what this node has of suppressions: one of all workers decides, and every node with an API answers.
func (k *cluster) openSuppress(secret suppress.Secret, j *journal.Journal, reg prometheus.Registerer) (err error) {
	c, s := k.config, &k.suppress
	if c.suppresses() {
		decides, err := c.Kafka.Suppresses()
		if err != nil {
			return err
		}
		if decides {
			if err := k.openDeciding(secret, j, reg); err != nil {
				return fmt.Errorf("open suppress: %w", err)
			}
		}
	}
	if c.has(roleAPI) {
		in := suppress.Log{In: k.read(kafka.Suppressions, 0, reg), Compacted: true}
		s.book, err = suppress.OpenBook(c.Suppress, secret, k.state, in, k.log, reg)
	}
	return err
}

func (k *cluster) openDeciding(secret suppress.Secret, j *journal.Journal, reg prometheus.Registerer) (err error) {
	k.suppress.group = k.client.NewGroup(roleSuppress, kafka.Addresses, reg)
	k.suppress.stage, err = suppress.Open(k.config.Suppress, suppress.Deps{
		Secret: secret, Store: k.state, In: k.read(kafka.Addresses, 0, reg), Out: k.producer.Suppressions(), Teller: teller{j},
		Known: k.read(kafka.Suppressions, 0, reg), Partitions: k.config.Kafka.Partitions, Logger: k.log, Registerer: reg,
	})
	if err != nil {
		return err
	}
	k.suppress.stage.OnPassed(func(offset int64) { k.suppress.group.Passed(0, offset) })
	return nil
}
