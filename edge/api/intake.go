package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"carom/pipeline/event"

	"go.uber.org/zap"
)

// reader makes an event of a JSON object and appends the answer that the client gets once the event is on disk. e is empty
// but for the memory of its links, which the event may have.
type reader func(text string, now event.Millis, e *event.Event, dst []byte) ([]byte, *problem)

// curl names the second when it is told nothing else, and the CORS rules for it are kept by guard.
var objectTypes = []string{jsonType, "application/x-www-form-urlencoded"}

var bulkTypes = []string{linesType, "application/ndjson", "application/jsonl"}

// taker puts what was read where it is durable, all of it or nothing.
type taker func(evs ...*event.Event) error

// intake takes facts: one object, or a bulk of lines, of what read reads.
func (s *Server) intake(read reader) handlerFunc {
	return s.intakeTo(read, func(evs ...*event.Event) error { return s.d.Sink.Facts(evs...) })
}

// intakeTo is intake with another place to go.
func (s *Server) intakeTo(read reader, take taker) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) *problem {
		if p := readParams(r).problem; p != nil {
			return p
		}
		bulk, p := bodyType(r.Header)
		switch {
		case p != nil:
			return p
		case bulk:
			return s.takeBulk(w, r, job{read: read, parallel: true, sink: take})
		}
		return s.takeOne(w, r, read, take)
	}
}

// of returns a reader that refuses what is not of the caller's accounts.
func (read reader) of(c *caller) reader {
	if c == nil || c.accounts == nil {
		return read
	}
	return func(text string, now event.Millis, e *event.Event, dst []byte) ([]byte, *problem) {
		answer, p := read(text, now, e, dst)
		if p == nil {
			p = c.account("account", e.Account)
		}
		if p != nil {
			return dst, p
		}
		return answer, nil
	}
}

// mediaTypeOf returns the type of a body that can be read: UTF-8, and not compressed. Who names none sends JSON.
func mediaTypeOf(h http.Header) (string, *problem) {
	for _, encoding := range h.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return "", mediaProblem("Content-Encoding: want none.")
		}
	}
	value := h.Get("Content-Type")
	if value == "" {
		return jsonType, nil
	}
	mediaType, options, err := mime.ParseMediaType(value)
	if err != nil {
		return "", mediaProblem("Content-Type: " + quote(value) + " can't be read.")
	}
	switch charset := strings.ToLower(options["charset"]); charset {
	case "", "utf-8", "us-ascii":
		return mediaType, nil
	default:
		return "", mediaProblem("Content-Type: charset " + quote(charset) + ": want UTF-8.")
	}
}

// bodyType says whether the body is a bulk.
func bodyType(h http.Header) (bulk bool, p *problem) {
	mediaType, p := mediaTypeOf(h)
	switch {
	case p != nil:
		return false, p
	case slices.Contains(bulkTypes, mediaType):
		return true, nil
	case slices.Contains(objectTypes, mediaType):
		return false, nil
	}
	return false, mediaProblem("Content-Type: " + quote(mediaType) + ": want application/json for one object, or application/x-ndjson for one a line.")
}

// noBody refuses members where nothing reads them: an account that stands in a body in place of the query would have it done to
// another account.
func (s *Server) noBody(w http.ResponseWriter, r *http.Request) *problem {
	text, p := s.readBody(w, r)
	if p != nil || len(text) == 0 {
		return p
	}
	if _, p := bodyType(r.Header); p != nil {
		return p
	}
	return readObject(string(text), func(*event.JSONReader, string) bool { return false })
}

func mediaProblem(detail string) *problem {
	return newProblem(http.StatusUnsupportedMediaType, "media-type", "The body is of a type that is not taken", detail)
}

// takeOne takes the single object of a request.
func (s *Server) takeOne(w http.ResponseWriter, r *http.Request, read reader, take taker) *problem {
	read = read.of(callerOf(r))
	body, p := s.readBody(w, r)
	if p != nil {
		s.metrics.fact(r.Pattern, factBad, 1)
		return p
	}
	var e event.Event
	answer, p := read(string(body), event.FromTime(s.d.Clock()), &e, nil)
	if p != nil {
		s.metrics.fact(r.Pattern, factBad, 1)
		return p
	}
	if err := take(&e); err != nil {
		s.metrics.fact(r.Pattern, factFailed, 1)
		return s.notTaken(err)
	}
	s.metrics.fact(r.Pattern, factTaken, 1)
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(append(answer, '\n')) // who is gone sends it again, and it is the same fact
	return nil
}

// notTaken answers for a sink that failed. The sink counts and logs its failures itself.
func (s *Server) notTaken(err error) *problem {
	if p := controlProblem(err); p != nil {
		return p
	}
	s.log.Debug("facts not taken", zap.Error(err))
	return unavailable("What was sent could not be put on disk. Send it again: it will count once.")
}

func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *problem) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.o.MaxBodyBytes)))
	var over *http.MaxBytesError
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &over):
		return nil, tooLarge("The body is longer than " + strconv.Itoa(s.o.MaxBodyBytes) + " bytes. Many objects go in as lines, Content-Type application/x-ndjson.")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, timedOut("The body did not come within " + s.o.RequestTimeout.String() + ".")
	}
	return nil, badJSON("The body ends too early.")
}
