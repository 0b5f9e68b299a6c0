package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"carom/edge/report"
)

// reportCounts is what `carom report --summary` counts. All but Mails and Failed are facts.
type reportCounts struct {
	Mails  int64 `json:"mails"`
	Failed int64 `json:"failed"` // inputs and mails that could not be read
	Facts  int64 `json:"facts"`
	Hard   int64 `json:"hard"` // bounces that say that the address is bad
	Soft   int64 `json:"soft"` // other bounces

	Kinds      map[string]int64 `json:"kind"`
	Categories map[string]int64 `json:"category"` // of bounces and delays
	Providers  map[string]int64 `json:"provider"` // of bounces and delays
	Decoders   map[string]int64 `json:"decoder"`
}

// unknownProvider stands for the provider that is none of those that are known.
const unknownProvider = "unknown"

func newReportCounts() *reportCounts {
	return &reportCounts{
		Kinds: map[string]int64{}, Categories: map[string]int64{}, Providers: map[string]int64{}, Decoders: map[string]int64{},
	}
}

func (c *reportCounts) count(facts []report.Fact) {
	for i := range facts {
		f := &facts[i]
		c.Facts++
		c.Kinds[string(f.Kind)]++
		c.Decoders[f.Decoder]++
		if f.Kind != report.Bounce && f.Kind != report.Delay {
			continue
		}
		c.Categories[f.Category]++
		c.Providers[cmp.Or(f.Provider, unknownProvider)]++
		switch {
		case f.Hard:
			c.Hard++
		case f.Kind == report.Bounce:
			c.Soft++
		}
	}
}

func (c *reportCounts) add(d *reportCounts) {
	c.Facts += d.Facts
	c.Hard += d.Hard
	c.Soft += d.Soft
	addCounts(c.Kinds, d.Kinds)
	addCounts(c.Categories, d.Categories)
	addCounts(c.Providers, d.Providers)
	addCounts(c.Decoders, d.Decoders)
}

func addCounts(to, from map[string]int64) {
	for name, n := range from {
		to[name] += n
	}
}

// write writes the counts for people, or as one JSON object.
func (c *reportCounts) write(w io.Writer, format string) error {
	if format == formatJSON {
		return json.NewEncoder(w).Encode(c)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-26s%9d\n%-26s%9d\n", "mails read", c.Mails, "not read", c.Failed)
	writeCounts(&b, "kind", c.Kinds)
	writeCounts(&b, "bounces", map[string]int64{"hard": c.Hard, "soft": c.Soft})
	writeCounts(&b, "category", c.Categories)
	writeCounts(&b, "provider", c.Providers)
	writeCounts(&b, "decoder", c.Decoders)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeCounts writes a section, the most frequent first.
func writeCounts(b *strings.Builder, title string, counts map[string]int64) {
	var all int64
	for _, n := range counts {
		all += n
	}
	if all == 0 {
		return
	}
	fmt.Fprintf(b, "\n%-26s%9s%9s\n", title, "facts", "%")
	names := slices.SortedFunc(maps.Keys(counts), func(x, y string) int {
		return cmp.Or(cmp.Compare(counts[y], counts[x]), cmp.Compare(x, y))
	})
	for _, name := range names {
		fmt.Fprintf(b, "  %-24s%9d%9.1f\n", name, counts[name], 100*float64(counts[name])/float64(all))
	}
	if len(names) > 1 {
		fmt.Fprintf(b, "  %-24s%9d\n", "all", all)
	}
}
