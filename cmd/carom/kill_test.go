package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// deed is one thing that a client does once, about one message.
type deed struct {
	kind    string
	message string
}

// deeds remembers what was tried and what was acknowledged.
type deeds struct {
	mu    sync.Mutex
	tried map[deed]bool
	acked map[deed]bool
	count atomic.Int64
}

func (d *deeds) try(one deed, do func() error) {
	d.mu.Lock()
	d.tried[one] = true
	d.mu.Unlock()
	if do() != nil {
		return // it may be on disk or not: both are right
	}
	d.mu.Lock()
	d.acked[one] = true
	d.mu.Unlock()
	d.count.Add(1)
}

// The process is killed in the middle of pixels, clicks and mail, three times over. Every acknowledged deed must be
// among the refined events exactly once, nothing may be there that nobody did, and the score must agree.
func TestKilledUnderLoad(t *testing.T) {
	const (
		rounds      = 3
		perRound    = 600
		beforeKill  = 250 // acknowledged deeds in a round before the kill
		sender      = "kill-test"
		personAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0"
	)
	s := newServer(t)
	all := &deeds{tried: make(map[deed]bool), acked: make(map[deed]bool)}
	registered := 0
	for round := range rounds {
		s.start()
		lines := make([]string, perRound)
		for i := range lines {
			lines[i] = fmt.Sprintf(`{"sender":%q,"message":"m-%d-%d@example.com","recipient":"u%d@example.net","links":["https://example.com/"],"sent_at":%q}`,
				sender, round, i, i, time.Now().Add(-80*time.Hour).UTC().Format(time.RFC3339))
		}
		messages := s.register(lines)
		registered += len(messages)
		killed := make(chan struct{})
		var clients sync.WaitGroup
		start := all.count.Load()
		for worker := range 8 {
			clients.Go(func() {
				for i := worker; i < len(messages); i += 8 {
					select {
					case <-killed:
						return
					default:
					}
					s.live(all, messages[i], i, personAgent)
				}
			})
		}
		s.until("the load runs", func() bool { return all.count.Load() >= start+beforeKill })
		s.kill()
		close(killed)
		clients.Wait()
	}
	s.start()
	s.checkDeeds(all, sender, registered)
	if code := s.stop(); code != 0 {
		t.Errorf("stopped with exit code %d:\n%s", code, s.output)
	}
}

// live does what happens to one message: every third bounces, the others are opened and clicked.
func (s *server) live(all *deeds, m minted, i int, agent string) {
	if i%3 == 0 {
		all.try(deed{"bounce", m.Message}, func() error {
			return s.deliver(m.ReturnPath, bounceMail(m, fmt.Sprintf("u%d@example.net", i)))
		})
		return
	}
	all.try(deed{"open", m.Message}, func() error { return hit(m.OpenURL, agent, http.StatusOK) })
	all.try(deed{"click", m.Message}, func() error { return hit(m.ClickURLs[0], agent, http.StatusFound) })
}

func hit(target, agent string, want int) error {
	request, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", agent)
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != want {
		return fmt.Errorf("answered %d", answer.StatusCode)
	}
	return nil
}

func (s *server) checkDeeds(all *deeds, sender string, registered int) {
	s.t.Helper()
	var events []seenEvent
	s.until("every acknowledged deed is among the events", func() bool {
		events = s.events()
		return len(missing(all, events)) == 0
	})
	ids, told := make(map[string]bool), make(map[deed]int)
	sent := 0
	for _, e := range events {
		if ids[e.ID] {
			s.t.Errorf("event %s was told twice", e.ID)
		}
		ids[e.ID] = true
		switch {
		case e.Kind == "sent":
			sent++
		case !e.Inferred:
			told[deed{e.Kind, e.Message}]++
		}
	}
	if sent != registered {
		s.t.Errorf("%d sent events, want %d", sent, registered)
	}
	for one, n := range told {
		if n != 1 {
			s.t.Errorf("%s of %s: %d events", one.kind, one.message, n)
		}
		if !all.tried[one] {
			s.t.Errorf("%s of %s: nobody did that", one.kind, one.message)
		}
	}
	s.checkScore(told, sender, registered)
}

// missing lists the acknowledged deeds that no event tells.
func missing(all *deeds, events []seenEvent) []deed {
	told := make(map[deed]bool)
	for _, e := range events {
		told[deed{e.Kind, e.Message}] = true
	}
	var missing []deed
	all.mu.Lock()
	defer all.mu.Unlock()
	for one := range all.acked {
		if !told[one] {
			missing = append(missing, one)
		}
	}
	return missing
}

// checkScore compares the sender's numbers with what the events tell: no message has two deeds of one kind here.
func (s *server) checkScore(told map[deed]int, sender string, registered int) {
	s.t.Helper()
	want := make(map[string]int)
	opened := make(map[string]bool)
	for one := range told {
		want[one.kind]++
		if one.kind == "open" || one.kind == "click" {
			opened[one.message] = true
		}
	}
	var score struct{ Completed, Bounced, Opened, Clicked int }
	var got string
	wanted := fmt.Sprint(registered, want["bounce"], len(opened), want["click"])
	for range 200 {
		s.get("/v1/senders/"+sender+"/score?window=7d", &score)
		if got = fmt.Sprint(score.Completed, score.Bounced, score.Opened, score.Clicked); got == wanted {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	s.t.Errorf("completed, bounced, opened, clicked: %s, want %s", strings.TrimSpace(got), wanted)
}
