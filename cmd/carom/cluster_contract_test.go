package main

import (
	"testing"
	"time"
)

// newFleetWorld is a world of three edges and two workers: opens and clicks are heard by one edge, mail by the second,
// and the third is told and asked.
func newFleetWorld(t *testing.T) *world {
	t.Helper()
	f := newFleet(t, sharedBroker(t), 3, 2)
	f.makeTopics()
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
