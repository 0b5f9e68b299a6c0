package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// console is standard error: lines, and on a terminal a last line that tells how far things are.
type console struct {
	mu    sync.Mutex
	out   io.Writer
	shown bool // a progress line stands there
}

// tell writes a line about an error.
func (c *console) tell(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
	fmt.Fprintf(c.out, "carom: %s\n", printable(err.Error()))
}

// clear removes the progress line. The caller holds mu.
func (c *console) clear() {
	if c.shown {
		fmt.Fprint(c.out, "\r\x1b[K") // ECMA-48 8.3.41: erase to the end of the line
		c.shown = false
	}
}

// progressEvery is how often the progress line changes.
const progressEvery = 500 * time.Millisecond

// showProgress shows how many mails were read and how fast it goes, until stop.
func (c *console) showProgress(mails func() int64) (stop func()) {
	began := time.Now()
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			n := mails()
			c.mu.Lock()
			c.clear()
			fmt.Fprintf(c.out, "%d mails, %.0f/s", n, float64(n)/time.Since(began).Seconds())
			c.shown = true
			c.mu.Unlock()
		}
	}()
	return func() {
		close(end)
		<-ended
		c.mu.Lock()
		defer c.mu.Unlock()
		c.clear()
	}
}
