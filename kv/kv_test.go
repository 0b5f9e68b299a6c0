package kv

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"
)

func mustOpen(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func put(t *testing.T, s *Store, key, value string) {
	t.Helper()
	b := s.NewBatch()
	if err := b.Set([]byte(key), []byte(value), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, s *Store, key, value string) {
	t.Helper()
	v, ok, err := s.Get([]byte(">"), []byte(key))
	if err != nil || !ok || string(v) != ">"+value {
		t.Errorf("Get(%q) = %q, %v, %v, want %q after what was there", key, v, ok, err, value)
	}
}

func wantNone(t *testing.T, s *Store, key string) {
	t.Helper()
	if v, ok, err := s.Get(nil, []byte(key)); err != nil || ok {
		t.Errorf("Get(%q) = %q, %v, %v, want none", key, v, ok, err)
	}
}

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := mustOpen(t, dir, Options{})
	for _, k := range []string{"k1", "k2", "k3", "k4"} {
		put(t, s, k, "v-"+k)
	}
	want(t, s, "k1", "v-k1")
	wantNone(t, s, "k9")
	if err := s.DeleteRange([]byte("k2"), []byte("k4")); err != nil {
		t.Fatal(err)
	}
	wantNone(t, s, "k2")
	wantNone(t, s, "k3")

	b := s.NewIndexedBatch()
	if err := b.Set([]byte("k5"), []byte("v-k5"), nil); err != nil {
		t.Fatal(err)
	}
	wantNone(t, s, "k5")
	if v, closer, err := b.Get([]byte("k5")); err != nil || string(v) != "v-k5" || closer.Close() != nil {
		t.Errorf("indexed batch: Get = %q, %v", v, err)
	}
	if err := errors.Join(s.CommitNoSync(b), b.Close(), s.Sync()); err != nil {
		t.Fatal(err)
	}

	copied := filepath.Join(t.TempDir(), "copy")
	if err := s.Checkpoint(copied); err != nil {
		t.Fatal(err)
	}
	if free, ok := s.DiskFree(); !ok || free == 0 {
		t.Errorf("DiskFree = %d, %v", free, ok)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, copied} {
		s := mustOpen(t, d, Options{})
		want(t, s, "k1", "v-k1")
		wantNone(t, s, "k3")
		want(t, s, "k4", "v-k4")
		want(t, s, "k5", "v-k5")
	}
}

func TestUseAfterClose(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	b := s.NewBatch()
	if err := b.Set([]byte("k"), nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, getErr := s.Get(nil, []byte("k"))
	for name, err := range map[string]error{"Enter": s.Enter(), "Commit": s.Commit(b), "Get": getErr, "Checkpoint": s.Checkpoint("x")} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v, want %v", name, err, ErrClosed)
		}
	}
}

func TestFormat(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, "data", Options{FS: fs})
	v, ok, err := s.Get(nil, []byte{PrefixMeta, MetaFormat})
	if err != nil || !ok || !bytes.Equal(v, []byte{1}) {
		t.Fatalf("format in a new store: %v, %v, %v", v, ok, err)
	}
	for _, c := range []struct{ format, want string }{
		{"\x02", "kv: folder data was written by format 2, this Carom reads 1: use a newer Carom"},
		{"\x00", "kv: folder data was written by format 0, this Carom reads 1"},
		{"", "kv: folder data: the format version has 0 bytes, want 1"},
	} {
		put(t, s, string([]byte{PrefixMeta, MetaFormat}), c.format)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open("data", Options{FS: fs}); err == nil || err.Error() != c.want {
			t.Errorf("format %q: %v, want %s", c.format, err, c.want)
		}
		// The refusal has let go of the folder, and changed nothing in it.
		db, err := pebble.Open("data", &pebble.Options{FS: fs, Logger: &failureLog{t}})
		if err != nil {
			t.Fatal(err)
		}
		v, closer, err := db.Get([]byte{PrefixMeta, MetaFormat})
		if err != nil || string(v) != c.format {
			t.Errorf("format after refusal: %q, %v", v, err)
		}
		if err := errors.Join(closer.Close(), db.Set([]byte{PrefixMeta, MetaFormat}, []byte{Format}, pebble.Sync), db.Close()); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, "data", Options{FS: fs})
	}
}

// failureLog keeps Pebble's chatter out of the test's output.
type failureLog struct{ t *testing.T }

func (failureLog) Infof(string, ...any)        {}
func (failureLog) Errorf(string, ...any)       {}
func (l failureLog) Fatalf(f string, a ...any) { l.t.Fatalf(f, a...) }
func isSync(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
}
func inLog(op errorfs.Op) bool                         { return strings.HasSuffix(op.Path, ".log") }
func inManifest(op errorfs.Op) bool                    { return strings.Contains(op.Path, "MANIFEST") }
func injector(f errorfs.InjectorFunc) errorfs.Injector { return f }

