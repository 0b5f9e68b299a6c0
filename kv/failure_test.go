package kv

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"
)

// failing opens a store whose file system fails the operations that match, from arm on.
func failing(t *testing.T, match func(errorfs.Op) bool) (s *Store, arm func()) {
	t.Helper()
	var armed atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), injector(func(op errorfs.Op) error {
		if armed.Load() && match(op) {
			return errorfs.ErrInjected
		}
		return nil
	}))
	return mustOpen(t, "data", Options{FS: fs, MemTableBytes: minMemTableBytes}), func() { armed.Store(true) }
}

func commitOne(t *testing.T, s *Store, value []byte) error {
	t.Helper()
	b := s.NewBatch()
	if err := b.Set([]byte("k"), value, nil); err != nil {
		t.Fatal(err)
	}
	return s.Commit(b)
}

func TestFailedSync(t *testing.T) {
	s, arm := failing(t, func(op errorfs.Op) bool { return inLog(op) && isSync(op) })
	if err := commitOne(t, s, nil); err != nil || s.Err() != nil {
		t.Fatal(err, s.Err())
	}
	arm()
	err := commitOne(t, s, nil)
	if err == nil || !strings.Contains(err.Error(), "injected") {
		t.Fatalf("Commit with a failed sync: %v", err)
	}
	<-s.Failed()
	if !errors.Is(s.Err(), err) {
		t.Errorf("Err = %v, want %v", s.Err(), err)
	}
	if again := commitOne(t, s, nil); !errors.Is(again, err) {
		t.Errorf("Commit after it: %v, want %v", again, err)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(s.Collector())
	families, gatherErr := reg.Gather()
	if gatherErr != nil || len(families) != 1 || families[0].GetName() != "carom_kv_failed" ||
		families[0].Metric[0].Gauge.GetValue() != 1 {
		t.Errorf("metrics: %v, %v, want carom_kv_failed 1 alone", families, gatherErr)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close of a failed store: %v", err)
	}
}

// The manifest is written by a goroutine of Pebble's own, with Pebble's lock held.
func TestFailedBackground(t *testing.T) {
	s, arm := failing(t, func(op errorfs.Op) bool { return inManifest(op) && (isSync(op) || op.Kind == errorfs.OpFileWrite) })
	arm()
	go func() {
		// Commits go on until memtables are written out, which needs the manifest. They may hang then.
		value := bytes.Repeat([]byte("v"), 64<<10)
		for commitOne(t, s, value) == nil {
		}
	}()
	<-s.Failed()
	if err := commitOne(t, s, nil); err == nil || !strings.Contains(err.Error(), "MANIFEST") {
		t.Errorf("Commit: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close of a failed store: %v", err)
	}
}

// Who entered before the store failed may hang in Pebble and never leave. Close must not wait for it.
func TestCloseOfFailedStoreWaitsForNobody(t *testing.T) {
	for name, failFirst := range map[string]bool{"failed before": true, "fails meanwhile": false} {
		t.Run(name, func(t *testing.T) {
			s, arm := failing(t, func(op errorfs.Op) bool { return inLog(op) && isSync(op) })
			if err := s.Enter(); err != nil {
				t.Fatal(err)
			}
			arm()
			fail := func() { _ = commitOne(t, s, nil) }
			closed := make(chan error)
			if failFirst {
				fail()
			}
			go func() { closed <- s.Close() }()
			if !failFirst {
				fail()
			}
			if err := <-closed; failFirst && err != nil {
				t.Errorf("Close of a failed store: %v", err)
			}
			if err := errors.Join(s.Close(), s.Enter()); !errors.Is(err, ErrClosed) {
				t.Errorf("Enter after Close: %v, want %v", err, ErrClosed)
			}
		})
	}
}

// A batch that Pebble refuses as misused is a bug, not the disk's failure.
func TestBugsArePanics(t *testing.T) {
	s, other := mustOpen(t, t.TempDir(), Options{}), mustOpen(t, t.TempDir(), Options{})
	defer func() {
		if recover() == nil {
			t.Error("a foreign batch was committed")
		}
		if err := s.Err(); err != nil {
			t.Errorf("Err = %v", err)
		}
	}()
	b := other.NewBatch()
	if err := b.Set([]byte("k"), nil, nil); err != nil {
		t.Fatal(err)
	}
	_ = s.Commit(b)
}
