package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// reloadOnHangup has each of the parts read its files anew at every SIGHUP, until ctx is done. How it went is in the
// log, where they tell it.
func reloadOnHangup(ctx context.Context, reload ...func()) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
			for _, again := range reload {
				again()
			}
		}
	}
}
