package api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// handlerFunc answers a request, or returns the problem to answer it with.
type handlerFunc func(w http.ResponseWriter, r *http.Request) *problem

// route is one path and what its methods do. HEAD does what GET does.
type route struct {
	pattern                string
	get, post, put, delete handlerFunc
	open                   bool // needs no token
	// everywhere is set on what a node without the role api answers too.
	everywhere bool
	peers      bool // answers other nodes whatever this node's role
	streams    bool // takes as long as its client wants, so its duration says nothing
}

func (s *Server) routes() []route {
	return []route{
		{pattern: "/v1/messages", post: s.intake(s.readRegistration), streams: true},
		{pattern: "/v1/messages/{message}", get: s.getMessage, peers: true},
		{pattern: "/v1/events", get: s.getEvents, post: s.intake(s.readFact), streams: true},
		{pattern: "/v1/journal", get: s.getJournal},
		{pattern: "/v1/senders", get: s.getSenders, peers: true},
		{pattern: "/v1/senders/{sender}/score", get: s.getScore, peers: true},
		{pattern: "/v1/senders/{sender}/sequences", get: s.getSequences, peers: true},
		{pattern: "/v1/senders/{sender}/self", post: s.postSelf},
		{pattern: "/v1/senders/{sender}/addresses", get: s.getAddresses, put: s.putAddresses, delete: s.deleteAddresses},
		{pattern: "/v1/rules", get: s.getRules, everywhere: true},
		{pattern: "/v1/rules/reload", post: s.postRulesReload, everywhere: true},
		{pattern: "/v1/rejects", get: s.getRejects},
		{pattern: "/v1/rejects/replay", post: s.postReplay, streams: true},
		{pattern: "/v1/contacts/{contact}", get: s.getContact, delete: s.deleteContact, peers: true},
		{pattern: "/v1/contacts/{contact}/erasure", get: s.getErasure},
		{pattern: "/v1/contacts/{contact}/export", get: s.getExport, streams: true},
		{pattern: "/v1/contacts/{contact}/denied", get: s.getDenied, put: s.putDenied, delete: s.deleteDenied},
		{pattern: "/v1/denied", get: s.listDenied, post: s.intakeTo(readDenial, s.deny), streams: true},
		{pattern: "/v1/peer/events", get: s.getPeerEvents, peers: true, streams: true},
		{pattern: "/v1/peer/events/{partition}", get: s.getPeerPartition, peers: true},
		{pattern: "/metrics", get: s.metricsHandler(), everywhere: true},
		{pattern: "/livez", get: getLive, open: true, everywhere: true},
		{pattern: "/readyz", get: s.getReady, open: true, everywhere: true},
		{pattern: "/", get: getNothing, post: getNothing, open: true},
	}
}

// handler builds the mux. Patterns carry no method: the mux's own 404 and 405 are no problem objects.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	guard := newGuard(s.o.Token)
	for _, r := range s.routes() {
		mux.Handle(r.pattern, s.serve(r, guard))
	}
	return mux
}

// serve does for one route what is common to all.
func (s *Server) serve(rt route, g *guard) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		sw := &statusWriter{ResponseWriter: w}
		defer func() {
			abort := s.recovered(recover(), sw, r)
			took := time.Since(begin)
			status := sw.outcome(abort)
			s.metrics.request(rt.pattern, status, took, !rt.streams)
			if c := s.log.Check(zap.DebugLevel, "request"); c != nil {
				c.Write(zap.String("method", r.Method), zap.String("endpoint", rt.pattern), zap.String("status", status), zap.Duration("took", took))
			}
			if abort {
				panic(http.ErrAbortHandler)
			}
		}()
		sw.Header().Set("Cache-Control", "no-store")
		sw.Header().Set("X-Content-Type-Options", "nosniff")
		if p := g.check(r, rt.open); p != nil {
			p.write(sw)
			return
		}
		if s.d.PeersOnly && !rt.everywhere && !(rt.peers && r.Header.Get(headerPeer) != "") {
			noRole().write(sw)
			return
		}
		handle, p := rt.handler(r.Method)
		if p == nil {
			p = handle(sw, r)
		}
		if p != nil {
			p.write(sw)
		}
	})
}

// handler returns what the route does for a method.
func (rt *route) handler(method string) (handlerFunc, *problem) {
	methods := []struct {
		name string
		do   handlerFunc
	}{
		{http.MethodGet, rt.get},
		{http.MethodHead, rt.get},
		{http.MethodPost, rt.post},
		{http.MethodPut, rt.put},
		{http.MethodDelete, rt.delete},
	}
	var allow []string
	for _, m := range methods {
		switch {
		case m.do == nil:
		case m.name == method:
			return m.do, nil
		default:
			allow = append(allow, m.name)
		}
	}
	if rt.pattern == "/" { // an unknown path is that, whatever the method
		return rt.get, nil
	}
	p := newProblem(http.StatusMethodNotAllowed, "method", "The method is not allowed here", quote(method)+" is not among those of this path.")
	p.allow = strings.Join(allow, ", ")
	return nil, p
}

// recovered answers a request that met a bug, if it can still be answered. abort says that the connection must be cut,
// because the client would take what it has for the whole answer; http.ErrAbortHandler is how a handler asks for that.
func (s *Server) recovered(v any, w *statusWriter, r *http.Request) (abort bool) {
	if v == nil {
		return false
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return true
	}
	s.met(v, r.Method, r.Pattern)
	if w.status != 0 {
		return true
	}
	internal().write(w)
	return false
}

// met counts and logs a bug.
func (s *Server) met(v any, method, endpoint string) {
	s.metrics.panics.Inc()
	s.log.Error("request met a bug", zap.String("method", method), zap.String("endpoint", endpoint), zap.Any("panic", v), zap.Stack("stack"))
}

// fail logs why a request failed through our own fault, and answers 500.
func (s *Server) fail(doing string, err error) *problem {
	s.log.Error("request failed", zap.String("doing", doing), zap.Error(err))
	return internal()
}

func getNothing(_ http.ResponseWriter, r *http.Request) *problem {
	return newProblem(http.StatusNotFound, "not-found", "There is no such path", quote(r.URL.Path)+" is none of this API's paths.")
}

// metricsHandler serves the metrics of the whole process.
func (s *Server) metricsHandler() handlerFunc {
	if s.d.Gatherer == nil {
		return getNothing
	}
	h := promhttp.HandlerFor(s.d.Gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: metricsAtOnce})
	return func(w http.ResponseWriter, r *http.Request) *problem {
		h.ServeHTTP(w, r)
		return nil
	}
}

const metricsAtOnce = 4

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int // 0: not written yet
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK { // 1xx is followed by another
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// outcome is the status as metrics show it: "cut" for an answer that was cut off.
func (w *statusWriter) outcome(cut bool) string {
	switch {
	case cut:
		return "cut"
	case w.status == 0: // an answer without a body
		return strconv.Itoa(http.StatusOK)
	}
	return strconv.Itoa(w.status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
