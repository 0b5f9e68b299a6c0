package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// toldEvent is a refined event as the API tells it.
type toldEvent struct {
	ID       string    `json:"id"`
	Revision int       `json:"revision"`
	Kind     string    `json:"kind"`
	Time     time.Time `json:"time"`
	Account  string    `json:"account"`
	Sender   string    `json:"sender"`
	Sequence string    `json:"sequence"`
	Contact  string    `json:"contact"`
	Message  string    `json:"message"`
	First    bool      `json:"first"`
	Inferred bool      `json:"inferred"`
	Link     struct {
		Index int    `json:"index"`
		URL   string `json:"url"`
	} `json:"link"`
	Actor struct {
		Verdict string   `json:"verdict"`
		Reasons []string `json:"reasons"`
		Via     string   `json:"via"`
	} `json:"actor"`
	Client struct {
		IP        string `json:"ip"`
		UserAgent string `json:"user_agent"`
	} `json:"client"`
	Bounce struct {
		Hard      bool   `json:"hard"`
		Category  string `json:"category"`
		Status    string `json:"status"`
		Action    string `json:"action"`
		Recipient string `json:"recipient"`
	} `json:"bounce"`
	Cursor string `json:"cursor"`

	line string
}

// fact is the event without its cursor.
func (e *toldEvent) fact() string {
	before, _, _ := strings.Cut(e.line, `,"cursor":"`)
	return before
}

// page reads one page of events.
func (w *world) page(query url.Values) (events []toldEvent) {
	w.t.Helper()
	answer, all, err := call(http.MethodGet, "http://"+w.api+"/v1/events?"+query.Encode(), nil, "", nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		w.t.Fatalf("events %v: %v, %v, %.300s", query, answer, err, all)
	}
	for line := range bytes.Lines(all) {
		var e toldEvent
		if err := json.Unmarshal(line, &e); err != nil || e.Cursor == "" {
			w.t.Fatalf("%v: %q", err, line)
		}
		e.line = string(line)
		events = append(events, e)
	}
	return events
}

// told reads all events that a query selects, page by page.
func (w *world) told(query url.Values, limit int) (events []toldEvent) {
	w.t.Helper()
	query = url.Values(http.Header(query).Clone())
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", fmt.Sprint(limit))
	for {
		page := w.page(query)
		if len(page) > limit {
			w.t.Fatalf("%d events, asked for %d", len(page), limit)
		}
		if len(page) == 0 {
			return events
		}
		events = append(events, page...)
		query.Set("after", page[len(page)-1].Cursor)
	}
}

// latest keeps the highest revision of each event, and none of what was taken back.
func latest(events []toldEvent) (last []toldEvent) {
	at := make(map[string]int)
	for _, e := range events {
		if i, ok := at[e.ID]; ok {
			last[i] = e
			continue
		}
		at[e.ID] = len(last)
		last = append(last, e)
	}
	return slices.DeleteFunc(last, func(e toldEvent) bool {
		return slices.Contains(e.Actor.Reasons, "repeat") || slices.Contains(e.Actor.Reasons, "withdrawn")
	})
}

// summary is what makes two events the same to the tests.
func (e *toldEvent) summary() string {
	details := ""
	switch e.Kind {
	case "open":
		details = fmt.Sprint(e.Actor.Verdict, "|", e.Client.UserAgent)
		if e.Inferred {
			details = "inferred"
		}
	case "click":
		details = fmt.Sprint(e.Actor.Verdict, "|", e.Client.UserAgent, "|", e.Link)
	case "reply":
		details = e.Actor.Verdict
	case "bounce":
		details = fmt.Sprint(e.Bounce.Status, " ", e.Bounce.Recipient, " ", e.Bounce.Hard)
	case "delay", "delivered":
		details = e.Bounce.Recipient
	}
	return fmt.Sprintf("%s of %s/%s/%s/%s/%s: %s", e.Kind, e.Account, e.Sender, e.Sequence, e.Contact, e.Message, details)
}

