package kafka

import (
	"fmt"
	"slices"
)

// Directory lists the addresses of the workers' APIs: in the order of Workers, then in that of RollupWorkers.
func (o Options) Directory() []string { return slices.Concat(o.Workers, o.RollupWorkers) }

// RefineOwner returns the place in Directory of the worker that refines partition p of the raw records.
func (o Options) RefineOwner(p int32) int { return int(p) % max(1, len(o.Workers)) }

// RollupOwner returns the place in Directory of the worker that has partition p of the events.
func (o Options) RollupOwner(p int32) int {
	if len(o.RollupWorkers) == 0 {
		return o.RefineOwner(p)
	}
	return len(o.Workers) + int(p)%len(o.RollupWorkers)
}

// Refines lists the partitions that this node refines, if it does.
func (o Options) Refines() ([]int32, error) { return o.owned("kafka.workers", len(o.Workers)) }

// RollsUp lists the partitions of events that this node rolls up, if it does.
func (o Options) RollsUp() ([]int32, error) {
	if len(o.RollupWorkers) == 0 {
		return o.Refines()
	}
	return o.owned("kafka.rollup_workers", len(o.RollupWorkers))
}

// Suppresses reports whether this node decides about addresses, if it is a worker: the one that rolls up partition 0 does.
func (o Options) Suppresses() (bool, error) {
	owned, err := o.RollsUp()
	return len(owned) > 0 && owned[0] == 0, err
}

// owned lists every n-th partition from this node's place on. It fails if there are several workers and this node's
// place among them was not given: two nodes that both took the first place would leave the other partitions to nobody.
func (o Options) owned(list string, workers int) ([]int32, error) {
	self := o.Worker
	switch {
	case self < 0 && workers > 1, self >= max(1, workers):
		return nil, fmt.Errorf("kafka.worker: %d: want this node's place in %s, 0 to %d", o.Worker, list, workers-1)
	case self < 0:
		self = 0
	}
	var owned []int32
	for p := range int32(o.Partitions) {
		if int(p)%max(1, workers) == self {
			owned = append(owned, p)
		}
	}
	return owned, nil
}
