package machine

import (
	"runtime"
	"time"

	"carom/bench/result"
)

// usage is what processes have used so far.
type usage struct {
	cpu       time.Duration // user and system
	rss       int64         // bytes in memory now
	processes int
}

// Used is the CPU time, user and system, that a process and its children have used so far, those included that have ended,
// and the memory that they take.
func Used(pid int) (cpu time.Duration, rss int64, err error) {
	u, err := processUsage(pid)
	return u.cpu, u.rss, err
}

// Meter measures what a process uses over a time, with its children. One goroutine uses it.
type Meter struct {
	name  string // of the process; empty: this one
	read  func() (usage, error)
	began usage
	last  usage
	peak  int64
	err   error
}

// NewMeter begins to measure a process; 0 is this one.
func NewMeter(pid int) (*Meter, error) {
	m := &Meter{read: ownUsage}
	if pid != 0 {
		m.name = processName(pid)
		m.read = func() (usage, error) { return processUsage(pid) }
	}
	m.Restart()
	return m, m.err
}

// Restart begins the measurement anew.
func (m *Meter) Restart() {
	m.Sample()
	m.began, m.peak = m.last, m.last.rss
}

// Sample looks at the process, and returns how much CPU time went since the sample before and how much memory it takes: the
// most of all samples is its peak.
func (m *Meter) Sample() (cpu time.Duration, rss int64) {
	u, err := m.read()
	if err != nil {
		m.err = err
		return 0, m.last.rss
	}
	// A child that ended takes its time along unless it is waited for.
	cpu = max(u.cpu-m.last.cpu, 0)
	m.last = u
	m.peak = max(m.peak, u.rss)
	return cpu, u.rss
}

// follow goes on with another process, in place of one that has ended.
func (m *Meter) follow(pid int) error {
	next, err := NewMeter(pid)
	if err != nil {
		return err
	}
	next.began.cpu -= m.last.cpu - m.began.cpu
	next.peak = max(next.peak, m.peak)
	*m = *next
	return nil
}

// Err is why the process could not be looked at until now, because it has ended; nil if it could.
func (m *Meter) Err() error { return m.err }

// Total is what the process used since the measurement began, which lasted so long, for so many items.
func (m *Meter) Total(lasted time.Duration, items int64) result.CPU {
	m.Sample()
	return m.total(lasted, items)
}

// total is that as of the last sample.
func (m *Meter) total(lasted time.Duration, items int64) result.CPU {
	c := result.CPU{Seconds: (m.last.cpu - m.began.cpu).Seconds(), PeakRSS: m.peak, Process: m.name, Involved: m.last.processes}
	if lasted > 0 {
		c.Cores = c.Seconds / lasted.Seconds()
		c.Share = c.Cores / float64(runtime.NumCPU())
	}
	if items > 0 {
		c.PerItem = c.Seconds * 1e6 / float64(items)
	}
	return c
}
