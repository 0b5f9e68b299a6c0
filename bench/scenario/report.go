package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"carom/bench/result"
)

// Format is the version of the JSON form.
const Format = 1

// ErrDifferent says that what arrived is not what was acknowledged.
var ErrDifferent = errors.New("what arrived is not what was acknowledged")

// Report is what a play came to.
type Report struct {
	Format  int       `json:"format"`
	Kind    string    `json:"kind"` // e2e
	Name    string    `json:"name"` // the scenario's
	Target  string    `json:"target"`
	Account string    `json:"account"`
	Began   time.Time `json:"began"`

	Seed        uint64  `json:"seed"`
	Messages    int     `json:"messages"`
	Played      int     `json:"played"`              // of the messages
	CutShort    bool    `json:"cut_short,omitempty"` // the play was ended before all were
	Senders     int     `json:"senders"`
	Connections int     `json:"connections"`
	Rate        float64 `json:"rate_wanted"` // messages a second; 0: as fast as it went
	Settle      float64 `json:"settle_seconds"`
	Kills       int     `json:"kills"`

	Acknowledged   int64   `json:"acknowledged"` // facts
	Unanswered     int64   `json:"unanswered"`   // facts that may have arrived or not
	Repeats        int64   `json:"repeats"`      // requests that told an acknowledged fact again
	Seconds        float64 `json:"seconds"`      // of the play
	ArrivedSeconds float64 `json:"arrived_seconds,omitempty"`
	// Sustained is how many facts a second went all the way: those acknowledged, by the time from the beginning until the
	// last of them was at the API.
	Sustained float64 `json:"sustained,omitempty"`

	// Behind is how long after a message was due, by the rate wanted, its life began: with its registration, which the latency
	// of the api listener has, too, and its wait for a connection that was free. What it waits for a killed node once it lives
	// is in neither. nil without a rate.
	Behind *result.Distribution `json:"behind,omitempty"`

	Listeners []Listener `json:"listeners"`
	// Visible is the time from a fact's acknowledgement until it was at the API, by kind, and of all.
	Visible []Visible `json:"visible"`
	Checks  []*Check  `json:"checks"`

	Harness      result.CPU     `json:"harness"` // until all had arrived
	Server       *result.CPU    `json:"server,omitempty"`
	Machine      result.Machine `json:"machine"`
	AccountBytes int64          `json:"account_bytes"` // memory of the account of facts
	Notes        []string       `json:"notes,omitempty"`
}

// Visible is the latency of one kind of facts.
type Visible struct {
	Kind    string              `json:"kind"`
	Latency result.Distribution `json:"latency"`
}

// Err is ErrDifferent if something differs.
func (r *Report) Err() error {
	if slices.ContainsFunc(r.Checks, func(c *Check) bool { return !c.Right() }) {
		return ErrDifferent
	}
	return nil
}

// WriteJSON prints the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteTable prints the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s: %d messages of %d senders, seed %d: %d facts acknowledged in %.1f s, %d unanswered, %d repeats, %d kills\n",
		r.Name, r.Messages, r.Senders, r.Seed, r.Acknowledged, r.Seconds, r.Unanswered, r.Repeats, r.Kills)
	if r.CutShort {
		fmt.Fprintf(w, "cut short: %d of the %d messages were played\n", r.Played, r.Messages)
	}
	if r.Sustained > 0 {
		fmt.Fprintf(w, "all of them at the API after %.1f s: %.0f facts a second from socket to API\n", r.ArrivedSeconds, r.Sustained)
	}
	for _, part := range []func(io.Writer) error{r.writeListeners, r.writeVisible, r.writeUsage, r.writeChecks} {
		fmt.Fprintln(w)
		if err := part(w); err != nil {
			return err
		}
	}
	return nil
}

func (r *Report) writeListeners(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "listener\trequests\tfacts\tfacts/s\tfailed\tp50\tp99\tmax\t")
	for i := range r.Listeners {
		l := &r.Listeners[i]
		fmt.Fprintf(t, "%s\t%d\t%d\t%.0f\t%d\t%s\t\n", l.Name, l.Requests, l.Items, l.Rate, l.Failed, latencyCells(&l.Latency))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprint(w, "times count from the sending of a request to its answer")
	if r.Kills > 0 {
		fmt.Fprint(w, "; none was sent while the node was killed")
	}
	fmt.Fprintln(w)
	if b := r.Behind; b != nil {
		fmt.Fprintf(w, "messages began behind the rate, by p50 %s, p99 %s, max %s: their registration and the wait for a connection are in it\n",
			percentile(b, 50), percentile(b, 99), percentile(b, 100))
	}
	for i := range r.Listeners {
		for text, n := range r.Listeners[i].Errors {
			fmt.Fprintf(w, "%s: %d times: %s\n", r.Listeners[i].Name, n, text)
		}
	}
	return nil
}

func (r *Report) writeVisible(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "answer to API\tfacts\tp50\tp99\tmax\t")
	for i := range r.Visible {
		v := &r.Visible[i]
		fmt.Fprintf(t, "%s\t%d\t%s\t\n", v.Kind, v.Latency.Count, latencyCells(&v.Latency))
	}
	return t.Flush()
}

func latencyCells(d *result.Distribution) string {
	return percentile(d, 50) + "\t" + percentile(d, 99) + "\t" + percentile(d, 100)
}

func percentile(d *result.Distribution, p float64) string {
	us, ok := d.At(p)
	if !ok {
		return "-"
	}
	return (time.Duration(us) * time.Microsecond).Round(10 * time.Microsecond).String()
}

func (r *Report) writeUsage(w io.Writer) error {
	if r.Server != nil {
		fmt.Fprintf(w, "node: %s\n", result.ServerText(r.Server, "a fact"))
	}
	fmt.Fprintf(w, "harness: %s, %.0f bytes a fact for the account\n",
		result.HarnessText(&r.Harness, r.Server, "a fact"), float64(r.AccountBytes)/float64(max(r.Acknowledged, 1)))
	if d := r.Machine.Disk; d != nil {
		fmt.Fprintf(w, "disk: %s\n", d)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	return nil
}

func (r *Report) writeChecks(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "check\tread\tacknowledged\tthere\tunanswered and there\tcame again\tdifferences\t")
	for _, c := range r.Checks {
		n := int64(0)
		for _, one := range c.Differences {
			n += one
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", c.What, c.Events, c.Facts, c.Arrived, c.Unanswered, c.Again, n)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, c := range r.Checks {
		for _, name := range c.Named {
			fmt.Fprintf(w, "%s: %s\n", c.What, name)
		}
		if n := len(c.Named); n == maxShown {
			fmt.Fprintf(w, "%s: these are the first %d\n", c.What, n)
		}
	}
	return nil
}