func TestForeignStore(t *testing.T) {
	fs := vfs.NewMem()
	db, err := pebble.Open("data", &pebble.Options{FS: fs, Logger: &failureLog{t}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte("x"), nil, pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{FS: fs}, {FS: fs, ReadOnly: true}} {
		if _, err := Open("data", o); err == nil || !strings.Contains(err.Error(), "Carom") {
			t.Errorf("read only %v: %v, want an error", o.ReadOnly, err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	fs := vfs.NewMem()
	if _, err := Open("data", Options{FS: fs, ReadOnly: true}); err == nil || !strings.Contains(err.Error(), "no store in folder data") {
		t.Errorf("no folder: %v", err)
	}
	s := mustOpen(t, "data", Options{FS: fs})
	put(t, s, "k", "v")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, "data", Options{FS: fs, ReadOnly: true})
	want(t, s, "k", "v")
	b := s.NewBatch()
	if err := b.Set([]byte("k"), nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(b); !errors.Is(err, pebble.ErrReadOnly) {
		t.Errorf("Commit: %v, want %v", err, pebble.ErrReadOnly)
	}
}

func TestUnusableFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	denied := errorfs.Wrap(vfs.NewMem(), injector(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpLock {
			return &os.PathError{Op: "open", Path: op.Path, Err: syscall.EACCES}
		}
		return nil
	}))
	held := errorfs.Wrap(vfs.NewMem(), injector(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpLock {
			return syscall.EACCES
		}
		return nil
	}))
	for _, c := range []struct {
		dir  string
		fs   vfs.FS
		want string
	}{
		{file, nil, "kv: can't make folder " + file + ": not a directory"},
		{filepath.Join(file, "x"), nil, "kv: can't make folder " + filepath.Join(file, "x") + ": not a directory"},
		{"data", denied, "kv: can't write to folder data: permission denied"},
		{"data", held, "kv: folder data is in use by another process: stop it, or choose another folder"},
	} {
		if _, err := Open(c.dir, Options{FS: c.fs}); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

const holdEnv = "CAROM_TEST_HOLD_FOLDER"

// TestHold holds a folder open for TestFolderInUse, in a process of its own.
func TestHold(t *testing.T) {
	dir := os.Getenv(holdEnv)
	if dir == "" {
		return // started as a test of its own, where there is nothing to hold
	}
	mustOpen(t, dir, Options{})
	if _, err := os.Stdout.WriteString("held\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stdin.Read(make([]byte, 1)); err == nil {
		t.Fatal("want end of file")
	}
}

func TestFolderInUse(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHold$")
	cmd.Env = append(os.Environ(), holdEnv+"="+dir)
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("held\n"))
	if _, err := stdout.Read(line); err != nil || string(line) != "held\n" {
		t.Fatalf("holder says %q, %v", line, err)
	}
	want := "kv: folder " + dir + " is in use by another process: stop it, or choose another folder"
	if _, err := Open(dir, Options{}); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir, Options{})
	if _, err := Open(dir, Options{}); err == nil || err.Error() != want {
		t.Errorf("within one process: got  %v\nwant %s", err, want)
	}
}

func TestPrefixEnd(t *testing.T) {
	for _, c := range []struct{ prefix, want string }{
		{"a", "b"},
		{"a\x00", "a\x01"},
		{"a\xff", "b"},
		{"a\xff\xff", "b"},
		{"\xff", ""},
		{"", ""},
	} {
		if got := PrefixEnd([]byte(c.prefix)); string(got) != c.want || (c.want == "") != (got == nil) {
			t.Errorf("PrefixEnd(%q) = %q, want %q", c.prefix, got, c.want)
		}
	}
	key := AppendUint64(AppendUint32(AppendUint16(nil, 0x0102), 0x03040506), 0x0708090a0b0c0d0e)
	if !bytes.Equal(key, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}) {
		t.Errorf("key = %x", key)
	}
}

func TestMetrics(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{Role: "journal"})
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(s.Collector())
	put(t, s, "k", "v")
	families, err := reg.Gather()
	if err != nil || len(families) != len(metrics) {
		t.Fatalf("%d metrics, %v, want %d", len(families), err, len(metrics))
	}
	for _, f := range families {
		m := f.Metric[0]
		if len(m.Label) != 1 || m.Label[0].GetName() != "store" || m.Label[0].GetValue() != "journal" {
			t.Errorf("%s has labels %v", f.GetName(), m.Label)
		}
		if f.GetName() == "carom_kv_wal_written_bytes_total" && m.Counter.GetValue() == 0 {
			t.Error("no bytes in the log after a write")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if families, err := reg.Gather(); err != nil || len(families) != 0 {
		t.Errorf("after Close: %d metrics, %v", len(families), err)
	}
}

// What is trimmed from the journal leaves the disk although nothing more is written: on a full disk nothing can be.
func TestTrimmedRoomIsGivenBack(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{Role: RoleJournal})
	noise := rand.NewChaCha8([32]byte{1})
	const values, size = 64, 32 << 10
	for i := range values {
		value := make([]byte, size)
		_, _ = noise.Read(value)
		b := s.NewBatch()
		if err := errors.Join(b.Set(AppendUint64([]byte{PrefixJournalBatch}, uint64(i)), value, nil), s.CommitNoSync(b)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DB().Flush(); err != nil {
		t.Fatal(err)
	}
	tables := func() int64 { return s.DB().Metrics().Total().TablesSize }
	if tables() < values*size {
		t.Fatalf("%d bytes in tables", tables())
	}
	if err := s.DeleteRange([]byte{PrefixJournalBatch}, AppendUint64([]byte{PrefixJournalBatch}, values-1)); err != nil {
		t.Fatal(err)
	}
	for poll := time.NewTicker(10 * time.Millisecond); tables() > values*size/2; {
		select {
		case <-poll.C:
		case <-t.Context().Done():
			t.Fatal("the room is not given back")
		}
	}
}
