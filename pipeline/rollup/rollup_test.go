package rollup

import (
	"fmt"
	"testing"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/score"
)

// TestOutcome tells one enrollment's story and reads what it counts as, sent at hour0.
func TestOutcome(t *testing.T) {
	guess, again := ev(event.Open, hour0+1, inferred, sequence("q")), ev(event.Open, hour0+9, sequence("q"))
	for _, tt := range []struct {
		name  string
		story []event.Refined
		want  score.Counts
	}{
		{"sent", nil, score.Counts{Completed: 1}},
		{"delivered", []event.Refined{ev(event.Delivered, hour0+1)}, score.Counts{Completed: 1}},
		{"soft bounce", []event.Refined{ev(event.Bounce, hour0+1)}, score.Counts{Completed: 1, Bounced: 1}},
		{"hard bounce", []event.Refined{ev(event.Bounce, hour0+1, hard)}, score.Counts{Completed: 1, Bounced: 1, BouncedHard: 1}},
		{
			"delay and auto-reply",
			[]event.Refined{ev(event.Delay, hour0+1), ev(event.AutoReply, hour0+2), ev(event.Dropped, hour0+3)},
			score.Counts{Completed: 1},
		},
		{
			"bounce lifted by delivery",
			[]event.Refined{ev(event.Bounce, hour0+1, hard), ev(event.Delivered, hour0+2)},
			score.Counts{Completed: 1},
		},
		{
			"bounce lifted by open",
			[]event.Refined{ev(event.Bounce, hour0+1, hard), ev(event.Open, hour0+2)},
			score.Counts{Completed: 1, Opened: 1, Opens: 1},
		},
		{
			"bounce lifted by click",
			[]event.Refined{ev(event.Bounce, hour0+1), ev(event.Click, hour0+2)},
			score.Counts{Completed: 1, Clicked: 1, ClickedDelivered: 1, Clicks: 1},
		},
		{"bounce not lifted by a machine", []event.Refined{
			ev(event.Bounce, hour0+1), ev(event.Open, hour0+2, verdict(event.Proxy)), ev(event.Click, hour0+2, verdict(event.Scanner)),
		}, score.Counts{Completed: 1, Bounced: 1, MachineOpened: 1, MachineClicked: 1, MachineOpens: 1, MachineClicks: 1}},
		{
			"bounce and delivery at the same time",
			[]event.Refined{ev(event.Bounce, hour0+1), ev(event.Delivered, hour0+1)},
			score.Counts{Completed: 1, Bounced: 1},
		},
		{
			"delivered, then bounced",
			[]event.Refined{ev(event.Delivered, hour0+1), ev(event.Bounce, hour0+2, hard)},
			score.Counts{Completed: 1, Bounced: 1, BouncedHard: 1},
		},
		{
			"hard, lifted, then soft",
			[]event.Refined{ev(event.Bounce, hour0+1, hard), ev(event.Delivered, hour0+2), ev(event.Bounce, hour0+3)},
			score.Counts{Completed: 1, Bounced: 1},
		},
		{
			"hard, then soft",
			[]event.Refined{ev(event.Bounce, hour0+1, hard), ev(event.Bounce, hour0+3)},
			score.Counts{Completed: 1, Bounced: 1, BouncedHard: 1},
		},
		{"reply", []event.Refined{ev(event.Reply, hour0+1)}, score.Counts{Completed: 1, Replied: 1}},
		{
			"reply overrides a later bounce",
			[]event.Refined{ev(event.Reply, hour0+1), ev(event.Bounce, hour0+2, hard)},
			score.Counts{Completed: 1, Replied: 1},
		},
		{
			"reply of another",
			[]event.Refined{ev(event.Bounce, hour0+1), ev(event.Reply, hour0+2, verdict(event.Unknown))},
			score.Counts{Completed: 1, Bounced: 1},
		},
		{"complaint", []event.Refined{ev(event.Complaint, hour0+1, feedback("abuse"))}, score.Counts{Completed: 1, Complained: 1}},
		{
			"complaint taken back",
			[]event.Refined{ev(event.Complaint, hour0+1, feedback("abuse")), ev(event.Complaint, hour0+2, feedback("not-spam"))},
			score.Counts{Completed: 1},
		},
		{
			"complaint and not-spam at the same time",
			[]event.Refined{ev(event.Complaint, hour0+1, feedback("abuse")), ev(event.Complaint, hour0+1, feedback("not-spam"))},
			score.Counts{Completed: 1, Complained: 1},
		},
		{"complaint made again", []event.Refined{
			ev(event.Complaint, hour0+1, feedback("abuse")), ev(event.Complaint, hour0+2, feedback("not-spam")), ev(event.Complaint, hour0+3, feedback("fraud")),
		}, score.Counts{Completed: 1, Complained: 1}},
		{"complaint about one of two mails taken back", []event.Refined{
			ev(event.Complaint, hour0+1, feedback("abuse")), ev(event.Complaint, hour0+1, feedback("abuse"), message("m2")), ev(event.Complaint, hour0+2, feedback("not-spam")),
		}, score.Counts{Completed: 1, Complained: 1}},
		{"unsubscribe", []event.Refined{ev(event.Unsubscribe, hour0+1), ev(event.Unsubscribe, hour0+2)}, score.Counts{Completed: 1, Unsubscribed: 1}},
		{
			"hits of own or unknown making",
			[]event.Refined{ev(event.Open, hour0+1, verdict(event.Self)), ev(event.Click, hour0+1, verdict(event.Unknown))},
			score.Counts{Completed: 1},
		},
		{
			"inferred open",
			[]event.Refined{ev(event.Open, hour0+1, inferred)},
			score.Counts{Completed: 1, Opened: 1, Opens: 1},
		},
		{
			"inferred open taken back",
			[]event.Refined{guess, revised(guess, verdict(event.Unknown), reason("withdrawn"))},
			score.Counts{Completed: 1},
		},
		{
			"inferred open taken back, and again implied",
			[]event.Refined{guess, revised(revised(guess, verdict(event.Human))), revised(guess, verdict(event.Unknown), reason("withdrawn"))},
			score.Counts{Completed: 1, Opened: 1, Opens: 1},
		},
		{
			"repeat taken back",
			[]event.Refined{ev(event.Open, hour0+1), ev(event.Open, hour0+2), again, revised(again, verdict(event.Unknown), reason("repeat"))},
			score.Counts{Completed: 1, Opened: 1, Opens: 2},
		},
		{
			"a human's that turns out to be a machine's",
			[]event.Refined{ev(event.Open, hour0+1), again, revised(again, verdict(event.Scanner))},
			score.Counts{Completed: 1, Opened: 1, Opens: 1, MachineOpened: 1, MachineOpens: 1},
		},
		{
			"of two messages",
			[]event.Refined{
				ev(event.Open, hour0+1), ev(event.Open, hour0+2, message("m2")), ev(event.Click, hour0+3, message("m2")),
				ev(event.Click, hour0+4, message("m2")),
			},
			score.Counts{Completed: 1, Opened: 1, Opens: 2, Clicked: 1, ClickedDelivered: 1, Clicks: 2},
		},
		{"both kinds of hits, twice", []event.Refined{
			ev(event.Open, hour0+1), ev(event.Open, hour0+2), ev(event.Open, hour0+1, verdict(event.Proxy)), ev(event.Click, hour0+1),
			ev(event.Click, hour0+1, verdict(event.Scanner)), ev(event.Click, hour0+9, verdict(event.Scanner)),
		}, score.Counts{
			Completed: 1, Opened: 1, Clicked: 1, ClickedDelivered: 1, MachineOpened: 1, MachineClicked: 1,
			Opens: 2, Clicks: 1, MachineOpens: 1, MachineClicks: 2,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.story {
				sequence("q")(&tt.story[i])
			}
			send := ev(event.Sent, hour0, sequence("q"))
			first := newFixture(t, Default())
			first.tell(append([]event.Refined{send}, tt.story...)...)
			last := newFixture(t, Default())
			last.tell(append(append([]event.Refined{}, tt.story...), send)...)
			for order, f := range map[string]*fixture{"sent first": first, "sent last": last} {
				if got := f.score(hour0 + 3*day).Counts; got != tt.want {
					t.Errorf("%s: got %+v, want %+v", order, got, tt.want)
				}
				if got := f.score(hour0 + 3*day - minute).Counts; got != (score.Counts{}) {
					t.Errorf("%s: before it completes: got %+v", order, got)
				}
			}
		})
	}
}

