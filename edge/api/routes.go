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
	get, post, put, delete endpoint
	open                   bool // needs no token
	// everywhere is set on what a node without the role api answers too.
	everywhere bool
	peers      bool // answers other nodes whatever this node's role
	streams    bool // takes as long as its client wants, so its duration says nothing
}

// endpoint is what a method does at a path, and what a token needs for it.
type endpoint struct {
	do       handlerFunc
	scope    Scope
	accounts accountPlace
	bare     bool // takes no body, though its method may have one
}

// accountPlace is where a request names the account that it is about. serve refuses a token the accounts that are not
// its own where the query names them; who reads them from a body asks accountProblem.
type accountPlace uint8

const (
	// inQuery: the parameter account; ref.DefaultAccount where it is not given.
	inQuery accountPlace = iota
	// inFilter: the parameter account; all accounts where it is not given, which is for tokens of all accounts only.
	inFilter
	// inBody: the member account of an object, or of each line. The handler checks it.
	inBody
	// ofAll: there is none, for tokens of all accounts only.
	ofAll
)

func (sc Scope) of(do handlerFunc) endpoint { return endpoint{do: do, scope: sc} }

func (e endpoint) by(place accountPlace) endpoint {
	e.accounts = place
	return e
}

func (e endpoint) withoutBody() endpoint {
	e.bare = true
	return e
}

func (s *Server) routes() []route {
	return []route{
		{pattern: "/v1/messages", get: ScopeRead.of(s.listMessages), post: ScopeWrite.of(s.intake(s.readRegistration)).by(inBody), streams: true},
		{pattern: "/v1/messages/{message}", get: ScopeRead.of(s.getMessage), peers: true},
		{pattern: "/v1/events", get: ScopeRead.of(s.getEvents).by(inFilter), post: ScopeWrite.of(s.intake(s.readFact)).by(inBody), streams: true},
		{pattern: "/v1/journal", get: ScopeAdmin.of(s.getJournal).by(ofAll)},
		{pattern: "/v1/senders", get: ScopeRead.of(s.getSenders), peers: true},
		{pattern: "/v1/senders/{sender}/score", get: ScopeRead.of(s.getScore), peers: true},
		{pattern: "/v1/senders/{sender}/sequences", get: ScopeRead.of(s.getSequences), peers: true},
		{pattern: "/v1/senders/{sender}/providers", get: ScopeRead.of(s.getProviders), peers: true},
		{pattern: "/v1/senders/{sender}/series", get: ScopeRead.of(s.getSeries), peers: true},
		{pattern: "/v1/senders/{sender}/trend", get: ScopeRead.of(s.getTrend), peers: true},
		{pattern: "/v1/senders/{sender}/enrollments", get: ScopeRead.of(s.getEnrollments), peers: true, streams: true},
		{pattern: "/v1/senders/{sender}/self", post: ScopeWrite.of(s.postSelf)},
		{pattern: "/v1/senders/{sender}/addresses", get: ScopeRead.of(s.getAddresses), put: ScopeWrite.of(s.putAddresses), delete: ScopeWrite.of(s.deleteAddresses).withoutBody()},
		{pattern: "/v1/rules", get: ScopeRead.of(s.getRules).by(ofAll), everywhere: true},
		{pattern: "/v1/rules/reload", post: ScopeAdmin.of(s.postRulesReload).by(ofAll).withoutBody(), everywhere: true},
		{pattern: "/v1/rejects", get: ScopeAdmin.of(s.getRejects).by(ofAll)},
		{pattern: "/v1/rejects/replay", post: ScopeAdmin.of(s.postReplay).by(ofAll), streams: true},
		{pattern: "/v1/contacts", get: ScopeRead.of(s.listContacts), streams: true},
		{pattern: "/v1/contacts/{contact}", get: ScopeRead.of(s.getContact), delete: ScopeWrite.of(s.deleteContact).withoutBody(), peers: true},
		{pattern: "/v1/contacts/{contact}/erasure", get: ScopeRead.of(s.getErasure)},
		{pattern: "/v1/contacts/{contact}/export", get: ScopeRead.of(s.getExport), streams: true},
		{pattern: "/v1/contacts/{contact}/denied", get: ScopeRead.of(s.getDenied), put: ScopeWrite.of(s.putDenied).withoutBody(), delete: ScopeWrite.of(s.deleteDenied).withoutBody()},
		{pattern: "/v1/denied", get: ScopeRead.of(s.listDenied), post: ScopeWrite.of(s.intakeTo(readDenial, s.deny)).by(inBody), streams: true},
		{pattern: "/v1/suppressions", get: ScopeRead.of(s.getSuppressions), post: ScopeWrite.of(s.postSuppressions).by(inBody), streams: true},
		{pattern: "/v1/suppressions/check", post: ScopeRead.of(s.postCheck).by(inBody), streams: true},
		{pattern: "/v1/suppressions/revert", post: ScopeWrite.of(s.postRevert).by(inBody)},
		{pattern: "/v1/suppressions/confirm", post: ScopeWrite.of(s.postConfirm).by(inBody)},
		{pattern: "/v1/suppressions/audit", get: ScopeRead.of(s.getAudit).by(inFilter), streams: true},
		{pattern: "/v1/suppressions/{address}", get: ScopeRead.of(s.getSuppression), put: ScopeWrite.of(s.putSuppression).by(inBody), delete: ScopeWrite.of(s.deleteSuppression).withoutBody()},
		{pattern: "/v1/suppressions/{address}/reactivate", post: ScopeWrite.of(s.postReactivate).by(inBody)},
		{pattern: "/v1/suppressions/{address}/lift", post: ScopeAdmin.of(s.postLift).by(ofAll)},
		{pattern: "/v1/webhooks", get: ScopeRead.of(s.getWebhooks)},
		{pattern: "/v1/webhooks/{name}", get: ScopeRead.of(s.getWebhook), put: ScopeWrite.of(s.putWebhook), delete: ScopeWrite.of(s.deleteWebhook).withoutBody(), peers: true},
		{pattern: "/v1/webhooks/{name}/resume", post: ScopeWrite.of(s.postWebhookResume)},
		{pattern: "/v1/peer/messages", get: ScopeAdmin.of(s.getPeerMessages).by(ofAll), peers: true},
		{pattern: "/v1/peer/contacts", get: ScopeAdmin.of(s.getPeerContacts).by(ofAll), peers: true},
		{pattern: "/v1/peer/events", get: ScopeAdmin.of(s.getPeerEvents).by(ofAll), peers: true, streams: true},
		{pattern: "/v1/peer/events/{partition}", get: ScopeAdmin.of(s.getPeerPartition).by(ofAll), peers: true},
		{pattern: "/v1/backup", post: ScopeAdmin.of(s.postBackup).by(ofAll).withoutBody(), everywhere: true, streams: true},
		{pattern: "/metrics", get: ScopeRead.of(s.metricsHandler()).by(ofAll), everywhere: true},
		{pattern: "/livez", get: scopeNone.of(getLive).by(ofAll), open: true, everywhere: true},
		{pattern: "/readyz", get: scopeNone.of(s.getReady).by(ofAll), open: true, everywhere: true},
		{pattern: "/openapi.json", get: scopeNone.of(getOpenAPI).by(ofAll), open: true, everywhere: true},
		{pattern: "/docs", get: scopeNone.of(getDocs).by(ofAll), open: true, everywhere: true},
		{pattern: "/", get: scopeNone.of(getNothing).by(ofAll), post: scopeNone.of(getNothing).by(ofAll), open: true},
	}
}

