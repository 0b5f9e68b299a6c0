package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
)

// Receive writes a backup as Begin gives it out into the folder dir, which must be empty or missing. When it fails, what is
// there stays, without a manifest: it is no backup.
func Receive(r io.Reader, dir string) (Manifest, error) {
	if err := makeEmpty(dir); err != nil {
		return Manifest{}, err
	}
	for _, store := range stores {
		if err := os.Mkdir(filepath.Join(dir, store), 0o700); err != nil {
			return Manifest{}, fmt.Errorf("backup: %w", err)
		}
	}
	got := make(map[string]File)
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return Manifest{}, errors.New("backup: it ended early: try again")
		case err != nil:
			return Manifest{}, fmt.Errorf("backup: receive: %w", err)
		case h.Name == manifestName:
			m, err := receiveManifest(t, dir, got)
			if err == nil {
				_, err = io.Copy(io.Discard, r) // so that the sender sees that all was taken
			}
			return m, err
		}
		if err := checkPath(h.Name); err != nil {
			return Manifest{}, err
		}
		if h.Typeflag != tar.TypeReg {
			return Manifest{}, fmt.Errorf("backup: %q is no regular file", h.Name)
		}
		f, err := copyFile(t, filepath.Join(dir, filepath.FromSlash(h.Name)), h.Name)
		if err != nil {
			return Manifest{}, fmt.Errorf("backup: receive %s: %w", h.Name, err)
		}
		got[h.Name] = f
	}
}

func receiveManifest(r io.Reader, dir string, got map[string]File) (m Manifest, err error) {
	text, err := io.ReadAll(io.LimitReader(r, maxManifest))
	if err != nil {
		return m, fmt.Errorf("backup: receive %s: %w", manifestName, err)
	}
	if err := m.decode(text); err != nil {
		return m, err
	}
	want := make(map[string]File, len(m.Files))
	for _, f := range m.Files {
		want[f.Path] = f
	}
	if !maps.Equal(got, want) {
		return m, errors.New("backup: what came is not what the manifest says: try again")
	}
	if err := syncFolders(dir); err != nil {
		return m, err
	}
	if _, err := copyFile(bytes.NewReader(text), filepath.Join(dir, manifestName), manifestName); err != nil {
		return m, fmt.Errorf("backup: write %s: %w", manifestName, err)
	}
	return m, syncFolder(dir)
}

// makeEmpty makes dir, or checks that nothing is in it but what may be.
func makeEmpty(dir string, may ...string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
next:
	for _, e := range entries {
		for _, name := range may {
			if e.Name() == name {
				continue next
			}
		}
		return fmt.Errorf("backup: folder %s is not empty, it holds %s: name another, or empty it", dir, e.Name())
	}
	return nil
}

// copyFile writes a new file and returns when it is on disk.
func copyFile(from io.Reader, to, name string) (f File, err error) {
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return File{}, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	sum := sha256.New()
	f = File{Path: name}
	if f.Bytes, err = io.Copy(io.MultiWriter(out, sum), from); err != nil {
		return f, err
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return f, out.Sync()
}

// syncFolders has the names in dir and its stores on disk.
func syncFolders(dir string) error {
	for _, store := range stores {
		if err := syncFolder(filepath.Join(dir, store)); err != nil {
			return err
		}
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("backup: sync folder %s: %w", dir, err)
	}
	return nil
}
