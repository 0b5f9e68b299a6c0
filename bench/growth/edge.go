package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"carom/bench/result"
	"carom/bench/targets"
	"carom/kv"
)

// sampleEvents is from how many events their size on disk is taken.
const sampleEvents = 1_000_000

// edge compares the tracking edge on a full journal with one on an empty one.
func edge(ctx context.Context, o *options, out, show io.Writer) error {
	full, empty := filepath.Join(o.dir, "full"), filepath.Join(o.dir, "empty")
	events, err := fillFolder(ctx, o, full, out, show)
	if err != nil {
		return err
	}
	sides := []*side{{name: "empty", dir: empty}, {name: "full", dir: full}}
	for _, s := range sides {
		keys, err := makeFolder(s.dir)
		if err != nil {
			return err
		}
		// The state store of the role track is all but empty; the journal of both may grow without bound.
		s.node, err = startNode(ctx, o.carom, s.dir, "track", "CAROM_JOURNAL_MAX_BYTES=1099511627776")
		if err != nil {
			return err
		}
		defer func() { _ = s.node.kill() }()
		if s.opens, err = opens(keys); err != nil {
			return err
		}
		defer s.opens.Close()
	}
	if err := compare(ctx, o, sides); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d connections, %d rounds of %v each, in turn\n", o.connections, o.rounds, o.seconds)
	if err := writeComparison(out, sides[0], sides[1], events); err != nil {
		return err
	}
	for _, s := range sides {
		if err := s.node.stop(); err != nil {
			return err
		}
	}
	return trim(ctx, full, out)
}

// fillFolder fills the journal in dir, as far as there is room, and returns how many events it holds then.
func fillFolder(ctx context.Context, o *options, dir string, out, show io.Writer) (events int64, err error) {
	s, err := openJournal(dir, unbounded())
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.close() }()
	never := func() bool { return false }
	began := time.Now()
	filled, err := fill(ctx, s.journal, 0, min(sampleEvents, o.events), never, show)
	if err != nil {
		return 0, err
	}
	if err := s.kv.DB().Flush(); err != nil {
		return 0, err
	}
	wanted := o.events
	perEvent := float64(s.kv.DB().Metrics().Total().TablesSize) / float64(filled) // the write-ahead log that is written out goes
	if room := int64(float64(o.maxBytes) / perEvent); room < wanted {
		fmt.Fprintf(out, "%d events would take more than %.1f GB: %d are run\n", wanted, float64(o.maxBytes)/1e9, room)
		wanted = room
	}
	more, err := fill(ctx, s.journal, filled, wanted-filled, never, show)
	if err != nil {
		return 0, err
	}
	filled += more
	took := time.Since(began)
	_, next := s.journal.Bounds()
	m := s.kv.DB().Metrics()
	levels := m.Total()
	fmt.Fprintf(out, "filled: %d events in %.0f s (%.0f/s), %.2f GB on disk (%.0f B an event), compacted meanwhile %.2f GB written and %.2f GB moved\n",
		next, took.Seconds(), float64(filled)/took.Seconds(), float64(m.DiskSpaceUsage())/1e9, float64(m.DiskSpaceUsage())/float64(next),
		float64(levels.TableBytesCompacted)/1e9, float64(levels.TableBytesMoved)/1e9)
	return int64(next), s.close()
}

// side is one of two nodes that are compared.
type side struct {
	name   string
	dir    string
	node   *node
	opens  *targets.Minted
	rounds []round
}

// round is what one load came to.
type round struct {
	*result.Result
	flushed, compacted, move float64 // bytes
}

func (r *round) rate() float64   { return r.Rate }
func (r *round) perCPU() float64 { return float64(r.Requests) / r.Server.Seconds }

// p99 is in microseconds.
func (r *round) p99() float64 {
	micros, _ := r.Latency.At(99)
	return micros
}

