package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carom/kv"
)

// TestErase erases a contact, and looks for him: in every answer, in every byte of the data folder after compaction, and
// in both again after the state was lost and rebuilt from the journal.
func TestErase(t *testing.T) {
	s := newServer(t)
	s.start()
	const contact, recipient = "c-unmistakable-77", "unmistakable.person@example.net"
	names := []string{contact, recipient, "m-unmistakable-0", "m-unmistakable-1", "m-unmistakable-2"}
	var lines []string
	for i := range 3 {
		lines = append(lines, fmt.Sprintf(`{"account":"acme","sender":"alice","sequence":%q,"contact":%q,"recipient":%q,"message":"m-unmistakable-%d","links":["https://example.com/"]}`,
			[]string{"q4", "q4", ""}[i], contact, recipient, i))
	}
	for i := range 20 {
		lines = append(lines, fmt.Sprintf(`{"account":"acme","sender":"alice","sequence":"q4","contact":"other-%d","recipient":"other-%[1]d@example.net","message":"m-other-%[1]d"}`, i))
	}
	all := s.register(lines)
	visit := func(m minted) {
		for _, url := range append([]string{m.OpenURL}, m.ClickURLs...) {
			if answer, _, err := call(http.MethodGet, url, nil, "", nil); err != nil || answer.StatusCode >= 400 {
				t.Fatalf("%v %v", answer, err)
			}
		}
	}
	for _, m := range append(all[:3:3], all[5]) {
		visit(m)
	}
	if err := s.deliver(all[1].ReturnPath, bounceMail(all[1], recipient)); err != nil {
		t.Fatal(err)
	}
	s.until("his bounce and clicks are refined", func() bool {
		kinds := map[string]int{}
		for _, e := range s.events() {
			if strings.HasPrefix(e.Message, "m-unmistakable") {
				kinds[e.Kind]++
			}
		}
		return kinds["bounce"] >= 1 && kinds["click"] >= 3
	})
	at := time.Now().UTC().Add(100 * time.Hour).Format(time.RFC3339) // when all have completed
	score := func() string {
		var got map[string]any
		s.get("/v1/senders/alice/score?account=acme&window=7d&as_of="+at, &got)
		if got["completed"] != 22.0 { // three messages of one contact are two enrollments
			t.Errorf("completed: %v", got["completed"])
		}
		b, _ := json.Marshal(got)
		return string(b)
	}
	before := score()

	// Access first.
	answer, body, err := call(http.MethodGet, "http://"+s.api+"/v1/contacts/"+contact+"/export?account=acme", nil, "", nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer, err)
	}
	for _, name := range names {
		if !bytes.Contains(body, []byte(name)) {
			t.Errorf("the export lacks %s", name)
		}
	}
	if !bytes.HasSuffix(bytes.TrimSpace(body), []byte(`{"type":"end","data":{"messages":3}}`)) {
		t.Errorf("the export ends otherwise: %s", body[max(0, len(body)-200):])
	}

	// Orders name his address, and no contact.
	s.ask(http.MethodPut, "/v1/suppressions/"+recipient, `{"account":"acme","note":"m-unmistakable-0"}`, new(struct{}))
	s.ask(http.MethodPut, "/v1/suppressions/"+recipient, `{"scope":"global"}`, new(struct{}))
	s.ask(http.MethodDelete, "/v1/suppressions/"+recipient+"?account=acme", "", new(struct{}))

	// He was denied, and stays so, without being named.
	denied := "http://" + s.api + "/v1/contacts/" + contact + "/denied?account=acme"
	if answer, body, err := call(http.MethodPut, denied, nil, "", nil); err != nil || answer.StatusCode >= 300 {
		t.Fatal(answer, err, string(body))
	}
	for range 2 { // again is the same
		if answer, body, err := call(http.MethodDelete, "http://"+s.api+"/v1/contacts/"+contact+"?account=acme", nil, "", nil); err != nil || answer.StatusCode != http.StatusAccepted {
			t.Fatal(answer, err, string(body))
		}
		s.until("the erase is done", func() bool {
			var e erasureSeen
			s.get("/v1/contacts/"+contact+"/erasure?account=acme", &e)
			return e.State == "done"
		})
	}
	var seen struct{ Messages []any }
	s.get("/v1/contacts/"+contact+"?account=acme", &seen)
	if len(seen.Messages) != 0 {
		t.Errorf("still listed: %v", seen.Messages)
	}
	check := func() []byte {
		t.Helper()
		_, events, err := call(http.MethodGet, "http://"+s.api+"/v1/events?limit=10000", nil, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(events, []byte("m-other-2")) {
			t.Error("others' events are gone")
		}
		for _, name := range names {
			if bytes.Contains(events, []byte(name)) {
				t.Errorf("the events tell %s", name)
			}
		}
		return events
	}
	// Who reads that late can tell whom to forget, and no more: the sum is what CONSUMERS.md's command gives.
	if events, sum := check(), sha256.Sum256([]byte("carom contact 1\x00acme\x00"+contact)); bytes.Count(events, fmt.Appendf(nil, `"contact_key":"%x"`, sum[:16])) != 2 {
		t.Errorf("want an erase of each of two sequences with the contact's key: %s", events)
	}
	if after := score(); after != before {
		t.Errorf("the sender's counts were %s, and are %s", before, after)
	}
	// A late fact by key is dropped.
	if err := s.deliver(all[0].ReturnPath, bounceMail(minted{Message: "x"}, "someone@example.net")); err != nil {
		t.Fatal(err)
	}
	s.until("it is dropped", func() bool {
		return strings.Contains(s.metrics(t), `carom_refine_dropped_total{partition="0",reason="erased"} 1`)
	})
	s.stop()
	lookFor(t, s.dir, names)

	if err := os.RemoveAll(filepath.Join(s.dir, "data", "state")); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.until("others' events are there again", func() bool { return len(s.events()) >= 20 })
	check()
	s.stop()
	lookFor(t, s.dir, names)
}

