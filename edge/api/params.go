package api

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// Bounds of ids in bytes. A Message-ID is at most a line, RFC 5322 §2.1.1; the rest is bounded as ref does it.
const (
	maxID      = ref.MaxIDs
	maxMessage = 998
	// maxAddress is that of a path, RFC 5321 §4.5.3.1.3, with room for UTF-8 (RFC 6531 §3.2 counts octets as well).
	maxAddress = 320
)

// checkText reports why s may not be an id: too long, control characters (a line break would split a header or a log
// line, NUL is how enrollments are told from messages), no UTF-8.
func checkText(s string, most int) string {
	if len(s) > most {
		return strconv.Itoa(len(s)) + " bytes, at most " + strconv.Itoa(most) + " are allowed"
	}
	ascii := true
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 0x20 || c == 0x7f {
			return "control character " + strconv.Quote(s[i:i+1]) + " at byte " + strconv.Itoa(i)
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.ValidString(s) {
		return "is not UTF-8"
	}
	return ""
}

// params are the query of a request. The first problem sticks.
type params struct {
	values  url.Values
	problem *problem
}

// readParams refuses parameters that the endpoint does not know: a misspelt filter would silently select everything.
func readParams(r *http.Request, known ...string) *params {
	p := &params{}
	var err error
	if p.values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		p.problem = newProblem(http.StatusBadRequest, "bad-parameter", "The query can't be read", err.Error())
		return p
	}
	for name, values := range p.values {
		switch {
		case !slices.Contains(known, name):
			p.fail(name, "is not a parameter of this path, which knows "+strings.Join(known, ", "))
		case len(values) > 1:
			p.fail(name, "is given twice")
		}
	}
	return p
}

func (p *params) fail(name, detail string) {
	if p.problem == nil {
		p.problem = badParameter(quoteName(name), detail)
	}
}

// quoteName leaves plain names as they are.
func quoteName(name string) string {
	if len(name) <= 64 && checkText(name, 64) == "" {
		return name
	}
	return quote(name)
}

// text returns a parameter, empty if it is not there.
func (p *params) text(name string, most int) string {
	v := p.values.Get(name)
	if wrong := checkText(v, most); wrong != "" {
		p.fail(name, wrong)
	}
	return v
}

// account returns the account that is asked about.
func (p *params) account() string {
	if v := p.text("account", maxID); v != "" {
		return v
	}
	return ref.DefaultAccount
}

var windows = map[string]time.Duration{"24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour}

const defaultWindow = "7d"

func (p *params) window() time.Duration {
	v := p.values.Get("window")
	if v == "" {
		v = defaultWindow
	}
	w, ok := windows[v]
	if !ok {
		p.fail("window", "want 24h, 7d or 30d")
	}
	return w
}

// asOf returns the time that an answer is to speak of. It may lie ahead: "what will it be when all has completed".
func (p *params) asOf(now time.Time) event.Millis {
	return cmp.Or(p.time("as_of"), event.FromTime(now))
}

// time returns a parameter that is a time; 0 if it is not there.
func (p *params) time(name string) event.Millis {
	v := p.values.Get(name)
	if v == "" {
		return 0
	}
	at, err := parseTime(v)
	if err != nil || at <= 0 {
		p.fail(name, "want a time after 1970 as RFC 3339 writes it, with + as %2B: 2026-11-21T17:45:03Z")
		return 0
	}
	return at
}

var errTime = errors.New("no time as RFC 3339 writes it")

// parseTime reads a time of RFC 3339. time.Parse takes more: an hour of one digit, and a comma before the fraction.
func parseTime(text string) (event.Millis, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err == nil && (text[len("2026-11-21T17")] != ':' || text[len("2026-11-21T17:45:03")] == ',') {
		err = errTime
	}
	return event.FromTime(t), err
}

// limit returns a number from 1 to most.
func (p *params) limit(usual, most int) int {
	if p.values.Get("limit") == "" {
		return min(usual, most)
	}
	return p.number("limit", 1, most)
}

// number returns a number from lo to hi, 0 if it is not there.
func (p *params) number(name string, lo, hi int) int {
	v := p.values.Get(name)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < lo || n > hi {
		p.fail(name, "want a number from "+strconv.Itoa(lo)+" to "+strconv.Itoa(hi))
	}
	return n
}

// pathText returns an id from the path.
func (p *params) pathText(r *http.Request, name string, most int) string {
	v := r.PathValue(name)
	if wrong := checkText(v, most); wrong != "" {
		p.fail(name, wrong)
	}
	return v
}
