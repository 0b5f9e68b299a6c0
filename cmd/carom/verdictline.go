package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/judge"
)

// formatCombined is the log format of Apache and nginx with that name.
const formatCombined = "combined"

// someTime is the time of a request that tells none but how long after delivery it came.
const someTime = event.Millis(1_800_000_000_000)

// verdictLine is a hit as a JSON object tells it.
type verdictLine struct {
	ID          any               `json:"id"`
	Kind        string            `json:"kind"`
	Time        logTime           `json:"time"`
	Message     string            `json:"message"`
	Link        any               `json:"link"`
	Honeypot    bool              `json:"honeypot"`
	Address     string            `json:"address"`
	Agent       string            `json:"agent"`
	Method      string            `json:"method"`
	Referer     string            `json:"referer"`
	Accept      string            `json:"accept"`
	Headers     map[string]string `json:"headers"`
	SentAt      logTime           `json:"sent_at"`
	DeliveredAt logTime           `json:"delivered_at"`
}

// logTime is a point in time: RFC 3339, or seconds since 1970.
type logTime event.Millis

func (t *logTime) UnmarshalJSON(b []byte) error {
	text := string(bytes.Trim(b, `"`))
	if text == "null" || text == "" {
		return nil
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 && seconds < 253402300800 {
		*t = logTime(math.Round(seconds * 1000))
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("time %q: want RFC 3339 such as 2026-11-21T17:45:03Z, or seconds since 1970", text)
	}
	*t = logTime(event.FromTime(at))
	return nil
}

func parseVerdictLine(line []byte) (hit judge.Hit, id string, ok bool, err error) {
	var l verdictLine
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&l); err != nil {
		return hit, "", false, fmt.Errorf("want a JSON object of a hit: %w", err)
	}
	if l.ID != nil {
		id = fmt.Sprint(l.ID)
	}
	hit, err = l.hit()
	return hit, id, err == nil, err
}

func (l *verdictLine) hit() (judge.Hit, error) {
	h := judge.Hit{
		Kind: event.Click, Time: event.Millis(l.Time), Message: l.Message, Honeypot: l.Honeypot,
		Sent: event.Millis(l.SentAt), Delivered: event.Millis(l.DeliveredAt),
		Request: event.Request{Method: strings.ToUpper(l.Method), UserAgent: l.Agent, Referer: l.Referer, Accept: l.Accept},
	}
	if l.Link != nil {
		h.Link = fmt.Sprint(l.Link)
	}
	switch l.Kind {
	case "open":
		h.Kind = event.Open
	case "click", "":
	default:
		return h, fmt.Errorf("kind %q: want open or click", l.Kind)
	}
	if h.Request.Method == "" {
		h.Request.Method = "GET"
	}
	if l.Address != "" {
		ip, err := netip.ParseAddr(l.Address)
		if err != nil {
			return h, fmt.Errorf("address %q: want an IP address", l.Address)
		}
		h.Request.IP = ip.Unmap().WithZone("")
	}
	for _, name := range slices.Sorted(maps.Keys(l.Headers)) { // of two that name one header the same always holds
		setHeader(&h.Request, name, l.Headers[name])
	}
	return h, nil
}

// setHeader takes over a header that a verdict looks at.
func setHeader(r *event.Request, name, value string) {
	switch textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)) {
	case "User-Agent":
		r.UserAgent = value
	case "Referer":
		r.Referer = value
	case "Accept":
		r.Accept = value
	case "Sec-Purpose", "Purpose", "X-Purpose", "X-Moz":
		if r.Purpose != "" {
			r.Purpose += ", "
		}
		r.Purpose += value
	}
}

// combinedLine is a line of the format "combined":
//
//	192.0.2.1 - - [21/Nov/2026:17:45:03 +0000] "GET /c/x HTTP/1.1" 302 0 "referer" "agent"
var combinedLine = regexp.MustCompile(`^(\S+) \S+ .*?\[([^\]]+)\] "((?:[^"\\]|\\.)*)" \d+ \S+ "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"`)

const combinedTime = "02/Jan/2006:15:04:05 -0700"

// newCombinedParser returns a parser of an access log in which paths that match opens or clicks are hits.
func newCombinedParser(opens, clicks string) (func(line []byte) (judge.Hit, string, bool, error), error) {
	if clicks == "" {
		return nil, errors.New("--click: want the paths of clicks, for example '^/c/(?P<message>[^/]+)/(?P<link>\\d+)'")
	}
	open, err := regexp.Compile(opens)
	if err != nil {
		return nil, fmt.Errorf("--open: %w", err)
	}
	click, err := regexp.Compile(clicks)
	if err != nil {
		return nil, fmt.Errorf("--click: %w", err)
	}
	return func(line []byte) (h judge.Hit, id string, ok bool, err error) {
		m := combinedLine.FindSubmatch(line)
		if m == nil {
			return h, "", false, errors.New("want a line of the log format combined")
		}
		method, path := requestLine(unescape(m[3]))
		pattern := click
		h.Kind = event.Click
		found := click.FindStringSubmatch(path)
		if found == nil {
			pattern, h.Kind = open, event.Open
			if found = open.FindStringSubmatch(path); found == nil {
				return h, "", false, nil
			}
		}
		for i, name := range pattern.SubexpNames() {
			switch name {
			case "message":
				h.Message = found[i]
			case "link":
				h.Link = found[i]
			}
		}
		at, err := time.Parse(combinedTime, string(m[2]))
		if err != nil {
			return h, "", false, fmt.Errorf("time %q: want one such as 21/Nov/2026:17:45:03 +0000", m[2])
		}
		h.Time = event.FromTime(at)
		h.Request = event.Request{Method: method, Referer: dashed(m[4]), UserAgent: dashed(m[5])}
		if ip, err := netip.ParseAddr(string(m[1])); err == nil { // it may be a host name
			h.Request.IP = ip.Unmap()
		}
		return h, "", true, nil
	}, nil
}

// requestLine cuts "GET /path HTTP/1.1" up.
func requestLine(line string) (method, path string) {
	method, rest, _ := strings.Cut(line, " ")
	path, _, _ = strings.Cut(rest, " ")
	return method, path
}

// dashed is a quoted value of a log, in which "-" stands for none.
func dashed(b []byte) string {
	if s := unescape(b); s != "-" {
		return s
	}
	return ""
}

// unescape undoes \" and \\; nginx writes other bytes as \xHH, Apache too.
func unescape(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	var s strings.Builder
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			s.WriteByte(b[i])
			continue
		}
		i++
		if b[i] == 'x' && i+2 < len(b) {
			if v, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8); err == nil {
				s.WriteByte(byte(v))
				i += 2
				continue
			}
		}
		s.WriteByte(b[i])
	}
	return s.String()
}

// verdictAnswer is the line that is written of a hit.
type verdictAnswer struct {
	File    string   `json:"file,omitempty"`
	Line    int      `json:"line,omitempty"`
	ID      string   `json:"id,omitempty"`
	Verdict string   `json:"verdict"`
	Reasons []string `json:"reasons"`
	Via     string   `json:"via,omitempty"`
	Repeat  bool     `json:"repeat,omitempty"`
}

func appendVerdict(dst []byte, a asked, v judge.Verdict) []byte {
	answer := verdictAnswer{a.file, a.line, a.id, v.Verdict.String(), v.Reasons, v.Via, v.Repeat}
	if answer.Reasons == nil {
		answer.Reasons = []string{}
	}
	line, err := json.Marshal(&answer)
	if err != nil {
		panic("BUG: a verdict can't be written: " + err.Error())
	}
	return append(append(dst, line...), '\n')
}
