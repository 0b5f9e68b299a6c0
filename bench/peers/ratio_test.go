package main

import (
	"reflect"
	"testing"
	"time"
)

// at makes a cell whose rate is answered a second.
func at(round int, peer string, connections int, answered int64, p99 float64) cell {
	return cell{
		Round: round, Peer: peer, Protocol: overHTTP, Connections: connections,
		measure:   measure{Answered: answered, Seconds: 2, P50: p99 / 2, P99: p99, CPU: time.Second},
		ServerCPU: 3 * time.Second,
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   spread
	}{
		{nil, spread{}},
		{[]float64{3}, spread{3, 3, 3, 1}},
		{[]float64{9, 1}, spread{5, 1, 9, 2}},
		{[]float64{9, 1, 2}, spread{2, 1, 9, 3}},
		{[]float64{4, 1, 2, 3}, spread{2.5, 1, 4, 4}},
	} {
		if got := spreadOf(c.values); got != c.want {
			t.Errorf("spread of %v: %v, want %v", c.values, got, c.want)
		}
	}
}

// In every round the machine is another one; only what is compared within a round tells anything.
func TestRatiosArePaired(t *testing.T) {
	failed := at(3, "fasthttp", 64, 1, 1)
	failed.Error = "did not answer"
	cells := []cell{
		at(1, "carom", 64, 800, 10), at(1, "fasthttp", 64, 1000, 20),
		at(2, "fasthttp", 64, 100, 20), at(2, "carom", 64, 50, 5),
		at(3, "carom", 64, 5000, 10), failed,
		at(4, "carom", 64, 5000, 10), // its pair was not measured
		at(1, "carom", 256, 30, 10), at(1, "fasthttp", 256, 60, 0),
		at(2, "carom", 1024, 30, 10),
	}
	peers, _ := choose(everyPeer(), []string{"carom", "fasthttp"})
	want := []ratio{
		{Of: "carom", To: "fasthttp", Figure: "rate", Connections: 64, Bar: 0.60, spread: spread{0.65, 0.5, 0.8, 2}},
		{Of: "carom", To: "fasthttp", Figure: "rate", Connections: 256, Bar: 0.78, spread: spread{0.5, 0.5, 0.5, 1}},
		{Of: "carom", To: "fasthttp", Figure: "p99", Connections: 64, Lower: true, spread: spread{0.375, 0.25, 0.5, 2}},
		{Of: "carom", To: "fasthttp", Figure: "cpu", Connections: 64, Lower: true, spread: spread{1.625, 1.25, 2, 2}},
		{Of: "carom", To: "fasthttp", Figure: "cpu", Connections: 256, Lower: true, spread: spread{2, 2, 2, 1}},
	}
	if got := ratios(cells, peers); !reflect.DeepEqual(got, want) {
		t.Errorf("ratios:\n%+v\nwant\n%+v", got, want)
	}
}

func TestBarsNameRealPeers(t *testing.T) {
	for _, b := range bars {
		peers, unknown := choose(everyPeer(), []string{b.of, b.to})
		if len(unknown) > 0 || len(peers) != 2 || peers[0].protocol != peers[1].protocol {
			t.Errorf("%+v compares what can't be compared", b)
		}
	}
	if got := barOf("carom", "raw-file", "rate", 7); got != 1 {
		t.Errorf("a bar for any number of connections: %v", got)
	}
	if got := barOf("carom", "nginx-buffered", "rate", 64); got != 0 {
		t.Errorf("a bar at another number of connections: %v", got)
	}
}

func TestMet(t *testing.T) {
	for _, c := range []struct {
		median float64
		lower  bool
		want   bool
	}{{0.9, false, true}, {0.89, false, false}, {1, false, true}, {0.9, true, true}, {0.91, true, false}, {0.1, true, true}} {
		r := ratio{Bar: 0.9, Lower: c.lower, spread: spread{Median: c.median}}
		if r.met() != c.want {
			t.Errorf("%v of a bar of 0.9, lower is better %v: met %v", c.median, c.lower, !c.want)
		}
	}
}
