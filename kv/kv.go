package kv

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

// Batch collects writes that reach the disk together or not at all.
type Batch = pebble.Batch

// Format is the format version that this Carom writes and reads: the set of keyspaces in keys.go. A value's own
// layout has a version byte of its own.
const Format byte = 1

// The stores of a node.
const (
	RoleJournal = "journal"
	RoleState   = "state"
)

// ErrClosed is returned by every use of a store after Close.
var ErrClosed = errors.New("kv: closed")

// Options describe a store. They are wiring, not configuration: the zero value of each is a sound default.
type Options struct {
	// FS is the file system; default the operating system's, watched for slow writes.
	FS vfs.FS
	// Role names the store in messages and metrics: RoleJournal or RoleState, which is the default.
	Role string
	// CacheBytes is the size of the block cache; default 64 MiB.
	CacheBytes int64
	// MemTableBytes is the size of one of at most four memtables, at least 256 KiB; default 64 MiB for the journal, else
	// 32 MiB. A batch may be of any size, but one of more than half of this is slow.
	MemTableBytes uint64
	// ReadOnly opens an existing store without writing to it.
	ReadOnly bool
	Logger   *zap.Logger
}

// Store is one open Pebble store. Its methods are safe for concurrent use, except that what Close overtakes may crash:
// whoever can't be sure to have ended by then reads between Enter and Leave.
type Store struct {
	dir  string
	opts Options
	fs   vfs.FS
	db   *pebble.DB
	lock *pebble.Lock

	failure failure
	stalls  stalls

	closing sync.Once
	closed  atomic.Bool
	life    sync.RWMutex // held for reading from Enter to Leave, for writing by Close
}

// DB returns the Pebble store, for gets and iterators. Write through Commit only: it turns what Pebble considers
// fatal into an error.
func (s *Store) DB() *pebble.DB { return s.db }

// Enter keeps the store open until Leave, or fails with ErrClosed. Calls must not be nested, and must not wait for
// anything but the store. It is for readers that nobody stops before Close: a client that follows the events, a scrape
// of the metrics.
func (s *Store) Enter() error {
	if s.closed.Load() { // after a failure the lock may never be had
		return ErrClosed
	}
	s.life.RLock()
	if s.closed.Load() {
		s.life.RUnlock()
		return ErrClosed
	}
	return nil
}

// Leave ends what Enter began.
func (s *Store) Leave() { s.life.RUnlock() }

// Role returns the store's name in messages and metrics.
func (s *Store) Role() string { return s.opts.Role }

// Dir returns the folder of the store.
func (s *Store) Dir() string { return s.dir }

// ReadOnly reports whether the store was opened for reading only.
func (s *Store) ReadOnly() bool { return s.opts.ReadOnly }

// NewBatch returns an empty batch. It is given back with its Close.
func (s *Store) NewBatch() *Batch { return s.db.NewBatch() }

// NewIndexedBatch returns a batch that can be read: its gets and iterators see its writes over the store's.
func (s *Store) NewIndexedBatch() *Batch { return s.db.NewIndexedBatch() }

// Commit writes b and returns when it is on disk. The batch stays its caller's, to Reset or Close.
//
// An error means that b may or may not be there after the next Open, and that the store has failed: see Err.
func (s *Store) Commit(b *Batch) error { return s.apply(b, pebble.Sync) }

// CommitNoSync writes b and returns when readers see it; it is on disk after a later Commit or Sync.
func (s *Store) CommitNoSync(b *Batch) error { return s.apply(b, pebble.NoSync) }

// Sync returns when everything that was written before is on disk.
func (s *Store) Sync() error {
	b := s.db.NewBatch()
	if err := b.LogData(nil, nil); err != nil {
		return fmt.Errorf("sync %s store: %w", s.opts.Role, err)
	}
	if err := s.apply(b, pebble.Sync); err != nil {
		return err
	}
	return b.Close()
}

func (s *Store) apply(b *Batch, o *pebble.WriteOptions) (err error) {
	if s.closed.Load() {
		return ErrClosed
	}
	if err := s.failure.err(); err != nil {
		return err
	}
	defer s.catch(&err)
	if err := s.db.Apply(b, o); err != nil {
		return fmt.Errorf("write to %s store: %w", s.opts.Role, err)
	}
	return nil
}

// Get appends the value of key to dst; ok is false if there is none.
func (s *Store) Get(dst, key []byte) (value []byte, ok bool, err error) {
	if s.closed.Load() {
		return dst, false, ErrClosed
	}
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, fmt.Errorf("read from %s store: %w", s.opts.Role, err)
	}
	dst = append(dst, v...)
	return dst, true, closer.Close()
}

// DeleteRange removes the keys from start up to, not including, end. It does not wait for the disk: after a crash
// they may be back.
func (s *Store) DeleteRange(start, end []byte) error {
	b := s.db.NewBatch()
	if err := b.DeleteRange(start, end, nil); err != nil {
		return fmt.Errorf("trim %s store: %w", s.opts.Role, err)
	}
	if err := s.CommitNoSync(b); err != nil {
		return err
	}
	return b.Close()
}

// Checkpoint writes a copy of the store, as it is now, into the folder dir, which must not exist. Where it can, it
// links files instead of copying them.
func (s *Store) Checkpoint(dir string) (err error) {
	if s.closed.Load() {
		return ErrClosed
	}
	defer s.catch(&err)
	if err := s.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("copy %s store to %s: %w", s.opts.Role, dir, err)
	}
	return nil
}

// DiskFree returns how many bytes the store's disk can still take; ok is false where that can't be known.
func (s *Store) DiskFree() (bytes uint64, ok bool) {
	u, err := s.fs.GetDiskUsage(s.dir)
	return u.AvailBytes, err == nil
}

// Close waits for those who entered, writes out what is open and releases the folder. A store that has failed, or fails
// meanwhile, is abandoned as it is: Pebble may hold locks that never open again, so who entered may never leave, and the
// folder stays locked until the process ends.
func (s *Store) Close() (err error) {
	s.closing.Do(func() {
		defer s.closed.Store(true)
		if s.Err() != nil {
			return
		}
		ended := make(chan error, 1)
		go func() { ended <- s.close() }()
		select {
		case err = <-ended:
		case <-s.Failed():
			err = s.Err()
		}
	})
	return err
}

func (s *Store) close() (err error) {
	s.life.Lock()
	defer s.life.Unlock()
	s.closed.Store(true)
	if err := s.Err(); err != nil {
		return err
	}
	defer s.catch(&err)
	err = s.db.Close()
	if lockErr := s.lock.Close(); err == nil {
		err = lockErr
	}
	if err != nil {
		return fmt.Errorf("close %s store: %w", s.opts.Role, err)
	}
	return nil
}