func TestFactsWithoutSendDoNotCount(t *testing.T) {
	f := newFixture(t, Default())
	f.tell(ev(event.Bounce, hour0, hard), ev(event.Open, hour0+1), ev(event.Reply, hour0+2))
	got := f.score(hour0 + 30*day)
	if got.Counts != (score.Counts{}) || got.Recent != (Recent{}) {
		t.Errorf("got %+v", got)
	}
	if !got.Known {
		t.Error("the sender was heard of")
	}
}

// TestCompletion reads the minutes around completion.
func TestCompletion(t *testing.T) {
	completedAt := func(at event.Millis) event.Refined { return ev(event.Completed, at) }
	for _, tt := range []struct {
		name   string
		events []event.Refined
		want   event.Millis
	}{
		{"72 h after the send", []event.Refined{ev(event.Sent, hour0)}, hour0 + 72*hour},
		{"in the middle of a minute", []event.Refined{ev(event.Sent, hour0+1)}, hour0 + 72*hour + 1},
		{"first send counts", []event.Refined{
			ev(event.Sent, hour0+2*day, sequence("q")), ev(event.Sent, hour0+day, sequence("q"), message("m2")), ev(event.Sent, hour0+3*day, sequence("q"), message("m3")),
		}, hour0 + 4*day},
		{"completed event before", []event.Refined{ev(event.Sent, hour0), completedAt(hour0 + hour)}, hour0 + hour},
		{"completed event after", []event.Refined{ev(event.Sent, hour0), completedAt(hour0 + 73*hour)}, hour0 + 72*hour},
		{"completed event without a send", []event.Refined{completedAt(hour0 + 5*minute)}, hour0 + 5*minute},
		{"completed event before the send", []event.Refined{ev(event.Sent, hour0), completedAt(hour0 - hour)}, hour0 - hour},
		{"first of completed events", []event.Refined{completedAt(hour0 + 9*minute), completedAt(hour0 + 7*minute), completedAt(hour0 + 8*minute)}, hour0 + 7*minute},
	} {
		f := newFixture(t, Default())
		f.tell(tt.events...)
		for _, at := range []struct {
			asOf event.Millis
			want int64
		}{
			// as_of is rounded up to the minute, so the whole of the minute before is surely before.
			{tt.want - minute, 0},
			{tt.want, 1},
			{tt.want + minute, 1},
			// The window ends with the hour of as_of: it holds what completed in the 23 hours before that.
			{tt.want + 23*hour, 1},
			{tt.want + 24*hour + 1, 0},
		} {
			if got := f.score(at.asOf).Completed; got != at.want {
				t.Errorf("%s: as of %s: got %d completed, want %d", tt.name, at.asOf.Time(), got, at.want)
			}
		}
	}
}

