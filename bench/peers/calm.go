package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	benchmachine "carom/bench/machine"
)

const (
	calmWithin = time.Minute // after that a measurement begins all the same
	calmSyncs  = 200
	calmWork   = 50 * time.Millisecond
	// calmShare is how fast the processors must be, measured by their fastest look so far.
	calmShare = 0.9
)

// calm looks whether a machine that others use lets one measure. It looks before a measurement, never after: what a
// measurement gave has no say in whether it counts.
type calm struct {
	dir     string
	sync    time.Duration // 99 of 100 syncs are to take less; 0: nobody waits for anything
	cores   int
	fastest float64 // hashes a second
}

// wait returns when the machine is calm, or calmWithin has passed.
func (c *calm) wait(ctx context.Context) (came bool, waited time.Duration, err error) {
	if c.sync == 0 {
		return false, 0, nil
	}
	if c.fastest == 0 { // the first look has nothing to be compared with
		if _, err := c.look(); err != nil {
			return false, 0, err
		}
	}
	began := time.Now()
	for !came && err == nil && ctx.Err() == nil && waited < calmWithin {
		came, err = c.look()
		waited = time.Since(began)
	}
	return came, waited, err
}

// look reports whether both the disk and the processors are calm.
func (c *calm) look() (bool, error) {
	took, err := benchmachine.Syncs(c.dir, calmSyncs)
	if err != nil {
		return false, fmt.Errorf("look whether the disk is calm: %w", err)
	}
	slices.Sort(took)
	speed := hashing(c.cores, calmWork)
	c.fastest = max(c.fastest, speed)
	return took[len(took)*99/100] < c.sync && speed >= calmShare*c.fastest, nil
}

// hashing returns how many hashes a second all cores make together.
func hashing(cores int, lasts time.Duration) float64 {
	began := time.Now()
	var hashes atomic.Int64
	var all sync.WaitGroup
	for range cores {
		all.Go(func() {
			var block [1 << 10]byte
			for time.Since(began) < lasts {
				sum := sha256.Sum256(block[:])
				copy(block[:], sum[:])
				hashes.Add(1)
			}
		})
	}
	all.Wait()
	return float64(hashes.Load()) / time.Since(began).Seconds()
}
