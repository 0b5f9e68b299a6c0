package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"carom/edge/ref"
	"carom/pipeline/event"
	"carom/pipeline/suppress"
)

// maxNote bounds what an operator notes with an order, in bytes: the whole order fits an event.
const maxNote = 1000

// orderBody is what the body of an order says. Which members it may have depends on the order.
type orderBody struct {
	allowed string // names, blanks around each

	account, address, scope, reason, category, note string
	until, time                                     told
	confirmed                                       bool

	provider, rule string // of a wave
	from, to       told
	dryRun         bool
}

// The members of each order.
const (
	addMembers        = " account address scope reason category note until time "
	putMembers        = " account scope reason category note until time "
	reactivateMembers = " account confirmed note time "
	liftMembers       = " note time "
	waveMembers       = " account provider rule category from to dry_run note time "
)

func (b *orderBody) readMember(r *event.JSONReader, name string) bool {
	if !strings.Contains(b.allowed, " "+name+" ") {
		return false
	}
	switch name {
	case "account":
		b.account = r.String()
	case "address":
		b.address = r.String()
	case "scope":
		b.scope = r.String()
	case "reason":
		b.reason = r.String()
	case "category":
		b.category = r.String()
	case "note":
		b.note = r.String()
	case "until":
		b.until = readTime(r)
	case "time":
		b.time = readTime(r)
	case "confirmed":
		b.confirmed = r.Bool()
	case "provider":
		b.provider = r.String()
	case "rule":
		b.rule = r.String()
	case "from":
		b.from = readTime(r)
	case "to":
		b.to = readTime(r)
	case "dry_run":
		b.dryRun = r.Bool()
	}
	return true
}

// order makes an order of op of the body; an address that does not stand in the body is put in before.
func (b *orderBody) order(op string, now event.Millis) (*suppress.Order, *problem) {
	var c texts
	c.check("account", b.account, maxID)
	c.check("note", b.note, maxNote)
	c.check("rule", b.rule, maxID)
	c.check("provider", b.provider, maxDomain)
	if c.problem != nil {
		return nil, c.problem
	}
	o := &suppress.Order{
		Op: op, Account: b.account, Address: b.address, Reason: suppress.Reason(b.reason), Category: b.category, Note: b.note,
		Until: b.until.at, Confirmed: b.confirmed,
	}
	wave := op == suppress.OpRevert || op == suppress.OpConfirm
	switch {
	case !wave && o.Address == "":
		return nil, missingField("address", "want an address such as bob@example.com")
	case !wave && checkAddress(o.Address) != "":
		return nil, badField("address", checkAddress(o.Address))
	case b.scope != "" && b.scope != string(suppress.ScopeAccount) && b.scope != string(suppress.ScopeGlobal):
		return nil, badField("scope", quote(b.scope)+": want account or global")
	case o.Category != "" && !categories[o.Category]:
		return nil, badField("category", quote(o.Category)+" is no category")
	}
	if op == suppress.OpAdd {
		if p := b.checkAdd(o); p != nil {
			return nil, p
		}
	}
	switch {
	case b.scope == string(suppress.ScopeGlobal) && o.Account != "":
		return nil, badField("account", "is given together with the scope global, which is of all accounts")
	case b.scope == string(suppress.ScopeGlobal) || op == suppress.OpLift || wave:
	case o.Account == "":
		o.Account = ref.DefaultAccount
	}
	var p *problem
	if o.Time, p = b.time.or(now, "time"); p != nil {
		return nil, p
	}
	if b.until.set && b.until.at <= o.Time {
		return nil, badTime("until", "is not after the time from when it is to hold, "+formatMillis(o.Time))
	}
	if wave {
		return o, b.addFilter(o)
	}
	return o, nil
}

func (b *orderBody) checkAdd(o *suppress.Order) *problem {
	if o.Reason == "" {
		o.Reason = suppress.Manual
	}
	switch {
	case !slices.Contains(suppress.Reasons(), o.Reason):
		return badField("reason", quote(b.reason)+" is none of "+strings.Join(reasonNames(), " "))
	case o.Category != "" && o.Reason != suppress.Bounce:
		return badField("category", "belongs to the reason bounce")
	}
	return nil
}

// addFilter puts in which wave is meant. All of a provider's bounces of all times are never one by mistake.
func (b *orderBody) addFilter(o *suppress.Order) *problem {
	switch {
	case b.provider == "" && b.rule == "":
		return missingField("provider", "want the mailbox provider of the wave, or the rule that classified its bounces, or both")
	case !b.from.set:
		return missingField("from", "want the time of the first bounce of the wave")
	case !b.to.set:
		return missingField("to", "want a time after the last bounce of the wave")
	case b.to.at <= b.from.at:
		return badField("to", "is not after from")
	}
	o.Filter = &suppress.Filter{Provider: domainOf(b.provider), Rule: b.rule, Category: o.Category, From: b.from.at, To: b.to.at, DryRun: b.dryRun}
	o.Category = ""
	return nil
}

