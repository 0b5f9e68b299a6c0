package main

import (
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// options are what a run can be told.
type options struct {
	Rounds      int           `json:"rounds"`
	Seconds     int           `json:"seconds"`
	Warmup      int           `json:"warmup_seconds"`
	Connections counts        `json:"connections"` // over HTTP
	Sessions    counts        `json:"sessions"`    // over SMTP
	Peers       words         `json:"peers,omitempty"`
	Calm        time.Duration `json:"calm_ns,omitempty"`
	Load        string        `json:"load"`
	Carom       string        `json:"-"` // files and folders
	Haraka      string        `json:"-"`
	Dir         string        `json:"-"`
	JSON        string        `json:"-"`
	Pages       string        `json:"-"`
}

// The values of options.Load.
const (
	ownLoad   = "carom"
	otherLoad = "others"
)

type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func readOptions(args []string, out io.Writer) (options, error) {
	o := options{Connections: counts{64, 256, 1024}, Sessions: counts{50}}
	f := flag.NewFlagSet("bench-peers", flag.ContinueOnError)
	f.SetOutput(out)
	f.IntVar(&o.Rounds, "rounds", 5, "how often every peer is measured at every number of connections, 1 to 100")
	f.IntVar(&o.Seconds, "seconds", 6, "how long each time, 1 to 600")
	f.IntVar(&o.Warmup, "warmup", 2, "how long before that, in seconds, 1 to 600")
	f.Var(&o.Connections, "connections", "numbers of HTTP connections, each 1 to 10000; none switches HTTP off")
	f.Var(&o.Sessions, "sessions", "numbers of SMTP sessions, likewise")
	f.Var(&o.Peers, "peers", "names of the peers; left out: all")
	f.StringVar(&o.Load, "load", ownLoad, ownLoad+": carom bench; "+otherLoad+": wrk and smtp-source")
	f.DurationVar(&o.Calm, "calm", 0, "wait before each measurement, for a minute at most, until 99 of 100 syncs of the disk take less than this and the processors have nine tenths of the most that they had in this run; 0: don't")
	f.StringVar(&o.Carom, "carom", "bin/carom", "Carom's binary")
	f.StringVar(&o.Haraka, "haraka", "bin/peers/haraka", "folder in which npm installed Haraka")
	f.StringVar(&o.Dir, "dir", "bin/peers", "folder on the disk that is to be measured, for the peers' files")
	f.StringVar(&o.JSON, "json", "bin/peers/result.json", "file for everything that was measured")
	f.StringVar(&o.Pages, "pages", "bin/peers", "folder for the pages with plots, and the measurements that they show")
	if err := f.Parse(args); err != nil {
		return o, usageError{err}
	}
	if f.NArg() > 0 {
		return o, usageError{fmt.Errorf("%q is no flag", f.Arg(0))}
	}
	return o, o.validate()
}

func (o *options) validate() error {
	for _, n := range []struct {
		name            string
		value, low, top int
	}{{"rounds", o.Rounds, 1, 100}, {"seconds", o.Seconds, 1, 600}, {"warmup", o.Warmup, 1, 600}} {
		if n.value < n.low || n.value > n.top {
			return usageError{fmt.Errorf("-%s %d: want %d to %d", n.name, n.value, n.low, n.top)}
		}
	}
	if o.Calm < 0 || o.Calm > time.Second {
		return usageError{fmt.Errorf("-calm %v: want 0 to 1s", o.Calm)}
	}
	if o.Load != ownLoad && o.Load != otherLoad {
		return usageError{fmt.Errorf("-load %q: want %s or %s", o.Load, ownLoad, otherLoad)}
	}
	return nil
}

// counts is a list of numbers with commas between them.
type counts []int

func (c *counts) String() string {
	list := make([]string, len(*c))
	for i, n := range *c {
		list[i] = strconv.Itoa(n)
	}
	return strings.Join(list, ",")
}

func (c *counts) Set(text string) error {
	*c = nil
	if text == "" || text == "none" {
		return nil
	}
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > 10_000 {
			return fmt.Errorf("%q: want numbers from 1 to 10000, with commas between them", word)
		}
		*c = append(*c, n)
	}
	return nil
}

// words is a list of words with commas between them.
type words []string

func (w *words) String() string { return strings.Join(*w, ",") }

func (w *words) Set(text string) error {
	*w = nil
	if text != "" {
		*w = strings.Split(text, ",")
	}
	return nil
}
