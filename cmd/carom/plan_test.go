package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"carom/kv"
	"carom/pipeline/event"
)

var usualLoad = load{messages: 1e6, delivered: 0.98, opens: 0.8, clicks: 0.1, bounces: 0.03, senders: 100, active: 12, peak: 5, workers: 1, edges: 1}

// What is counted with is what there is: keyspaces of the stores, and records as long as these.
func TestPlanFigures(t *testing.T) {
	var names []string
	for _, role := range []string{kv.RoleJournal, kv.RoleState} {
		for _, k := range keyspaces(role) {
			names = append(names, k.Name)
		}
	}
	for _, f := range figures {
		if !slices.Contains(names, f.keyspace) {
			t.Errorf("no keyspace is called %s", f.keyspace)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	want := map[event.Kind]float64{
		event.Sent: recordBytes.sent, event.Delivered: recordBytes.delivered, event.Open: recordBytes.opens,
		event.Click: recordBytes.clicks, event.Bounce: recordBytes.bounce,
	}
	const messages = 1000
	for _, kind := range plannedKinds {
		bytes := 0
		for _, m := range plannedMessages(messages, rng) {
			e := plannedEvent(kind, m, rng)
			bytes += len(e.AppendBinary(nil)) + 4
		}
		if got := float64(bytes) / messages; math.Abs(got-want[kind]) > want[kind]/10 {
			t.Errorf("a record of kind %v has %.0f bytes, the plan counts with %.0f", kind, got, want[kind])
		}
	}
}

func TestPlan(t *testing.T) {
	c := defaultConfig()
	p := newPlan(&c, usualLoad)
	find := func(p plan, keyspace string) planSpace {
		for _, s := range p.Disk {
			if s.Keyspace == keyspace {
				return s
			}
		}
		t.Fatalf("no %s in the plan", keyspace)
		return planSpace{}
	}
	// By hand: 1e6 * (110 + 0.98*144 + 0.8*181 + 0.1*370 + 0.03*213) a day, for 30 days.
	if s := find(p, "log_events"); math.Abs(s.PerDay-439.31e6) > 1e5 || math.Abs(s.Bytes-30*s.PerDay) > 1 {
		t.Errorf("events: %+v", s)
	}
	if s := find(p, "refine_messages"); math.Abs(s.Bytes-60*s.PerDay) > 1 {
		t.Errorf("messages are kept for 45 days and a third: %+v", s)
	}
	if p.OutageHours >= p.OutageHoursFull || p.OutageHours < 24 {
		t.Errorf("an outage of %.0f to %.0f hours", p.OutageHours, p.OutageHoursFull)
	}
	many := usualLoad
	many.messages, many.workers, many.edges = 100*usualLoad.messages, 4, 2
	q := newPlan(&c, many)
	if got := find(q, "log_events").Bytes / find(p, "log_events").Bytes; math.Abs(got-25) > 0.01 {
		t.Errorf("a hundredfold on four workers takes %.2f times as much on each", got)
	}
	if got := p.OutageHours / q.OutageHours; math.Abs(got-50) > 0.01 {
		t.Errorf("a hundredfold on two edges fills a journal %.2f times as fast", got)
	}
	c.Journal.MaxBytes, c.Events.Keep = 1<<30, time.Hour
	r := newPlan(&c, usualLoad)
	if got := p.OutageHours / r.OutageHours; math.Abs(got-16) > 0.01 {
		t.Errorf("a journal of a sixteenth holds 1/%.2f", got)
	}
	if s := find(r, "log_events"); math.Abs(s.Bytes-s.PerDay/24) > 1 {
		t.Errorf("events of an hour: %+v", s)
	}
}

func TestPlanCommand(t *testing.T) {
	out, errs, code := carom(t, nil, "plan", "--messages-per-day", "1e6", "--json")
	var p plan
	if err := json.Unmarshal([]byte(out), &p); code != exitDone || err != nil || p.Partitions != 32 || len(p.Disk) != len(figures)+1 {
		t.Errorf("%d, %v: %s%s", code, err, out, errs)
	}
	if out, _, code := carom(t, nil, "plan", "--messages-per-day", "1e6"); code != exitDone || !strings.Contains(out, "refine_timeline") || !strings.Contains(out, "outage of Kafka") {
		t.Errorf("%d: %s", code, out)
	}
	for _, args := range [][]string{{}, {"--messages-per-day", "0"}, {"--messages-per-day", "NaN"}, {"--messages-per-day", "1", "--workers", "0"}, {"--messages-per-day", "1", "--bounces", "2"}} {
		if _, errs, code := carom(t, nil, append([]string{"plan"}, args...)...); code != exitUsage || !strings.Contains(errs, "--") {
			t.Errorf("%v: %d: %s", args, code, errs)
		}
	}
}
