package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"
)

const csvType = "text/csv"

const (
	// streamPage is how many rows a stream reads at once, and has in memory.
	streamPage = 1000
	// streamBuffer is how much a stream collects before it writes.
	streamBuffer = 64 << 10
)

// streamForm is the type in which a client wants all of a list, by its header Accept; empty: a page of it.
func streamForm(accept string) string {
	switch {
	case strings.Contains(accept, csvType):
		return csvType
	case slices.ContainsFunc(bulkTypes, func(t string) bool { return strings.Contains(accept, t) }):
		return linesType
	}
	return ""
}

// streamLimit is the limit of a list: of a page, or of a stream, where 0 is none.
func (s *Server) streamLimit(p *params, form string, usual int) int {
	if form == "" {
		return p.limit(usual, s.o.MaxLimit)
	}
	return p.limit(0, 1<<31-1)
}

// streamRow is a row of a list: JSON encodes it as a line, and as CSV it has cells.
type streamRow interface{ cells() []string }

// streamPages reads pages of a list. A page may be empty and have a next.
type streamPages[T streamRow] func(after string, limit int) (page []T, next string, err error)

// streamList writes the rows of a list as JSON lines or CSV, as fast as the client reads them, after a cursor and at most limit of
// them, 0 for all. A stream that can't be completed is cut off: the client must not take what it has for all.
func streamList[T streamRow](s *Server, w http.ResponseWriter, r *http.Request, form string, columns []string, after string, limit int, list streamPages[T]) *problem {
	select {
	case s.bulks <- struct{}{}:
		defer func() { <-s.bulks }()
	default:
		return unavailable(strconv.Itoa(cap(s.bulks)) + " bulk requests run already.")
	}
	out := bufio.NewWriterSize(deadlineWriter{w, http.NewResponseController(w), s.o.StallTimeout}, streamBuffer)
	t := &streamWriter{out: out, table: csv.NewWriter(out), form: form}
	for begun, left := false, limit; ; begun = true {
		ask := streamPage
		if limit > 0 {
			ask = min(left, streamPage)
		}
		page, next, err := list(after, ask)
		if err != nil && !begun {
			return s.listProblem("read a list", err)
		}
		if !begun {
			t.begin(w, columns)
		}
		for i := range page {
			if err == nil {
				err = t.row(page[i])
			}
		}
		after, left = next, left-len(page)
		if err = s.goesOn(r.Context(), err); err != nil {
			return t.cut(s, err)
		}
		if next == "" || limit > 0 && left <= 0 {
			break
		}
	}
	if err := t.end(); err != nil {
		return t.cut(s, err)
	}
	return nil
}

// goesOn returns why a stream should not.
func (s *Server) goesOn(ctx context.Context, err error) error {
	return errors.Join(err, ctx.Err(), s.stopping.Err())
}

// streamWriter writes rows in the form that was asked for.
type streamWriter struct {
	out   *bufio.Writer
	table *csv.Writer
	form  string
}

func (t *streamWriter) begin(w http.ResponseWriter, columns []string) {
	if t.form == csvType {
		w.Header().Set("Content-Type", csvType+"; charset=utf-8; header=present") // RFC 4180 §3
		_ = t.table.Write(columns)                                                // end tells of it
		return
	}
	w.Header().Set("Content-Type", t.form)
}

func (t *streamWriter) row(v streamRow) error {
	if t.form == csvType {
		return t.table.Write(safeCells(v.cells()))
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write a row: %w", err)
	}
	_, err = t.out.Write(append(b, '\n'))
	return err
}

func (t *streamWriter) end() error {
	t.table.Flush()
	return errors.Join(t.table.Error(), t.out.Flush())
}

// cut ends a stream so that its client sees that it is not complete.
func (t *streamWriter) cut(s *Server, err error) *problem {
	s.log.Debug("a stream ended early", zap.Error(err))
	panic(http.ErrAbortHandler)
}

// formulaBegins are the characters with which formulas begin, wide ones where they are typed with those, and the apostrophe.
const formulaBegins = "=+-@\t\r\n＝＋－＠'"

// safeCells puts an apostrophe before cells that a spreadsheet would take for a formula.
func safeCells(cells []string) []string {
	for i, cell := range cells {
		if first, _ := utf8.DecodeRuneInString(cell); cell != "" && strings.ContainsRune(formulaBegins, first) {
			cells[i] = "'" + cell
		}
	}
	return cells
}

// PlainCell takes off what safeCells has put before a cell.
func PlainCell(cell string) string {
	rest, marked := strings.CutPrefix(cell, "'")
	if first, _ := utf8.DecodeRuneInString(rest); marked && rest != "" && strings.ContainsRune(formulaBegins, first) {
		return rest
	}
	return cell
}

// deadlineWriter gives its client a while for each write.
type deadlineWriter struct {
	w     io.Writer
	rc    *http.ResponseController
	stall time.Duration
}

func (d deadlineWriter) Write(b []byte) (int, error) {
	_ = d.rc.SetWriteDeadline(time.Now().Add(d.stall))
	return d.w.Write(b)
}