// event is the event that a deed must become.
func (d *deedDone) event() *toldEvent {
	e := &toldEvent{ID: d.id, Kind: d.kind, Time: d.at}
	e.Actor.Verdict, e.Client.UserAgent = d.verdict, d.agent
	e.name(d)
	e.Link.Index, e.Link.URL = d.link, d.url
	e.Bounce.Status, e.Bounce.Recipient, e.Bounce.Hard = d.status, d.recipient, d.hard
	return e
}

func (e *toldEvent) name(d *deedDone) {
	about, message := d.about, ""
	if l := d.letter; l != nil {
		about, message = l.enrollment(), l.name
	}
	e.Account, e.Sender, e.Sequence, e.Contact, e.Message = about.account, about.sender, about.sequence, about.contact, message
	if d.hit() && d.letter.nameless() {
		e.Contact, e.Message, e.Client.UserAgent = "someone", "", ""
	}
}

// events are all events that the deeds must become, by summary.
func (m *model) events() map[string]int {
	want := make(map[string]int)
	for _, l := range m.letters {
		want[(&deedDone{kind: "sent", letter: l}).event().summary()]++
	}
	for _, d := range m.judged() {
		want[d.event().summary()]++
	}
	for _, l := range m.inferred() {
		e := (&deedDone{kind: "open", letter: l}).event()
		e.Inferred = true
		want[e.summary()]++
	}
	return want
}

// checkEvents compares all events with what was done.
func (w *world) checkEvents(t *testing.T) {
	t.Helper()
	want := w.model.events()
	w.again(t, func() (wrong []string) {
		got := make(map[string]int)
		all := w.told(nil, 10_000)
		for _, e := range latest(all) {
			got[e.summary()]++
		}
		for summary, n := range want {
			if got[summary] != n {
				wrong = append(wrong, fmt.Sprintf("%d events, want %d: %s", got[summary], n, summary))
			}
		}
		for summary, n := range got {
			if want[summary] == 0 {
				wrong = append(wrong, fmt.Sprintf("%d events, want none: %s", n, summary))
			}
		}
		slices.Sort(wrong)
		return append(wrong, w.checkEach(all)...)
	})
}

// checkEach looks at what no summary tells: ids, times, firsts.
func (w *world) checkEach(all []toldEvent) (wrong []string) {
	ids := make(map[string]bool)
	for _, e := range all {
		if id := fmt.Sprint(e.ID, e.Revision); len(e.ID) != 26 || ids[id] {
			wrong = append(wrong, "told twice or without an id: "+e.line)
		} else {
			ids[id] = true
		}
	}
	byID := make(map[string]toldEvent)
	firsts := make(map[string]int)
	for _, e := range latest(all) {
		byID[e.ID] = e
		counted := e.Kind != "open" && e.Kind != "click" && e.Kind != "reply" || e.Actor.Verdict == "human" || e.Inferred
		if counted && e.Message != "" {
			of := fmt.Sprint(e.Kind, " of ", e.Account, "/", e.Message)
			if e.First {
				firsts[of]++
			} else {
				firsts[of] += 0
			}
		} else if e.First && e.Message != "" {
			wrong = append(wrong, "first, and does not count: "+e.line)
		}
	}
	for of, n := range firsts {
		if n != 1 {
			wrong = append(wrong, fmt.Sprintf("%d times the first %s", n, of))
		}
	}
	for _, d := range w.deeds {
		if d.id == "" {
			continue
		}
		if e, ok := byID[d.id]; !ok || e.Kind != d.kind || !d.heard && e.Time.UnixMilli() != d.at.UnixMilli() {
			wrong = append(wrong, fmt.Sprintf("the %s of %s was told as %s at %v, became %s %s", d.kind, d.letter, d.id, d.at, e.ID, e.line))
		}
	}
	return wrong
}

// questions are all that can be asked about all senders and sequences.
func (m *model) questions(asOf ...time.Time) (all []question) {
	for _, account := range m.accounts() {
		for _, sender := range m.senders(account) {
			for window := range windowHours {
				for _, at := range asOf {
					all = append(all, question{account, sender, nil, window, at})
					for _, sequence := range m.sequences(account, sender) {
						if sequence != "" {
							all = append(all, question{account, sender, &sequence, window, at})
						}
					}
				}
			}
		}
	}
	return all
}

