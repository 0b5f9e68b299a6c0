package backup

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/journal"
	"carom/pipeline/log"
)

// node is a journal, and a stage that copies it into a log of the state store, with its input offset.
type node struct {
	dir          string
	state, heard *kv.Store
	journal      *journal.Journal
	events       *log.Local
	backups      *Backups

	ended sync.WaitGroup
	next  atomic.Int64 // of the stage
}

var placeOfStage = []byte{0xfe}

func openNode(t *testing.T, dir string) *node {
	t.Helper()
	n := &node{dir: dir}
	var err error
	fail := func(e error) {
		if e != nil {
			t.Fatal(e)
		}
	}
	n.heard, err = kv.Open(filepath.Join(dir, kv.RoleJournal), kv.Options{Role: kv.RoleJournal})
	fail(err)
	n.state, err = kv.Open(filepath.Join(dir, kv.RoleState), kv.Options{Role: kv.RoleState})
	fail(err)
	o := journal.Default()
	o.MinFreeBytes = 0
	n.journal, err = journal.Open(n.heard, o, journal.Deps{Node: "n1", Readers: []string{"stage"}})
	fail(err)
	fail(n.journal.Bind(n.state))
	n.events, err = log.NewLocal(n.state, kv.LogEvents, 0)
	fail(err)
	place, ok, err := n.state.Get(nil, placeOfStage)
	fail(err)
	if ok {
		_, _ = fmt.Sscan(string(place), n)
	}
	n.backups, err = New(Source{Node: "n1", Version: "v0", State: n.state, Heard: n.heard, Journal: n.journal, Dir: filepath.Join(dir, "backup.tmp"), Logger: zap.NewNop()})
	fail(err)
	n.ended.Go(func() {
		if err := n.stage(t); !errors.Is(err, journal.ErrClosed) {
			t.Error(err)
		}
	})
	return n
}

// Scan reads the stage's place.
func (n *node) Scan(s fmt.ScanState, _ rune) error {
	var next int64
	_, err := fmt.Fscan(s, &next)
	n.next.Store(next)
	return err
}

// stage copies facts until the journal is closed.
func (n *node) stage(t *testing.T) error {
	for {
		recs, err := n.journal.Read(t.Context(), n.next.Load(), 100, nil)
		if err != nil {
			return err
		}
		var out []log.Record
		for _, r := range recs {
			if _, kind, err := event.Peek(r.Value); err == nil && kind != event.Tick {
				out = append(out, log.Record{Time: r.Time, Value: r.Value})
			}
		}
		next := recs[len(recs)-1].Offset + 1
		b := n.state.NewBatch()
		err = errors.Join(n.events.Write(t.Context(), b, out), b.Set(placeOfStage, fmt.Append(nil, next), nil), n.state.Commit(b), b.Close())
		if err != nil {
			return err
		}
		n.events.Committed()
		n.next.Store(next)
		n.journal.Passed("stage", next)
	}
}

func (n *node) close(t *testing.T) {
	t.Helper()
	err := n.journal.Close()
	n.ended.Wait()
	if err := errors.Join(err, n.state.Close(), n.heard.Close()); err != nil {
		t.Error(err)
	}
}

func (n *node) hear(t *testing.T, id string) {
	t.Helper()
	if err := n.journal.Append(journal.Essential, &event.Event{Kind: event.Open, Time: 1, Ref: event.Ref{Message: id}}); err != nil {
		t.Error(err)
	}
}

// told returns what the stage has made, when it has read all.
func (n *node) told(t *testing.T) (ids []string) {
	t.Helper()
	until(func() bool {
		_, end := n.journal.Bounds()
		return n.next.Load() >= end
	})
	at, end := n.events.Bounds()
	for at < end {
		recs, err := n.events.Read(t.Context(), at, 1000, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			var e event.Event
			if err := e.DecodeBinary(r.Value); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, e.Message)
			at = r.Offset + 1
		}
	}
	return ids
}

func until(done func() bool) {
	for !done() {
		<-time.After(time.Millisecond)
	}
}

