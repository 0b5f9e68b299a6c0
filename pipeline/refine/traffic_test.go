package refine

import (
	"fmt"
	"math/rand/v2"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// traffic makes n records of all that can happen to a few messages, with a clock that now stands still and now leaps,
// records that come again, and some that nobody understands.
type traffic struct {
	rng   *rand.Rand
	nodes []*builder
	at    event.Millis
	recs  []log.Record
}

// trafficOptions go with traffic: short waits, so that everything happens.
func trafficOptions() Options {
	o := testOptions()
	o.Park = time.Minute
	return o
}

func makeTraffic(rng *rand.Rand, n int) []log.Record {
	tr := &traffic{rng: rng, nodes: []*builder{newBuilder("n1"), newBuilder("n2")}, at: epoch}
	for len(tr.recs) < n {
		tr.clock()
		switch rng.IntN(40) {
		case 0:
			tr.add(tickAtTime(tr.at))
		case 1:
			tr.garbage()
		case 2:
			tr.repeat()
		case 3:
			tr.erase()
		case 4:
			tr.add(tr.nodes[rng.IntN(2)].record(tr.at, tr.withBody()))
		default:
			tr.add(tr.nodes[rng.IntN(2)].record(tr.at, tr.event()))
		}
	}
	return append(tr.recs, tickAtTime(tr.at.Add(time.Hour))) // so that nothing waits at the end
}

func (tr *traffic) add(r log.Record) { tr.recs = append(tr.recs, r) }

func (tr *traffic) clock() {
	switch tr.rng.IntN(20) {
	case 0:
		tr.at += event.Millis(tr.rng.IntN(20_000))
	case 1:
		if tr.rng.IntN(6) == 0 {
			tr.at += event.Millis(tr.rng.IntN(90_000))
		}
	case 2, 3, 4, 5, 6, 7:
		tr.at += event.Millis(tr.rng.IntN(1_500))
	}
}

func (tr *traffic) garbage() {
	rec := tr.nodes[0].record(tr.at, event.Event{})
	rec.Value = []byte(fmt.Sprint("garbage ", tr.rng.Uint64()))
	tr.add(rec)
}

// repeat plays again some of the latest records, as a relay does after a restart.
func (tr *traffic) repeat() {
	from := max(0, len(tr.recs)-1-tr.rng.IntN(10))
	for _, rec := range tr.recs[from:] {
		rec.Time = tr.at
		tr.add(rec)
	}
}

// erase erases one of the latest contacts.
func (tr *traffic) erase() {
	span := 4 + len(tr.recs)/20
	contact := contactOf(max(0, span-6) + tr.rng.IntN(6))
	tr.add(tr.nodes[tr.rng.IntN(2)].record(tr.at, eraseOf("acme", contact, pick(tr.rng, epoch, tr.at))))
}

// withBody makes an order, inquiry or alert; few of them are none.
func (tr *traffic) withBody() event.Event {
	rng := tr.rng
	e := event.Event{
		Kind: pick(rng, event.Order, event.Inquiry, event.Alert), Time: tr.at, KnownBy: event.ByKey,
		Ref: event.Ref{Account: "acme"}, Body: []byte(`{"op": "add", "partitions": 4}`),
	}
	if rng.IntN(8) == 0 {
		e.Body = []byte("[]")
	}
	if e.Kind == event.Alert {
		e.Key = event.Key(event.AlertID("acme", "alice", "bounce_rate", fmt.Sprint(rng.IntN(3))))
		return e
	}
	n := max(0, len(tr.recs)/20) + rng.IntN(6)
	e.Contact, e.Recipient, e.Message = contactOf(n), fmt.Sprint("m", n, "@example.com"), event.ID{byte(n)}.String()
	e.Key = event.OrderKey(e.Account, e.Recipient)
	return e
}

// contactOf is whom a message goes to: some get several.
func contactOf(n int) string { return fmt.Sprint("c-", n/3) }

// eraseOf is an erase as the API journals it.
func eraseOf(account, contact string, at event.Millis) event.Event {
	return event.Event{
		Kind: event.Erase, Time: at, KnownBy: event.ByKey,
		Ref: event.Ref{Account: account, Contact: event.ContactKeyOf(account, contact).String()},
	}
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// event makes a fact about one of a few messages; their number grows, so that some are known and some are not.
func (tr *traffic) event() event.Event {
	rng := tr.rng
	span := 4 + len(tr.recs)/20
	n := max(0, span-6) + rng.IntN(6)
	id := fmt.Sprint("m", n)
	e := event.Event{
		Kind: pick(rng, event.Sent, event.Sent, event.Open, event.Open, event.Open, event.Click, event.Click, event.Click,
			event.Bounce, event.Bounce, event.Delivered, event.Delay, event.Complaint, event.Unsubscribe, event.Reply,
			event.AutoReply, event.Dropped, event.Completed),
		Time:    tr.at - event.Millis(rng.IntN(4)*rng.IntN(5_000)),
		KnownBy: pick(rng, event.ByKey, event.ByKey, event.ByMessageID, event.ByRef),
		Ref: event.Ref{
			Account: pick(rng, "acme", "acme", "acme", "acme", "other"), Sender: pick(rng, "alice", "alice", "bob"),
			Sequence: "q4", Contact: contactOf(n), Message: id, SentAt: epoch + event.Millis(n)*997,
		},
	}
	switch e.Kind {
	case event.Sent:
		e.KnownBy, e.Recipient, e.Links = event.ByRef, id+"@"+pick(rng, "example.com", "gmail.com"), make([]string, 3)
		e.Flags = pick(rng, 0, 0, 0, event.NotSent)
	case event.Open, event.Click:
		tr.hit(&e)
	default:
		tr.report(&e)
	}
	if rng.IntN(25) == 0 && e.Kind != event.Sent {
		e.Message, e.KnownBy = event.EnrollmentID(e.Account, e.Sender, e.Sequence, e.Contact), event.ByKey
	}
	finishKey(&e)
	return e
}

func (tr *traffic) hit(e *event.Event) {
	rng := tr.rng
	e.KnownBy = event.ByRef
	e.Actor.Verdict = pick(rng, event.Human, event.Human, event.Scanner, event.Proxy, event.Unknown, event.Self)
	e.Client.Hash = rng.Uint64N(3)
	e.Client.UserAgent = "agent"
	if e.Kind == event.Click {
		e.Link, e.URL = uint32(rng.IntN(3)), "https://example.com/"
	}
	e.Flags = pick(rng, 0, 0, 0, 0, 0, 0, event.Honeypot, event.Anonymous, event.Shared, event.Untracked)
}

func (tr *traffic) report(e *event.Event) {
	rng := tr.rng
	e.Mail.ID = fmt.Sprint("mail", rng.IntN(4))
	e.Mail.From = pick(rng, e.Message+"@example.com", "stranger@example.net")
	e.Mail.References = rng.IntN(4) > 0
	if e.Kind == event.Complaint {
		e.Mail.FeedbackType = pick(rng, "abuse", notSpam)
	}
	if e.Kind == event.Bounce {
		e.Bounce = pick(rng,
			event.Diagnosis{Hard: true, Category: "invalid_recipient", Status: "5.1.1"},
			event.Diagnosis{Category: "mailbox_full", Status: "4.2.2"},
			event.Diagnosis{Category: "policy", Status: "5.7.1"},
			event.Diagnosis{Category: "timeout", Status: "4.4.7"})
		e.Recipient = pick(rng, "", e.Message+"@example.com", "stranger@example.net")
	}
}
