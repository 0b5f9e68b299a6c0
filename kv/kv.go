package kv

import "github.com/cockroachdb/pebble/v2"

// Batch collects writes that reach the disk together or not at all.
type Batch = pebble.Batch
