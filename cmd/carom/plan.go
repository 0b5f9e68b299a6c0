package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"carom/pipeline/journal"
	"carom/pipeline/refine"
)

// load is what a platform sends and hears, each message's part of events as a share of messages.
type load struct {
	messages  float64 // a day
	delivered float64
	opens     float64 // of machines as well
	clicks    float64
	bounces   float64
	senders   int
	active    float64 // hours of the day in which a sender sends
	peak      float64 // times the mean
	workers   int
	edges     int
}

// figure is what one event takes in a keyspace, in bytes.
type figure struct {
	keyspace                               string
	sent, delivered, opens, clicks, bounce float64
}

// figures were measured by BenchmarkPlan, which says how: bytes on disk once compacted.
var figures = []figure{
	{"journal", 67, 40, 89, 92, 53},
	{"log_events", 110, 144, 181, 370, 213},
	{"log_addresses", 104, 1, 0, 1, 263},
	{"refine_messages", 80, 22, 46, 55, 28},
	{"refine_timeline", 157, 160, 225, 348, 354},
	{"refine_contacts", 42, 0, 0, 0, 0},
	{"refine_known_contacts", 18, 0, 0, 0, 0},
	{"refine_sent", 20, 0, 0, 0, 0},
	{"refine_rolls", 8, 0, 0, 0, 0},
	{"rollup_enrollments", 37, 13, 10, 17, 15},
	{"rollup_completions", 17, 0, 0, 1, 1},
	{"suppress", 20, 0, 0, 0, 159},
	{"suppressions", 0, 0, 0, 0, 27},
}

// recordBytes are those of an event in the journal before the disk's compression, which is what journal.max_bytes bounds.
var recordBytes = figure{"", 170, 61, 240, 280, 245}

const (
	// cohortBytes are those of a sender's rows of an hour in which it sent in every minute, for itself, a sequence and some
	// providers, by time of sending and of completion: see RATES.md, and BenchmarkDisk of package rollup.
	cohortBytes = 2 * 7 * 270
	// spare is what compaction needs beside what is kept, and what a checkpoint of a backup holds on to.
	spare = 1.5
	// partitionEvents is how many events a second a partition takes with room to catch up: a third of what one core refines.
	partitionEvents = 5000
	// Of memory: what a process takes before its caches, memtables of both stores, and what one cached entry takes.
	baseBytes      = 150 << 20
	memtableBytes  = 4*(64<<20) + 4*(32<<20)
	journalCache   = 64 << 20
	messageBytes   = 700
	enrollBytes    = 256
	cohortRowBytes = 256
	contactBytes   = 18   // of one that refine told
	rollNameBytes  = 1.25 // of each message that is kept; up to twice that while they become more
)

// of returns the bytes of a day's events in a keyspace.
func (f *figure) of(l *load) float64 {
	return l.messages * (f.sent + l.delivered*f.delivered + l.opens*f.opens + l.clicks*f.clicks + l.bounces*f.bounce)
}

// messagesKept is how many messages a worker keeps.
func messagesKept(c *Config, l *load) float64 {
	_, keep := kept(c, "refine_rolls")
	if keep == 0 {
		keep = forEver
	}
	return l.messages / float64(l.workers) * keep.Hours() / 24
}

// events is how many a message has.
func (l *load) events() float64 { return 1 + l.delivered + l.opens + l.clicks + l.bounces }

// plan is what a load needs. Sizes are of a node: of each worker, and of each edge's journal.
type plan struct {
	MessagesPerSecond float64     `json:"messages_per_second"`
	EventsPerSecond   float64     `json:"events_per_second"`
	PeakPerSecond     float64     `json:"events_per_second_at_peak"`
	Disk              []planSpace `json:"disk"`
	JournalDisk       float64     `json:"journal_disk_bytes"` // of each node that hears, with what is spare
	StateDisk         float64     `json:"state_disk_bytes"`   // of each node that counts, likewise
	Memory            float64     `json:"memory_bytes"`
	Partitions        int         `json:"partitions"`
	Workers           int         `json:"workers"`
	Edges             int         `json:"edges"`
	OutageHours       float64     `json:"outage_hours"`      // until the journal stops recording opens
	OutageHoursFull   float64     `json:"outage_hours_full"` // until it refuses mail and API calls
}

