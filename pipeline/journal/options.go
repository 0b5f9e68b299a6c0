package journal

import (
	"fmt"
	"time"
)

// The values of Options.Durability.
const (
	// Sync: Append returns when the events are on disk.
	Sync = "sync"
	// Interval: Append returns when the events are on their way to the disk, which is synced every SyncInterval.
	Interval = "interval"
)

// Options are the settings of a journal.
type Options struct {
	MaxBytes     int64         `yaml:"max_bytes" doc:"Bound of the journal in bytes of events, at least 1048576. From 70 % on the node is not ready; from 80 % on it stops recording opens, then clicks; at 100 % it refuses mail and API calls."`
	MinFreeBytes int64         `yaml:"min_free_bytes" doc:"Bytes of the disk that the journal leaves free: a disk that others fill lowers max_bytes. 0 switches this off."`
	Retention    time.Duration `yaml:"retention" doc:"How long events stay after every reader has passed them, from 0s on. They go earlier if the journal is half full."`
	Durability   string        `yaml:"durability" doc:"When an event counts as kept: sync (it is on disk) or interval (the disk is synced every sync_interval; a crash loses up to that)."`
	SyncInterval time.Duration `yaml:"sync_interval" doc:"How often the disk is synced with durability interval, from 1ms to 10s."`
}

const (
	minMaxBytes     = 1 << 20
	minSyncInterval = time.Millisecond
	maxSyncInterval = 10 * time.Second
)

// Default returns the settings of a node that nobody has told anything.
func Default() Options {
	return Options{
		MaxBytes:     16 << 30,
		MinFreeBytes: 512 << 20,
		Retention:    72 * time.Hour,
		Durability:   Sync,
		SyncInterval: 100 * time.Millisecond,
	}
}

// Validate names the first setting that can't be used.
func (o Options) Validate() error {
	switch {
	case o.MaxBytes < minMaxBytes:
		return fmt.Errorf("max_bytes: %d: want at least %d", o.MaxBytes, minMaxBytes)
	case o.MinFreeBytes < 0:
		return fmt.Errorf("min_free_bytes: %d: want 0 or more", o.MinFreeBytes)
	case o.Retention < 0:
		return fmt.Errorf("retention: %v: want 0s or more", o.Retention)
	case o.Durability != Sync && o.Durability != Interval:
		return fmt.Errorf("durability: %q: want %s or %s", o.Durability, Sync, Interval)
	case o.SyncInterval < minSyncInterval || o.SyncInterval > maxSyncInterval:
		return fmt.Errorf("sync_interval: %v: want %v to %v", o.SyncInterval, minSyncInterval, maxSyncInterval)
	}
	return nil
}