// digest is of what the client asked for, so that a key that is used for something else is found out; of nothing without a
// key. The time counts only if the client told it: the same request a minute later is the same.
func (s *Server) digest(b *orderBody, o *suppress.Order, key string) (d [8]byte) {
	if key == "" {
		return d
	}
	told := func(t told) int64 { return int64(t.at) }
	text, err := json.Marshal([]any{
		o.Op, o.Account, event.NormalAddress(o.Address), o.Reason, o.Category, o.Note, told(b.until), told(b.time), o.Confirmed, o.Filter,
	})
	if err != nil {
		panic("BUG: an order that JSON can't hold: " + err.Error())
	}
	return s.d.Suppressions.Digest(text)
}

// headerKey makes a request known: sent twice, it is carried out once.
const headerKey = "Idempotency-Key"

const maxKey = 255

// idempotencyKey returns the key that a client gave its request; empty if it gave none.
func idempotencyKey(h http.Header) (string, *problem) {
	values := h.Values(headerKey)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", badField(headerKey, "is given twice")
	case values[0] == "" || len(values[0]) > maxKey || strings.ContainsFunc(values[0], func(r rune) bool { return r < ' ' || r > '~' }):
		return "", badField(headerKey, "want 1 to "+strconv.Itoa(maxKey)+" printable ASCII characters")
	}
	return values[0], nil
}

// newOrderID returns the id of an order: that of its key, or a new one. line is that of the bulk, 0 for a single order.
func newOrderID(account, key string, line int) (id [16]byte) {
	if key == "" {
		_, _ = rand.Read(id[:]) // which never fails
		return id
	}
	h := sha256.New()
	var n [8]byte
	for _, part := range []string{account, key} {
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	binary.BigEndian.PutUint64(n[:], uint64(line))
	h.Write(n[:])
	copy(id[:], h.Sum(nil))
	return id
}

// decide puts an order where it is durable and waits for what becomes of it.
func (s *Server) decide(r *http.Request, o *suppress.Order, key string) (*suppress.Decision, *problem) {
	o.ID, o.Actor = newOrderID(o.Account, key, 0), actorOf(r)
	if key != "" { // most that come again were decided long ago
		d, ok, err := s.d.Suppressions.Decided(o.ID)
		if err != nil {
			return nil, s.failure("read a decision", err)
		}
		if ok {
			return &d, otherOrder(&d, o.Digest)
		}
	}
	e := o.Event()
	if err := s.d.Sink.Facts(&e); err != nil {
		s.metrics.fact(r.Pattern, factFailed, 1)
		return nil, s.notTaken(err)
	}
	s.metrics.fact(r.Pattern, factTaken, 1)
	ctx, cancel := s.waitForDecisions(r.Context())
	defer cancel()
	d, err := s.d.Suppressions.Decision(ctx, o.ID)
	if err != nil {
		return nil, s.undecided(err)
	}
	return &d, otherOrder(&d, o.Digest)
}

// waitForDecisions bounds a wait by the time that a request may take, and by the end of the server.
func (s *Server) waitForDecisions(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
	stop := context.AfterFunc(s.stopping, cancel)
	return ctx, func() { stop(); cancel() }
}

// undecided is the answer to an order that is on disk and whose decision did not come in time.
func (s *Server) undecided(err error) *problem {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return s.failure("read a decision", err)
	}
	p := unavailable("The order is on disk and will be decided. Sent again with the same Idempotency-Key, it is answered with its decision; GET /v1/suppressions/audit will have it, too.")
	p.Type = problemType + "undecided"
	return p
}

// otherOrder is the answer to an order with the key of another.
func otherOrder(d *suppress.Decision, digest [8]byte) *problem {
	if d.Order.Digest == digest {
		return nil
	}
	return newProblem(http.StatusUnprocessableEntity, "key-reused", "The key was used for another request",
		headerKey+": stands for another request, which was made before: want a new key for a new request").at(headerKey)
}

// refusal is the answer to an order that was refused.
func refusal(d *suppress.Decision) *problem {
	title := d.Title
	if title == "" {
		title = "The order is refused"
	}
	p := newProblem(http.StatusConflict, "refused", title, d.Detail)
	p.Rule, p.PossibleAt = d.Rule, (*possibleAt)(&d.PossibleAt)
	return p
}

// possibleAt is a time, or never.
type possibleAt event.Millis

// MarshalJSON writes null for never.
func (at possibleAt) MarshalJSON() ([]byte, error) {
	if at == 0 {
		return []byte("null"), nil
	}
	return append(event.Millis(at).AppendRFC3339([]byte{'"'}), '"'), nil
}

// UnmarshalJSON is the inverse.
func (at *possibleAt) UnmarshalJSON(text []byte) error {
	var told string
	err := json.Unmarshal(text, &told)
	*at = possibleAt(parseMillis(told))
	return err
}
