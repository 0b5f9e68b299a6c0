package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/journal"
)

// Source is a running node.
type Source struct {
	Node, Version string
	State, Heard  *kv.Store
	Journal       *journal.Journal
	// Dir is the folder for checkpoints, made and removed with each backup. It lies on the stores' disk, so that files are
	// linked.
	Dir    string
	Logger *zap.Logger
}

// Backups makes backups of a node, one at a time.
type Backups struct {
	s       Source
	log     *zap.Logger
	running sync.Mutex
}

// New returns what makes backups of s. It removes what one that was cut short has left.
func New(s Source) (*Backups, error) {
	if err := os.RemoveAll(s.Dir); err != nil {
		return nil, fmt.Errorf("backup: remove an unfinished one: %w", err)
	}
	return &Backups{s: s, log: s.Logger.Named("backup")}, nil
}

// ErrRunning is returned by Begin while another backup is made.
var ErrRunning = errors.New("backup: another is being made")

// Begin copies both stores as they are now, in place. What it returns writes the copies out as a tar and removes them; it
// must be called, once.
func (b *Backups) Begin() (write func(w io.Writer) error, err error) {
	if !b.running.TryLock() {
		return nil, ErrRunning
	}
	m, err := b.checkpoint()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("backup: %w", err), b.end())
	}
	return func(w io.Writer) error {
		err := b.write(w, m)
		if err == nil {
			b.log.Info("made", zap.Int64("bytes", m.Bytes), zap.Int("files", len(m.Files)), zap.Duration("took", time.Since(m.At)))
		}
		return errors.Join(err, b.end())
	}, nil
}

func (b *Backups) end() error {
	defer b.running.Unlock()
	return os.RemoveAll(b.s.Dir)
}

// checkpoint makes the copies.
func (b *Backups) checkpoint() (*Manifest, error) {
	id := b.s.Journal.Incarnation()
	m := &Manifest{
		Format: manifestFormat, Version: b.s.Version, Node: b.s.Node,
		Incarnation: hex.EncodeToString(id[:]), At: time.Now().UTC(),
	}
	if err := os.MkdirAll(b.s.Dir, 0o700); err != nil {
		return nil, err
	}
	release := b.s.Journal.Hold()
	defer release()
	m.Journal.Oldest, m.Journal.Next = b.s.Journal.Bounds()
	for _, s := range []*kv.Store{b.s.State, b.s.Heard} {
		if err := checkpoint(s, filepath.Join(b.s.Dir, s.Role())); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func checkpoint(s *kv.Store, dir string) error {
	if err := s.Enter(); err != nil {
		return err
	}
	defer s.Leave()
	return s.Checkpoint(dir)
}

// write writes the copies, and what they are in m.
func (b *Backups) write(w io.Writer, m *Manifest) error {
	t := tar.NewWriter(w)
	for _, store := range stores {
		dir := filepath.Join(b.s.Dir, store)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		for _, e := range entries {
			f, err := writeFile(t, filepath.Join(dir, e.Name()), store+"/"+e.Name(), m.At)
			if err != nil {
				return fmt.Errorf("backup: write %s: %w", e.Name(), err)
			}
			m.Files = append(m.Files, f)
			m.Bytes += f.Bytes
		}
	}
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := writeEntry(t, manifestName, int64(len(text)), m.At, bytes.NewReader(text)); err != nil {
		return fmt.Errorf("backup: write %s: %w", manifestName, err)
	}
	return t.Close()
}

func writeFile(t *tar.Writer, from, name string, at time.Time) (File, error) {
	in, err := os.Open(from)
	if err != nil {
		return File{}, err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return File{}, err
	}
	sum := sha256.New()
	f := File{Path: name, Bytes: info.Size()}
	err = writeEntry(t, name, f.Bytes, at, io.TeeReader(in, sum))
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return f, err
}

func writeEntry(t *tar.Writer, name string, size int64, at time.Time, in io.Reader) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, ModTime: at, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := io.CopyN(t, in, size)
	return err
}
