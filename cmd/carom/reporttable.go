package main

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Columns of the table of `carom report`.
const (
	columnFile = iota
	columnKind
	columnRecipient
	columnStatus
	columnCategory
	columnHard
	columnProvider
	columnDiagnostic
	columns
)

var columnTitles = [columns]string{"file", "kind", "recipient", "status", "category", "hard", "provider", "diagnostic"}

// columnMost is how wide a column may be. The diagnostic text has the rest. For its sake others give way down to
// columnSome, and where even they do not fit, down to columnLeast; then it has a line of its own.
var (
	columnMost  = [columns - 1]int{30, 11, 34, 8, 17, 4, 12}
	columnSome  = [columns - 1]int{14, 11, 24, 8, 17, 4, 9}
	columnLeast = [columns - 1]int{8, 7, 12, 6, 10, 4, 6}
)

const (
	// otherWidth is how wide lines are that go to no terminal.
	otherWidth = 120
	// tableSample is how many rows are looked at for the widths: a table of a million mails begins at once.
	tableSample = 200
	// minDiagnostic is the least that is worth a column.
	minDiagnostic = 20
	diagnosticTab = "    "
	// gap parts two columns.
	gap = "  "
)

// reportTable aligns the lines of appendRows.
type reportTable struct {
	out   flusher
	total int

	sample [][]byte // nil once the widths are known
	rows   int
	widths [columns - 1]int
	line   []byte
}

// newReportTable writes a table to out that is at most total columns of a terminal wide.
func newReportTable(out flusher, total int) *reportTable {
	return &reportTable{out: out, total: total, sample: [][]byte{}}
}

// Write takes whole lines.
func (t *reportTable) Write(lines []byte) (int, error) {
	for line := range bytes.Lines(lines) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if t.sample == nil {
			if err := t.write(line); err != nil {
				return 0, err
			}
			continue
		}
		t.sample = append(t.sample, bytes.Clone(line))
		if t.rows++; t.rows == tableSample {
			if err := t.begin(); err != nil {
				return 0, err
			}
		}
	}
	return len(lines), nil
}

// Flush writes what there is.
func (t *reportTable) Flush() error {
	if t.sample != nil {
		if err := t.begin(); err != nil {
			return err
		}
	}
	return t.out.Flush()
}

// begin decides on the widths and writes the titles and the rows so far.
func (t *reportTable) begin() error {
	rows := t.sample
	t.sample = nil
	if len(rows) == 0 {
		return nil
	}
	t.fit(rows)
	for _, row := range append([][]byte{[]byte(strings.Join(columnTitles[:], "\t"))}, rows...) {
		if err := t.write(row); err != nil {
			return err
		}
	}
	return nil
}

// fit gives each column what its cells need, as far as there is room.
func (t *reportTable) fit(rows [][]byte) {
	for i := range t.widths {
		t.widths[i] = len(columnTitles[i])
	}
	for _, row := range rows {
		if row[0] == noteMark {
			continue
		}
		i := 0
		for cell := range strings.SplitSeq(string(row), "\t") {
			if i < len(t.widths) {
				t.widths[i] = max(t.widths[i], min(cellWidth(cell), columnMost[i]))
			}
			i++
		}
	}
	t.shrink(columnSome, minDiagnostic)
	if t.left() < minDiagnostic {
		t.shrink(columnLeast, -len(gap))
	}
}

// shrink narrows the columns, those first that have most to give, until the last one has its room.
func (t *reportTable) shrink(least [columns - 1]int, room int) {
	for t.left() < room {
		most := 0
		for i, w := range t.widths {
			if w-least[i] > t.widths[most]-least[most] {
				most = i
			}
		}
		if t.widths[most] <= least[most] {
			return
		}
		t.widths[most]--
	}
}

// left is how much of a line the diagnostic text has.
func (t *reportTable) left() int {
	left := t.total
	for _, w := range t.widths {
		left -= w + len(gap)
	}
	return left
}

func (t *reportTable) write(line []byte) error {
	t.line = t.line[:0]
	if len(line) > 0 && line[0] == noteMark {
		t.line = append(append(t.line, diagnosticTab...), line[1:]...)
	} else {
		t.row(strings.SplitN(string(line), "\t", columns))
	}
	t.line = append(bytes.TrimRight(t.line, " "), '\n')
	_, err := t.out.Write(t.line)
	return err
}

func (t *reportTable) row(cells []string) {
	for i, cell := range cells[:columns-1] {
		t.line = appendCell(t.line, cell, t.widths[i], i == columnFile)
		t.line = append(t.line, gap...)
	}
	said := cells[columnDiagnostic]
	room := t.left()
	if room < minDiagnostic {
		room = t.total - len(diagnosticTab)
		if said == "" {
			return
		}
		t.line = append(bytes.TrimRight(t.line, " "), "\n"+diagnosticTab...)
	}
	t.line = appendCell(t.line, said, max(room, 1), false)
}

// appendCell appends a cell of a width. Of a text that is too long it leaves out the end, or the beginning.
func appendCell(dst []byte, text string, width int, keepEnd bool) []byte {
	w := cellWidth(text)
	if w > width {
		if keepEnd {
			for w >= width {
				c, n := utf8.DecodeRuneInString(text)
				text, w = text[n:], w-runeWidth(c)
			}
			text = "…" + text
		} else {
			for w >= width {
				c, n := utf8.DecodeLastRuneInString(text)
				text, w = text[:len(text)-n], w-runeWidth(c)
			}
			text += "…"
		}
		w++
	}
	dst = append(dst, text...)
	for ; w < width; w++ {
		dst = append(dst, ' ')
	}
	return dst
}

func cellWidth(text string) int {
	w := 0
	for _, c := range text {
		w += runeWidth(c)
	}
	return w
}

// runeWidth is how many columns of a terminal a character takes: Unicode TR 11.
func runeWidth(c rune) int {
	if c < 0x1100 {
		return 1
	}
	if kind := width.LookupRune(c).Kind(); kind == width.EastAsianWide || kind == width.EastAsianFullwidth {
		return 2
	}
	return 1
}