// TestWindowEdges: a window is whole hours, closed on the right, and ends with the hour of as_of.
func TestWindowEdges(t *testing.T) {
	f := newFixture(t, Default())
	f.tell(ev(event.Completed, hour0)) // the last instant of the hour that ends at hour0
	for _, tt := range []struct {
		window time.Duration
		asOf   event.Millis
		want   int64
	}{
		{24 * time.Hour, hour0 - 1, 1}, // rounded up to hour0
		{24 * time.Hour, hour0 - minute, 0},
		{24 * time.Hour, hour0, 1},
		{24 * time.Hour, hour0 + 1, 1},
		{24 * time.Hour, hour0 + 23*hour, 1},
		{24 * time.Hour, hour0 + 23*hour + 1, 0},
		{7 * 24 * time.Hour, hour0 + 7*day - hour, 1},
		{7 * 24 * time.Hour, hour0 + 7*day - hour + 1, 0},
		{30 * 24 * time.Hour, hour0 + 30*day - hour, 1},
		{30 * 24 * time.Hour, hour0 + 30*day - hour + 1, 0},
		{time.Hour, hour0, 1},
		{time.Hour, hour0 + 1, 0},
	} {
		got := f.ask(Query{Account: "a", Sender: "s", Window: tt.window, AsOf: tt.asOf}).Completed
		if got != tt.want {
			t.Errorf("%v as of %s: got %d, want %d", tt.window, tt.asOf.Time(), got, tt.want)
		}
	}
}

