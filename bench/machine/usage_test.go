package machine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The peak is the most memory that was seen while the measurement lasted, not that of its beginning or end.
func TestUsageSeesThePeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		read := func() (usage, error) {
			u := usage{cpu: time.Since(began) / 2, rss: 10, processes: 1}
			switch time.Since(began).Truncate(time.Second) {
			case 3 * time.Second:
				u.rss = 30
			case 8 * time.Second: // behind the end
				u.rss = 50
			}
			return u, nil
		}
		u := &Usage{began: began, harness: &Meter{read: read}, node: &Meter{read: read}}
		u.harness.Restart()
		u.node.Restart()
		ctx, cancel := context.WithCancel(t.Context())
		go u.Watch(ctx)
		time.Sleep(6 * time.Second)
		u.Stop()
		time.Sleep(6 * time.Second)
		cancel()
		synctest.Wait()
		harness, node := u.Totals(3)
		if *node != harness || harness.PeakRSS != 30 || harness.Seconds != 3 || harness.Cores != 0.5 || harness.PerItem != 1e6 {
			t.Errorf("%+v, %+v", harness, node)
		}
	})
}
