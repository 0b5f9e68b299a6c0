package suppress

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"carom/pipeline/event"
)

// What the log of suppressions holds, as JSON; SUPPRESSIONS.md describes it. Bodies of orders are written likewise.

// stamp is a time as all our JSON has it: RFC 3339, milliseconds, UTC.
type stamp event.Millis

const stampLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON is json.Marshaler's.
func (s stamp) MarshalJSON() ([]byte, error) {
	if s == 0 {
		return []byte("null"), nil
	}
	return event.Millis(s).Time().AppendFormat([]byte{'"'}, stampLayout+`"`), nil
}

// UnmarshalJSON is json.Unmarshaler's. It takes milliseconds too.
func (s *stamp) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '"' {
		return json.Unmarshal(b, (*int64)(s))
	}
	at, err := time.Parse(time.RFC3339Nano, strings.Trim(string(b), `"`))
	*s = stamp(event.FromTime(at))
	return err
}

// The types of records.
const (
	typeSuppression = "suppression"
	typeDecision    = "decision"
	typeAccount     = "account"
	typeWaiting     = "waiting"
	typeWave        = "wave"
	typePosition    = "position"
)

type wireCause struct {
	Reason          Reason        `json:"reason"`
	Category        string        `json:"category,omitempty"`
	Rule            string        `json:"rule,omitempty"`
	MailboxProvider string        `json:"mailbox_provider,omitempty"`
	Note            string        `json:"note,omitempty"`
	Since           stamp         `json:"since"`
	Until           stamp         `json:"until,omitzero"`
	Active          bool          `json:"active"`
	Quarantined     bool          `json:"quarantined,omitempty"`
	Evidence        *wireEvidence `json:"evidence,omitempty"`
	Ended           stamp         `json:"ended,omitzero"`
	EndedBy         string        `json:"ended_by,omitempty"`
	Reactivated     stamp         `json:"reactivated,omitzero"`
}

type wireEvidence struct {
	Event      string `json:"event"`
	Kind       string `json:"kind"`
	Time       stamp  `json:"time"`
	Message    string `json:"message,omitempty"`
	Status     string `json:"status,omitempty"`
	Diagnostic string `json:"diagnostic,omitempty"`
}

func (c *Cause) wire() wireCause {
	w := wireCause{
		Reason: c.Reason, Category: c.Category, Rule: c.Rule, MailboxProvider: c.MailboxProvider, Note: c.Note, Since: stamp(c.Since),
		Until: stamp(c.Until), Active: c.Active, Quarantined: c.Quarantined, Ended: stamp(c.Ended), EndedBy: c.EndedBy, Reactivated: stamp(c.Reactivated),
	}
	if e := c.Evidence; e != nil {
		w.Evidence = &wireEvidence{e.Event.String(), e.Kind, stamp(e.Time), e.Message, e.Status, e.Diagnostic}
	}
	return w
}

func (w *wireCause) cause() Cause {
	c := Cause{
		Reason: w.Reason, Category: w.Category, Rule: w.Rule, MailboxProvider: w.MailboxProvider, Note: w.Note, Since: event.Millis(w.Since),
		Until: event.Millis(w.Until), Active: w.Active, Quarantined: w.Quarantined, Ended: event.Millis(w.Ended), EndedBy: w.EndedBy, Reactivated: event.Millis(w.Reactivated),
	}
	if e := w.Evidence; e != nil {
		id, _ := event.ParseID(e.Event) // zero if it is none: evidence is for people
		c.Evidence = &Evidence{id, e.Kind, event.Millis(e.Time), e.Message, e.Status, e.Diagnostic}
	}
	return c
}

func wireCauses(list []Cause) []wireCause {
	var w []wireCause
	for i := range list {
		w = append(w, list[i].wire())
	}
	return w
}

func causesOf(w []wireCause) []Cause {
	var list []Cause
	for i := range w {
		list = append(list, w[i].cause())
	}
	return list
}

type wireSuppression struct {
	Type     string `json:"type"`
	Account  string `json:"account"`
	Address  string `json:"address,omitempty"`
	Hash     string `json:"hash,omitempty"`
	Original string `json:"original,omitempty"`
	Scope    Scope  `json:"scope"`
	wireCause
	Others []wireCause     `json:"others,omitempty"`
	Facts  json.RawMessage `json:"facts,omitempty"`
	At     *wirePlace      `json:"origin,omitempty"`
}

// wirePlace is where the input that released a record stands: in the log of addresses, and where that had it from.
type wirePlace struct {
	Addresses int64 `json:"addresses"`
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
	N         int32 `json:"n"`
}

func (s *Suppression) wire() *wireSuppression {
	w := &wireSuppression{Type: typeSuppression, Account: s.Account, Original: s.Original, Scope: s.Scope, wireCause: s.Cause.wire(), Others: wireCauses(s.Others)}
	if s.Hashed() {
		w.Hash = s.Address[1:]
	} else {
		w.Address = s.Address
	}
	return w
}

func (w *wireSuppression) suppression() Suppression {
	return Suppression{Account: w.Account, Address: w.name(), Original: w.Original, Scope: w.Scope, Cause: w.cause(), Others: causesOf(w.Others)}
}

func (w *wireSuppression) name() string {
	if w.Hash != "" {
		return string(hashMark) + w.Hash
	}
	return w.Address
}

type wireOrder struct {
	ID        string      `json:"id"`
	Digest    string      `json:"digest,omitempty"`
	Op        string      `json:"op"`
	Account   string      `json:"account,omitempty"`
	Address   string      `json:"address,omitempty"`
	Reason    Reason      `json:"reason,omitempty"`
	Category  string      `json:"category,omitempty"`
	Note      string      `json:"note,omitempty"`
	Until     stamp       `json:"until,omitzero"`
	Time      stamp       `json:"time"`
	Actor     string      `json:"actor,omitempty"`
	Confirmed bool        `json:"confirmed,omitempty"`
	Filter    *wireFilter `json:"filter,omitempty"`
}