// TestLateFacts correct the cohort they belong to, wherever that is by now.
func TestLateFacts(t *testing.T) {
	f := newFixture(t, Default())
	f.tell(ev(event.Sent, hour0))
	f.tell(ev(event.Bounce, hour0+20*day))
	if got := f.score(hour0 + 3*day).Counts; got != (score.Counts{Completed: 1, Bounced: 1}) {
		t.Errorf("late bounce: got %+v", got)
	}
	f.tell(ev(event.Reply, hour0+40*day))
	if got := f.score(hour0 + 3*day).Counts; got != (score.Counts{Completed: 1, Replied: 1}) {
		t.Errorf("late reply: got %+v", got)
	}
	f.tell(ev(event.Sent, hour0-10*day, func(r *event.Refined) { r.ID[0]++ }))
	if got := f.score(hour0 + 3*day).Counts; got != (score.Counts{}) {
		t.Errorf("an earlier send moves it: got %+v", got)
	}
	if got := f.score(hour0 - 7*day).Counts; got != (score.Counts{Completed: 1, Replied: 1}) {
		t.Errorf("to where the earlier send says: got %+v", got)
	}
}

func TestEnrollments(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []event.Refined
		want   int64
	}{
		{"two messages of a sequence to one contact", []event.Refined{
			ev(event.Sent, hour0, sequence("q")), ev(event.Sent, hour0, sequence("q"), message("m2")),
		}, 1},
		{"two contacts of a sequence", []event.Refined{
			ev(event.Sent, hour0, sequence("q")), ev(event.Sent, hour0, sequence("q"), message("m2"), contact("d")),
		}, 2},
		{"one contact in two sequences", []event.Refined{
			ev(event.Sent, hour0, sequence("q")), ev(event.Sent, hour0, sequence("r"), message("m2")),
		}, 2},
		{"two messages without a sequence", []event.Refined{ev(event.Sent, hour0), ev(event.Sent, hour0, message("m2"))}, 2},
		{"one message without a sequence, told with two contacts", []event.Refined{ev(event.Sent, hour0), ev(event.Sent, hour0, contact("d"))}, 1},
		{"two messages of a sequence to nobody known", []event.Refined{
			ev(event.Sent, hour0, sequence("q"), contact("")), ev(event.Sent, hour0, sequence("q"), contact(""), message("m2")),
		}, 2},
		{"a fact about no message joins those of its contact", []event.Refined{
			ev(event.Sent, hour0, sequence("q")), ev(event.Completed, hour0+3*day, sequence("q"), message("")),
		}, 1},
		{"a fact about no message by its long name", []event.Refined{
			ev(event.Sent, hour0, sequence("q")),
			ev(event.Completed, hour0+3*day, sequence("q"), message(event.EnrollmentID("a", "s", "q", "c"))),
		}, 1},
		{"facts about no message, without a sequence", []event.Refined{
			ev(event.Completed, hour0+3*day, message("")), ev(event.Completed, hour0+3*day, message(""), contact("d")),
		}, 2},
		{"names with slashes and zeros", []event.Refined{
			ev(event.Sent, hour0, sequence("q/r"), contact("c")), ev(event.Sent, hour0, sequence("q"), contact("r/c")),
			ev(event.Sent, hour0, sequence("q\x00r"), contact("c")), ev(event.Sent, hour0, sequence("q"), contact("\x00r\x00c")),
			ev(event.Sent, hour0, sequence("q\x00\x01r"), contact("c")), ev(event.Sent, hour0, sequence("q\x00\xff"), contact("c")),
		}, 6},
	} {
		f := newFixture(t, Default())
		f.tell(tt.events...)
		if got := f.score(hour0 + 3*day).Completed; got != tt.want {
			t.Errorf("%s: got %d completed, want %d", tt.name, got, tt.want)
		}
	}
}

