package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"carom/kv"
)

// Manifest says what a backup holds. It is the last file that is written.
type Manifest struct {
	Format  int    `json:"format"`
	Version string `json:"carom"` // that made it
	Node    string `json:"node"`
	// Incarnation is the journal's identity, in hex.
	Incarnation string    `json:"incarnation"`
	At          time.Time `json:"at"` // when it was begun
	// Journal is what the journal held when the backup began: records from Oldest up to, not including, Next. The copy may
	// hold more.
	Journal Bounds `json:"journal"`
	Bytes   int64  `json:"bytes"`
	Files   []File `json:"files"`
}

// Bounds are those of a log.
type Bounds struct {
	Oldest int64 `json:"oldest"`
	Next   int64 `json:"next"`
}

// File is one file of a store.
type File struct {
	Path   string `json:"path"` // store/name
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // in hex
}

const (
	manifestName   = "manifest.json"
	manifestFormat = 1
	// maxManifest bounds its bytes: some 500,000 files.
	maxManifest = 64 << 20
)

// stores are the folders of a backup, in the order in which they are copied.
var stores = []string{kv.RoleState, kv.RoleJournal}

// ReadManifest reads the manifest of the backup in dir.
func ReadManifest(dir string) (Manifest, error) {
	var m Manifest
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("backup: folder %s has no %s: it holds no backup, or one that was cut short", dir, manifestName)
	}
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	return m, m.decode(text)
}

func (m *Manifest) decode(text []byte) error {
	if err := json.Unmarshal(text, m); err != nil {
		return fmt.Errorf("backup: %s can't be read: %w", manifestName, err)
	}
	if m.Format != manifestFormat {
		return fmt.Errorf("backup: %s has format %d, this Carom reads %d: use another Carom", manifestName, m.Format, manifestFormat)
	}
	for _, f := range m.Files {
		if err := checkPath(f.Path); err != nil {
			return err
		}
	}
	return nil
}

// checkPath refuses what is no file of a store: a backup comes from elsewhere.
func checkPath(name string) error {
	store, file := path.Split(name)
	for _, s := range stores {
		if store == s+"/" && file != "" && file != "." && file != ".." && strings.Trim(file, fileLetters) == "" {
			return nil
		}
	}
	return fmt.Errorf("backup: %q is no file of a store", name)
}

const fileLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
