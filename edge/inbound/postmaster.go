package inbound

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// recountAfter is how often a full mailbox looks whether the operator has taken mails away.
const recountAfter = 10 * time.Second

var errMailboxFull = errors.New("inbound: operator's mailbox is full")

// mailbox keeps the mails to postmaster and abuse, a file each, bounded in number and bytes. The operator reads and
// removes them; nothing else does.
//
// A file is named by the hash of the mail, so a mail that is brought again takes no more room.
type mailbox struct {
	dir      string
	maxMails int
	maxBytes int64

	mu      sync.Mutex
	mails   int
	bytes   int64
	counted time.Time
}

const (
	mailSuffix = ".eml"
	tempSuffix = ".tmp"
)

// openMailbox makes the folder if it is missing, and counts what is there.
func openMailbox(o Options) (*mailbox, error) {
	m := &mailbox{dir: o.PostmasterDir, maxMails: o.PostmasterMaxMails, maxBytes: o.PostmasterMaxBytes}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, err
	}
	probe, err := os.CreateTemp(m.dir, "*"+tempSuffix)
	if err != nil {
		return nil, err
	}
	probe.Close()
	// This is left from a crash, or the probe.
	leftovers, _ := filepath.Glob(filepath.Join(m.dir, "*"+tempSuffix))
	for _, name := range leftovers {
		if err := os.Remove(name); err != nil {
			return nil, err
		}
	}
	return m, m.count()
}

// count counts the mails in the folder. The lock must be held, or m not yet shared.
func (m *mailbox) count() error {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return err
	}
	m.mails, m.bytes, m.counted = 0, 0, time.Now()
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return err
		}
		m.mails++
		m.bytes += info.Size()
	}
	return nil
}

// full reports whether no mail at all would be kept.
func (m *mailbox) full() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.fits(1)
}

// fits reports whether another mail of n bytes has room. The lock must be held.
func (m *mailbox) fits(n int64) bool {
	room := func() bool { return m.mails < m.maxMails && m.bytes+n <= m.maxBytes }
	if !room() && time.Since(m.counted) > recountAfter {
		_ = m.count() // if that fails, what we knew holds
	}
	return room()
}

// keep writes a mail with its trace before it. When it returns without an error, the mail is on disk.
func (m *mailbox) keep(trace, mail []byte) error {
	sum := sha256.Sum256(mail)
	name := filepath.Join(m.dir, hex.EncodeToString(sum[:16])+mailSuffix)
	if _, err := os.Stat(name); err == nil {
		return syncDir(m.dir) // the name may be there and not yet on disk
	}
	n := int64(len(trace) + len(mail))
	if !m.reserve(n) {
		return errMailboxFull
	}
	if err := writeFile(name, trace, mail); err != nil {
		m.mu.Lock()
		m.mails, m.bytes = m.mails-1, m.bytes-n
		m.mu.Unlock()
		return err
	}
	return nil
}

func (m *mailbox) reserve(n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.fits(n) {
		return false
	}
	m.mails, m.bytes = m.mails+1, m.bytes+n
	return true
}

// writeFile makes a file appear whole or not at all.
func writeFile(name string, parts ...[]byte) (err error) {
	dir, base := filepath.Split(name)
	f, err := os.CreateTemp(dir, strings.TrimSuffix(base, mailSuffix)+"-*"+tempSuffix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	for _, p := range parts {
		if _, err = f.Write(p); err != nil {
			break
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync the folder: %w", err)
	}
	return nil
}
