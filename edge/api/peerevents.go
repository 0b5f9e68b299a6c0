package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"carom/pipeline/log"
)

// getPeerEvents answers which partitions of events this node has, and how far they reach; with wait= as soon as that is
// something else than the asker knows.
func (s *Server) getPeerEvents(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "wait", "known")
	known := p.text("known", tagBytes)
	var wait time.Duration
	if text := p.values.Get("wait"); text != "" {
		var err error
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 {
			p.fail("wait", "want a duration such as 10s")
		}
	}
	if p.problem != nil {
		return p.problem
	}
	if _, p := s.fromPeer(r); p != nil {
		return p
	}
	answer, err := s.ownBounds(r.Context())
	if err != nil {
		return s.failure("read the bounds of events", err)
	}
	if wait > 0 && answer.Known == known {
		select {
		case s.waits <- struct{}{}:
			defer func() { <-s.waits }()
		default:
			return unavailable(fmt.Sprintf("%d nodes wait for news already.", cap(s.waits)))
		}
		// Well before the request's deadlines, which are this node's own business.
		ctx, cancel := context.WithTimeout(r.Context(), min(wait, s.o.RequestTimeout/2))
		defer cancel()
		if answer, err = s.awaitBounds(ctx, known); err != nil {
			return s.failure("wait for news of events", err)
		}
	}
	return s.writeJSON(w, answer)
}

// waitsAtOnce bounds the nodes that wait for news.
const waitsAtOnce = 1024

// awaitBounds returns the bounds when they differ from what is known, or ctx is done.
func (s *Server) awaitBounds(ctx context.Context, known string) (boundsAnswer, error) {
	leave := s.own.join()
	defer leave()
	for {
		rung := s.own.bell.Rung()
		answer, err := s.ownBounds(ctx)
		if ctx.Err() != nil { // nothing is new
			return boundsAnswer{Known: known}, nil
		}
		if err == nil {
			err = s.own.failed()
		}
		if err != nil || answer.Known != known {
			return answer, err
		}
		select {
		case <-rung:
		case <-ctx.Done():
			return answer, nil
		case <-s.stopping.Done():
			return answer, nil
		}
	}
}

// ownBounds are those of the partitions that this node has, and has completely.
func (s *Server) ownBounds(ctx context.Context) (boundsAnswer, error) {
	a := boundsAnswer{Bounds: [][3]int64{}}
	for i, r := range s.d.Events {
		if r == nil {
			continue
		}
		switch err := r.Refresh(ctx); {
		case errors.Is(err, ErrNotReady):
			continue
		case err != nil:
			return a, err
		}
		oldest, next := r.Bounds()
		a.Bounds = append(a.Bounds, [3]int64{int64(i), oldest, next})
	}
	b, err := json.Marshal(a.Bounds)
	if err != nil {
		panic("BUG: numbers that JSON can't hold: " + err.Error())
	}
	sum := sha256.Sum256(b)
	a.Known = hex.EncodeToString(sum[:tagBytes/2])
	return a, nil
}

// getPeerPartition answers records of a partition of events that this node has.
func (s *Server) getPeerPartition(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "from", "limit")
	from, err := strconv.ParseInt(p.values.Get("from"), 10, 64)
	if err != nil || from < 0 {
		p.fail("from", "want an offset, 0 or more")
	}
	most := p.limit(readStep, readStep)
	partition, err := strconv.ParseUint(r.PathValue("partition"), 10, 16)
	if err != nil {
		p.fail("partition", "want a number")
	}
	if p.problem != nil {
		return p.problem
	}
	if _, p := s.fromPeer(r); p != nil {
		return p
	}
	if partition >= uint64(len(s.d.Events)) || s.d.Events[partition] == nil {
		return workersDiffer(fmt.Sprintf("this node has not the partition %d of events", partition))
	}
	reader := s.d.Events[partition]
	if err := reader.Refresh(r.Context()); err != nil {
		return s.failure("read a partition of events", err)
	}
	var recs []log.Record
	if _, next := reader.Bounds(); from < next {
		if recs, err = reader.Read(r.Context(), from, most, nil); errors.Is(err, log.ErrTrimmed) {
			return newProblem(http.StatusGone, "cursor-gone", "The log no longer holds this place", err.Error()).at("from")
		} else if err != nil {
			return s.failure("read a partition of events", err)
		}
	}
	var body []byte
	for i := range recs {
		body = appendPeerRecord(body, &recs[i])
		if len(body) >= maxRecordsBytes {
			break
		}
	}
	w.Header().Set("Content-Type", recordsType)
	_, _ = w.Write(body) // who is gone needs no answer
	return nil
}
