package api

import (
	"net/http"
	"strings"

	"carom/pipeline/event"
)

const plainType = "text/plain"

// postCheck says of one address, or of as many as a bulk has lines, whether it is suppressed. Nothing is journaled.
func (s *Server) postCheck(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "account", "as_of")
	c := &checking{s: s, r: r, account: p.account(), at: p.asOf(s.d.Clock())}
	mediaType, bad := mediaTypeOf(r.Header)
	plain, bulk := mediaType == plainType, false // plain: addresses, one a line, and nothing else
	if bad == nil && !plain {
		bulk, bad = bodyType(r.Header)
	}
	switch {
	case bad != nil:
		return bad
	case p.problem != nil:
		return p.problem
	case s.d.Suppressions == nil:
		return errNoSuppressions.problem
	case plain:
		return s.takeBulk(w, r, job{read: c.readPlain, parallel: true})
	case bulk:
		return s.takeBulk(w, r, job{read: c.read, parallel: true})
	}
	text, bad := s.readBody(w, r)
	if bad != nil {
		return bad
	}
	var e event.Event
	answer, bad := c.read(string(text), 0, &e, nil)
	if bad != nil {
		return bad
	}
	return writeText(w, string(answer))
}

// checking is one request of POST /v1/suppressions/check.
type checking struct {
	s       *Server
	r       *http.Request
	account string // of lines that name none
	at      event.Millis
}

// read answers a line that is an object.
func (c *checking) read(text string, _ event.Millis, e *event.Event, dst []byte) ([]byte, *problem) {
	account, address, transactional := "", "", false
	if p := readObject(text, func(r *event.JSONReader, name string) bool {
		switch name {
		case "account":
			account = r.String()
		case "address":
			address = r.String()
		case "transactional":
			transactional = r.Bool()
		default:
			return false
		}
		return true
	}); p != nil {
		return dst, p
	}
	return c.answer(dst, e, account, address, transactional)
}

// readPlain answers a line that is an address.
func (c *checking) readPlain(text string, _ event.Millis, e *event.Event, dst []byte) ([]byte, *problem) {
	return c.answer(dst, e, "", strings.TrimSpace(text), false)
}

// answer appends what is to be said of an address. Of the event, which goes nowhere, it sets whose it is.
func (c *checking) answer(dst []byte, e *event.Event, account, address string, transactional bool) ([]byte, *problem) {
	if address == "" {
		return dst, missingField("address", "want an address such as bob@example.com")
	}
	if wrong := checkAddress(address); wrong != "" {
		return dst, badField("address", wrong)
	}
	named := account != ""
	if !named {
		account = c.account
	} else if wrong := checkText(account, maxID); wrong != "" {
		return dst, badField("account", wrong)
	}
	if p := accountProblem(c.r, "account", account); p != nil {
		return dst, p
	}
	e.Account = account
	why, stopped, err := c.s.stops(account, address, c.at, transactional)
	if err != nil {
		return dst, c.s.failure("read a suppression", err)
	}
	dst = append(dst, '{')
	if named {
		dst = append(appendText(append(dst, `"account":`...), account), ',')
	}
	dst = appendText(append(dst, `"address":`...), address)
	dst = append(dst, `,"suppressed":`...)
	if stopped {
		dst = appendWhy(dst, &why)
	} else {
		dst = append(dst, `null`...)
	}
	return append(dst, '}'), nil
}
