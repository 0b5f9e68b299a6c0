package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// newFleetWorld is a world of three edges and two workers: opens and clicks are heard by one edge, mail by the second,
// and the third is told and asked.
func newFleetWorld(t *testing.T, more ...string) *world {
	t.Helper()
	f := newFleet(t, sharedBroker(t), 3, 2)
	f.makeTopics()
	for _, worker := range f.workers {
		worker.more = append(worker.more, more...)
	}
	asked := f.edges[2]
	front := &server{
		t: t, name: asked.name, dir: asked.dir, track: f.edges[0].track, mail: f.edges[1].mail, api: asked.api, more: asked.more, output: asked.output,
	}
	w := &world{server: front, fleet: f, base: time.Now().UTC().Truncate(time.Minute)}
	w.serve()
	t.Cleanup(func() { f.broken(t) })
	return w
}

// What one process must do, nodes together must do.
func TestBrokerContractDeeds(t *testing.T)       { testDeeds(t, newFleetWorld(t)) }
func TestBrokerContractRandomFacts(t *testing.T) { testRandomFacts(t, newFleetWorld(t)) }
func TestBrokerContractStatus(t *testing.T)      { testStatus(t, newFleetWorld(t)) }
func TestBrokerContractEvents(t *testing.T)      { testEvents(t, newFleetWorld(t)) }

// What belongs together is heard by different nodes.
func TestBrokerAcrossNodes(t *testing.T) {
	w := newFleetWorld(t)
	f := w.fleet
	base := "http://" + f.edges[0].track
	set := w.set("across", 9) // at the third edge

	// One pixel at all edges at once, then one link, by a person and by a machine: each of them is one event. A click that
	// was heard before the open would infer one.
	for _, target := range []string{set[0].minted.OpenURL, set[0].minted.ClickURLs[0]} {
		var all sync.WaitGroup
		for _, edge := range f.edges {
			for _, v := range []visitor{person, curl} {
				all.Go(func() {
					if _, _, err := v.visit("http://" + edge.track + strings.TrimPrefix(target, base)); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
	}
	for _, v := range []visitor{person, curl} {
		w.hit(deedDone{kind: "open", letter: set[0], verdict: v.open, agent: v.agent})
		w.hit(deedDone{kind: "click", letter: set[0], url: set[0].links[0], verdict: v.click, agent: v.agent})
	}

	// Bounces by return path, by header and by Message-ID, at the edges that have not heard of the send.
	early := []*letter{}
	for i := range 6 {
		early = append(early, &letter{
			account: "acme", sender: "early", sequence: "s", name: fmt.Sprintf("early-%d@example.org", i), recipient: fmt.Sprintf("early-%d@example.com", i),
			contact: fmt.Sprintf("c-%d", i), links: []string{"https://example.com/"}, sentAt: w.ago(80 * time.Hour),
		})
		early[i].minted = w.link(nil, early[i])
	}
	for _, letters := range [][]*letter{set[1:7], early} {
		for i, l := range letters {
			id, to, original := w.mailID(), feedbackAddress, ""
			switch i / 2 {
			case 0:
				to = l.minted.ReturnPath
			case 1:
				original = returned(l, true)
			case 2:
				original = returned(l, false)
			}
			if err := f.edges[i%2].deliver(to, statusMail(id, to, original, unknownUser(l.recipient)).String()); err != nil {
				t.Fatal(err)
			}
			w.fails(l, id, unknownUser(l.recipient))
		}
	}
	// The early ones overtake their send. Those that bring no reference wait for it.
	w.until("four bounces wait", func() bool { return f.sum(t, "carom_refine_parked_facts") == 4 })
	for _, i := range []int{0, 1, 4, 5} {
		if status := w.status(early[i]); status != "" {
			t.Errorf("nobody has registered %s, which is %s", early[i], status)
		}
	}
	w.send(early...)
	w.checkEvents(t)
	w.checkScores(t, time.Now())
	for _, l := range append(slices.Clone(set[1:7]), early...) {
		w.again(t, func() []string { return w.message(l, "bounced", "bounced_permanent") })
	}
	if n := f.sum(t, "carom_refine_parked_facts"); n != 0 {
		t.Errorf("%v facts still wait", n)
	}
}
