package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"carom/pipeline/event"
)

// problem is an error as clients get it: RFC 9457. A nil *problem means that all is well.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Field is the member or parameter at fault.
	Field string `json:"field,omitempty"`
	// Line is the number of the bulk's line, from 1.
	Line int `json:"line,omitempty"`
	// Oldest is the cursor of the oldest event that can still be read.
	Oldest string `json:"oldest,omitempty"`
	// Rule is why an order was refused, and PossibleAt when it will be possible.
	Rule       string      `json:"rule,omitempty"`
	PossibleAt *possibleAt `json:"possible_at,omitempty"`
	// Problems are why the node is not ready.
	Problems []Problem `json:"problems,omitempty"`

	retryAfter int // seconds; 0: none
	allow      string
	scope      Scope // that the token lacks
}

const problemMediaType = "application/problem+json"

// problemType begins every type. What follows is part of the contract; titles and details are for people.
const problemType = "urn:carom:problem:"

func newProblem(status int, name, title, detail string) *problem {
	return &problem{Type: problemType + name, Title: title, Status: status, Detail: detail}
}

func (p *problem) at(field string) *problem {
	p.Field = field
	return p
}

func badJSON(detail string) *problem {
	return newProblem(http.StatusBadRequest, "bad-json", "The body is not the JSON that is wanted", detail)
}

func badField(field, detail string) *problem {
	return newProblem(http.StatusBadRequest, "bad-field", "A field has a value that is not allowed", field+": "+detail).at(field)
}

func missingField(field, detail string) *problem {
	return newProblem(http.StatusBadRequest, "missing-field", "A field is missing", field+": "+detail).at(field)
}

func badParameter(name, detail string) *problem {
	return newProblem(http.StatusBadRequest, "bad-parameter", "A parameter has a value that is not allowed", name+": "+detail).at(name)
}

func badTime(field, detail string) *problem {
	return newProblem(http.StatusUnprocessableEntity, "bad-time", "A time can't be true", field+": "+detail).at(field)
}

func tooLarge(detail string) *problem {
	return newProblem(http.StatusRequestEntityTooLarge, "too-large", "The request is too large", detail)
}

// Facts that could not be kept, and whatever else fails for now, may be sent again.
const retrySeconds = 5

func unavailable(detail string) *problem {
	p := newProblem(http.StatusServiceUnavailable, "unavailable", "Not possible at the moment", detail)
	p.retryAfter = retrySeconds
	return p
}

func internal() *problem {
	return newProblem(http.StatusInternalServerError, "internal", "A fault of this server", "The log of the server says more.")
}

// fromJSONError tells what a JSONReader met.
func fromJSONError(err error) *problem {
	var e *event.JSONError
	switch {
	case !errors.As(err, &e):
		return badJSON(err.Error())
	case e.Unknown:
		return newProblem(http.StatusBadRequest, "unknown-field", "A field is not known here", e.Error()).at(e.Field)
	case e.Field != "":
		return badField(e.Field, e.Reason)
	}
	return badJSON(e.Error())
}

// appendJSON appends the problem object, without a line end.
func (p *problem) appendJSON(dst []byte) []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic("BUG: a problem that JSON can't hold: " + err.Error())
	}
	return append(dst, b...)
}

// write answers a request with the problem.
func (p *problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", problemMediaType)
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	switch { // RFC 6750 §3
	case p.Status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="carom"`)
	case p.scope != scopeNone:
		h.Set("WWW-Authenticate", `Bearer realm="carom", error="insufficient_scope", scope="`+p.scope.String()+`"`)
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(p.appendJSON(nil), '\n')) // who is gone needs no answer
}

// quote shows a value in a message, cut short.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}
