package refine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// told is a fact of a status table: its kind and, for bounces and complaints, what it says.
type told struct {
	what string
	at   int // seconds after the epoch
}

// statusFact makes the fact that a word of the status tables stands for.
func statusFact(t testing.TB, w told, n int) event.Event {
	t.Helper()
	at := epoch + event.Millis(w.at*1000)
	e := hitAt(at, 0, "m1")
	e.Actor = event.Actor{}
	e.Mail.ID = fmt.Sprint("mail", n)
	e.Client.Hash = uint64(n) + 1
	word, detail, _ := strings.Cut(w.what, ":")
	switch word {
	case "open", "click", "reply":
		e.Kind, _ = event.ParseKind(word)
		e.Actor.Verdict, _ = event.ParseVerdict(detail)
	case "bounce":
		e.Kind = event.Bounce
		e.Bounce = event.Diagnosis{Category: detail, Hard: detail == "invalid_recipient", Status: fmt.Sprint("5.0.", n)}
	case "bounce-status":
		e.Kind, e.Bounce.Status = event.Bounce, detail
	case "complaint":
		e.Kind, e.Mail.FeedbackType = event.Complaint, detail
	case "nameless":
		e.Kind, e.Actor.Verdict, e.Flags = event.Open, event.Human, event.Shared
	case "honeypot":
		e.Kind, e.Actor.Verdict, e.Flags = event.Click, event.Human, event.Honeypot
	case "sent":
		e.Kind, e.Recipient = event.Sent, "bob@example.com"
	case "unsent":
		e.Kind, e.Recipient, e.Flags = event.Sent, "bob@example.com", event.NotSent
	default:
		kind, ok := event.ParseKind(word)
		if !ok {
			t.Fatalf("no kind %s", word)
		}
		e.Kind = kind
	}
	return e
}

func statusAfter(t testing.TB, o Options, facts []event.Event) string {
	t.Helper()
	b := newBuilder("n1")
	recs := make([]log.Record, 0, len(facts)+1)
	for _, e := range facts {
		recs = append(recs, b.record(epoch+1e6, e))
	}
	recs = append(recs, tickAtTime(epoch+2e6))
	w := openWorld(t, o, vfs.NewMem(), newFeed(recs...))
	defer w.close()
	w.drain(all)
	return w.message("acme", "m1").Status
}

func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		want  string
		facts []told
	}{
		{StatusSending, []told{{"open:proxy", 1}}},
		{StatusSending, []told{{"open:scanner", 1}, {"click:unknown", 2}, {"open:self", 3}, {"nameless", 4}, {"honeypot", 5}}},
		{StatusSent, []told{{"sent", 0}}},
		{StatusSent, []told{{"delivered", 0}}},
		{StatusSent, []told{{"sent", 0}, {"delay", 1}, {"auto_reply", 2}, {"reply:unknown", 3}, {"completed", 4}}},
		{StatusOpened, []told{{"sent", 0}, {"open:human", 1}}},
		{StatusOpened, []told{{"open:human", 1}}},
		{StatusClicked, []told{{"sent", 0}, {"click:human", 1}, {"open:human", 2}}},
		{StatusReplied, []told{{"sent", 0}, {"reply:human", 1}, {"click:human", 2}}},

		{StatusBouncedTemporary, []told{{"sent", 0}, {"bounce:mailbox_full", 5}}},
		{StatusBouncedPermanent, []told{{"sent", 0}, {"bounce:invalid_recipient", 5}, {"bounce:mailbox_full", 6}}},
		{StatusBlocked, []told{{"bounce:invalid_recipient", 5}, {"bounce:blocked", 6}}},
		{StatusBlocked, []told{{"bounce:reputation", 6}}},
		{StatusBlocked, []told{{"bounce:policy", 6}, {"bounce:greylisted", 7}}},
		{StatusDropped, []told{{"bounce:timeout", 6}, {"bounce:policy", 7}}},
		{StatusDropped, []told{{"bounce-status:4.4.7", 6}}},
		{StatusDropped, []told{{"bounce-status:5.4.7", 6}}},
		{StatusDropped, []told{{"dropped", 6}, {"bounce:invalid_recipient", 7}}},
		{StatusComplained, []told{{"dropped", 6}, {"complaint:abuse", 3}}},
		{StatusUnsubscribed, []told{{"unsubscribe", 1}, {"complaint:abuse", 3}, {"reply:human", 9}}},

		// A bounce stands until something strictly later shows that the mail arrived.
		{StatusOpened, []told{{"bounce:invalid_recipient", 5}, {"open:human", 6}}},
		{StatusBouncedPermanent, []told{{"bounce:invalid_recipient", 5}, {"open:human", 5}}},
		{StatusBouncedPermanent, []told{{"bounce:invalid_recipient", 5}, {"open:human", 4}, {"click:human", 3}}},
		{StatusBouncedPermanent, []told{{"bounce:invalid_recipient", 5}, {"open:proxy", 6}, {"click:scanner", 6}, {"nameless", 7}}},
		{StatusClicked, []told{{"bounce:mailbox_full", 5}, {"click:human", 6}}},
		{StatusReplied, []told{{"bounce:blocked", 5}, {"reply:human", 6}}},
		{StatusBlocked, []told{{"bounce:blocked", 5}, {"reply:unknown", 6}}},
		{StatusSent, []told{{"bounce:timeout", 5}, {"delivered", 6}}},
		{StatusOpened, []told{{"open:human", 1}, {"bounce:mailbox_full", 5}, {"delivered", 6}}},
		{StatusBouncedTemporary, []told{{"bounce:invalid_recipient", 5}, {"delivered", 6}, {"bounce:mailbox_full", 7}}},
		{StatusBouncedPermanent, []told{{"bounce:mailbox_full", 5}, {"delivered", 6}, {"bounce:invalid_recipient", 7}}},
		{StatusDropped, []told{{"dropped", 5}, {"open:human", 6}}},

		// What was registered as not sent is so until something shows that it was sent.
		{StatusNotSent, []told{{"unsent", 0}, {"unsent", 1}}},
		{StatusNotSent, []told{{"unsent", 0}, {"dropped", 1}, {"completed", 2}}},
		{StatusSent, []told{{"unsent", 0}, {"sent", 1}, {"unsent", 2}}},
		{StatusDropped, []told{{"unsent", 0}, {"sent", 1}, {"dropped", 1}}},
		{StatusSent, []told{{"unsent", 0}, {"delivered", 1}}},
		{StatusSent, []told{{"unsent", 0}, {"open:scanner", 1}}},
		{StatusSent, []told{{"unsent", 0}, {"delay", 1}}},
		{StatusSent, []told{{"unsent", 0}, {"auto_reply", 1}}},
		{StatusClicked, []told{{"unsent", 9}, {"click:human", 1}}},
		{StatusBouncedPermanent, []told{{"unsent", 0}, {"bounce:invalid_recipient", 1}}},
		{StatusComplained, []told{{"unsent", 0}, {"complaint:abuse", 1}}},

		// A complaint stands until a later report takes it back.
		{StatusSent, []told{{"sent", 0}, {"complaint:abuse", 5}, {"complaint:not-spam", 6}}},
		{StatusComplained, []told{{"complaint:abuse", 5}, {"complaint:not-spam", 5}}},
		{StatusComplained, []told{{"complaint:abuse", 5}, {"complaint:not-spam", 6}, {"complaint:abuse", 7}}},
		{StatusSent, []told{{"sent", 0}, {"complaint:not-spam", 6}}},
		{StatusBouncedTemporary, []told{{"complaint:fraud", 5}, {"complaint:not-spam", 6}, {"bounce:mailbox_full", 1}}},
	} {
		facts := make([]event.Event, len(tt.facts))
		for i, w := range tt.facts {
			facts[i] = statusFact(t, w, i)
		}
		if got := statusAfter(t, testOptions(), facts); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.facts, got, tt.want)
		}
	}
}

