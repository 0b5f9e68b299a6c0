package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// bar shows how far a step has come: a line that grows, written anew at every percent.
type bar struct {
	w     io.Writer
	title string
	total int

	mu    sync.Mutex // guards n and shown
	n     int
	shown int
}

const barWidth = 30

func newBar(w io.Writer, title string, total int) *bar {
	b := &bar{w: w, title: title, total: total, shown: -1}
	b.add(0)
	return b
}

func (b *bar) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n += n
	percent := 100
	if b.total > 0 {
		percent = 100 * b.n / b.total
	}
	if percent == b.shown {
		return
	}
	b.shown = percent
	filled := barWidth * percent / 100
	fmt.Fprintf(b.w, "\r%-18s %s%s %6d of %d", b.title, strings.Repeat("█", filled), strings.Repeat("░", barWidth-filled), b.n, b.total)
}

func (b *bar) done() { fmt.Fprintln(b.w) }