func TestSequencesAreKeptApart(t *testing.T) {
	f := newFixture(t, Default())
	f.tell(
		ev(event.Sent, hour0), ev(event.Sent, hour0, message("m2"), sequence("q")), ev(event.Bounce, hour0, message("m2"), sequence("q")),
		ev(event.Sent, hour0, message("m3"), sequence("q/1")), ev(event.Sent, hour0, message("m4"), sequence("q/1"), contact("d")),
		ev(event.Sent, hour0, message("m5"), sender("s2")),
	)
	for _, tt := range []struct {
		sender   string
		sequence *string
		want     score.Counts
	}{
		{"s", nil, score.Counts{Completed: 4, Bounced: 1}},
		{"s", ptr(""), score.Counts{Completed: 1}},
		{"s", ptr("q"), score.Counts{Completed: 1, Bounced: 1}},
		{"s", ptr("q/1"), score.Counts{Completed: 2}},
		{"s", ptr("q/"), score.Counts{}},
		{"s2", nil, score.Counts{Completed: 1}},
		{"s2", ptr("q"), score.Counts{}},
	} {
		got := f.ask(Query{Account: "a", Sender: tt.sender, Sequence: tt.sequence, Window: 24 * time.Hour, AsOf: hour0 + 3*day})
		if got.Counts != tt.want || got.Known != (tt.want.Completed > 0) {
			t.Errorf("%s %v: got %+v known %v, want %+v", tt.sender, tt.sequence, got.Counts, got.Known, tt.want)
		}
	}
	var got string
	q := SequencesQuery{Query: Query{Account: "a", Sender: "s", Window: 24 * time.Hour, AsOf: hour0 + 3*day}, Limit: 1}
	for pages := 1; ; pages++ {
		page, next, err := f.p.Sequences(q)
		if err != nil || len(page) != 1 || page[0].AsOf != Stamp(hour0+3*day) {
			t.Fatalf("%v, %v", page, err)
		}
		got += fmt.Sprintf("%s:%d ", page[0].Sequence, page[0].Completed)
		if q.After, q.AsOf = next, hour0; next == "" { // the pages speak of the time of the first
			break
		}
	}
	if want := ":1 q:1 q/1:2 "; got != want {
		t.Errorf("sequences: got %q, want %q", got, want)
	}
}

func ptr[T any](v T) *T { return &v }

// TestRecent counts messages by their own time, and their own bounces.
func TestRecent(t *testing.T) {
	f := newFixture(t, Default())
	in := sequence("q")
	f.tell(
		ev(event.Sent, hour0, in), ev(event.Bounce, hour0+1, in),
		ev(event.Sent, hour0+30*minute, in, message("m2")),
		ev(event.Open, hour0+31*minute, in, message("m2")), // lifts nothing of m
		ev(event.Sent, hour0+40*minute, in, message("m3")), ev(event.Bounce, hour0+41*minute, in, message("m3")),
		ev(event.Delivered, hour0+42*minute, in, message("m3")),
		ev(event.Bounce, hour0+50*minute, in, message("m4")), // never sent
		ev(event.Unsubscribe, hour0+50*minute, in, message("")),
		ev(event.Bounce, hour0+50*minute, in, message("")), // of no message
	)
	for _, tt := range []struct {
		asOf event.Millis
		want Recent
	}{
		{hour0 - minute, Recent{}},
		{hour0 - 1, Recent{Period{1, 1}, Period{1, 1}}},
		{hour0, Recent{Period{1, 1}, Period{1, 1}}},
		{hour0 + 30*minute, Recent{Period{2, 1}, Period{2, 1}}},
		{hour0 + 59*minute, Recent{Period{3, 1}, Period{3, 1}}},
		{hour0 + 60*minute, Recent{Period{2, 0}, Period{3, 1}}},
		{hour0 + 90*minute, Recent{Period{1, 0}, Period{3, 1}}},
		{hour0 + day - minute, Recent{Period{}, Period{3, 1}}},
		{hour0 + day, Recent{Period{}, Period{2, 0}}},
		{hour0 + day + 40*minute, Recent{}},
	} {
		if got := f.score(tt.asOf).Recent; got != tt.want {
			t.Errorf("as of %s: got %+v, want %+v", tt.asOf.Time(), got, tt.want)
		}
	}
}

