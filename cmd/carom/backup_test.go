package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const backupAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0"

// backup runs `carom backup` against s, into a new folder.
func (s *server) backup() (dir string) {
	s.t.Helper()
	dir = filepath.Join(s.t.TempDir(), "backup")
	out, errs, code := carom(s.t, nil, "backup", "--api", "http://"+s.api, dir)
	if code != exitDone {
		s.t.Fatalf("backup: exit code %d: %s", code, errs)
	}
	var m struct {
		Node, Incarnation string
		Files             int
		Bytes             int64
	}
	if err := json.Unmarshal([]byte(out), &m); err != nil || m.Node == "" || len(m.Incarnation) != 32 || m.Files == 0 || m.Bytes == 0 {
		s.t.Fatalf("backup said %s: %v", out, err)
	}
	return dir
}

// restored restores a backup into a server's data folder, with the keys of another.
func (s *server) restore(dir string, keys []byte) {
	s.t.Helper()
	data := filepath.Join(s.dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if keys != nil {
		if err := os.WriteFile(filepath.Join(data, keysName), keys, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	if out, errs, code := carom(s.t, nil, "restore", dir, "--data-dir", data); code != exitDone || !strings.Contains(out, "journal_goes_on") {
		s.t.Fatalf("restore: exit code %d: %s%s", code, out, errs)
	}
}

// registrations are lines for n messages of a sender that complete at once.
func registrations(sender, name string, n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf(`{"sender":%q,"message":"%s-%d@example.com","recipient":"u%d@example.net","links":["https://example.com/"],"sent_at":%q}`,
			sender, name, i, i, time.Now().Add(-80*time.Hour).UTC().Format(time.RFC3339)))
	}
	return lines
}

// A backup is made under load, the node killed, and the backup restored on another folder. What was acknowledged before the
// backup began is there, once; what was done after it is done again, and counts, once.
func TestBackupUnderLoad(t *testing.T) {
	const messages, sender = 900, "backup-test"
	s := newServer(t)
	s.start()
	all := &deeds{tried: make(map[deed]bool), acked: make(map[deed]bool)}
	minted := s.register(registrations(sender, "m", messages))
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for worker := range 8 {
		clients.Go(func() {
			for i := worker; i < len(minted); i += 8 {
				select {
				case <-stop:
					return
				default:
					s.live(all, minted[i], i, backupAgent)
				}
			}
		})
	}
	s.until("the load runs", func() bool { return all.count.Load() >= 200 })
	all.mu.Lock()
	before := maps.Clone(all.acked)
	all.mu.Unlock()
	dir := s.backup()
	during := all.count.Load()
	s.until("the load has gone on", func() bool { return all.count.Load() >= during+200 })
	cursors := s.events()
	s.kill()
	close(stop)
	clients.Wait()

	keys, err := os.ReadFile(filepath.Join(s.dir, "data", keysName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "data", "backup.tmp")); !os.IsNotExist(err) {
		t.Errorf("the copy was not removed: %v", err)
	}
	again := newServer(t)
	again.track, again.mail = s.track, s.mail // where the links lead
	again.restore(dir, keys)
	again.start()
	kept := &deeds{tried: all.tried, acked: before}
	again.until("what was acknowledged is there", func() bool { return len(missing(kept, again.events())) == 0 })

	// Who repeats himself is heard: his deeds are no repeats of what the original heard after the backup.
	told := make(map[deed]bool)
	for _, e := range again.events() {
		told[deed{e.Kind, e.Message}] = true
	}
	lost := 0
	for i, m := range minted {
		if !told[deed{"open", m.Message}] && !told[deed{"bounce", m.Message}] {
			again.live(all, m, i, backupAgent)
			lost++
		} else if i%3 != 0 && !told[deed{"click", m.Message}] {
			all.try(deed{"click", m.Message}, func() error { return hit(m.ClickURLs[0], backupAgent, http.StatusFound) })
		}
	}
	if lost == 0 {
		t.Error("nothing came after the backup: the test tests nothing")
	}
	again.checkDeeds(all, sender, messages)
	// A client that had come further than the backup is told so, or gets what comes now; never nothing.
	answer, body, err := call(http.MethodGet, "http://"+again.api+"/v1/events?limit=1&after="+cursors[len(cursors)-1].Cursor, nil, "", nil)
	if err != nil || answer.StatusCode == http.StatusOK && len(body) == 0 {
		t.Errorf("from a cursor of the original: %v, %v: %s", answer, err, body)
	}
	if code := again.stop(); code != 0 {
		t.Errorf("stopped with exit code %d:\n%s", code, again.output)
	}

	// A backup is of use more than once, and none is restored over what is there.
	if out, errs, code := carom(t, nil, "restore", dir, "--data-dir", filepath.Join(again.dir, "data")); code != exitFailed || !strings.Contains(errs, "not empty") {
		t.Errorf("restored over a node: exit code %d: %s%s", code, out, errs)
	}
	third := newServer(t)
	third.restore(dir, keys)
	third.start()
	third.until("what was acknowledged is there", func() bool { return len(missing(kept, third.events())) == 0 })
}

// With topics, other nodes know the sequences that the original gave out after the backup.
func TestFleetRestoredEdge(t *testing.T) {
	f := newFleet(t, startFake(t), 1, 1)
	f.makeTopics()
	f.start()
	edge := f.edges[0]
	want := 0
	sent := func() []string {
		var ids []string
		for _, e := range edge.events() {
			if e.Kind == "sent" {
				ids = append(ids, e.Message)
			}
		}
		slices.Sort(ids)
		return ids
	}
	register := func(name string) {
		want += len(edge.register(registrations("alice", name, 100)))
		edge.until(name+" is counted", func() bool { return len(sent()) >= want })
	}
	register("before")
	dir, worker := edge.backup(), f.workers[0].backup()
	register("after")
	edge.kill()
	edge.wipe()
	edge.restore(dir, nil)
	f.start(edge)
	register("since")

	// A worker has its state from the backup, and what came since from the topics.
	f.workers[0].kill()
	f.workers[0].wipe()
	f.workers[0].restore(worker, nil)
	f.start(f.workers[0])
	register("anew")
	if ids := sent(); len(ids) != want || len(slices.Compact(ids)) != want {
		t.Errorf("%d sent, %d of them different, want %d", len(ids), len(slices.Compact(ids)), want)
	}
	var score struct{ Completed int }
	edge.until("all are counted", func() bool {
		edge.get("/v1/senders/alice/score?window=7d", &score)
		return score.Completed >= want
	})
	if score.Completed != want {
		t.Errorf("%d completed, want %d", score.Completed, want)
	}
}
