package scenario

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carom/bench/node"
	"carom/bench/progress"
	"carom/bench/result"
)

// A message that waits for a busy worker is behind by that time, whatever its requests take then.
func TestBehindTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Default()
		s.Name, s.Messages, s.Rate, s.Senders = "x", 3, 10, []Sender{defaultSender()}
		client, err := node.New(node.Target{API: "http://127.0.0.1:1"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		p := newPlayer(client, Options{Scenario: s, Progress: io.Discard}, time.Now())
		p.bar = progress.New(io.Discard, "messages", s.Messages)
		registered := make(chan *message, s.Messages)
		for i := range s.Messages {
			registered <- &message{index: i} // nothing becomes of it
		}
		close(registered)
		time.Sleep(5 * time.Second)
		if err := p.work(t.Context(), registered, nil); err != nil {
			t.Fatal(err)
		}
		d, err := p.behind.distribution()
		if err != nil {
			t.Fatal(err)
		}
		// Due after 0, 100 and 200 ms, they begin after 5 s.
		if d.Count != 3 || d.Max < 4.99e6 || d.Max > 5.01e6 || d.Min < 4.79e6 || d.Min > 4.81e6 {
			t.Errorf("%+v", d)
		}
		s.Rate = 0
		if p := newPlayer(client, Options{Scenario: s}, time.Now()); p.behind != nil {
			t.Error("without a rate nothing is due")
		}
	})
}

// The table has the harness's share of the CPU, the disk, what a reader must know, and from when times count.
func TestReportTable(t *testing.T) {
	h := result.NewHistogram()
	for i := range 200 {
		h.Record(time.Duration(i) * time.Millisecond)
	}
	d, err := h.Distribution()
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{
		Name: "x", Acknowledged: 100, Kills: 1, Behind: &d, AccountBytes: 3200,
		Harness: result.CPU{Seconds: 1, Cores: 0.5, Share: 0.25, PerItem: 10, PeakRSS: 1 << 20},
		Server:  &result.CPU{Seconds: 3, Cores: 1.5, Share: 0.75, PerItem: 30, PeakRSS: 2e6, Process: "7 carom"},
		Machine: result.Machine{Disk: &result.Disk{FileSystem: "xfs", Sync: 2}}, Notes: []string{"look out"},
	}
	table := func() string {
		var b bytes.Buffer
		if err := r.WriteTable(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	text := table()
	for _, want := range []string{
		"times count from the sending of a request to its answer; none was sent while the node was killed\n",
		"messages began behind the rate, by p50 99.02ms, p99 197", "their registration and the wait for a connection are in it\n",
		"node: 1.50 cores, 30.0 µs a fact, 2.00 MB of memory at its peak (7 carom)\n",
		"harness: 0.50 cores, 25 % of the machine, 25 % of what it and the server used, 10.0 µs a fact, 1.05 MB of memory at its peak, 32 bytes a fact for the account\n",
		"disk: xfs, a synced write of 4 KiB takes 2.00 µs\nnote: look out\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	r.Harness, r.Server, r.Kills, r.Behind, r.Machine.Disk, r.Notes = result.CPU{}, nil, 0, nil, nil, nil
	text = table()
	if !strings.Contains(text, "harness: CPU time is measured on Linux only") || strings.Contains(text, "behind") || strings.Contains(text, "was killed") || strings.Contains(text, "disk") || strings.Contains(text, "note") {
		t.Errorf("what was not measured is told:\n%s", text)
	}
}
