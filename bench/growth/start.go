package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"carom/bench/targets"
)

// loadBefore is how long a node is loaded before it is killed: enough for a write-ahead log of several memtables.
const loadBefore = 10 * time.Second

// start measures how long a node takes to serve again after a crash under load, by the size of its journal.
func start(ctx context.Context, o *options, out, show io.Writer) error {
	dir := filepath.Join(o.dir, "node")
	keys, err := makeFolder(dir)
	if err != nil {
		return err
	}
	roles := "track"
	if o.messages > 0 {
		roles = ""
		if err := register(ctx, o, dir, show); err != nil {
			return err
		}
	}
	opens, err := opens(keys)
	if err != nil {
		return err
	}
	defer opens.Close()
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "journal GB\tevents\tWAL MB\tlistens s\tready s\tfirst pixel s\tof it: journal store s\tjournal s\tstate store s\tstages s\tedges s\t")
	filled := int64(0)
	for size := range strings.SplitSeq(o.sizes, ",") {
		gigabytes, err := strconv.ParseFloat(strings.TrimSpace(size), 64)
		if err != nil {
			return fmt.Errorf("-sizes: %w", err)
		}
		n, events, err := grow(ctx, dir, filled, int64(gigabytes*1e9), show)
		if err != nil {
			return err
		}
		filled += n
		var starts []started
		for range o.rounds {
			s, err := crash(ctx, o, dir, roles, opens)
			if err != nil {
				return err
			}
			starts = append(starts, s)
		}
		s := middle(starts)
		fmt.Fprintf(t, "%.1f\t%d\t%.0f\t", gigabytes, events, s.wal/1e6)
		for _, took := range []time.Duration{s.listens, s.ready, s.pixel, s.parts[partHeard], s.parts[partJournal], s.parts[partState], s.parts[partStages], s.parts[partEdges]} {
			fmt.Fprintf(t, "%.2f\t", took.Seconds())
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintf(out, "role %s; after kill -9 under %d clients; the median of %d starts, WAL before them\n", cmp.Or(roles, "all"), o.connections, o.rounds)
	return t.Flush()
}

// The parts of a start, as the node's log names them.
const (
	partHeard   = "journal store"
	partJournal = "journal"
	partState   = "state store"
	partStages  = "stages"
	partEdges   = "edges"
)

// started is how long a start took, counted from the process's.
type started struct {
	wal                   float64 // bytes that were in write-ahead logs
	listens, ready, pixel time.Duration
	parts                 map[string]time.Duration
}

// middle is the median start, by the first pixel.
func middle(all []started) started {
	slices.SortFunc(all, func(a, b started) int { return int(a.pixel - b.pixel) })
	return all[(len(all)-1)/2]
}

// grow fills the journal until it takes so many bytes, and returns how many events came and how many there are.
func grow(ctx context.Context, dir string, from, size int64, show io.Writer) (filled, events int64, err error) {
	s, err := openJournal(dir, unbounded())
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	began := time.Now()
	var mu sync.Mutex // guards checked and last
	checked, last := time.Time{}, false
	enough := func() bool {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(checked) > time.Second {
			checked = now
			last = int64(s.kv.DB().Metrics().DiskSpaceUsage()) >= size
		}
		return last
	}
	if size > 0 {
		if filled, err = fill(ctx, s.journal, from, 1<<40, enough, io.Discard); err != nil {
			return filled, 0, err
		}
	}
	oldest, next := s.journal.Bounds()
	fmt.Fprintf(show, "journal of %d events, %d MB, filled in %.0f s\n", next-oldest, s.kv.DB().Metrics().DiskSpaceUsage()/1e6, time.Since(began).Seconds())
	return filled, next - oldest, nil
}

// crash loads a node, kills it meanwhile, and starts it again.
func crash(ctx context.Context, o *options, dir, roles string, opens *targets.Minted) (s started, err error) {
	const boundless = "CAROM_JOURNAL_MAX_BYTES=1099511627776"
	n, err := startNode(ctx, o.carom, dir, roles, boundless)
	if err != nil {
		return s, err
	}
	loading, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, err := load(loading, n, opens, o.connections, loadBefore+time.Minute)
		ended <- err
	}()
	select {
	case <-ctx.Done():
	case err := <-ended: // a node that nobody loads has less to recover
		return s, errors.Join(errors.New("the load ended before the node was killed"), err, n.kill())
	case <-time.After(loadBefore):
	}
	f, err := n.figures(ctx)
	err = errors.Join(err, n.kill(), ctx.Err())
	stop()
	<-ended
	if err != nil {
		return s, err
	}
	s.wal = f.sum("carom_kv_wal_bytes")
	if n, err = startNode(ctx, o.carom, dir, roles, boundless); err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, n.kill()) }()
	first, err := dial(ctx, n.track, opens.Hits())
	if err != nil {
		return s, err
	}
	defer first.Close()
	if pixel := first.Do(ctx); pixel.Err != nil {
		return s, fmt.Errorf("the first pixel after the start: %w", pixel.Err)
	}
	s.pixel = time.Since(n.began)
	for !n.ready(ctx) {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		time.Sleep(time.Millisecond)
	}
	s.ready = time.Since(n.began)
	s.parts = make(map[string]time.Duration)
	for _, line := range n.log() {
		switch line.Msg {
		case "listening":
			s.listens = line.after
		case "opened":
			part, _ := line.Fields["part"].(string)
			took, _ := line.Fields["took"].(float64)
			s.parts[part] = time.Duration(took * float64(time.Second))
		}
	}
	return s, nil
}

// register has a node register so many messages and waits until refine knows them.
func register(ctx context.Context, o *options, dir string, show io.Writer) error {
	n, err := startNode(ctx, o.carom, dir, "")
	if err != nil {
		return err
	}
	defer func() { _ = n.kill() }()
	began := time.Now()
	p, err := newPlatform(n, "start")
	if err != nil {
		return err
	}
	for p.next.Load() < int64(o.messages) {
		if _, err := p.send(ctx, 5000); err != nil {
			return err
		}
	}
	if err := p.drained(ctx); err != nil {
		return err
	}
	fmt.Fprintf(show, "%d messages registered in %.0f s\n", p.next.Load(), time.Since(began).Seconds())
	return n.stop()
}
