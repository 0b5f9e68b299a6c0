package scrub

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
)

// list is a source of jobs that are done when they are told to be.
type list struct {
	jobs   []Job
	failed error
	done   int
}

func (l *list) Jobs(int) ([]Job, error) { return l.jobs, nil }

func (l *list) Done([]Job) error {
	l.done++
	return l.failed
}

func (l *list) Buried(*event.Event) (bool, error) { return false, nil }

// A second erase of a contact is a pass of its own, even if the node ends when the first one is done.
func TestEachErasePassesAll(t *testing.T) {
	fs := vfs.NewCrashableMem()
	store, err := kv.Open("state", kv.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	seen := int64(0)
	logs := []Log{{
		Name: "log", End: func() int64 { return 10 },
		Rewrite: func(from, end int64, _ int, _ *Work) (int64, int, error) {
			seen += end - from
			return end, 0, nil
		},
	}}
	contact := event.ContactKeyOf("acme", "bob")
	ended := errors.New("ended")
	for n, at := range []event.Millis{1000, 2000} {
		seen = 0
		source := &list{jobs: []Job{{contact, at}}, failed: ended}
		s := New(store, source, logs, zap.NewNop(), nil)
		s.rest = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
		if err := s.Run(t.Context()); !errors.Is(err, ended) || source.done != 1 {
			t.Fatal(err)
		}
		if seen != 10 {
			t.Errorf("erase %d: %d records were looked at, want 10", n, seen)
		}
	}
}