type wireFilter struct {
	Provider string `json:"provider,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Category string `json:"category,omitempty"`
	From     stamp  `json:"from,omitzero"`
	To       stamp  `json:"to,omitzero"`
	DryRun   bool   `json:"dry_run,omitempty"`
}

func (o *Order) wire() *wireOrder {
	w := &wireOrder{
		ID: event.ID(o.ID).String(), Op: o.Op, Account: o.Account, Address: o.Address, Reason: o.Reason, Category: o.Category,
		Note: o.Note, Until: stamp(o.Until), Time: stamp(o.Time), Actor: o.Actor, Confirmed: o.Confirmed,
	}
	if o.Digest != [8]byte{} {
		w.Digest = hex.EncodeToString(o.Digest[:])
	}
	if f := o.Filter; f != nil {
		w.Filter = &wireFilter{f.Provider, f.Rule, f.Category, stamp(f.From), stamp(f.To), f.DryRun}
	}
	return w
}

var errOrder = errors.New("suppress: malformed order")

func (w *wireOrder) order() (o Order, err error) {
	id, err := event.ParseID(w.ID)
	if err != nil {
		return o, fmt.Errorf("%w: %w", errOrder, err)
	}
	o = Order{
		ID: id, Op: w.Op, Account: w.Account, Address: w.Address, Reason: w.Reason, Category: w.Category,
		Note: w.Note, Until: event.Millis(w.Until), Time: event.Millis(w.Time), Actor: w.Actor, Confirmed: w.Confirmed,
	}
	if digest, err := hex.DecodeString(w.Digest); err == nil && len(digest) == len(o.Digest) {
		o.Digest = [8]byte(digest)
	}
	if f := w.Filter; f != nil {
		o.Filter = &Filter{f.Provider, f.Rule, f.Category, event.Millis(f.From), event.Millis(f.To), f.DryRun}
	}
	return o, nil
}

type wireDecision struct {
	Type        string           `json:"type"`
	Order       *wireOrder       `json:"order"`
	Made        stamp            `json:"made"`
	OK          bool             `json:"ok"`
	Rule        string           `json:"rule,omitempty"`
	PossibleAt  stamp            `json:"possible_at,omitzero"`
	Title       string           `json:"title,omitempty"`
	Detail      string           `json:"detail,omitempty"`
	Suppression *wireSuppression `json:"suppression,omitempty"`
	Counts      map[string]int64 `json:"counts,omitempty"`
	At          *wirePlace       `json:"origin,omitempty"`
}

func (d *Decision) wire() *wireDecision {
	w := &wireDecision{
		Type: typeDecision, Order: d.Order.wire(), Made: stamp(d.Made), OK: d.OK, Rule: d.Rule, PossibleAt: stamp(d.PossibleAt),
		Title: d.Title, Detail: d.Detail, Counts: d.Counts,
	}
	if d.Suppression != nil {
		w.Suppression = d.Suppression.wire()
	}
	return w
}

func (w *wireDecision) decision() (d Decision, err error) {
	if w.Order == nil {
		return d, errOrder
	}
	if d.Order, err = w.Order.order(); err != nil {
		return d, err
	}
	d.ID, d.Made, d.OK, d.Rule, d.PossibleAt = d.Order.ID, event.Millis(w.Made), w.OK, w.Rule, event.Millis(w.PossibleAt)
	d.Title, d.Detail, d.Counts = w.Title, w.Detail, w.Counts
	if w.Suppression != nil {
		s := w.Suppression.suppression()
		d.Suppression = &s
	}
	return d, nil
}

// wireAccount is what is counted of an account.
type wireAccount struct {
	Type     string           `json:"type"`
	Account  string           `json:"account"`
	Contacts int              `json:"contacts"`
	Used     map[string]int64 `json:"used,omitempty"` // reactivations by month; of all months, because an order may tell any time
	At       *wirePlace       `json:"origin,omitempty"`
}

// The keys of the log's records: account/address, /address of a global one, decision/id, quota/account. Slashes and percent
// signs of an account are escaped, and in the last every '@' and '#': no address lacks both, so no two kinds share a key. The
// others are the stage's own, for a worker that takes over.
const (
	keyDecision = "decision/"
	keyQuota    = "quota/"
	keyWaiting  = "waiting/"
	keyWave     = "wave"
	keyPosition = "position"
)

func suppressionKey(account, name string) []byte { return event.AppendSenderKey(nil, account, name) }

func decisionKey(id event.ID) []byte { return append([]byte(keyDecision), id.String()...) }

func quotaKey(account string) []byte {
	return append([]byte(keyQuota), strings.NewReplacer("%", "%25", "@", "%40", "#", "%23").Replace(account)...)
}

// isOwnKey reports whether a record is for the stage alone.
func isOwnKey(key []byte) bool {
	_, waiting := cutWaitingKey(key)
	return waiting || string(key) == keyWave || string(key) == keyPosition
}

// cutKey reads the key of a record whose value is gone.
func cutKey(key []byte) (account, name string, decision event.ID, ok bool) {
	s := string(key)
	if rest, found := strings.CutPrefix(s, keyDecision); found {
		if id, err := event.ParseID(rest); err == nil {
			return "", "", id, true
		}
	}
	account, name, ok = strings.Cut(s, "/")
	if !ok || !isName(name) {
		return "", "", event.ID{}, false
	}
	return strings.NewReplacer("%2F", "/", "%25", "%").Replace(account), name, event.ID{}, true
}
