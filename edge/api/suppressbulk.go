package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/maphash"
	"net/http"

	"carom/pipeline/event"
	"carom/pipeline/suppress"
)

var errNoSuppression = errors.New("a decision without the suppression that it is about")

func orderID(id [16]byte) string { return hex.EncodeToString(id[:]) }

// What became of a line of POST /v1/suppressions.
const (
	resultAdded = "added"
	resultKnown = "known"
)

// importReport is the last line of a bulk of POST /v1/suppressions.
type importReport struct {
	DryRun bool `json:"dry_run"`
	// Complete says that all that was sent was read.
	Complete bool `json:"complete"`
	Lines    int  `json:"lines"`
	Added    int  `json:"added"`
	Known    int  `json:"known"`
	Refused  int  `json:"refused"`
	Invalid  int  `json:"invalid"`
	Failed   int  `json:"failed"` // not on disk, or not known to be: send them again
}

// addAnswer is the answer to a single object.
type addAnswer struct {
	Address     string       `json:"address"`
	Result      string       `json:"result"`
	DryRun      bool         `json:"dry_run,omitempty"`
	Suppression *suppression `json:"suppression,omitempty"`
}

// postSuppressions adds one suppression, or as many as a bulk has lines.
func (s *Server) postSuppressions(w http.ResponseWriter, r *http.Request) *problem {
	p := readParams(r, "dry_run")
	dry := p.flag("dry_run")
	bulk, bad := bodyType(r.Header)
	switch {
	case p.problem != nil:
		return p.problem
	case bad != nil:
		return bad
	case s.d.Suppressions == nil:
		return errNoSuppressions.problem
	}
	key, bad := idempotencyKey(r.Header)
	if bad != nil {
		return bad
	}
	in := &importing{s: s, r: r, key: key, dry: dry != nil && *dry}
	if bulk {
		j := job{read: in.readDry, last: in.report}
		if !in.dry {
			j.read, j.sink, j.settle, j.parallel = in.read, s.d.Sink.Facts, in.settle, key == ""
		}
		return s.takeBulk(w, r, j)
	}
	if in.dry {
		return in.one(w)
	}
	body := orderBody{allowed: addMembers}
	d, bad := s.takeOrder(w, r, p, suppress.OpAdd, &body)
	switch {
	case bad != nil:
		return bad
	case !d.OK:
		return refusal(d)
	}
	answer := addAnswer{Address: body.address, Result: addResult(d)}
	if d.Suppression != nil {
		answer.Suppression = newSuppression(d.Suppression)
	}
	return s.writeJSON(w, answer)
}

// importing is one request of POST /v1/suppressions.
type importing struct {
	s   *Server
	r   *http.Request
	key string
	dry bool

	late  bool // a decision did not come in time
	count int  // of objects read, bad ones too: those that have ids by their place; without a key they have none
	sum   importReport
	seen  map[uint64]struct{} // of a dry run: what its lines would have added
	seed  maphash.Seed
}

// seenMost bounds how many lines of a dry run are remembered, so that those that repeat one are recognised.
const seenMost = 1 << 18

// parse reads an order.
func (in *importing) parse(text string, now event.Millis) (*suppress.Order, *problem) {
	if in.key != "" { // else lines are read in any order
		in.count++
	}
	body := orderBody{allowed: addMembers}
	if p := readObject(text, body.readMember); p != nil {
		return nil, p
	}
	o, p := body.order(suppress.OpAdd, now)
	if p == nil {
		p = mayOrder(in.r, o)
	}
	if p != nil {
		return nil, p
	}
	o.ID, o.Digest, o.Actor = newOrderID(o.Account, in.key, in.count), in.s.digest(&body, o, in.key), actorOf(in.r)
	return o, nil
}

// read makes the order of a line. What it answers is for settle: the order's id and digest, and the address.
func (in *importing) read(text string, now event.Millis, e *event.Event, dst []byte) ([]byte, *problem) {
	o, p := in.parse(text, now)
	if p != nil {
		return dst, p
	}
	*e = o.Event()
	dst = append(dst, o.ID[:]...)
	dst = append(dst, o.Digest[:]...)
	return append(dst, o.Address...), nil
}

