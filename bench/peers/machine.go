package main

import (
	benchmachine "carom/bench/machine"

	"golang.org/x/sys/unix"
)

// readMachine describes this machine, and measures how fast the disk under dir syncs.
func readMachine(dir string) (machine, error) {
	here := benchmachine.Describe()
	m := machine{CPU: here.CPU, Cores: here.Cores, System: here.System}
	took, err := benchmachine.Syncs(dir, 200)
	micro := make([]float64, len(took))
	for i := range took {
		micro[i] = micros(took[i])
	}
	m.Sync = spreadOf(micro).Median
	return m, err
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