type erasureSeen struct{ State string }

// lookFor fails if any file of a stopped server's data folder holds one of names after compaction.
func lookFor(t *testing.T, dir string, names []string) {
	t.Helper()
	for _, role := range []string{kv.RoleJournal, kv.RoleState} {
		if !lookForIn(t, filepath.Join(dir, "data", role), role, names) {
			t.Errorf("%s store: what is said of others can't be found either", role)
		}
	}
	lookInFiles(t, dir, names)
}

// lookForIn compacts a store, fails if it holds one of names, and reports whether it says anything of others.
func lookForIn(t *testing.T, path, role string, names []string) (others bool) {
	t.Helper()
	store, err := kv.Open(path, kv.Options{Role: role})
	if err != nil {
		t.Fatal(err)
	}
	// A file that overlaps no other is moved, not compacted, and keeps what marks a key as deleted, with the key: so there
	// is another file.
	for _, mark := range []func([]byte) error{
		func(key []byte) error { return store.DB().Set(key, nil, nil) },
		func(key []byte) error { return store.DB().Delete(key, nil) },
	} {
		if err := errors.Join(mark([]byte{0, 1}), mark([]byte{0xfe, 0xff}), store.DB().Flush()); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.DB().Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	it, err := store.DB().NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		others = others || bytes.Contains(it.Value(), []byte("m-other-2"))
		for _, name := range names {
			if bytes.Contains(it.Key(), []byte(name)) || bytes.Contains(it.Value(), []byte(name)) {
				t.Errorf("%s: %s is kept under %x: %q", path, name, it.Key(), it.Value())
			}
		}
	}
	if err := errors.Join(it.Close(), store.Close()); err != nil {
		t.Fatal(err)
	}
	return others
}

// lookInFiles fails if a file holds one of names.
func lookInFiles(t *testing.T, dir string, names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, name := range names {
			if bytes.Contains(b, []byte(name)) {
				t.Errorf("%s holds %s", path, name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDeniedOutlivesState denies contacts, one of whom is erased too, and loses the state: nobody can tell again who had
// withdrawn his consent, so that must not go with what can be made anew.
func TestDeniedOutlivesState(t *testing.T) {
	s := newServer(t)
	s.start()
	names := []string{"c-denied", "c-denied-erased", "c-allowed"}
	var lines []string
	for _, name := range names {
		lines = append(lines, fmt.Sprintf(`{"sender":"alice","contact":%q,"message":"m-%[1]s"}`, name))
	}
	all := s.register(lines)
	for _, name := range names[:2] {
		s.ask(http.MethodPut, "/v1/contacts/"+name+"/denied", "", new(struct{}))
	}
	s.ask(http.MethodPut, "/v1/senders/alice/addresses", `{"addresses":["203.0.113.7"]}`, new(struct{}))
	if answer, _, err := call(http.MethodDelete, "http://"+s.api+"/v1/contacts/"+names[1], nil, "", nil); err != nil || answer.StatusCode != http.StatusAccepted {
		t.Fatal(answer, err)
	}
	s.kill()
	if err := os.RemoveAll(filepath.Join(s.dir, "data", "state")); err != nil {
		t.Fatal(err)
	}
	s.start()
	for _, m := range all {
		if answer, _, err := call(http.MethodGet, m.OpenURL, nil, "", nil); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(answer, err)
		}
	}
	s.until("the open that may be recorded is", func() bool {
		m := s.timeline("m-c-allowed")
		return len(m.hits()) == 1
	})
	_, journal, err := call(http.MethodGet, "http://"+s.api+"/v1/journal", nil, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(journal, []byte(`"kind":"open"`)); n != 1 {
		t.Errorf("%d opens were recorded, want that of the contact who is not denied alone: %s", n, journal)
	}
	var own struct{ Addresses []string }
	if s.ask(http.MethodGet, "/v1/senders/alice/addresses", "", &own); len(own.Addresses) != 1 {
		t.Errorf("the sender's addresses are %v", own.Addresses)
	}
}
