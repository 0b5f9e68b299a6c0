package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// readMachine describes this machine, and measures how fast the disk under dir syncs.
func readMachine(dir string) (machine, error) {
	m := machine{CPU: "unknown", Cores: runtime.NumCPU(), System: "unknown"}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				m.CPU = strings.Trim(name, " \t:\n")
				break
			}
		}
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		m.System = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	var err error
	m.Sync, err = measureSync(dir)
	return m, err
}

func measureSync(dir string) (micros float64, err error) {
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, 4096)
	const times = 200
	took := make([]float64, times)
	for i := range took {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, fmt.Errorf("sync the disk: %w", err)
		}
		took[i] = float64(time.Since(began).Nanoseconds()) / 1000
	}
	return spreadOf(took).Median, nil
}

// raiseFiles lets this process, and what it starts, have as many files open as the machine allows: 1,024 connections are
// more than the usual bound. Go's own raise would not be inherited.
func raiseFiles() error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &l)
}
