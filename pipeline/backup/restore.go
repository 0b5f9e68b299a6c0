package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/journal"
	"carom/pipeline/log"
)

const (
	// marker stands in a data folder while a restore is not done.
	marker = "restore-unfinished"
	// perMilli is how many sequences a node gives out in a millisecond at most: ten times of what it can.
	perMilli = 1000
	// slack is how far the clocks of two machines may be apart.
	slack = time.Hour
)

// Restored is what Restore did.
type Restored struct {
	Manifest
	// Next is the sequence of the journal at which the copy ended, Goes that at which it goes on.
	Next, Goes int64
}

// Restore brings the backup in dir back as a node's data, in a folder that is empty or missing, but for the files in may.
//
// The journal goes on with a jump: 1,000 sequences for each millisecond since the backup and an hour more, which the original
// can't have used up. So a second restore of the same backup, later, has sequences of its own as well. The logs of events and
// rejects jump likewise, if they are kept here: clients hold cursors into them.
func Restore(dir, data string, now time.Time, logger *zap.Logger, may ...string) (r Restored, err error) {
	if r.Manifest, err = ReadManifest(dir); err != nil {
		return r, err
	}
	since := now.Sub(r.At)
	if since < -slack/2 {
		return r, fmt.Errorf("backup: it was made at %v, which is to come: set this machine's clock", r.At)
	}
	if err := checkFolder(dir, &r.Manifest); err != nil {
		return r, err
	}
	if within(dir, data) {
		return r, fmt.Errorf("backup: folder %s is in the backup, which is to stay as it is: name another", data)
	}
	if err := makeEmpty(data, may...); err != nil {
		return r, err
	}
	if err := os.WriteFile(filepath.Join(data, marker), nil, 0o600); err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	if err := syncFolder(data); err != nil {
		return r, err
	}
	if err := copyStores(dir, data, &r.Manifest); err != nil {
		return r, err
	}
	past := perMilli * (since + slack).Milliseconds()
	if r.Next, r.Goes, err = jump(data, past, logger); err != nil {
		return r, err
	}
	if err := os.Remove(filepath.Join(data, marker)); err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	return r, syncFolder(data)
}

// within reports whether a path lies in a folder, or is it.
func within(dir, path string) bool {
	from, err := filepath.Abs(dir)
	to, toErr := filepath.Abs(path)
	if err != nil || toErr != nil {
		return false
	}
	rel, err := filepath.Rel(from, to)
	return err == nil && filepath.IsLocal(rel)
}

// CheckData refuses a data folder that a restore was not done with.
func CheckData(data string) error {
	_, err := os.Stat(filepath.Join(data, marker))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("backup: %w", err)
	}
	return fmt.Errorf("backup: a restore into %s was cut short: empty the folder and run it again", data)
}

// checkFolder refuses a folder that holds other files than the manifest names. Their contents are checked as they are copied.
func checkFolder(dir string, m *Manifest) error {
	want := make(map[string]int64, len(m.Files))
	for _, f := range m.Files {
		want[f.Path] = f.Bytes
	}
	for _, store := range stores {
		entries, err := os.ReadDir(filepath.Join(dir, store))
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		for _, e := range entries {
			name := store + "/" + e.Name()
			info, err := e.Info()
			if err != nil {
				return fmt.Errorf("backup: %w", err)
			}
			bytes, ok := want[name]
			switch {
			case !ok:
				return fmt.Errorf("backup: %s holds %s, which its manifest does not name", dir, name)
			case info.Size() != bytes || !info.Mode().IsRegular():
				return fmt.Errorf("backup: %s in %s has %d bytes, its manifest says %d", name, dir, info.Size(), bytes)
			}
			delete(want, name)
		}
	}
	for name := range want {
		return fmt.Errorf("backup: %s lacks %s", dir, name)
	}
	return nil
}

func copyStores(dir, data string, m *Manifest) error {
	for _, store := range stores {
		if err := os.Mkdir(filepath.Join(data, store), 0o755); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
	}
	for _, f := range m.Files {
		name := filepath.FromSlash(f.Path)
		in, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		got, err := copyFile(in, filepath.Join(data, name), f.Path)
		if err = errors.Join(err, in.Close()); err != nil {
			return fmt.Errorf("backup: restore %s: %w", f.Path, err)
		}
		if got != f {
			return fmt.Errorf("backup: %s in %s is damaged: its checksum is not that of the manifest", f.Path, dir)
		}
	}
	return syncFolders(data)
}

// jump moves on what others may know more of than the copy.
func jump(data string, past int64, logger *zap.Logger) (next, goes int64, err error) {
	err = open(data, kv.RoleJournal, logger, func(s *kv.Store) (err error) {
		next, goes, err = journal.Jump(s, past)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	return next, goes, open(data, kv.RoleState, logger, func(s *kv.Store) error {
		embedded, err := journal.Bound(s)
		if err != nil || !embedded { // offsets of topics are the brokers'
			return err
		}
		return errors.Join(log.Jump(s, kv.LogEvents, 0, past), log.Jump(s, kv.LogRejects, 0, past))
	})
}

func open(data, role string, logger *zap.Logger, do func(*kv.Store) error) error {
	s, err := kv.Open(filepath.Join(data, role), kv.Options{Role: role, Logger: logger})
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.Close())
}
