package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"carom/kv"
)

// RuntimeOptions bound what the process takes of its machine.
type RuntimeOptions struct {
	MemoryLimit int64 `yaml:"memory_limit" doc:"How many bytes the process should take at most, from 268435456 on; 0: what its cgroup or the machine allows. Go's heap gets three quarters of it, less 256 MiB and data.cache_bytes, which the stores take, but a quarter at least: near that, memory is freed earlier, at the cost of CPU. The log says how much that is. A GOMEMLIMIT in the environment stands above this, and a GOGC above how much garbage may come together before that."`
}

// Validate names the first setting that can't be used.
func (o RuntimeOptions) Validate() error {
	if o.MemoryLimit != 0 && o.MemoryLimit < minMemory {
		return fmt.Errorf("memory_limit: %d: want at least %d, or 0", o.MemoryLimit, minMemory)
	}
	return nil
}

const (
	minMemory = 256 << 20
	// storesMemory is what the two stores take outside of Go's heap beside the state's cache: the journal's, which is of
	// 64 MiB, and two memtables each.
	storesMemory = 256 << 20
	// gcPercent lets the heap grow to three times what lives before garbage is collected, as far as the limit allows. With
	// all roles in one process that saves 6 % of the CPU of an open against Go's own 100, and takes a fifth more memory; 400
	// would save 1 % more. The tracking edge alone makes no garbage.
	gcPercent = 200
	// releaseEvery is how often what the stores have freed is given back to the system. It takes 3 ms with a cache of
	// 256 MiB (BenchmarkReleaseMemory).
	releaseEvery = time.Minute
)

// keepTwoProcs lets Go use two threads at least. With one it would spend its time blocked in fsync while nobody fills the
// next batch: group commit needs two, even on one core.
func keepTwoProcs() {
	if runtime.GOMAXPROCS(0) < 2 {
		runtime.GOMAXPROCS(2)
	}
}

// tuneRuntime sets how Go collects garbage, unless the operator did, and says what holds. root is where the file system begins.
func tuneRuntime(c *Config, root string, log *zap.Logger) {
	percent := gcPercent
	if given := debug.SetGCPercent(gcPercent); os.Getenv("GOGC") != "" {
		percent = given
		debug.SetGCPercent(given)
	}
	fields := []zap.Field{zap.Int("gomaxprocs", runtime.GOMAXPROCS(0)), zap.Int("gc-percent", percent)}
	if os.Getenv("GOMEMLIMIT") == "" {
		memory, source := c.Runtime.MemoryLimit, "runtime.memory_limit"
		if memory == 0 {
			memory, source = memoryAllowed(root)
		}
		if memory > 0 {
			debug.SetMemoryLimit(heapLimit(memory, c.Data.CacheBytes))
		}
		fields = append(fields, zap.Int64("memory-bytes", memory), zap.String("memory-by", source))
	} else {
		fields = append(fields, zap.String("memory-by", "GOMEMLIMIT"))
	}
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		fields = append(fields, zap.Int64("heap-limit-bytes", limit))
	}
	log.Info("runtime", fields...)
}

// heapLimit is what Go may take of a process's memory, of which the state's cache takes some.
func heapLimit(memory, cache int64) int64 { return max(memory/4*3-storesMemory-cache, memory/4) }

// keepReleasing gives back, until ctx ends, what the stores have freed.
func keepReleasing(ctx context.Context) error {
	tick := time.NewTicker(releaseEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			kv.ReleaseMemory()
		case <-ctx.Done():
			return nil
		}
	}
}