// planSpace is what a keyspace takes.
type planSpace struct {
	Keyspace string  `json:"keyspace"`
	Kept     string  `json:"kept"` // for how long, and by which setting
	PerDay   float64 `json:"bytes_per_day"`
	Bytes    float64 `json:"bytes"`
}

// forEver is what is counted of what is kept for ever.
const forEver = 365 * 24 * time.Hour

// kept is how long a keyspace is kept by the settings; 0: for ever, which is counted as a year.
func kept(c *Config, keyspace string) (setting string, keep time.Duration) {
	switch keyspace {
	case "journal":
		return "journal.retention", c.Journal.Retention
	case "log_events":
		return "events.keep", c.Events.Keep
	case "log_addresses":
		return "addresses.keep", c.Addresses.Keep
	case "rollup_enrollments", "rollup_completions":
		return "rollup.keep", c.Rollup.Keep
	case "refine_known_contacts":
		return "", 0
	case "suppress", "suppressions":
		return "suppress.keep", c.Suppress.Keep
	case "rollup_cohorts":
		return "rollup.keep_cohorts", c.Rollup.KeepCohorts
	}
	// An epoch is a third, and goes as a whole.
	return "refine.keep", c.Refine.Keep + c.Refine.Keep/3
}

func newPlan(c *Config, l load) plan {
	p := plan{
		MessagesPerSecond: l.messages / 86400, EventsPerSecond: l.messages * l.events() / 86400,
		Workers: l.workers, Edges: l.edges,
	}
	p.PeakPerSecond = p.EventsPerSecond * l.peak
	p.Partitions = max(c.Kafka.Partitions, l.workers, int(math.Ceil(p.PeakPerSecond/partitionEvents)))
	add := func(keyspace string, perDay float64) {
		nodes := l.workers
		if keyspace == "journal" {
			nodes = l.edges
		}
		setting, keep := kept(c, keyspace)
		s := planSpace{Keyspace: keyspace, PerDay: math.Round(perDay / float64(nodes))}
		switch {
		case keep > 0:
			s.Kept = fmt.Sprintf("%s (%s)", days(keep), setting)
		default:
			s.Kept, keep = "for ever: a year", forEver
		}
		s.Bytes = math.Round(s.PerDay * keep.Hours() / 24)
		switch keyspace {
		case "refine_known_contacts": // as if each sender were an account
			s.Bytes = min(s.Bytes, refine.MaxContactsTold*float64(l.senders)*float64(p.Partitions)/float64(nodes)*contactBytes)
		case "journal":
			s.Bytes = min(s.Bytes, float64(c.Journal.MaxBytes)/2) // what all have passed goes from half of the bound on
			p.JournalDisk += float64(c.Journal.MaxBytes)          // and when nobody passes anything, it fills up
		}
		if keyspace != "journal" {
			p.StateDisk += spare * s.Bytes
		}
		p.Disk = append(p.Disk, s)
	}
	for i := range figures {
		add(figures[i].keyspace, figures[i].of(&l))
	}
	add("rollup_cohorts", float64(l.senders)*l.active*cohortBytes)
	if l.workers == 1 && l.edges == 1 {
		p.Memory = journalCache
	}
	p.Memory += baseBytes + memtableBytes + float64(c.Data.CacheBytes) + float64(c.Refine.CacheMessages)*messageBytes +
		float64(c.Rollup.CacheEnrollments)*enrollBytes + float64(c.Rollup.CacheRows)*cohortRowBytes +
		min(float64(c.Refine.RollBytes), 2*rollNameBytes*messagesKept(c, &l))
	perHour := recordBytes.of(&l) / 24 / float64(l.edges)
	p.OutageHours = journal.ShedsFrom * float64(c.Journal.MaxBytes) / perHour
	p.OutageHoursFull = float64(c.Journal.MaxBytes) / perHour
	return p
}

func days(d time.Duration) string { return fmt.Sprintf("%.4gd", d.Hours()/24) }

