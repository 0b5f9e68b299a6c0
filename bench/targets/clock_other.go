//go:build !linux

package targets

import "time"

func threadClock() (clock func() time.Duration, done func()) {
	return func() time.Duration { return 0 }, func() {}
}
