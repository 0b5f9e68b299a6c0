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
	took, err := syncs(dir, 200)
	micro := make([]float64, len(took))
	for i := range took {
		micro[i] = micros(took[i])
	}
	m.Sync = spreadOf(micro).Median
	return m, err
}

// syncs appends 4 KiB to a file and syncs it, so many times, and returns how long each took.
func syncs(dir string, times int) (took []time.Duration, err error) {
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, 4096)
	took = make([]time.Duration, times)
	for i := range took {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return nil, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return nil, fmt.Errorf("sync the disk: %w", err)
		}
		took[i] = time.Since(began)
	}
	return took, nil
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
