package rollup

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"carom/pipeline/event"
)

// TestRatesExample plays the worked example of RATES.md and looks for its numbers there.
func TestRatesExample(t *testing.T) {
	f := newFixture(t, Default())
	day0 := event.FromTime(time.Date(2026, 11, 18, 9, 0, 0, 0, time.UTC))
	of := func(i int) func(*event.Refined) {
		return func(r *event.Refined) {
			r.Account, r.Sender, r.Sequence = "acme", "alice", "q4"
			r.Contact, r.Message = fmt.Sprint("c", i), fmt.Sprint("m", i)
		}
	}
	var events []event.Refined
	for i := range 200 {
		events = append(events, ev(event.Sent, day0, of(i)))
	}
	for i := range 6 {
		events = append(events, ev(event.Bounce, day0+minute, of(i), hard))
	}
	events = append(events, ev(event.Delivered, day0+10*minute, of(0)), ev(event.Open, day0+hour, of(1)))
	for i := 5; i < 16; i++ {
		events = append(events, ev(event.Reply, day0+2*hour, of(i)))
	}
	events = append(events, ev(event.Complaint, day0+3*hour, of(20), feedback("abuse")), ev(event.Complaint, day0+4*hour, of(20), feedback("not-spam")))
	f.tell(events...)

	page, err := os.ReadFile("RATES.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, asOf := range []event.Millis{day0 + 72*hour - minute, day0 + 72*hour, day0 + 4*day - 1*hour, day0 + 4*day - hour + 1} {
		s := f.ask(Query{Account: "acme", Sender: "alice", Window: 24 * time.Hour, AsOf: asOf})
		row := fmt.Sprintf("| %s | %d | %d | %d |", asOf.Time().Format("Jan 2 15:04:05.000"), s.Completed, s.Bounced, s.Replied)
		if !strings.Contains(string(page), row) {
			t.Errorf("RATES.md lacks %s", row)
		}
	}
	got := f.ask(Query{Account: "acme", Sender: "alice", Window: 24 * time.Hour, AsOf: day0 + 72*hour})
	for name, v := range map[string]any{"reply_rate": got.Reply, "bounce_rate": got.Bounce, "score": got.Score} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if line := fmt.Sprintf("%q:%s", name, text); !strings.Contains(string(page), line) {
			t.Errorf("RATES.md lacks %s", line)
		}
	}
}
