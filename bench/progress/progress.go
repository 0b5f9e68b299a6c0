package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// Bar shows how far a step has come: a line that grows, written anew at every percent.
type Bar struct {
	w     io.Writer
	title string
	total int

	mu    sync.Mutex // guards n and shown
	n     int
	shown int
}

const barWidth = 30

// New begins a step of total pieces; lines for people go to w.
func New(w io.Writer, title string, total int) *Bar {
	b := &Bar{w: w, title: title, total: total, shown: -1}
	b.Add(0)
	return b
}

// Add counts n pieces more.
func (b *Bar) Add(n int) {
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

// Done ends the line.
func (b *Bar) Done() { fmt.Fprintln(b.w) }
