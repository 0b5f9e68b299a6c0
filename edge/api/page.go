package api

import (
	"context"
	"errors"
	"net/http"

	"carom/pipeline/log"
)

// Bounds of a page. Where one of them ends it before its limit, the header says where to go on.
const (
	// maxPageBytes is passed by one record at most.
	maxPageBytes = 8 << 20
	// maxPageScan is how many records are looked at for a page: some 0.3 s of filtering.
	maxPageScan = 100_000
	// readStep is how many records are read from a log at once.
	readStep = 512
)

// usualLimit is the limit of who gives none.
const usualLimit = 1000

// headerNext says where the next page begins.
const headerNext = "Carom-Next-Cursor"

const linesType = "application/x-ndjson"

// pager answers pages of one log as JSON lines.
type pager struct {
	s      *Server
	name   byte // of the log, in cursors
	reader log.Reader
	// line appends a record's line, and reports whether it has one.
	line func(dst []byte, r *log.Record) ([]byte, bool, error)
}

func (g *pager) cursor(offset int64) cursor {
	return cursor{log: g.name, partition: uint16(g.reader.Partition()), offset: offset}
}

// start returns where to begin: behind the cursor text, at the oldest record if that is empty.
func (g *pager) start(field, text string) (from int64, p *problem) {
	oldest, next := g.reader.Bounds()
	if text == "" {
		return oldest, nil
	}
	c, err := parseCursor(text, g.name, uint16(g.reader.Partition()))
	switch {
	case err != nil:
		return 0, badCursor(field, err)
	case c.offset < oldest:
		return 0, goneCursor(field, "what follows it was trimmed", g.cursor(oldest))
	case c.offset > next:
		return 0, goneCursor(field, "the log ends before it: it was made anew", g.cursor(oldest))
	}
	return c.offset, nil
}

// answer writes the page after the cursor text.
func (g *pager) answer(w http.ResponseWriter, r *http.Request, after string, limit int) *problem {
	select {
	case g.s.pages <- struct{}{}:
		defer func() { <-g.s.pages }()
	case <-r.Context().Done():
		return unavailable("The client is gone.")
	case <-g.s.stopping.Done():
		return unavailable("The server is stopping.")
	}
	from, p := g.start("after", after)
	if p != nil {
		return p
	}
	lines, next, err := g.read(r.Context(), from, limit)
	if errors.Is(err, log.ErrTrimmed) { // since start looked
		oldest, _ := g.reader.Bounds()
		return goneCursor("after", "what follows it was trimmed", g.cursor(oldest))
	}
	if err != nil {
		if r.Context().Err() != nil {
			return unavailable("The client is gone.")
		}
		return g.s.fail("read a page of a log", err)
	}
	w.Header().Set("Content-Type", linesType)
	w.Header().Set(headerNext, g.cursor(next).String())
	_, _ = w.Write(lines) // who is gone needs no answer
	return nil
}

// read collects the lines of a page from what the log holds now.
func (g *pager) read(ctx context.Context, from int64, limit int) (lines []byte, next int64, err error) {
	_, end := g.reader.Bounds()
	next = from
	var records []log.Record
	for n, scanned := 0, 0; next < end && scanned < maxPageScan; {
		step := int(min(readStep, end-next, int64(maxPageScan-scanned)))
		if records, err = g.reader.Read(ctx, next, step, records[:0]); err != nil {
			return nil, 0, err
		}
		for i := range records {
			r := &records[i]
			line, ok, err := g.line(lines, r)
			if err != nil {
				return nil, 0, err
			}
			lines, next, scanned = line, r.Offset+1, scanned+1
			if !ok {
				continue
			}
			if n++; n == limit || len(lines) >= maxPageBytes {
				return lines, next, nil
			}
		}
	}
	return lines, next, nil
}
