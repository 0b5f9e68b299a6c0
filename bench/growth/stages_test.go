package main

import (
	"testing"

	"github.com/google/pprof/profile"
)

func TestStage(t *testing.T) {
	for want, stack := range map[string][]string{ // from the innermost function
		"track: requests, tokens, answers": {
			"syscall.Syscall", "carom/edge/track.(*conn).answer", "carom/pipeline.(*Acceptor).newAccepted.func1",
			"carom/pipeline/journal.(*Journal).tellLoop", "runtime.goexit",
		},
		"accept: verdicts at once, repeats": {
			"runtime.memmove", "carom/pipeline/bot.(*Rules).Judge", "carom/pipeline.(*Acceptor).prepare", "carom/edge/track.(*conn).ride",
		},
		"refine":                          {"github.com/cockroachdb/pebble/v2.(*DB).Apply", "carom/kv.(*Store).Commit", "carom/pipeline/refine.(*Partition).step"},
		"stores: logs":                    {"golang.org/x/sys/unix.Fdatasync", "github.com/cockroachdb/pebble/v2/vfs.(*linuxFile).SyncData", "github.com/cockroachdb/pebble/v2/record.NewLogWriter.func2"},
		"stores: flushes and compactions": {"github.com/golang/snappy.encodeBlock", "github.com/cockroachdb/pebble/v2.(*DB).flush"},
		"garbage collection":              {"runtime.scanobject", "runtime.gcBgMarkWorker"},
		otherStage:                        {"main.main", "runtime.main"},
	} {
		s := &profile.Sample{}
		for _, name := range stack {
			s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: name}}}})
		}
		if got := stage(s); got != want {
			t.Errorf("%v: %q, want %q", stack, got, want)
		}
	}
}
