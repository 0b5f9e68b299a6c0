package bot

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed rules
var shipped embed.FS

// builtIn is the folder of rules that Carom ships.
func builtIn() fs.FS {
	folder, err := fs.Sub(shipped, "rules")
	if err != nil {
		panic("BUG: the built-in rules are not there: " + err.Error())
	}
	return folder
}

// Default returns the rules that Carom ships.
func Default() *Rules {
	r, err := Load("")
	if err != nil {
		panic("BUG: the built-in rules don't parse: " + err.Error())
	}
	return r
}

// Load returns the rules of a folder: a file in it takes the place of the built-in file of its name. "" is none. An
// error names the file, the line, and what is wanted there.
func Load(dir string) (*Rules, error) {
	if dir == "" {
		return load(builtIn(), nil)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".tsv") && !slices.Contains(Files(), name) {
			return nil, &FileError{File: name, Err: fmt.Errorf("no such file is read: want %s", strings.Join(Files(), ", "))}
		}
	}
	r, err := load(builtIn(), os.DirFS(dir))
	if err != nil {
		return nil, err
	}
	r.summary.Folder = dir
	return r, r.allRead(entries)
}

// allRead makes sure that a folder has no list that nothing asks for.
func (r *Rules) allRead(entries []os.DirEntry) error {
	for _, e := range entries {
		if name := e.Name(); isList(name) && !slices.ContainsFunc(r.summary.Files, func(f File) bool { return f.Name == name }) {
			return &FileError{File: name, Err: fmt.Errorf("no line of %s names it", networksFile)}
		}
	}
	return nil
}

// Files are the names of the built-in files.
func Files() []string { return []string{agentsFile, headersFile, networksFile, asnsFile, originsFile} }

// Export writes the built-in files into a folder, which it makes. It overwrites nothing.
func Export(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("export rules: %w", err)
	}
	for _, name := range Files() {
		text, err := fs.ReadFile(builtIn(), name)
		if err != nil {
			return fmt.Errorf("export rules: %w", err)
		}
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return fmt.Errorf("export rules: %w", err)
		}
		_, err = f.Write(text)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("export rules: %w", err)
		}
	}
	return nil
}

// Summary says what rules were made of.
type Summary struct {
	Folder string // "": built-in rules alone
	Files  []File
	Hash   string // of all files, in hexadecimal: equal rules on two nodes have equal hashes
}

// File is one data file.
type File struct {
	Name     string
	BuiltIn  bool
	Missing  bool   // a list that networks.tsv names and that isn't there
	Rules    int    // lines that say something
	Prefixes int    // that a list or pfx2as gave
	Bytes    int64  // its size
	Hash     string // SHA-256 of it, in hexadecimal
}

// Summary returns what the rules were made of.
func (r *Rules) Summary() Summary {
	s := r.summary
	s.Files = slices.Clone(s.Files)
	return s
}

// loader reads data files, those of a folder before the built-in ones.
type loader struct {
	under, over fs.FS // over may be nil
	files       []File
	all         hash.Hash // over names and hashes
}

func load(under, over fs.FS) (*Rules, error) {
	l := &loader{under: under, over: over, all: sha256.New()}
	r, err := l.parse()
	if err != nil {
		return nil, err
	}
	r.summary = Summary{Files: l.files, Hash: hex.EncodeToString(l.all.Sum(nil))}
	return r, nil
}

// open opens a file and tells whether it is a built-in one.
func (l *loader) open(name string) (f fs.File, builtIn bool, err error) {
	if l.over != nil {
		if f, err = l.over.Open(name); !errors.Is(err, fs.ErrNotExist) {
			return f, false, err
		}
	}
	f, err = l.under.Open(name)
	return f, true, err
}

// has reports whether there is such a file, readable or not.
func (l *loader) has(name string) bool {
	f, _, err := l.open(name)
	if err == nil {
		_ = f.Close()
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// skipped notes a file that isn't there.
func (l *loader) skipped(name string) { l.files = append(l.files, File{Name: name, Missing: true}) }

// count adds to what is known of a file that was read.
func (l *loader) count(name string, rules, prefixes int) {
	for i := range l.files {
		if l.files[i].Name == name {
			l.files[i].Rules, l.files[i].Prefixes = rules, prefixes
		}
	}
}

// readLines calls line for every line of a file, and names the file and the line in what it returns.
func (l *loader) readLines(name string, most int64, line func(string) error) error {
	f, builtIn, err := l.open(name)
	if err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	defer f.Close()
	digest := sha256.New()
	counted := &countingReader{r: io.TeeReader(io.LimitReader(f, most+1), digest)}
	lines := bufio.NewScanner(counted)
	lines.Buffer(nil, maxFile+1)
	number := 0
	for lines.Scan() {
		number++
		if counted.n > most {
			break
		}
		if err := line(strings.TrimSuffix(lines.Text(), "\r")); err != nil {
			return &FileError{File: name, Line: number, Err: err}
		}
	}
	switch err := lines.Err(); {
	case counted.n > most || errors.Is(err, bufio.ErrTooLong):
		return &FileError{File: name, Err: fmt.Errorf("want at most %d bytes", most)}
	case err != nil:
		return fmt.Errorf("read rules: %s: %w", name, err)
	}
	sum := hex.EncodeToString(digest.Sum(nil))
	l.files = append(l.files, File{Name: name, BuiltIn: builtIn, Bytes: counted.n, Hash: sum})
	fmt.Fprintf(l.all, "%s\x00%s\x00", name, sum)
	return nil
}

// countingReader counts the bytes that pass.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
