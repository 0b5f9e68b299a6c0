package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"carom/pipeline/bot"
	"carom/pipeline/event"
)

// TestRulesAreReplacedUnderLoad reloads while hits are judged: each is judged by one set of rules or the other.
func TestRulesAreReplacedUnderLoad(t *testing.T) {
	dir := t.TempDir()
	if err := bot.Export(dir); err != nil {
		t.Fatal(err)
	}
	networks := filepath.Join(dir, "networks.tsv")
	built, err := os.ReadFile(networks)
	if err != nil {
		t.Fatal(err)
	}
	o := Default()
	o.RulesDir = dir
	j := &memoryJournal{}
	a, reg := newAcceptor(t, o, j)
	hit := func() (event.Verdict, error) {
		ev, req := click(start, 1), from("203.0.113.77", browser)
		err := a.Hit(&ev, &req)
		return ev.Actor.Verdict, err
	}

	var hits sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		hits.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if v, err := hit(); err != nil || v != event.Human && v != event.Scanner {
					t.Errorf("a hit is %s, %v", v, err)
				}
			}
		})
	}
	own := append(append([]byte{}, built...), "203.0.113.0/24\tnetwork_own\tscanner\tscanner\t-\t-\ttest\n"...)
	for i := range 6 {
		text, want := own, event.Scanner
		if i%2 == 1 {
			text, want = built, event.Human
		}
		if err := os.WriteFile(networks, text, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := a.ReloadRules(); err != nil {
			t.Fatal(err)
		}
		if v, err := hit(); err != nil || v != want {
			t.Errorf("after reload %d a hit is %s, %v, want %s", i, v, err, want)
		}
	}
	close(stop)
	hits.Wait()
	wantMetric(t, reg, `carom_pipeline_rules_loads_total{result="ok"} 7`)

	before := a.Rules()
	if err := os.WriteFile(networks, append(built, "203.0.113.1/24\tnetwork_own\tscanner\tscanner\t-\t-\ttest\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	after, err := a.ReloadRules()
	var broken *bot.FileError
	if !errors.As(err, &broken) || broken.File != "networks.tsv" || broken.Line == 0 || !errors.Is(after.Err, err) {
		t.Errorf("a broken file: %v, %+v", err, after)
	}
	if after.Hash != before.Hash || after.LoadedAt != before.LoadedAt || after.FailedAt.IsZero() {
		t.Errorf("after a broken file: %+v, before: %+v", after, before)
	}
	wantMetric(t, reg, `carom_pipeline_rules_loads_total{result="failed"} 1`)
	if v, _ := hit(); v != event.Human {
		t.Errorf("after a broken file a hit is %s", v)
	}
}