// make makes a backup as a tar.
func (n *node) make(t *testing.T) []byte {
	t.Helper()
	write, err := n.backups.Begin()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// While facts come in, backups are made, one after the other. From each of them all comes back that was acknowledged before
// it began, in order and once, and nothing that came much later.
func TestBackupWhileWriting(t *testing.T) {
	n := openNode(t, t.TempDir())
	var acked atomic.Int64
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				n.hear(t, fmt.Sprint(i))
				acked.Store(int64(i + 1))
			}
		}
	})
	type made struct {
		before, after int64
		tar           []byte
	}
	var all []made
	for i := range 3 {
		until(func() bool { return acked.Load() >= int64(200*(i+1)) })
		m := made{before: acked.Load()}
		m.tar = n.make(t)
		m.after = acked.Load() + 1
		all = append(all, m)
	}
	close(stop)
	writer.Wait()
	n.close(t)
	for _, m := range all {
		dir, data := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "data")
		manifest, err := Receive(bytes.NewReader(m.tar), dir)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Restore(dir, data, time.Now(), zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		if manifest.Journal.Next < m.before || r.Next < manifest.Journal.Next || r.Goes < r.Next+perMilli*slack.Milliseconds() {
			t.Errorf("the journal held %+v, ends at %d, goes on at %d", manifest.Journal, r.Next, r.Goes)
		}
		again := openNode(t, data)
		if again.journal.Incarnation() != n.journal.Incarnation() {
			t.Error("another incarnation")
		}
		ids := again.told(t)
		if got := int64(len(ids)); got < m.before || got > m.after {
			t.Errorf("%d came back, %d were there before and %d after", got, m.before, m.after)
		}
		again.hear(t, "new")
		for i, id := range append(ids, "new") {
			want := fmt.Sprint(i)
			if i == len(ids) {
				want, id = "new", again.told(t)[i]
			}
			if id != want {
				t.Fatalf("%s came where %s was", id, want)
			}
		}
		recs, err := again.journal.Read(t.Context(), r.Goes, 1, nil)
		if err != nil || recs[0].Source.Sequence != uint64(r.Goes) {
			t.Errorf("what is new has %+v, want sequence %d", recs, r.Goes)
		}
		if first, _ := again.events.Bounds(); first != 0 {
			t.Errorf("events begin at %d", first)
		}
		if _, end := again.events.Bounds(); end < perMilli*slack.Milliseconds() {
			t.Errorf("the log of events goes on at %d", end)
		}
		again.close(t)
	}
}

// A restore that comes later goes on behind all that an earlier one can have used.
func TestRestoreTwice(t *testing.T) {
	n := openNode(t, t.TempDir())
	n.hear(t, "a")
	dir := t.TempDir()
	if _, err := Receive(bytes.NewReader(n.make(t)), dir); err != nil {
		t.Fatal(err)
	}
	n.close(t)
	now := time.Now()
	var last int64
	for _, after := range []time.Duration{0, time.Minute, 1000 * time.Hour} {
		r, err := Restore(dir, filepath.Join(t.TempDir(), "data"), now.Add(after), zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		if r.Goes <= last {
			t.Errorf("after %v it goes on at %d, as another at %d", after, r.Goes, last)
		}
		last = r.Goes + perMilli*59*1000
	}
	if _, err := Restore(dir, filepath.Join(t.TempDir(), "data"), now.Add(-time.Hour), zap.NewNop()); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("restored before it was made: %v", err)
	}
}

func TestOneBackupAtATime(t *testing.T) {
	n := openNode(t, t.TempDir())
	defer n.close(t)
	n.hear(t, "a")
	write, err := n.backups.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.backups.Begin(); !errors.Is(err, ErrRunning) {
		t.Errorf("a second one: %v", err)
	}
	broken := errors.New("broken")
	if err := write(failing{broken}); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(n.dir, "backup.tmp")); !os.IsNotExist(err) {
		t.Errorf("the copy was not removed: %v", err)
	}
	n.make(t)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// What is damaged, cut short, or not of a backup is refused, and says why.
