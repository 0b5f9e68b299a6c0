package machine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"carom/bench/result"
)

// looks is how many writes LookAtDisk takes the median of: a fifth of a second on a disk that turns.
const looks = 20

// LookAtDisk describes the disk under a folder, which it writes a file to for a moment.
func LookAtDisk(dir string) (*result.Disk, error) {
	took, err := Syncs(dir, looks)
	if err != nil {
		return nil, err
	}
	system, err := fileSystem(dir)
	if err != nil {
		return nil, fmt.Errorf("ask for the file system of %s: %w", dir, err)
	}
	slices.Sort(took)
	return &result.Disk{FileSystem: system, Sync: float64(took[looks/2]) / float64(time.Microsecond)}, nil
}

// Syncs appends 4 KiB to a new file in a folder and syncs it, so many times, and returns how long each took.
func Syncs(dir string, times int) (took []time.Duration, err error) {
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, 4<<10)
	took = make([]time.Duration, times)
	for i := range took {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return nil, err
		}
		if err := syncFile(f); err != nil {
			return nil, fmt.Errorf("sync %s: %w", f.Name(), err)
		}
		took[i] = time.Since(began)
	}
	return took, nil
}
