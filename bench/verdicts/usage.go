package verdicts

import (
	"time"

	"carom/bench/machine"
	"carom/bench/result"
)

// usage is what the harness and the node use while a play lasts.
type usage struct {
	meters  []*machine.Meter // of the harness, and of the node if its process is known
	began   time.Time
	harness result.CPU
	server  *result.CPU
}

// newUsage begins to measure; pid is the node's, 0 if it is not known.
func newUsage(pid int) (*usage, error) {
	u := &usage{began: time.Now()}
	pids := []int{0} // this process
	if pid != 0 {
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		m, err := machine.NewMeter(pid)
		if err != nil {
			return nil, err
		}
		u.meters = append(u.meters, m)
	}
	return u, nil
}

// end is when so many hits have been played.
func (u *usage) end(hits int) {
	lasted := time.Since(u.began)
	u.harness = u.meters[0].Total(lasted, int64(hits))
	if len(u.meters) > 1 {
		s := u.meters[1].Total(lasted, int64(hits))
		u.server = &s
	}
}