// Of two human hits that are repeats of each other the later one counts for the status, whichever is dropped.
func TestRepeatsCountForStatus(t *testing.T) {
	facts := []event.Event{
		statusFact(t, told{"open:human", 1}, 0), statusFact(t, told{"bounce:mailbox_full", 3}, 0), statusFact(t, told{"open:human", 6}, 0),
	}
	for range 2 {
		if got := statusAfter(t, testOptions(), facts); got != StatusOpened {
			t.Errorf("%s, want opened", got)
		}
		facts[0], facts[2] = facts[2], facts[0]
	}
}

// The status depends on the set of facts, not on their order, nor on what is dropped as a repeat. (Tokens of one message
// all have the flags of its registration, so nameless hits are not mixed in.)
func TestStatusDoesNotDependOnOrder(t *testing.T) {
	rng := seeded(t)
	words := []string{
		"sent", "delivered", "open:human", "open:human", "open:proxy", "click:human", "click:scanner", "honeypot",
		"reply:human", "reply:unknown", "bounce:invalid_recipient", "bounce:mailbox_full", "bounce:policy", "bounce:timeout",
		"dropped", "complaint:abuse", "complaint:not-spam", "unsubscribe", "delay", "auto_reply", "unsent", "unsent", "unsent",
	}
	seen := make(map[string]bool)
	for range 60 {
		var facts []event.Event
		for n := range 1 + rng.IntN(7) {
			e := statusFact(t, told{words[rng.IntN(len(words))], rng.IntN(40)}, n)
			if e.Kind == event.Delivered || e.Kind == event.Dropped || e.Kind == event.Unsubscribe {
				// Told twice they are one fact, of which the first telling counts; here each is told once.
				e.Time = epoch + 20_000
			}
			e.Client.Hash = rng.Uint64N(2) // so that there are repeats
			facts = append(facts, e)
		}
		o := testOptions()
		want := statusAfter(t, o, facts)
		seen[want] = true
		for range 3 {
			shuffle(rng, facts)
			if got := statusAfter(t, o, facts); got != want {
				t.Fatalf("%s or %s, as the order goes: %+v", got, want, facts)
			}
		}
	}
	if len(seen) < 6 {
		t.Errorf("only the statuses %v came up", seen)
	}
}

func shuffle[T any](rng *rand.Rand, s []T) {
	rng.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
}

// The page lists every status.
func TestStatusPage(t *testing.T) {
	page, err := os.ReadFile("STATUSES.md")
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, status := range []string{
		StatusSending, StatusSent, StatusOpened, StatusClicked, StatusReplied, StatusBouncedTemporary, StatusBouncedPermanent,
		StatusBlocked, StatusDropped, StatusComplained, StatusUnsubscribed,
		StatusNotSent,
	} {
		i := strings.Index(string(page), "| `"+status+"` |")
		if i <= at {
			t.Errorf("STATUSES.md has no row for %s after the one before it", status)
		}
		at = i
	}
}
