package load

import "time"

// longestSleep bounds the time in which the pacer does not notice that it should stop.
const longestSleep = 100 * time.Millisecond

// pacer makes a function that sleeps, for one goroutine; done ends its use. Tests, whose time is not the kernel's, have
// one of their own.
type pacer func() (sleep func(time.Duration), done func(), err error)

// pace hands out requests at their times, until there are no more.
func (d *dispatcher) pace(sleep func(time.Duration)) {
	for {
		next, ok := d.release()
		if !ok {
			return
		}
		if wait := next - d.now(); wait > 0 {
			sleep(min(wait, longestSleep))
		}
	}
}
