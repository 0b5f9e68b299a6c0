package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// writeTables prints what was measured, and then the ratios.
func writeTables(w io.Writer, r *outcome) error {
	for _, section := range []func(io.Writer, *outcome) error{writeFigures, writeRatios, writeCalm, writeFailures} {
		if err := section(w, r); err != nil {
			return err
		}
	}
	return nil
}

// row is a peer at one number of connections: medians over the rounds, and how far the rate spreads.
type row struct {
	Peer        string  `json:"peer"`
	Connections int     `json:"connections"`
	Rate        spread  `json:"rate"`
	P50         spread  `json:"p50_us"`
	P99         spread  `json:"p99_us"`
	ServerCores float64 `json:"server_cores"`
	ServerCPU   float64 `json:"server_us_per_answer"`
	LoadCores   float64 `json:"harness_cores"`
	LoadCPU     float64 `json:"harness_us_per_answer"`
	Promise     string  `json:"promise"`
}

// rows sums the cells up, peers in their order under each number of connections, HTTP before SMTP.
func rows(cells []cell, peers []peer) []row {
	var list []row
	for _, protocol := range []string{overHTTP, overSMTP} {
		var connections []int
		for i := range cells {
			if c := &cells[i]; c.Protocol == protocol && !slices.Contains(connections, c.Connections) {
				connections = append(connections, c.Connections)
			}
		}
		slices.Sort(connections)
		for _, n := range connections {
			for i := range peers {
				if r, ok := sumUp(cells, &peers[i], n); ok && peers[i].protocol == protocol {
					list = append(list, r)
				}
			}
		}
	}
	return list
}

func sumUp(cells []cell, p *peer, connections int) (row, bool) {
	var good []*cell
	for i := range cells {
		if c := &cells[i]; c.Peer == p.name && c.Connections == connections && c.Error == "" {
			good = append(good, c)
		}
	}
	over := func(of func(c *cell) float64) spread {
		values := make([]float64, len(good))
		for i, c := range good {
			values[i] = of(c)
		}
		return spreadOf(values)
	}
	cores := func(cpu func(c *cell) time.Duration) float64 {
		return over(func(c *cell) float64 { return cpu(c).Seconds() / c.Seconds }).Median
	}
	each := func(cpu func(c *cell) time.Duration) float64 {
		return over(func(c *cell) float64 { return micros(cpu(c)) / float64(c.Answered) }).Median
	}
	server, harness := func(c *cell) time.Duration { return c.ServerCPU }, func(c *cell) time.Duration { return c.CPU }
	return row{
		Peer: p.name, Connections: connections, Promise: p.promise,
		Rate: over((*cell).rate), P50: over(func(c *cell) float64 { return c.P50 }), P99: over(func(c *cell) float64 { return c.P99 }),
		ServerCores: cores(server), ServerCPU: each(server), LoadCores: cores(harness), LoadCPU: each(harness),
	}, len(good) > 0
}

func writeFigures(w io.Writer, r *outcome) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "peer\tconnections\tanswers/s\tmin..max\tp50\tp99\tserver\tµs each\tload\tµs each\trounds\t")
	for i := range r.Rows {
		x := &r.Rows[i]
		if i > 0 && x.Connections != r.Rows[i-1].Connections {
			fmt.Fprintln(t, strings.Repeat("\t", 11))
		}
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%.0f..%.0f\t%s\t%s\t%.2f\t%.1f\t%.2f\t%.1f\t%d\t\n", x.Peer, x.Connections, x.Rate.Median, x.Rate.Min, x.Rate.Max,
			millis(x.P50.Median), millis(x.P99.Median), x.ServerCores, x.ServerCPU, x.LoadCores, x.LoadCPU, x.Rate.Rounds)
	}
	return t.Flush()
}

func millis(micros float64) string {
	if micros <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f ms", micros/1000)
}

// writeRatios prints a line for each pair of peers and number of connections, and in it all figures.
func writeRatios(w io.Writer, r *outcome) error {
	if len(r.Ratios) == 0 {
		return nil
	}
	fmt.Fprint(w, "\nRatios within each round, their median and min..max, and the bar where there is one. Rate: more is better. p99, and the server's CPU for an answer: less is better.\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := "what\tconnections\t"
	for _, f := range figures() {
		head += f.name + "\t\t\t"
	}
	fmt.Fprintln(t, head)
	for i := range r.Ratios {
		x := &r.Ratios[i]
		if x.Figure != figures()[0].name {
			continue // it stands in the line of its rate
		}
		fmt.Fprintf(t, "%s / %s\t%d\t", x.Of, x.To, x.Connections)
		for _, f := range figures() {
			fmt.Fprint(t, r.ratioOf(x, f.name).columns())
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// ratioOf returns another figure of the same pair, nil if it was not measured.
func (r *outcome) ratioOf(x *ratio, name string) *ratio {
	for i := range r.Ratios {
		if y := &r.Ratios[i]; y.Figure == name && y.Of == x.Of && y.To == x.To && y.Connections == x.Connections {
			return y
		}
	}
	return nil
}

func (r *ratio) columns() string {
	if r == nil {
		return "-\t\t\t"
	}
	text := fmt.Sprintf("%.2f\t%.2f..%.2f\t", r.Median, r.Min, r.Max)
	switch {
	case r.Bar == 0:
	case r.met():
		text += fmt.Sprintf("%.2f met", r.Bar)
	default:
		text += fmt.Sprintf("%.2f MISSED", r.Bar)
	}
	return text + "\t"
}

// writeCalm tells how many measurements began in calm, if that was asked for.
func writeCalm(w io.Writer, r *outcome) error {
	if r.Options.Calm == 0 {
		return nil
	}
	began, all := 0, 0
	var waited time.Duration
	for i := range r.Cells {
		c := &r.Cells[i]
		waited += c.Waited
		if c.Error != "" {
			continue // it is left out, and may never have come to its measurement
		}
		all++
		if c.Calm {
			began++
		}
	}
	_, err := fmt.Fprintf(w, "\n%d of %d measurements began in calm: right before, 99 of 100 syncs took less than %v, and the processors had nine tenths of the most that they had in this run. %v were waited for it.\n",
		began, all, r.Options.Calm, waited.Round(time.Second))
	return err
}

// writeFailures names every cell that counts nowhere.
func writeFailures(w io.Writer, r *outcome) error {
	head := "\nLeft out:\n"
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.Error == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s  round %d, %s, %d connections: %s\n", head, c.Round, c.Peer, c.Connections, c.Error); err != nil {
			return err
		}
		head = ""
	}
	return nil
}
