package refine

import (
	"fmt"
	"time"

	"carom/pipeline/burst"
)

// Options are refine's settings. Those that bound memory speak of a whole node: Share makes them those of a partition.
type Options struct {
	Settle time.Duration `yaml:"settle" doc:"How long a click waits, in log time, before it is judged together with the other hits of its message; 0 publishes clicks at once; at most 10m."`
	Park   time.Duration `yaml:"park" doc:"How long a fact about a message that nobody has named yet waits for it, in log time; from 1s to 2160h."`
	Repeat time.Duration `yaml:"repeat" doc:"Within which distance, in event time, an open or click like a recorded one before it is a repeat and counts for nothing; from 0 to 1h."`

	Keep time.Duration `yaml:"keep" doc:"How long what is known of a message is kept at least, in log time from its first record; up to a third more. A fact that comes later begins the message anew. 0 keeps it for ever; else from 1m to 87600h."`

	Burst burst.Options `yaml:"burst"`

	StepRecords   int `yaml:"step_records" doc:"How many input records one commit covers at most; from 1 to 65536."`
	StepBytes     int `yaml:"step_bytes" doc:"How many bytes of input and output one commit covers before it ends; from 4096 to 268435456."`
	CacheMessages int `yaml:"cache_messages" doc:"How many message states the node keeps in memory, some 0.5 KB each and 0.1 KB more by open or click, up to 64 of them, shared evenly by its partitions, each of which keeps 16 at least; from 16 to 16777216."`
	RollBytes     int `yaml:"roll_bytes" doc:"How much memory the node takes at most to tell a new message from one that it knows without a look at the disk: 1.25 bytes a message that is kept, up to twice that while they become more; shared evenly by its partitions. Messages of an epoch that finds no room are looked for on disk, some µs each; from 0 to 68719476736."`
	MaxParked     int `yaml:"max_parked" doc:"How many facts may be parked on the node, shared evenly by its partitions; more are rejected; from 1 to 16777216."`
}

// Default returns the settings of a server that is told nothing.
func Default() Options {
	return Options{
		Settle:        12 * time.Second, // the longest burst window, 10 s, and 2 s for the way here
		Park:          7 * 24 * time.Hour,
		Repeat:        10 * time.Second,
		Keep:          45 * 24 * time.Hour,
		Burst:         burst.Default(),
		StepRecords:   1024,
		StepBytes:     4 << 20,
		CacheMessages: 1 << 16,
		RollBytes:     256 << 20,
		MaxParked:     1 << 20,
	}
}

// Share returns the settings of one of so many partitions of a node: what bounds the node's memory is divided, down to
// the least that Validate allows. The output depends on it only where the park is full.
func (o Options) Share(partitions int) Options {
	partitions = max(1, partitions)
	o.CacheMessages = max(minCache, o.CacheMessages/partitions)
	o.RollBytes /= partitions
	o.MaxParked = max(1, o.MaxParked/partitions)
	return o
}

// minCache is the least number of message states to keep in memory.
const minCache = 16

// Validate reports the first setting that is out of its bounds.
func (o Options) Validate() error {
	switch {
	case o.Settle < 0 || o.Settle > 10*time.Minute || o.Settle%time.Millisecond != 0:
		return fmt.Errorf("settle: %v: want whole milliseconds from 0 to 10m", o.Settle)
	case o.Park < time.Second || o.Park > 90*24*time.Hour:
		return fmt.Errorf("park: %v: want 1s to 2160h", o.Park)
	case o.Repeat < 0 || o.Repeat > time.Hour:
		return fmt.Errorf("repeat: %v: want 0 to 1h", o.Repeat)
	case o.Keep != 0 && (o.Keep < time.Minute || o.Keep > 87600*time.Hour):
		return fmt.Errorf("keep: %v: want 0, or 1m to 87600h", o.Keep)
	}
	if err := o.Burst.Validate(); err != nil {
		return fmt.Errorf("burst.%w", err)
	}
	for _, b := range []struct {
		key       string
		value     int
		low, high int
	}{
		{"step_records", o.StepRecords, 1, 1 << 16},
		{"step_bytes", o.StepBytes, 4 << 10, 256 << 20},
		{"cache_messages", o.CacheMessages, minCache, 1 << 24},
		{"roll_bytes", o.RollBytes, 0, 64 << 30},
		{"max_parked", o.MaxParked, 1, 1 << 24},
	} {
		if b.value < b.low || b.value > b.high {
			return fmt.Errorf("%s: %d: want %d to %d", b.key, b.value, b.low, b.high)
		}
	}
	return nil
}
