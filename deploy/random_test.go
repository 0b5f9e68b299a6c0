package deploy_test

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"carom/edge/webhook"
	"carom/pipeline/event"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"
	"carom/pipeline/score"
	"carom/pipeline/suppress"
)

// newRandom prints its seed, and takes it back from CAROM_TEST_SEED.
func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("CAROM_TEST_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("CAROM_TEST_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("CAROM_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// kinds are all that the log of events holds.
func kinds() (list []event.Kind) {
	for k := range event.Tick {
		if _, ok := event.ParseKind(k.String()); ok {
			list = append(list, k)
		}
	}
	return list
}

// rawKinds are all that a journal holds.
func rawKinds() []event.Kind { return append(kinds(), event.Order, event.Inquiry, event.Tick) }

// addressFactKinds are all that the log of addresses can hold.
func addressFactKinds() []event.Kind {
	return append(kinds(), event.Order, event.Life, event.Contact, event.Volume)
}

// alertRules are the rules of alerts, as who tells them names them.
var alertRules = []string{"bounce_rate", "complaint_rate", "score_band", suppress.AlertRule, webhook.AlertRule(webhook.Paused), webhook.AlertRule(webhook.Disabled)}

// alert is what an alert says, of any rule.
func alert(r *rand.Rand) []byte {
	share := func() float64 { return 1 - r.Float64() }
	at := event.Millis(r.Int64N(253402300799999))
	var a any
	switch rule := pick(r, alertRules...); rule {
	case suppress.AlertRule:
		a = suppress.Alert{
			Rule: rule, Account: "acme", Provider: "google", Since: at.Time().Format(time.RFC3339), Sent: number[int64](r, math.MaxInt64),
			Bounced: number[int64](r, math.MaxInt64), Value: share(), Threshold: share(), Text: text(r),
		}
	case webhook.AlertRule(webhook.Paused), webhook.AlertRule(webhook.Disabled):
		a = webhook.NewAlert(rule, "crm", "the server answered 500", at, at)
	default:
		b := rollup.Alert{Rule: rule, Window: "24h", Value: share(), Low: share(), High: share(), Of: number[int64](r, math.MaxInt64), Profile: "default", AsOf: rollup.Stamp(at)}
		if rule == "score_band" {
			b.From, b.To = score.Good, score.Poor
		} else {
			b.Level, b.Count = share(), number[int64](r, math.MaxInt64)
		}
		a = b
	}
	b, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return b
}

// body is what orders and their like say: the schemas leave it open.
func body() []byte { return []byte("{}") }

func verdicts() (list []event.Verdict) {
	for v := range event.Verdict(math.MaxUint8) {
		if v.String() != "" {
			list = append(list, v)
		}
	}
	return list
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// text returns what may come from outside: any bytes, or nothing.
func text(r *rand.Rand) string {
	if r.IntN(3) == 0 {
		return ""
	}
	b := make([]byte, r.IntN(20))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return pick(r, "m-1", "Grüße \U0001f600", "\"\\\x00\u2028", string(b))
}

func ip(r *rand.Rand) netip.Addr {
	v4, v6 := [4]byte{}, [16]byte{}
	for i := range v6 {
		v6[i] = byte(r.Uint32())
	}
	copy(v4[:], v6[:])
	return pick(r, netip.Addr{}, netip.AddrFrom4(v4), netip.AddrFrom16(v6), netip.MustParseAddr("2001:db8::"), netip.MustParseAddr("::ffff:203.0.113.7"))
}

func number[T int32 | int64 | uint32 | uint64](r *rand.Rand, most T) T {
	return pick(r, 0, 1, most, T(r.Uint64N(uint64(most))))
}

// refined returns an event of the kind with any of its members. Only clicks are without fail given what they must have.
func refined(r *rand.Rand, kind event.Kind) event.Refined {
	var id event.ID
	for i := range id {
		id[i] = byte(r.Uint32())
	}
	e := event.Refined{
		ID: id, Revision: number[uint32](r, math.MaxUint32), Kind: kind, Time: event.Millis(r.Int64N(253402300799999)),
		Ref: event.Ref{
			Account: text(r), Sender: text(r), Sequence: text(r), Contact: text(r), Message: text(r), Link: number[uint32](r, math.MaxUint32),
			URL: text(r), SentAt: event.Millis(number[int64](r, 253402300799999)), Flags: event.Flags(r.Uint32N(64)),
		},
		First: r.IntN(2) == 0, Inferred: r.IntN(2) == 0,
		Actor:     event.Actor{Verdict: pick(r, verdicts()...), Via: text(r)},
		Client:    event.Client{IP: ip(r), UserAgent: text(r), Hash: r.Uint64(), AddressHash: r.Uint64()},
		Bounce:    diagnosis(r),
		Recipient: text(r), FeedbackType: text(r),
		Origin: event.Origin{Node: text(r), Partition: number[int32](r, math.MaxInt32), Offset: number[int64](r, math.MaxInt64), N: number[int32](r, math.MaxInt32)},
	}
	if kind == event.Erase {
		if e.Erased = r.IntN(2) == 0; e.Erased {
			e.ContactKey = event.ContactKeyOf(text(r), text(r)).String()
		}
		for range r.IntN(3) {
			e.Messages = append(e.Messages, text(r))
		}
	}
	switch kind {
	case event.Sent:
		e.Provider = text(r)
	case event.Alert:
		e.Alert = alert(r)
	}
	for range r.IntN(3) {
		e.Actor.Reasons = append(e.Actor.Reasons, text(r))
	}
	if kind == event.Open || kind == event.Click || kind == event.Reply {
		e.Actor.Verdict = pick(r, event.Human, event.Proxy, event.Scanner, event.Self, event.Unknown)
	}
	return e
}

var categories = []string{
	"invalid_recipient", "bad_domain", "mailbox_full", "inactive", "blocked", "reputation", "auth_failure", "policy", "spam_content", "virus",
	"content_format", "content_too_big", "rate_limited", "greylisted", "timeout", "dns", "tls", "relay", "protocol", "sender_rejected", "filtered",
	"remote_system", "local_system", "delivered", "other",
}

func diagnosis(r *rand.Rand) event.Diagnosis {
	if r.IntN(4) == 0 {
		return event.Diagnosis{}
	}
	return event.Diagnosis{
		Hard: r.IntN(2) == 0, Category: pick(r, append(categories, "")...), Status: text(r), ReplyCode: text(r), Action: text(r),
		RemoteMTA: text(r), Diagnostic: text(r), Provider: text(r), Rule: text(r),
	}
}

// raw returns a journaled event of the kind.
func raw(r *rand.Rand, kind event.Kind) event.Event {
	f := refined(r, kind)
	e := event.Event{
		Kind: kind, Time: f.Time, Key: event.KeyOf(f.Account, f.Message), KnownBy: event.KnownBy(r.IntN(4)), Ref: f.Ref, Recipient: f.Recipient,
		Actor: f.Actor, Client: f.Client, Bounce: f.Bounce,
		Mail: event.Mail{ID: text(r), From: text(r), FeedbackType: f.FeedbackType, ReplyAddress: r.IntN(2) == 0, References: r.IntN(2) == 0},
		Soon: event.Soon{Within: event.Millis(r.Int64N(600_000)), Verdict: pick(r, verdicts()...)},
	}
	if kind == event.Order || kind == event.Inquiry || kind == event.Alert {
		e.Body = body()
	}
	for range r.IntN(4) {
		e.Links = append(e.Links, text(r))
	}
	return e
}

func reject(r *rand.Rand, reason string) refine.Reject {
	e := raw(r, event.Bounce)
	var incarnation [16]byte
	incarnation[r.IntN(16)] = byte(r.Uint32())
	return refine.Reject{
		Reason: reason, Detail: text(r), Node: text(r), Incarnation: hex.EncodeToString(incarnation[:]), Sequence: number[uint64](r, math.MaxUint64),
		Partition: number[int32](r, math.MaxInt32), Offset: number[int64](r, math.MaxInt64), Time: r.Int64N(253402300799999),
		Origin: refine.RejectOrigin{Offset: number[int64](r, math.MaxInt64), N: number[int32](r, math.MaxInt32)},
		Bytes:  pick(r, nil, []byte{}, e.AppendBinary(nil)),
	}
}

func address(r *rand.Rand, kind event.Kind) event.AddressFact {
	e := refined(r, kind)
	f := event.AddressFact{
		ID: e.ID, Revision: e.Revision, Kind: kind, Time: e.Time, Ref: e.Ref, Recipient: text(r), Bounce: e.Bounce, Reported: text(r),
		FeedbackType: text(r), AliveAt: event.Millis(number[int64](r, 253402300799999)), Origin: e.Origin, MailboxProvider: text(r),
	}
	switch kind {
	case event.Order, event.Life, event.Volume:
		f.Body = body()
	case event.Contact:
		f.ContactKey = event.ContactKeyOf(text(r), text(r)).String()
	}
	return f
}

func scores(r *rand.Rand, scorer *score.Scorer) rollup.SenderScores {
	s := rollup.SenderScores{Account: text(r), Sender: text(r), AsOf: rollup.Stamp(r.Int64N(253402300799999)), Windows: map[string]rollup.Score{}}
	for _, window := range []string{"24h", "7d", "30d"} {
		n := r.Int64N(1 << r.IntN(30))
		upTo := func() int64 { return r.Int64N(n + 1) }
		c := score.Counts{
			Completed: n, Replied: upTo(), Complained: upTo(), Unsubscribed: upTo(), Opened: upTo(), Clicked: upTo(),
			MachineOpened: upTo(), MachineClicked: upTo(), AnonymousOpened: r.Int64(),
		}
		c.Opens, c.Clicks = c.Opened+r.Int64N(1<<r.IntN(30)), c.Clicked+r.Int64N(1<<r.IntN(30))
		c.MachineOpens, c.MachineClicks = c.MachineOpened+r.Int64N(1<<r.IntN(30)), c.MachineClicked+r.Int64N(1<<r.IntN(30))
		c.Bounced = r.Int64N(n - c.Replied + 1)
		c.BouncedHard = r.Int64N(c.Bounced + 1)
		c.ClickedDelivered = r.Int64N(min(c.Clicked, c.Completed-c.Bounced) + 1)
		s.Windows[window] = rollup.Score{
			Account: s.Account, Sender: s.Sender, Window: window, Counts: c, Result: scorer.For(s.Account).Score(c), AsOf: s.AsOf,
			Recent: rollup.Recent{Hour: rollup.Period{Sent: r.Int64()}, Day: rollup.Period{Sent: r.Int64(), Bounced: upTo()}},
		}
	}
	return s
}
