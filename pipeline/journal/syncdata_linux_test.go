package journal

import (
	"os"
	"syscall"
)

// syncData waits for the data, and as much of the metadata as is needed to read it: what Pebble does for its log.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
