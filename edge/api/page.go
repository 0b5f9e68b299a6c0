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
	s *Server
	m *merger
	// doing is what fails if it fails.
	doing string
	// line appends a record's line, and reports whether it has one. after says where to go on after it.
	line func(dst []byte, r *log.Record, after func() cursor) ([]byte, bool, error)
}

// answer writes the page after the cursor text.
func (g *pager) answer(w http.ResponseWriter, r *http.Request, after string, limit int) *problem {
	leave, p := g.s.enterPage(r.Context())
	if p != nil {
		return p
	}
	defer leave()
	ctx, cancel := context.WithTimeout(r.Context(), g.s.o.RequestTimeout)
	defer cancel()
	lines, err := g.page(ctx, after, limit)
	if err != nil {
		return g.problem(r.Context(), ctx, err)
	}
	w.Header().Set("Content-Type", linesType)
	w.Header().Set(headerNext, g.m.cursor().String())
	_, _ = w.Write(lines) // who is gone needs no answer
	return nil
}

// enterPage waits for its turn; call what it returns at the end.
func (s *Server) enterPage(ctx context.Context) (leave func(), p *problem) {
	select {
	case s.pages <- struct{}{}:
		return func() { <-s.pages }, nil
	case <-ctx.Done():
		return nil, unavailable("The client is gone.")
	case <-s.stopping.Done():
		return nil, unavailable("The server is stopping.")
	}
}

// problem says why a page could not be read. client is the request's context, ctx that of the reading.
func (g *pager) problem(client, ctx context.Context, err error) *problem {
	var told *problemError
	switch {
	case client.Err() != nil:
		return unavailable("The client is gone.")
	case errors.As(err, &told):
		return told.problem
	case errors.Is(err, log.ErrTrimmed): // since seek looked
		return g.m.gone("after", "what follows it was trimmed")
	case ctx.Err() != nil:
		return unavailable("The log could not be read within " + g.s.o.RequestTimeout.String() + ".")
	}
	return g.s.failure(g.doing, err)
}

// page seeks and reads.
func (g *pager) page(ctx context.Context, after string, limit int) ([]byte, error) {
	if err := g.m.refresh(ctx); err != nil {
		return nil, err
	}
	if p := g.m.seek("after", after); p != nil {
		return nil, &problemError{p}
	}
	return g.read(ctx, limit)
}

// read collects the lines of a page from what the log holds now.
func (g *pager) read(ctx context.Context, limit int) (lines []byte, err error) {
	if _, err := g.m.look(); err != nil {
		return nil, err
	}
	for n, scanned := 0, 0; scanned < maxPageScan; scanned++ {
		r, err := g.m.next(ctx)
		if err != nil {
			return nil, err
		}
		if r == nil {
			break
		}
		line, ok, err := g.line(lines, r, g.m.cursor)
		if err != nil {
			return nil, err
		}
		lines = line
		if !ok {
			continue
		}
		if n++; n == limit || len(lines) >= maxPageBytes {
			break
		}
	}
	return lines, nil
}