func (s *side) round(ctx context.Context, connections int, lasts time.Duration) (r round, err error) {
	before, err := s.node.figures(ctx)
	if err != nil {
		return r, err
	}
	if r.Result, err = load(ctx, s.node, s.opens, connections, lasts); err != nil {
		return r, err
	}
	after, err := s.node.figures(ctx)
	if err != nil {
		return r, err
	}
	const of = `{store="` + kv.RoleJournal + `"}`
	r.flushed = after["carom_kv_flushed_bytes_total"+of] - before["carom_kv_flushed_bytes_total"+of]
	r.compacted = after["carom_kv_compacted_bytes_total"+of] - before["carom_kv_compacted_bytes_total"+of]
	r.move = after["carom_kv_moved_bytes_total"+of] - before["carom_kv_moved_bytes_total"+of]
	const recorded = "carom_journal_records_total"
	if n := after[recorded] - before[recorded]; int64(n) < r.Requests {
		return r, fmt.Errorf("%s: %d answers, but %.0f records", s.name, r.Requests, n)
	}
	return r, nil
}

// compare has both sides loaded in turn.
func compare(ctx context.Context, o *options, sides []*side) error {
	for _, s := range sides { // warm up
		if _, err := s.round(ctx, o.connections, o.seconds/3); err != nil {
			return err
		}
	}
	for n := range o.rounds {
		order := slices.Clone(sides)
		if n%2 == 1 {
			slices.Reverse(order)
		}
		for _, s := range order {
			r, err := s.round(ctx, o.connections, o.seconds)
			if err != nil {
				return err
			}
			s.rounds = append(s.rounds, r)
		}
	}
	return nil
}

// What the rate on a journal of so many events, or more, should be of that on an empty one.
const (
	rateBar   = 0.9
	barEvents = 50_000_000
)

// writeComparison prints the figures of both sides and their ratios; events is how many the full journal held.
func writeComparison(out io.Writer, empty, full *side, events int64) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "journal\tevents/s\tevents per CPU s\tp99 ms\tfailed\tflushed MB\tcompacted MB\tmoved MB\t")
	for _, s := range []*side{empty, full} {
		var failed int64
		var flushed, compacted, moved float64
		for i := range s.rounds {
			r := &s.rounds[i]
			failed += r.Failed
			flushed, compacted, moved = flushed+r.flushed, compacted+r.compacted, moved+r.move
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.1f\t%d\t%.0f\t%.0f\t%.0f\t\n", s.name, s.median((*round).rate), s.median((*round).perCPU), s.median((*round).p99)/1000,
			failed, flushed/1e6, compacted/1e6, moved/1e6)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "compaction in these rounds: %s; %s\n", empty.compaction(), full.compaction())
	for _, ratio := range []struct {
		name string
		of   func(*round) float64
		bar  float64 // 0: none
	}{{"rate", (*round).rate, rateBar}, {"events per CPU second", (*round).perCPU, 0}, {"p99", (*round).p99, 0}} {
		pairs := make([]float64, len(full.rounds))
		for i := range pairs {
			pairs[i] = ratio.of(&full.rounds[i]) / ratio.of(&empty.rounds[i])
		}
		slices.Sort(pairs)
		middle, verdict := median(pairs), ""
		switch {
		case ratio.bar == 0 || events < barEvents:
		case middle >= ratio.bar:
			verdict = fmt.Sprintf("; bar %.2f met", ratio.bar)
		default:
			verdict = fmt.Sprintf("; bar %.2f MISSED", ratio.bar)
		}
		fmt.Fprintf(out, "full / empty, %s: median %.3f of %d pairs, %.3f to %.3f%s\n",
			ratio.name, middle, len(pairs), pairs[0], pairs[len(pairs)-1], verdict)
	}
	return nil
}

// compaction says in how many of the measured rounds the store compacted.
func (s *side) compaction() string {
	rewrote, moved := 0, 0
	for i := range s.rounds {
		if s.rounds[i].compacted > 0 {
			rewrote++
		}
		if s.rounds[i].move > 0 {
			moved++
		}
	}
	if rewrote+moved == 0 {
		return s.name + " NONE, take longer rounds: -seconds 60s, or make bench-growth GROWTH='-seconds 60s'"
	}
	return fmt.Sprintf("%s rewrote tables in %d of %d and moved some in %d", s.name, rewrote, len(s.rounds), moved)
}

func (s *side) median(of func(*round) float64) float64 {
	values := make([]float64, len(s.rounds))
	for i := range s.rounds {
		values[i] = of(&s.rounds[i])
	}
	slices.Sort(values)
	return median(values)
}

// median is that of sorted values.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
