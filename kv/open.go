package kv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

const (
	defaultCacheBytes = 64 << 20
	// The journal is all writes; the state has many small ones to the same keys.
	journalMemTableBytes = 64 << 20
	stateMemTableBytes   = 32 << 20
	minMemTableBytes     = 256 << 10

	// These served the prototype (TRAPS); nobody has swept them.
	memTablesBeforeStall  = 4
	l0CompactionThreshold = 4
	l0StopWrites          = 40
	bytesPerSync          = 1 << 20
	bloomBitsPerKey       = 10
	// indexBlockBytes keeps the index of most tables in one block. With Pebble's default of 4 KiB nearly every table has an
	// index of two levels, and a look at one that is in memory costs an eighth more.
	indexBlockBytes = 256 << 10
	// freeAfter is how soon what was trimmed from the journal gives its room on the disk back. Without it Pebble waits until a
	// memtable is full: a journal that takes no more because the disk is full would wait for ever.
	freeAfter = time.Second
)

// Open opens the store in the folder dir, and makes it if there is none.
func Open(dir string, o Options) (*Store, error) {
	o = o.withDefaults()
	s := &Store{dir: dir, opts: o, fs: o.FS}
	s.failure.init(o.Logger)
	if s.fs == nil {
		s.fs = vfs.Default
	}
	if err := s.lockFolder(); err != nil {
		return nil, err
	}
	if wal := s.walBytes(); wal > 0 {
		o.Logger.Info("reads its write-ahead log again", zap.Int64("bytes", wal))
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	if err := s.checkFormat(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Role == "" {
		o.Role = RoleState
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = stateMemTableBytes
		if o.Role == RoleJournal {
			o.MemTableBytes = journalMemTableBytes
		}
	}
	o.MemTableBytes = max(o.MemTableBytes, minMemTableBytes)
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.Logger = o.Logger.Named("kv").With(zap.String("store", o.Role))
	return o
}

// lockFolder makes the folder and takes its lock. Pebble would do both, but tells a folder that can't be written and
// one that another process holds by the same EACCES on some systems: the former fails when the lock file is opened,
// which is a *fs.PathError, the latter when it is locked, which is a bare errno.
func (s *Store) lockFolder() error {
	if s.opts.ReadOnly {
		if _, err := s.fs.Stat(s.dir); err != nil {
			return fmt.Errorf("kv: no store in folder %s: %w", s.dir, err)
		}
	} else if err := s.fs.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("kv: can't make folder %s: %w", s.dir, cause(err))
	}
	lock, err := pebble.LockDirectory(s.dir, s.fs)
	if err == nil {
		s.lock = lock
		return nil
	}
	var path *fs.PathError
	var errno syscall.Errno
	if !errors.As(err, &path) && errors.As(err, &errno) || strings.Contains(err.Error(), "lock held by current process") {
		return fmt.Errorf("kv: folder %s is in use by another process: stop it, or choose another folder", s.dir)
	}
	return fmt.Errorf("kv: can't write to folder %s: %w", s.dir, cause(err))
}

// cause strips the path from err, where the message names it already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) && !errors.Is(path.Err, os.ErrNotExist) {
		return path.Err
	}
	return err
}

func (s *Store) open() (err error) {
	defer s.catch(&err)
	db, err := pebble.Open(s.dir, s.pebbleOptions())
	switch {
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return fmt.Errorf("kv: no store in folder %s", s.dir)
	case err != nil:
		return fmt.Errorf("kv: can't open the %s store in folder %s: %w", s.opts.Role, s.dir, err)
	}
	s.db = db
	return nil
}

// walBytes is how much there is in the write-ahead log: of all that a store holds the only part that opening it reads in
// full, and no more than its memtables hold, as a rule.
func (s *Store) walBytes() (total int64) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return 0 // Pebble will say so
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		if info, err := s.fs.Stat(s.fs.PathJoin(s.dir, name)); err == nil {
			total += info.Size()
		}
	}
	return total
}

func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          s.opts.FS,
		Lock:                        s.lock,
		Logger:                      &s.failure,
		EventListener:               s.listener(),
		ReadOnly:                    s.opts.ReadOnly,
		ErrorIfNotExists:            s.opts.ReadOnly,
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   s.opts.CacheBytes,
		MemTableSize:                s.opts.MemTableBytes,
		MemTableStopWritesThreshold: memTablesBeforeStall,
		L0CompactionThreshold:       l0CompactionThreshold,
		L0StopWritesThreshold:       l0StopWrites,
		BytesPerSync:                bytesPerSync,
	}
	if s.opts.Role == RoleJournal {
		o.FlushDelayDeleteRange = freeAfter
	}
	// The levels below take what level 0 has.
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
	o.Levels[0].IndexBlockSize = indexBlockBytes
	return o
}

// checkFormat compares the format version in the store with ours, and writes ours into a new store.
//
//	 key                    value
//	┌────────────┬────────┐ ┌────────┐
//	│ PrefixMeta │ Format │ │ format │
//	└────────────┴────────┘ └────────┘
func (s *Store) checkFormat() error {
	key := []byte{PrefixMeta, MetaFormat}
	v, ok, err := s.Get(nil, key)
	switch {
	case err != nil:
		return err
	case ok && len(v) != 1:
		return fmt.Errorf("kv: folder %s: the format version has %d bytes, want 1", s.dir, len(v))
	case ok && v[0] > Format:
		return fmt.Errorf("kv: folder %s was written by format %d, this Carom reads %d: use a newer Carom",
			s.dir, v[0], Format)
	case ok && v[0] < Format:
		return fmt.Errorf("kv: folder %s was written by format %d, this Carom reads %d", s.dir, v[0], Format)
	case ok:
		return nil
	case s.opts.ReadOnly:
		return fmt.Errorf("kv: folder %s holds no store of Carom", s.dir)
	}
	if err := s.checkEmpty(); err != nil {
		return err
	}
	b := s.db.NewBatch()
	if err := b.Set(key, []byte{Format}, nil); err != nil {
		return fmt.Errorf("kv: write format version: %w", err)
	}
	if err := s.Commit(b); err != nil {
		return err
	}
	return b.Close()
}

// checkEmpty refuses a Pebble store that somebody else filled.
func (s *Store) checkEmpty() error {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("kv: look into folder %s: %w", s.dir, err)
	}
	filled := it.First()
	if err := it.Close(); err != nil {
		return fmt.Errorf("kv: look into folder %s: %w", s.dir, err)
	}
	if filled {
		return fmt.Errorf("kv: folder %s holds a store, but none of Carom", s.dir)
	}
	return nil
}
