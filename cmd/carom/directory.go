package main

import (
	"context"
	"maps"
	"slices"

	"carom/edge/api"
	"carom/pipeline/event"
	"carom/pipeline/kafka"
	"carom/pipeline/log"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"
)

// answer gives the API what this node has of the answers, and whom to ask for the rest.
func (k *cluster) answer(d *api.Dependencies) {
	o := k.config.Kafka
	partitions := int32(o.Partitions)
	d.Events = make([]log.Reader, partitions)
	for p, r := range k.rollsUp {
		d.Events[p] = eventsHere{r.mirror, r}
	}
	d.Rejects, d.OpenEnvelope = k.rejects, kafka.OpenEnvelope
	if len(k.refines) > 0 {
		d.Messages = refinedHere{k.refines, partitions}
	}
	if len(k.refines)+len(k.rollsUp) > 0 {
		here := contactsHere{refines: sorted(k.refines)}
		for _, p := range slices.Sorted(maps.Keys(k.rollsUp)) {
			here.counts = append(here.counts, k.rollsUp[p])
		}
		d.Contacts = here
	}
	if k.suppress.book != nil {
		d.Suppressions = k.suppress.book
	}
	if len(k.rollsUp) > 0 {
		d.Scores = k.scoresHere(partitions)
	}
	d.RawPartitions = int(partitions)
	d.Cluster = &api.Cluster{
		Refiners: owners(partitions, o.RefineOwner), Counters: owners(partitions, o.RollupOwner),
		Workers: o.Directory(), Self: k.place(),
		OwnerOfMessage: func(message string) int { return o.RefineOwner(rawPartition(message, partitions)) },
		OwnerOfSender: func(account, sender string) int {
			return o.RollupOwner(senderPartition(account, sender, partitions))
		},
		OwnerOfEvents: o.RollupOwner,
	}
}

// owners are all that own a partition.
func owners(partitions int32, owner func(int32) int) (places []int) {
	for p := range partitions {
		if place := owner(p); !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	return places
}

// place is where this node stands in the directory of workers, -1 if nowhere.
func (k *cluster) place() int {
	o := k.config.Kafka
	switch {
	case len(k.refines) > 0:
		return o.RefineOwner(max(0, int32(o.Worker)))
	case len(k.rollsUp) > 0:
		return o.RollupOwner(max(0, int32(o.Worker)))
	}
	return -1
}

// rawPartition returns the partition of everything about a message, whoever's it is.
func rawPartition(message string, partitions int32) int32 {
	return kafka.RawPartition(event.PartialKey(message), partitions)
}

// senderPartition returns the partition of a sender's events.
func senderPartition(account, sender string, partitions int32) int32 {
	return kafka.KeyPartition(event.AppendSenderKey(nil, account, sender), partitions)
}

// refinedHere are the messages of the partitions that this node refines.
type refinedHere struct {
	stages     map[int32]*refining
	partitions int32
}

// Message returns a message that this node has refined.
func (r refinedHere) Message(account, message string) (refine.Message, bool, error) {
	p := r.stages[rawPartition(message, r.partitions)]
	if p == nil || !p.goal.reached(p.stage.Passed()) {
		return refine.Message{}, false, api.ErrNotReady
	}
	return p.stage.Message(account, message)
}

// eventsHere is a partition's copy, once it is complete.
type eventsHere struct {
	*log.Mirror
	r *rolling
}

// Refresh fails while the copy is being made anew.
func (e eventsHere) Refresh(context.Context) error {
	if !e.r.complete() {
		return api.ErrNotReady
	}
	return nil
}

// countsHere are the senders of a partition, once all that had been counted is counted again.
type countsHere struct{ r *rolling }

// Score returns the score of a sender.
func (c countsHere) Score(q rollup.Query) (rollup.Score, error) {
	if !c.r.counted() {
		return rollup.Score{}, api.ErrNotReady
	}
	return c.r.rollup.Score(q)
}

// Senders returns a page of senders.
func (c countsHere) Senders(q rollup.SendersQuery) ([]rollup.Score, string, error) {
	if !c.r.counted() {
		return nil, "", api.ErrNotReady
	}
	return c.r.rollup.Senders(q)
}

// Sequences returns a page of the scores of a sender's sequences.
func (c countsHere) Sequences(q rollup.SequencesQuery) ([]rollup.Score, string, error) {
	if !c.r.counted() {
		return nil, "", api.ErrNotReady
	}
	return c.r.rollup.Sequences(q)
}

// Providers returns the scores of what a sender sent by mailbox provider.
func (c countsHere) Providers(q rollup.Query) ([]rollup.ProviderScore, error) {
	if !c.r.counted() {
		return nil, api.ErrNotReady
	}
	return c.r.rollup.Providers(q)
}

// Series returns a sender's days.
func (c countsHere) Series(q rollup.Query) (rollup.Series, error) {
	if !c.r.counted() {
		return rollup.Series{}, api.ErrNotReady
	}
	return c.r.rollup.Series(q)
}

// Trend returns a sender's trend.
func (c countsHere) Trend(q rollup.Query) (rollup.Trend, error) {
	if !c.r.counted() {
		return rollup.Trend{}, api.ErrNotReady
	}
	return c.r.rollup.Trend(q)
}

// Enrollments opens a count of a sender.
func (c countsHere) Enrollments(q rollup.EnrollmentsQuery) ([]rollup.Enrollment, string, error) {
	if !c.r.counted() {
		return nil, "", api.ErrNotReady
	}
	return c.r.rollup.Enrollments(q)
}

// scoresHere joins the partitions that this node rolls up. The API asks it for no other's senders.
func (k *cluster) scoresHere(partitions int32) api.Scores {
	var here []api.Scores
	places := make(map[int32]int)
	for _, p := range slices.Sorted(maps.Keys(k.rollsUp)) {
		places[p] = len(here)
		here = append(here, countsHere{k.rollsUp[p]})
	}
	return api.MergeScores(here, func(account, sender string) int {
		place, ok := places[senderPartition(account, sender, partitions)]
		if !ok {
			panic("BUG: asked for a sender of another worker")
		}
		return place
	})
}
