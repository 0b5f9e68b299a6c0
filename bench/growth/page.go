package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// A plot of the page, in pixels.
const plotWidth, plotHeight = 560, 140

// writePage writes a page that needs nothing else, with a plot of each figure over time.
func writePage(w io.Writer, samples []sample) error {
	b := bufio.NewWriter(w)
	fmt.Fprint(b, `<!doctype html><meta charset="utf-8"><title>Soak</title>
<style>body{font:14px sans-serif;margin:2em}figure{display:inline-block;margin:0 1em 1em 0}svg{background:#f6f6f6}polyline{fill:none;stroke:#06c;stroke-width:1.5}</style>
<h1>Soak</h1>
`)
	for i, name := range columns()[1:] {
		low, high := 0.0, 0.0
		for j := range samples {
			high = max(high, samples[j].values()[i+1])
		}
		if high == 0 {
			high = 1
		}
		var points strings.Builder
		for j := range samples {
			v := samples[j].values()
			x := plotWidth * v[0] / samples[len(samples)-1].Seconds
			fmt.Fprintf(&points, "%.1f,%.1f ", x, plotHeight-(plotHeight-4)*(v[i+1]-low)/(high-low))
		}
		fmt.Fprintf(b, "<figure><figcaption>%s, 0 to %.6g</figcaption><svg width=\"%d\" height=\"%d\"><polyline points=\"%s\"/></svg></figure>\n",
			name, high, plotWidth, plotHeight, points.String())
	}
	return b.Flush()
}
