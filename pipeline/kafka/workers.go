package kafka

import "fmt"

// Owner returns the place in Workers of the worker that owns partition p. With no or one worker it is 0.
func (o Options) Owner(p int32) int { return int(p) % max(1, len(o.Workers)) }

// Owned lists the partitions that this node owns, of topics with the number of partitions that the settings say.
// It fails if there are several workers and this node's place among them was not given: two nodes that both took
// the first place would leave the other partitions to nobody.
func (o Options) Owned() ([]int32, error) {
	self := o.Worker
	if self < 0 {
		if len(o.Workers) > 1 {
			return nil, fmt.Errorf("kafka.worker: %d: want this node's place in kafka.workers, 0 to %d", o.Worker, len(o.Workers)-1)
		}
		self = 0
	}
	var owned []int32
	for p := range int32(o.Partitions) {
		if o.Owner(p) == self {
			owned = append(owned, p)
		}
	}
	return owned, nil
}
