package targets

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// RegistrationOptions say which messages are registered.
type RegistrationOptions struct {
	Account string
	Senders int
	Links   int // of each message
	Batch   int // messages of a request
	// Run is part of every message's id, as in MailOptions.
	Run string
}

// DefaultRegistrations are some of a usual newsletter.
func DefaultRegistrations() RegistrationOptions {
	return RegistrationOptions{Account: "bench", Senders: 100, Links: 3, Batch: 1, Run: strconv.FormatInt(time.Now().UnixMilli(), 36)}
}

const (
	maxBatch   = 100_000
	maxLinks   = 200 // the API takes no more
	maxSenders = 1_000_000
)

// Validate names the first option that is not allowed.
func (o *RegistrationOptions) Validate() error {
	for _, n := range []struct {
		name            string
		value, low, top int
	}{{"senders", o.Senders, 1, maxSenders}, {"links", o.Links, 0, maxLinks}, {"batch", o.Batch, 1, maxBatch}} {
		if n.value < n.low || n.value > n.top {
			return fmt.Errorf("%s: %d: want %d to %d", n.name, n.value, n.low, n.top)
		}
	}
	return checkRun(o.Run)
}

// checkRun makes sure that a run's name can be part of a message's id.
func checkRun(run string) error {
	ok := run != "" && len(run) <= 32
	for _, c := range []byte(run) {
		ok = ok && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9')
	}
	if !ok {
		return fmt.Errorf("run: %q: want letters and digits, at most 32", run)
	}
	return nil
}

// Registrations makes requests of POST /v1/messages.
type Registrations struct {
	o      RegistrationOptions
	line   []byte
	slots  []slot
	issued atomic.Int64
}

// slot is a place in a line that takes a number of fixed width.
type slot struct {
	at     int
	sender bool // it takes the sender's number, not the message's
}

// slotDigits is the width of a slot.
const slotDigits = 12

// NewRegistrations checks the options.
func NewRegistrations(o RegistrationOptions) (*Registrations, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	r := &Registrations{o: o}
	number := func(sender bool) {
		r.slots = append(r.slots, slot{len(r.line), sender})
		r.line = append(r.line, "000000000000"...)
	}
	quoted := func(text string) string {
		b, err := json.Marshal(text)
		if err != nil {
			panic("BUG: a text that is no JSON: " + err.Error())
		}
		return string(b)
	}
	r.line = appendAll(r.line, `{"account":`, quoted(o.Account), `,"sender":"sender-`)
	number(true)
	r.line = appendAll(r.line, `","sequence":"bench","contact":"c-`)
	number(false)
	r.line = appendAll(r.line, `","message":"`)
	number(false)
	r.line = appendAll(r.line, ".", o.Run, `@mail.example.com","recipient":"c`)
	number(false)
	r.line = appendAll(r.line, `@example.net","links":[`)
	for i := range o.Links {
		if i > 0 {
			r.line = append(r.line, ',')
		}
		r.line = appendAll(r.line, `"https://www.example.com/offers/`, strconv.Itoa(i+1), `?utm_source=newsletter&utm_campaign=bench"`)
	}
	r.line = append(r.line, "]}\n"...)
	return r, nil
}

// Batch returns how many messages a request has.
func (r *Registrations) Batch() int { return r.o.Batch }

// Links returns how many links a message has.
func (r *Registrations) Links() int { return r.o.Links }

// Feed returns requests for one client.
func (r *Registrations) Feed() *RegistrationFeed {
	f := &RegistrationFeed{r: r, body: make([]byte, 0, r.o.Batch*len(r.line))}
	for range r.o.Batch {
		f.body = append(f.body, r.line...)
	}
	return f
}

// RegistrationFeed is the requests of one client. One goroutine uses it.
type RegistrationFeed struct {
	r    *Registrations
	body []byte
}

// Next returns a request's body, a JSON object on each line, which is valid until the following call.
func (f *RegistrationFeed) Next() []byte {
	r := f.r
	batch := int64(r.o.Batch)
	n := r.issued.Add(batch) - batch
	for at := 0; at < len(f.body); at += len(r.line) {
		line := f.body[at : at+len(r.line)]
		for _, s := range r.slots {
			number := n
			if s.sender {
				number %= int64(r.o.Senders)
			}
			for i := s.at + slotDigits - 1; i >= s.at; i-- {
				line[i] = byte('0' + number%10)
				number /= 10
			}
		}
		n++
	}
	return f.body
}

func appendAll(dst []byte, parts ...string) []byte {
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}
