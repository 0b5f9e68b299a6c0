package load

import (
	"time"

	"carom/bench/result"
)

// usage is what processes have used so far.
type usage struct {
	cpu       time.Duration // user and system
	rss       int64         // bytes in memory now
	processes int
}

// meter measures a process over a time.
type meter struct {
	read  func() (usage, error)
	began usage
	last  usage
	peak  int64
	err   error // since when it can't be read: the process has ended
}

func newMeter(read func() (usage, error)) (*meter, error) {
	m := &meter{read: read}
	m.sample()
	m.began = m.last
	return m, m.err
}

// sample reads the usage, and returns how much time went since the sample before.
func (m *meter) sample() (cpu time.Duration) {
	u, err := m.read()
	if err != nil {
		m.err = err
		return 0
	}
	// A child that ended takes its time along unless it is waited for.
	cpu = max(u.cpu-m.last.cpu, 0)
	m.last = u
	m.peak = max(m.peak, u.rss)
	return cpu
}

// restart begins the measurement anew.
func (m *meter) restart() {
	m.sample()
	m.began, m.peak = m.last, m.last.rss
}

// total is what the process used since it was restarted.
func (m *meter) total(seconds float64, items int64, cores int, process string) result.CPU {
	m.sample()
	c := result.CPU{Seconds: (m.last.cpu - m.began.cpu).Seconds(), PeakRSS: m.peak, Process: process, Involved: m.last.processes}
	if seconds > 0 {
		c.Cores = c.Seconds / seconds
		c.Share = c.Cores / float64(cores)
	}
	if items > 0 {
		c.PerItem = c.Seconds * 1e6 / float64(items)
	}
	return c
}
