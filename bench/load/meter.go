package load

import (
	"runtime"
	"time"

	"carom/bench/result"
)

// Meter measures what a process uses, with its children. One goroutine uses it.
type Meter struct {
	m     *meter
	began time.Time
}

// NewMeter begins to measure a process; 0 is this one.
func NewMeter(pid int) (*Meter, error) {
	read := ownUsage
	if pid != 0 {
		read = func() (usage, error) { return processUsage(pid) }
	}
	m, err := newMeter(read)
	return &Meter{m, time.Now()}, err
}

// Sample looks at the process: the peak of its memory is that of all samples.
func (m *Meter) Sample() { m.m.sample() }

// Total is what was used until now, or until the process ended, by so many items.
func (m *Meter) Total(items int64, process string) result.CPU {
	return m.m.total(time.Since(m.began).Seconds(), items, runtime.NumCPU(), process)
}

// Used is the CPU time, user and system, that a process and its children have used so far, those included that have ended,
// and the memory that they take.
func Used(pid int) (cpu time.Duration, rss int64, err error) {
	u, err := processUsage(pid)
	return u.cpu, u.rss, err
}

// Machine is where this process runs.
func Machine() result.Machine { return machine() }