func (l *load) validate() error {
	for _, f := range []struct {
		name       string
		value      float64
		least, top float64
	}{
		{"messages-per-day", l.messages, 1, 1e12},
		{"delivered", l.delivered, 0, 1},
		{"opens", l.opens, 0, 1000},
		{"clicks", l.clicks, 0, 1000},
		{"bounces", l.bounces, 0, 1},
		{"senders", float64(l.senders), 1, 1e9},
		{"active-hours", l.active, 0, 24},
		{"peak", l.peak, 1, 1000},
		{"workers", float64(l.workers), 1, 4096},
		{"edges", float64(l.edges), 1, 4096},
	} {
		if !(f.value >= f.least && f.value <= f.top) {
			return fmt.Errorf("--%s %v: want %v to %v", f.name, f.value, f.least, f.top)
		}
	}
	return nil
}

func newPlanCommand() *cobra.Command {
	var flags configFlags
	var l load
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plan --messages-per-day N",
		Short: "Compute disk, memory, partitions, and how long an outage of Kafka the journal holds",
		Long: `Compute what a load needs: disk by keyspace, memory, partitions, and for how many hours the journal keeps what is heard while
the brokers are away. How long things are kept comes from the settings. The bytes of an event in each keyspace were measured by
BenchmarkPlan in cmd/carom, on events of usual length; carom_kv_keyspace_bytes tells what a running node really takes.

Sizes are of one node: of each worker's state, and of each edge's journal. On standard output a table, with --json an object.`,
		Example: `  carom plan --messages-per-day 1000000
  carom plan --messages-per-day 20000000 --edges 2 --workers 4 --opens 1.2 --config carom.yaml
  carom plan --messages-per-day 1000000 --json | jq .outage_hours`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := flags.load()
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("messages-per-day") {
				return usageError{errors.New("--messages-per-day: how many messages are sent a day?")}
			}
			if err := l.validate(); err != nil {
				return usageError{err}
			}
			p := newPlan(&c, l)
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(p)
			}
			return p.write(cmd.OutOrStdout())
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.Float64Var(&l.messages, "messages-per-day", 0, "messages that are sent a day")
	f.Float64Var(&l.delivered, "delivered", 0.98, "of each message, delivery reports (0 if the MTA reports none)")
	f.Float64Var(&l.opens, "opens", 0.8, "of each message, opens, those of machines included")
	f.Float64Var(&l.clicks, "clicks", 0.1, "of each message, clicks, those of machines included")
	f.Float64Var(&l.bounces, "bounces", 0.03, "of each message, bounces")
	f.IntVar(&l.senders, "senders", 100, "senders")
	f.Float64Var(&l.active, "active-hours", 12, "hours of the day in which a sender sends")
	f.Float64Var(&l.peak, "peak", 5, "how many times the mean the peak is")
	f.IntVar(&l.workers, "workers", 1, "nodes that refine and count")
	f.IntVar(&l.edges, "edges", 1, "nodes that hear, each with a journal")
	f.BoolVar(&asJSON, "json", false, "print an object in place of the table")
	return cmd
}

func (p *plan) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "KEYSPACE\tA DAY\tKEPT\tBYTES\n")
	for _, s := range p.Disk {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", s.Keyspace, bytesText(s.PerDay), s.Kept, bytesText(s.Bytes))
	}
	fmt.Fprintf(t, "\t\t\t\n")
	for _, line := range []struct{ name, value string }{
		{"messages a second", fmt.Sprintf("%.0f", p.MessagesPerSecond)},
		{"events a second", fmt.Sprintf("%.0f, %.0f at the peak", p.EventsPerSecond, p.PeakPerSecond)},
		{fmt.Sprintf("disk of the journal, each of %d", p.Edges), bytesText(p.JournalDisk)},
		{fmt.Sprintf("disk of the state, each of %d", p.Workers), bytesText(p.StateDisk)},
		{"memory of a node", bytesText(p.Memory)},
		{"partitions", fmt.Sprint(p.Partitions)},
		{"outage of Kafka", fmt.Sprintf("%.1f h until opens are no longer recorded, %.1f h until mail and API calls are refused", p.OutageHours, p.OutageHoursFull)},
	} {
		fmt.Fprintf(t, "%s\t%s\n", line.name, line.value)
	}
	return t.Flush()
}

func bytesText(n float64) string {
	for _, unit := range []string{"B", "KB", "MB", "GB", "TB"} {
		if n < 1000 || unit == "TB" {
			return fmt.Sprintf("%.3g %s", n, unit)
		}
		n /= 1000
	}
	return ""
}
