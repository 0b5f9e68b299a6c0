package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Bar shows how far a step has come: on a terminal a line that is written anew at every percent, elsewhere, as in a log, a
// line now and then and one at the end.
type Bar struct {
	w     io.Writer
	title string
	total int
	live  bool // w is a terminal

	mu     sync.Mutex // guards the rest
	n      int
	shown  int // percent
	logged time.Time
}

const (
	barWidth = 30
	logEvery = 15 * time.Second
)

// New begins a step of total pieces; lines for people go to w.
func New(w io.Writer, title string, total int) *Bar {
	b := &Bar{w: w, title: title, total: total, live: isTerminal(w), shown: -1, logged: time.Now()}
	b.Add(0)
	return b
}

// isTerminal takes the few other devices that are written character by character for one, too.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Add counts n pieces more.
func (b *Bar) Add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n += n
	percent := b.percent()
	if percent == b.shown {
		return
	}
	b.shown = percent
	switch {
	case b.live:
		fmt.Fprint(b.w, "\r", b.line())
	case time.Since(b.logged) >= logEvery:
		b.logged = time.Now()
		fmt.Fprintln(b.w, b.line())
	}
}

// Done ends the line, or writes the last.
func (b *Bar) Done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live {
		fmt.Fprintln(b.w)
	} else {
		fmt.Fprintln(b.w, b.line())
	}
}

func (b *Bar) percent() int {
	if b.total <= 0 {
		return 100
	}
	return 100 * b.n / b.total
}

func (b *Bar) line() string {
	filled := barWidth * b.percent() / 100
	return fmt.Sprintf("%-18s %s%s %6d of %d", b.title, strings.Repeat("█", filled), strings.Repeat("░", barWidth-filled), b.n, b.total)
}
