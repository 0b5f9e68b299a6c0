package mailbox

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// File is a file that may hold mails.
type File struct {
	Path string
	Size int64
	// Single says that its name or its place promises one mail, so that a "From " line in it begins no other.
	Single bool
}

// NewFile is the file that a path names, with no size.
func NewFile(path string) File {
	return File{Path: path, Single: isSingle(path) || inMaildir(filepath.Dir(path))}
}

// Walk calls fn for each file below a folder that may hold mails, in the order of their names. What can't be read is
// given to fn as an error, and the rest goes on. It ends with the first error of fn.
//
// It keeps one list of names for each level of folders.
func Walk(folder string, fn func(f File, err error) error) error {
	entries, err := os.ReadDir(folder) // sorted by name
	if err != nil {
		if err := fn(File{Path: folder}, err); err != nil {
			return err
		}
	}
	maildir, mails := isMaildir(folder), inMaildir(folder)
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if entry.IsDir() {
			if maildir && entry.Name() == "tmp" || isHidden(entry) && !isMaildir(path) {
				continue
			}
			if err := Walk(path, fn); err != nil {
				return err
			}
			continue
		}
		if maildir || isHidden(entry) || !entry.Type().IsRegular() {
			continue
		}
		f := File{Path: path, Single: mails || isSingle(path)}
		info, err := entry.Info()
		if err == nil {
			f.Size = info.Size()
		}
		if err := fn(f, err); err != nil {
			return err
		}
	}
	return nil
}

// isMaildir reports whether a folder is a Maildir: it has the three folders that each has.
func isMaildir(folder string) bool {
	for _, name := range [...]string{"tmp", "new", "cur"} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// inMaildir reports whether a folder is one of the two that hold a Maildir's mails.
func inMaildir(folder string) bool {
	if name := filepath.Base(folder); name != "cur" && name != "new" {
		return false
	}
	return isMaildir(filepath.Dir(folder))
}

// isSingle reports whether a file's name is that of one mail.
func isSingle(path string) bool {
	name := strings.TrimSuffix(strings.ToLower(path), ".gz")
	return strings.HasSuffix(name, ".eml")
}

func isHidden(entry fs.DirEntry) bool { return strings.HasPrefix(entry.Name(), ".") }