func TestNameless(t *testing.T) {
	f := newFixture(t, Default())
	human := ev(event.Open, hour0, someone, sequence("q"))
	machine := ev(event.Open, hour0, someone, verdict(event.Proxy))
	unknown := ev(event.Open, hour0, someone, verdict(event.Unknown))
	f.tell(human, machine, unknown, ev(event.Open, hour0+hour, someone), ev(event.Click, hour0, someone))
	want := func(step string, whole, q int64) {
		t.Helper()
		if got := f.score(hour0 + hour); got.AnonymousOpened != whole || got.Completed != 0 || got.Opened != 0 || !got.Known {
			t.Errorf("%s: got %+v, want %d", step, got.Counts, whole)
		}
		if got := f.ask(Query{Account: "a", Sender: "s", Sequence: ptr("q"), Window: 24 * time.Hour, AsOf: hour0}).AnonymousOpened; got != q {
			t.Errorf("%s: in q: got %d, want %d", step, got, q)
		}
	}
	want("told", 2, 1)
	if got := f.score(hour0).AnonymousOpened; got != 1 {
		t.Errorf("by its time: got %d, want 1", got)
	}
	f.tell(human, machine)
	want("told again", 2, 1)
	f.tell(revised(human, verdict(event.Scanner)), revised(machine, verdict(event.Human)))
	want("revised", 2, 0)
	f.tell(human, machine, revised(human))
	want("old revisions again", 2, 0)
	f.tell(revised(revised(human), verdict(event.Human)), revised(unknown, verdict(event.Human)))
	want("revised again", 4, 1)
}

// TestRevisions replace, wherever they come: what counts is each event's last.
func TestRevisions(t *testing.T) {
	f := newFixture(t, Default())
	open := ev(event.Open, hour0+2)
	click := ev(event.Click, hour0+3, verdict(event.Scanner))
	f.tell(ev(event.Sent, hour0), ev(event.Bounce, hour0+1), open, click)
	want := func(step string, want score.Counts) {
		t.Helper()
		if got := f.score(hour0 + 3*day).Counts; got != want {
			t.Errorf("%s: got %+v, want %+v", step, got, want)
		}
	}
	want("told", score.Counts{Completed: 1, Opened: 1, Opens: 1, MachineClicked: 1, MachineClicks: 1})
	f.tell(revised(open, verdict(event.Scanner)))
	want("the open was a scanner's", score.Counts{Completed: 1, Bounced: 1, MachineOpened: 1, MachineClicked: 1, MachineOpens: 1, MachineClicks: 1})
	f.tell(revised(click, verdict(event.Human)))
	want("the click was human", score.Counts{Completed: 1, Clicked: 1, ClickedDelivered: 1, Clicks: 1, MachineOpened: 1, MachineOpens: 1})
	f.tell(open, click)
	want("old revisions again", score.Counts{Completed: 1, Clicked: 1, ClickedDelivered: 1, Clicks: 1, MachineOpened: 1, MachineOpens: 1})
	f.tell(revised(revised(open), verdict(event.Unknown)))
	want("the open was nobody's", score.Counts{Completed: 1, Clicked: 1, ClickedDelivered: 1, Clicks: 1})
	f.tell(revised(open, verdict(event.Scanner)))
	want("a lower revision", score.Counts{Completed: 1, Clicked: 1, ClickedDelivered: 1, Clicks: 1})
}

// TestRepeatedOrigins: a record that was written twice is counted once, whatever it says.
func TestRepeatedOrigins(t *testing.T) {
	f := newFixture(t, Default())
	at := func(r event.Refined, partition int32, offset int64, n int32) event.Refined {
		r.Origin = event.Origin{Partition: partition, Offset: offset, N: n}
		return r
	}
	f.publish([]event.Refined{
		at(ev(event.Sent, hour0), 3, 10, 0),
		at(ev(event.Sent, hour0, message("m2")), 3, 10, 1),
		at(ev(event.Sent, hour0, message("other")), 3, 10, 1),
		at(ev(event.Sent, hour0, message("other")), 3, 10, 0),
		at(ev(event.Sent, hour0, message("other")), 3, 9, 7),
		at(ev(event.Sent, hour0, message("m3")), 4, 1, 0),
		at(ev(event.Sent, hour0, message("m4")), 3, 11, 0),
	})
	f.drain()
	f.open(Default()) // the origins are kept
	f.publish([]event.Refined{at(ev(event.Sent, hour0, message("other")), 3, 11, 0), at(ev(event.Sent, hour0, message("m5")), 4, 1, 1)})
	f.drain()
	if got := f.score(hour0 + 3*day).Completed; got != 5 {
		t.Errorf("got %d completed, want 5", got)
	}
}