// settle answers a line whose order is on disk.
func (in *importing) settle(dst, draft []byte, line int) []byte {
	id, digest, address := [16]byte(draft[:16]), [8]byte(draft[16:24]), string(draft[24:])
	d, err := in.decision(id)
	if err != nil {
		in.sum.Failed++
		return lineProblem(dst, in.s.undecided(err), line)
	}
	if p := otherOrder(&d, digest); p != nil {
		in.sum.Invalid++
		return lineProblem(dst, p, line)
	}
	if !d.OK {
		in.sum.Refused++
		return lineProblem(dst, refusal(&d), line)
	}
	return in.answer(dst, address, addResult(&d))
}

// decision waits for the decision on an order. Once one did not come in time the lines that follow wait no longer: they would
// hold the place of a bulk for as many timeouts as there are lines.
func (in *importing) decision(id [16]byte) (suppress.Decision, error) {
	if in.late {
		d, ok, err := in.s.d.Suppressions.Decided(id)
		if err == nil && !ok {
			err = context.DeadlineExceeded
		}
		return d, err
	}
	ctx, cancel := in.s.waitForDecisions(in.r.Context())
	defer cancel()
	d, err := in.s.d.Suppressions.Decision(ctx, id)
	in.late = err != nil
	return d, err
}

func lineProblem(dst []byte, p *problem, line int) []byte {
	p.Line = line
	return p.appendJSON(dst)
}

func addResult(d *suppress.Decision) string {
	if d.Counts[resultKnown] > 0 {
		return resultKnown
	}
	return resultAdded
}

// answer appends what became of a line, and counts it.
func (in *importing) answer(dst []byte, address, result string) []byte {
	if result == resultKnown {
		in.sum.Known++
	} else {
		in.sum.Added++
	}
	dst = appendText(append(dst, `{"address":`...), address)
	dst = append(dst, `,"result":"`...)
	dst = append(dst, result...)
	return append(dst, `"}`...)
}

// readDry answers what would become of a line.
func (in *importing) readDry(text string, now event.Millis, e *event.Event, dst []byte) ([]byte, *problem) {
	o, result, p := in.try(text, now)
	if p != nil {
		return dst, p
	}
	e.Account = o.Account
	return in.answer(dst, o.Address, result), nil
}

// try says what would become of an object.
func (in *importing) try(text string, now event.Millis) (o *suppress.Order, result string, p *problem) {
	o, p = in.parse(text, now)
	if p != nil {
		return nil, "", p
	}
	all, err := in.s.d.Suppressions.Get(o.Account, o.Address, o.Time)
	if err != nil {
		return nil, "", in.s.failure("read a suppression", err)
	}
	for i := range all {
		if all[i].Account != o.Account { // Get has the global one, too
			continue
		}
		for _, c := range append([]suppress.Cause{all[i].Cause}, all[i].Others...) {
			if c.Active && c.Reason == o.Reason {
				return o, resultKnown, nil
			}
		}
	}
	if in.repeats(o) {
		return o, resultKnown, nil
	}
	return o, resultAdded, nil
}

// repeats reports whether a line before would have added the same.
func (in *importing) repeats(o *suppress.Order) bool {
	if in.seen == nil {
		in.seen, in.seed = make(map[uint64]struct{}), maphash.MakeSeed()
	}
	h := maphash.Comparable(in.seed, [3]string{o.Account, event.NormalAddress(o.Address), string(o.Reason)})
	_, ok := in.seen[h]
	if !ok && len(in.seen) < seenMost {
		in.seen[h] = struct{}{}
	}
	return ok
}

// report is the last line.
func (in *importing) report(dst []byte, bad, failed int, cut bool) []byte {
	sum := in.sum
	sum.DryRun, sum.Complete = in.dry, !cut
	sum.Invalid, sum.Failed = sum.Invalid+bad, sum.Failed+failed
	sum.Lines = sum.Added + sum.Known + sum.Refused + sum.Invalid + sum.Failed
	b, err := json.Marshal(struct {
		Report importReport `json:"report"`
	}{sum})
	if err != nil {
		panic("BUG: a report that JSON can't hold: " + err.Error())
	}
	return append(dst, b...)
}

// one answers a single object of a dry run.
func (in *importing) one(w http.ResponseWriter) *problem {
	text, p := in.s.readBody(w, in.r)
	if p != nil {
		return p
	}
	o, result, p := in.try(string(text), event.FromTime(in.s.d.Clock()))
	if p != nil {
		return p
	}
	return in.s.writeJSON(w, addAnswer{Address: o.Address, Result: result, DryRun: true})
}
