package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// seedVariable repeats a random test.
const seedVariable = "CONTRACT_SEED"

// Facts of every kind at random times, told in a random order, some before their message is registered: the numbers must
// be those of the facts, whatever the order.
func TestContractRandomFacts(t *testing.T) {
	t.Parallel()
	testRandomFacts(t, newWorld(t))
}

func testRandomFacts(t *testing.T, w *world) {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s=%d", seedVariable, seed)
	r := &randomFacts{Rand: rand.New(rand.NewPCG(seed, 1)), w: w}
	letters := r.letters(700)
	facts := r.facts(letters)
	r.Shuffle(len(letters), func(i, j int) { letters[i], letters[j] = letters[j], letters[i] })
	r.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
	r.killed(letters, facts)
	first := w.page(url.Values{"limit": {"1"}})[0]
	tail := w.follow(t, "?after="+url.QueryEscape(first.Cursor), "")
	w.send(letters[:500]...)
	w.tell(facts...)
	w.send(letters[500:]...)
	w.tell(facts[:100]...)
	r.hits(letters)
	w.checkEvents(t)
	behind := slices.DeleteFunc(w.told(nil, 999), func(e toldEvent) bool { return e.fact() == first.fact() })
	if !w.same(tail.take(len(behind)), behind) {
		t.Error("the live tail told other events than the pages")
	}
	asOf := []time.Time{time.Now(), w.asOf(73 * time.Hour)}
	for range 3 {
		asOf = append(asOf, w.asOf(-time.Duration(r.IntN(35*24*6))*10*time.Minute))
	}
	w.checkScores(t, asOf...)
}

// killed sends everything in several bulks at once, and kills the server in the middle of them. Nobody hears the answers,
// so all of it will be sent again: how much had been kept must show nowhere.
func (r *randomFacts) killed(letters []*letter, facts []told) {
	var lines, reports []string
	for _, l := range letters {
		lines = append(lines, l.registration())
	}
	for _, f := range facts {
		reports = append(reports, f.fact(f.more))
	}
	var clients sync.WaitGroup
	for i := range 3 {
		clients.Go(func() {
			for path, all := range map[string][]string{"/v1/messages": lines, "/v1/events": reports} {
				body := strings.Join(all[i*len(all)/3:(i+1)*len(all)/3], "\n")
				if answer, err := http.Post("http://"+r.w.api+path, linesOfJSON, strings.NewReader(body)); err == nil {
					answer.Body.Close()
				}
			}
		})
	}
	r.w.until("some of it is kept", func() bool { return len(r.w.page(url.Values{"limit": {"200"}})) > 50+r.IntN(100) })
	r.w.kill()
	clients.Wait()
	r.w.serve()
}

type randomFacts struct {
	*rand.Rand
	w *world
}

// letters are of two accounts with the same names in both. The healthy sender has enough of them to be judged.
func (r *randomFacts) letters(n int) (all []*letter) {
	for i := range n {
		l := &letter{
			account: []string{"acme", "globex"}[r.IntN(2)], sender: []string{"healthy", "healthy", "rotten", "small"}[r.IntN(4)],
			sequence: []string{"", "q3", "q4"}[r.IntN(3)], name: fmt.Sprintf("m-%d@example.org", i), recipient: fmt.Sprintf("u%d@example.com", i),
			contact: fmt.Sprintf("c-%d", r.IntN(n/2)), links: []string{"https://example.com/"}, sentAt: r.w.ago(time.Duration(r.IntN(40*24*60)) * time.Minute),
		}
		if r.IntN(3) == 0 {
			l.sentAt = r.w.ago(time.Duration(r.IntN(30*60)) * time.Minute)
		}
		all = append(all, l)
	}
	return all
}

// facts happen to most letters, and some are told twice. One that differs from another in nothing but its time would be
// kept with the time that comes first, which nobody knows here: there are none.
func (r *randomFacts) facts(letters []*letter) (all []told) {
	var different model
	for _, l := range letters {
		for range r.IntN(4) {
			one := r.fact(l)
			n := len(different.deeds)
			if different.add(one.deedDone); len(different.deeds) == n {
				continue
			}
			all = append(all, one)
			if r.IntN(10) == 0 {
				all = append(all, one)
			}
		}
	}
	return all
}

func (r *randomFacts) fact(l *letter) told {
	kinds := []string{"delivered", "bounce", "bounce", "reply", "auto_reply", "delay", "complaint", "unsubscribe", "dropped", "completed"}
	d := deedDone{kind: kinds[r.IntN(len(kinds))], letter: l, recipient: l.recipient, at: l.sentAt}
	// Steps are few, so that some facts are at the same time.
	if room := int(r.w.base.Sub(l.sentAt)/(10*time.Minute)) / 4; room > 0 {
		d.at = d.at.Add(time.Duration(r.IntN(4)*r.IntN(room+1)) * 10 * time.Minute)
	}
	d.mail = d.at.String()
	more := map[string]any{"recipient": l.recipient}
	switch d.kind {
	case "bounce":
		return r.bounce(d)
	case "reply", "complaint", "unsubscribe", "completed":
		delete(more, "recipient")
		if d.verdict = ""; d.kind == "reply" {
			d.verdict = "human"
		}
		if l.sequence != "" && r.IntN(3) == 0 {
			d.letter, d.about = nil, l.enrollment()
		}
	}
	return told{d, more}
}

func (r *randomFacts) bounce(d deedDone) told {
	d.status, d.hard = "5.1.1", true
	bounce := map[string]any{"hard": true, "category": "invalid_recipient", "status": "5.1.1", "recipient": d.recipient}
	switch r.IntN(3) {
	case 0:
		d.status, d.hard = "5.2.2", false
		bounce = map[string]any{"hard": false, "category": "mailbox_full", "status": "5.2.2", "recipient": d.recipient}
	case 1:
		return told{d, map[string]any{"reply": "550 5.1.1 no such user", "recipient": d.recipient}}
	}
	return told{d, map[string]any{"bounce": bounce}}
}

// hits are made by several clients at once, each with letters of its own. Opens come before clicks: whether an open
// that comes just after a click was seen in time to be no guess is up to the clock.
func (r *randomFacts) hits(letters []*letter) {
	type visit struct {
		v            visitor
		opens, click bool
	}
	visitors := []visitor{person, browser, curl, gateway, outlook}
	visits := make(map[*letter][]visit)
	for _, l := range letters {
		for range r.IntN(3) {
			visits[l] = append(visits[l], visit{visitors[r.IntN(len(visitors))], r.IntN(3) > 0, r.IntN(3) == 0})
		}
	}
	r.w.later()
	var mu sync.Mutex
	hit := func(d deedDone, v visitor, target string, want int) {
		answer, _, err := v.visit(target)
		if err != nil || answer.StatusCode != want {
			r.w.t.Errorf("%s of %s: %v, %v", d.kind, d.letter, answer, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		d.agent = v.agent
		r.w.hit(d)
	}
	const workers = 4
	var clients sync.WaitGroup
	for worker := range workers {
		clients.Go(func() {
			for i := worker; i < len(letters); i += workers {
				l := letters[i]
				for _, one := range visits[l] {
					if one.opens {
						hit(deedDone{kind: "open", letter: l, verdict: one.v.open}, one.v, l.minted.OpenURL, http.StatusOK)
					}
				}
				for _, one := range visits[l] {
					if one.click {
						hit(deedDone{kind: "click", letter: l, url: l.links[0], verdict: one.v.click}, one.v, l.minted.ClickURLs[0], http.StatusFound)
					}
				}
			}
		})
	}
	clients.Wait()
}
