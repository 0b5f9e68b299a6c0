package mailbox

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree makes files and folders (whose names end in "/") and returns their root.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// walked lists what Walk gives, "1" before files that are one mail.
func walked(t *testing.T, root string) []string {
	t.Helper()
	var got []string
	err := Walk(root, func(f File, err error) error {
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(root, f.Path)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(f.Path); err != nil || f.Size != int64(len(text)) {
			t.Errorf("%s has %d bytes, %v", name, f.Size, err)
		}
		if f.Single {
			name = "1 " + name
		}
		if NewFile(f.Path).Single != f.Single {
			t.Errorf("%s: by itself it is another kind of file", name)
		}
		got = append(got, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWalkFolders(t *testing.T) {
	root := tree(t, "b", "a/2.EML", "a/10.eml.gz", "a/c/d", ".git/config", ".hidden", "e/cur/f", "g/tmp/h", "empty/")
	if err := os.Symlink(filepath.Join(root, "a"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "b"), filepath.Join(root, "file-link")); err != nil {
		t.Fatal(err)
	}
	want := []string{"1 a/10.eml.gz", "1 a/2.EML", "a/c/d", "b", "e/cur/f", "g/tmp/h"}
	if got := walked(t, root); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestWalkMaildir(t *testing.T) {
	root := tree(t, "cur/1:2,S", "new/2", "tmp/3", "dovecot-uidlist", ".Sent/cur/4", ".Sent/new/", ".Sent/tmp/5", ".Sent/maildirfolder",
		".Plain/6", "sub/cur/7", "sub/new/8", "sub/tmp/9")
	want := []string{"1 .Sent/cur/4", "1 cur/1:2,S", "1 new/2", "1 sub/cur/7", "1 sub/new/8"}
	if got := walked(t, root); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	// A part of a Maildir is one, too.
	if got, want := walked(t, filepath.Join(root, "cur")), []string{"1 1:2,S"}; !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestWalkErrors(t *testing.T) {
	root := tree(t, "a", "b", "c")
	var failed []string
	if err := Walk(filepath.Join(root, "none"), func(f File, err error) error {
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v: %v", f, err)
		}
		failed = append(failed, filepath.Base(f.Path))
		return nil
	}); err != nil || !slices.Equal(failed, []string{"none"}) {
		t.Errorf("%v, %v", failed, err)
	}
	enough := errors.New("enough")
	n := 0
	if err := Walk(root, func(File, error) error { n++; return enough }); !errors.Is(err, enough) || n != 1 {
		t.Errorf("%v after %d files", err, n)
	}
}