// handler builds the mux. Patterns carry no method: the mux's own 404 and 405 are no problem objects.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.pattern, s.serve(r))
	}
	return mux
}

// serve does for one route what is common to all.
func (s *Server) serve(rt route) http.Handler {
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
		if p := s.answer(&rt, sw, r); p != nil {
			p.write(sw)
		}
	})
}

// answer lets the handler of a request do its work, if who asks may have it done.
func (s *Server) answer(rt *route, w http.ResponseWriter, r *http.Request) *problem {
	var c *caller
	if !rt.open {
		var p *problem
		if c, p = s.guard.check(r); p != nil {
			return p
		}
	}
	if s.d.PeersOnly && !rt.everywhere && !(rt.peers && r.Header.Get(headerPeer) != "") {
		return noRole()
	}
	e, p := rt.endpoint(r.Method)
	if p != nil {
		return p
	}
	if c != nil {
		if p := s.admit(c, &e, r); p != nil {
			return p
		}
		r = c.attach(r)
	}
	if e.bare {
		if p := s.noBody(w, r); p != nil {
			return p
		}
	}
	return e.do(w, r)
}

// endpoint returns what the route does for a method.
func (rt *route) endpoint(method string) (endpoint, *problem) {
	methods := []struct {
		name string
		is   endpoint
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
		case m.is.do == nil:
		case m.name == method:
			return m.is, nil
		default:
			allow = append(allow, m.name)
		}
	}
	if rt.pattern == "/" { // an unknown path is that, whatever the method
		return rt.get, nil
	}
	p := newProblem(http.StatusMethodNotAllowed, "method", "The method is not allowed here", quote(method)+" is not among those of this path.")
	p.allow = strings.Join(allow, ", ")
	return endpoint{}, p
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
