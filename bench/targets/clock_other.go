//go:build !linux

package targets

import "time"

func threadTime() time.Duration { return 0 }
