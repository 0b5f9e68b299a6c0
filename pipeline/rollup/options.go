package rollup

import (
	"fmt"
	"time"
)

// Bounds of the settings.
const (
	maxCompleteAfter = 90 * 24 * time.Hour
	maxStepRecords   = 1 << 16
	maxDomains       = 10_000
	minCache         = 2
	maxCache         = 1 << 24
	minPublishEvery  = time.Second
	maxPublishEvery  = time.Hour
)

// Options are rollup's settings. Those that bound memory speak of a whole node: Share makes them those of a partition.
type Options struct {
	CompleteAfter time.Duration `yaml:"complete_after" doc:"How long after its first send an enrollment completes, whatever its outcome; whole milliseconds from 0 to 2160h. A change recomputes all cohorts at the next start."`
	Keep          time.Duration `yaml:"keep" doc:"How long an enrollment is kept after it completed, and after what it counts as has changed last: at least as long as late facts come, or further mails of its sequence. 0 keeps it for ever; else from 768h to 87600h."`
	KeepCohorts   time.Duration `yaml:"keep_cohorts" doc:"How long hourly counts are kept, from which scores are read: as far back as as_of is answered in full, and 30 days more. 0 keeps them for ever; else at least keep and complete_after, at most 87600h."`
	PublishEvery  time.Duration `yaml:"publish_every" doc:"How often the scores of senders that changed are published to the log of scores, where there is one; from 1s to 1h."`
	Domains       int           `yaml:"domains" doc:"How many recipient domains that belong to no known mailbox provider are counted by themselves, of each sender: the first that it wrote to; all others together are the provider other. From 0 to 10000."`
	StepRecords   int           `yaml:"step_records" doc:"How many input records one commit covers at most; from 1 to 65536."`

	CacheEnrollments int `yaml:"cache_enrollments" doc:"How many enrollments the node keeps in memory, at most 256 bytes each on average, shared evenly by its partitions; from 2 to 16777216."`
	CacheRows        int `yaml:"cache_rows" doc:"How many rows of hourly counts the node keeps in memory, at most 256 bytes each on average, shared evenly by its partitions; an active sequence has four, and an active provider of a sender two; from 2 to 16777216."`
}

// Default returns the settings of a server that is told nothing.
func Default() Options {
	return Options{
		CompleteAfter: 72 * time.Hour,
		Keep:          120 * 24 * time.Hour,
		KeepCohorts:   400 * 24 * time.Hour,
		PublishEvery:  time.Minute,
		Domains:       100,
		StepRecords:   8192, // the more, the fewer writes an event, when there is a backlog: see RATES.md

		CacheEnrollments: 1 << 16,
		CacheRows:        1 << 16,
	}
}

// Share returns the settings of one of so many partitions of a node: what bounds the node's memory is divided, down to
// the least that Validate allows.
func (o Options) Share(partitions int) Options {
	partitions = max(1, partitions)
	o.CacheEnrollments = max(minCache, o.CacheEnrollments/partitions)
	o.CacheRows = max(minCache, o.CacheRows/partitions)
	return o
}

// Validate reports the first setting that is out of its bounds.
func (o Options) Validate() error {
	if o.CompleteAfter < 0 || o.CompleteAfter > maxCompleteAfter || o.CompleteAfter%time.Millisecond != 0 {
		return fmt.Errorf("complete_after: %v: want whole milliseconds from 0 to 2160h", o.CompleteAfter)
	}
	if err := o.validateKeep(); err != nil {
		return err
	}
	if o.PublishEvery < minPublishEvery || o.PublishEvery > maxPublishEvery {
		return fmt.Errorf("publish_every: %v: want 1s to 1h", o.PublishEvery)
	}
	if o.Domains < 0 || o.Domains > maxDomains {
		return fmt.Errorf("domains: %d: want 0 to %d", o.Domains, maxDomains)
	}
	if o.StepRecords < 1 || o.StepRecords > maxStepRecords {
		return fmt.Errorf("step_records: %d: want 1 to %d", o.StepRecords, maxStepRecords)
	}
	if o.CacheEnrollments < minCache || o.CacheEnrollments > maxCache {
		return fmt.Errorf("cache_enrollments: %d: want %d to %d", o.CacheEnrollments, minCache, maxCache)
	}
	if o.CacheRows < minCache || o.CacheRows > maxCache {
		return fmt.Errorf("cache_rows: %d: want %d to %d", o.CacheRows, minCache, maxCache)
	}
	return nil
}