func TestRefusals(t *testing.T) {
	n := openNode(t, t.TempDir())
	for i := range 100 {
		n.hear(t, fmt.Sprint(i))
	}
	n.told(t)
	whole := n.make(t)
	n.close(t)
	for _, size := range []int{0, 100, len(whole) / 2, len(whole) - 3000} {
		dir := filepath.Join(t.TempDir(), "cut")
		if _, err := Receive(bytes.NewReader(whole[:size]), dir); err == nil {
			t.Errorf("%d of %d bytes were a backup", size, len(whole))
		}
		if _, err := Restore(dir, filepath.Join(t.TempDir(), "data"), time.Now(), zap.NewNop()); err == nil || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("restored %d of %d bytes: %v", size, len(whole), err)
		}
	}
	for _, name := range []string{"../x", "state/../../x", "/etc/x", "state/a/b", "x", "journal/..", "state/a\x00b"} {
		if _, err := Receive(bytes.NewReader(tarOf(t, tar.Header{Name: name, Size: 1, Mode: 0o600})), filepath.Join(t.TempDir(), "d")); err == nil {
			t.Errorf("%q was received", name)
		}
	}
	if checkPath("state/") == nil {
		t.Error("a folder was taken for a file")
	}
	if _, err := Receive(bytes.NewReader(tarOf(t, tar.Header{Name: "state/a", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})), filepath.Join(t.TempDir(), "d")); err == nil {
		t.Error("a link was received")
	}

	for name, c := range map[string]struct {
		do   func(dir string, m *Manifest) error
		want string
	}{
		"a byte": {func(dir string, m *Manifest) error {
			for _, f := range m.Files {
				if strings.HasSuffix(f.Path, ".log") && f.Bytes > 100 {
					return flip(filepath.Join(dir, f.Path))
				}
			}
			return errors.New("no file to damage")
		}, "is damaged"},
		"longer": {func(dir string, m *Manifest) error { return add(filepath.Join(dir, m.Files[0].Path)) }, "its manifest says"},
		"less":   {func(dir string, m *Manifest) error { return os.Remove(filepath.Join(dir, m.Files[3].Path)) }, "lacks"},
		"more":   {func(dir string, _ *Manifest) error { return add(filepath.Join(dir, "state", "x.sst")) }, "does not name"},
		"none":   {func(dir string, _ *Manifest) error { return os.Remove(filepath.Join(dir, manifestName)) }, "cut short"},
		"newer": {func(dir string, m *Manifest) error {
			m.Format++
			return rewrite(dir, m)
		}, "format 2"},
		"path": {func(dir string, m *Manifest) error {
			m.Files[0].Path = "../" + m.Files[0].Path
			return rewrite(dir, m)
		}, "no file of a store"},
	} {
		dir, data := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "data")
		m, err := Receive(bytes.NewReader(whole), dir)
		if err == nil {
			err = c.do(dir, &m)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(dir, data, time.Now(), zap.NewNop()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		// A server does not take what a restore left, and a second restore does not take it for empty.
		if _, err := os.Stat(data); err == nil {
			if err := CheckData(data); err == nil || !strings.Contains(err.Error(), "cut short") {
				t.Errorf("%s: the data were taken: %v", name, err)
			}
		}
	}

	dir, data := filepath.Join(t.TempDir(), "backup"), t.TempDir()
	if _, err := Receive(bytes.NewReader(whole), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := Receive(bytes.NewReader(whole), dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("received twice: %v", err)
	}
	for _, in := range []string{dir, filepath.Join(dir, "data"), filepath.Join(dir, "state", "..", "x", "y")} {
		if _, err := Restore(dir, in, time.Now(), zap.NewNop()); err == nil || !strings.Contains(err.Error(), "is in the backup") {
			t.Errorf("restored into %s: %v", in, err)
		}
	}
	if err := add(filepath.Join(data, "keys.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(dir, data, time.Now(), zap.NewNop()); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restored over a file: %v", err)
	}
	if _, err := Restore(dir, data, time.Now(), zap.NewNop(), "keys.yaml"); err != nil {
		t.Error(err)
	}
	if err := CheckData(data); err != nil {
		t.Error(err)
	}
}

func tarOf(t *testing.T, h tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&h); err != nil {
		if strings.Contains(h.Name, "\x00") {
			return nil
		}
		t.Fatal(err)
	}
	_, err := io.CopyN(w, strings.NewReader("x"), h.Size)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func flip(name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(name, b, 0o600)
}

func add(name string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("x")
	return errors.Join(err, f.Close())
}

func rewrite(dir string, m *Manifest) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, manifestName), text, 0o600)
}