// checkScores compares every number of every score object.
func (w *world) checkScores(t *testing.T, asOf ...time.Time) {
	t.Helper()
	for _, q := range w.questions(asOf...) {
		want := w.expected(q)
		w.again(t, func() []string {
			var body json.RawMessage
			w.get(q.path(), &body)
			var wrong []string
			for _, difference := range want.differencesIn(body) {
				wrong = append(wrong, q.path()+": "+difference)
			}
			return wrong
		})
	}
	for _, account := range w.accounts() {
		for _, at := range asOf {
			for _, sort := range []string{"", "sender", "score", "completed", "bounce_rate"} {
				w.checkSenders(t, account, sort, at)
			}
			for _, sender := range w.senders(account) {
				w.checkSequences(t, account, sender, at)
			}
		}
	}
}

// differencesIn reads a score object, which has no other fields than those, and all of them.
func (o *scoreObject) differencesIn(body []byte) []string {
	var got scoreObject
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		return []string{err.Error() + ": " + string(body)}
	}
	var wrong []string
	for _, field := range strings.Fields(`account sender sequence window completed replied bounced bounced_hard complained unsubscribed
		opened clicked clicked_delivered machine_opened machine_clicked opens clicks machine_opens machine_clicks anonymous_opened recent reply_rate bounce_rate complaint_rate unsubscribe_rate open_rate click_rate goal_rate score sufficient profile as_of`) {
		if !bytes.Contains(body, []byte(`"`+field+`":`)) {
			wrong = append(wrong, field+" is missing")
		}
	}
	return append(wrong, o.differences(&got)...)
}

// checkSenders pages through an account's senders.
func (w *world) checkSenders(t *testing.T, account, sort string, at time.Time) {
	t.Helper()
	var names []string
	for after, page := "", 0; page == 0 || after != ""; page++ {
		var answer struct {
			Senders []json.RawMessage
			Next    string
		}
		values := url.Values{"account": {account}, "window": {"30d"}, "as_of": {at.Format(time.RFC3339Nano)}, "limit": {"2"}, "after": {after}, "sort": {sort}}
		w.get("/v1/senders?"+values.Encode(), &answer)
		if len(answer.Senders) > 2 {
			t.Errorf("%d senders in a page of 2", len(answer.Senders))
		}
		for _, body := range answer.Senders {
			var one scoreObject
			if err := json.Unmarshal(body, &one); err != nil {
				t.Fatal(err)
			}
			names = append(names, one.Sender)
			want := w.expected(question{account, one.Sender, nil, "30d", at})
			for _, difference := range want.differencesIn(body) {
				t.Errorf("/v1/senders?%s: %s: %s", values.Encode(), one.Sender, difference)
			}
		}
		after = answer.Next
	}
	if sort == "sender" && !slices.IsSorted(names) {
		t.Errorf("sorted by name: %q", names)
	}
	slices.Sort(names)
	if want := w.senders(account); !slices.Equal(names, want) {
		t.Errorf("the senders of %s are %q, want %q", account, names, want)
	}
}

func (w *world) checkSequences(t *testing.T, account, sender string, at time.Time) {
	t.Helper()
	var answer struct{ Sequences []json.RawMessage }
	values := url.Values{"account": {account}, "window": {"7d"}, "as_of": {at.Format(time.RFC3339Nano)}}
	path := "/v1/senders/" + url.PathEscape(sender) + "/sequences?" + values.Encode()
	w.get(path, &answer)
	var names []string
	for _, body := range answer.Sequences {
		var one scoreObject
		if err := json.Unmarshal(body, &one); err != nil {
			t.Fatal(err)
		}
		names = append(names, one.Sequence)
		want := w.expected(question{account, sender, &one.Sequence, "7d", at})
		for _, difference := range want.differencesIn(body) {
			t.Errorf("%s: %q: %s", path, one.Sequence, difference)
		}
	}
	slices.Sort(names)
	if want := w.sequences(account, sender); !slices.Equal(names, want) {
		t.Errorf("%s: sequences %q, want %q", path, names, want)
	}
}
