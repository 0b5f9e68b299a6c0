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

// Machine is where this process runs.
func Machine() result.Machine { return machine() }
