package kafka

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"
	"carom/pipeline/score"
)

var newFormats = flag.Bool("new-formats", false, "write the files of testdata/formats that are not there yet")

// format is a file of testdata/formats.
type format struct {
	file string
	kind string
	// today is what is written now; nil: the format is only read.
	today *log.Record
	// read checks what the reader of the topic gives.
	read func(*testing.T, log.Record)
}

const at1 = event.Millis(1_795_283_103_120) // 2026-11-21T17:45:03.120Z

var (
	ref1 = event.Ref{
		Account: "acme", Sender: "alice", Sequence: "q4", Contact: "c-9812", Message: "m-77123@mail.example.com",
		Link: 2, URL: "https://example.com/a?b=ä", SentAt: at1 - 903_120, Flags: event.Transactional,
	}
	diagnosis1 = event.Diagnosis{
		Hard: true, Category: "invalid_recipient", Status: "5.1.1", ReplyCode: "550", Action: "failed", RemoteMTA: "mx.example.net",
		Diagnostic: "550 5.1.1 no such user\r\n", Provider: "google",
	}
	client1 = event.Client{IP: netip.MustParseAddr("203.0.113.7"), UserAgent: `Mozilla/5.0 "x"`, Hash: 0x0123456789abcdef}
	event1  = event.Event{ // no fact has all of this
		Kind: event.Click, Time: at1, Key: event.KeyOf("acme", ref1.Message), KnownBy: event.ByRef, Ref: ref1,
		Recipient: "bob@example.com", Links: []string{"https://example.com/", "", "https://example.com/a"},
		Actor: event.Actor{Verdict: event.Scanner, Reasons: []string{"agent_scanner", "burst"}, Via: "gmail"}, Client: client1, Bounce: diagnosis1,
		Mail: event.Mail{ID: "r-1@example.net", From: "bob@example.com", FeedbackType: "abuse", ReplyAddress: true, References: true},
	}
	tick1  = event.Event{Kind: event.Tick, Time: at1}
	click1 = event.Refined{
		ID: event.ID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, Revision: 1, Kind: event.Click, Time: at1, Ref: published(ref1), First: true,
		Actor:  event.Actor{Verdict: event.Scanner, Reasons: []string{"agent_scanner", "burst"}, Via: "gmail"},
		Client: event.Client{IP: client1.IP, UserAgent: client1.UserAgent}, Origin: event.Origin{Node: "edge 1", Partition: 3, Offset: 12345, N: 2},
	}
	bounce1 = event.Refined{
		ID: event.ID{255}, Kind: event.Bounce, Time: at1, Ref: noLink(published(ref1)), Bounce: diagnosis1, Recipient: "bob@example.com",
		Origin: event.Origin{Node: "edge-1", Partition: 3, Offset: 12346},
	}
	address1 = event.AddressFact{
		ID: bounce1.ID, Revision: 2, Kind: event.Bounce, Time: at1, Ref: noLink(ref1), Recipient: "Bob@example.com", Bounce: diagnosis1,
		Reported: "bob@example.net", AliveAt: at1 - 1000, Origin: event.Origin{Node: "edge-1", Partition: 3, Offset: 12346, N: 1},
	}
	reject1 = refine.Reject{
		Reason: "undecodable", Detail: "an envelope of format 0xc2", Node: "edge-1", Incarnation: hex.EncodeToString(testSource.Incarnation[:]), Sequence: 300,
		Partition: 3, Offset: 12345, Time: int64(at1), Origin: refine.RejectOrigin{Offset: 12347, N: 4}, Bytes: []byte("\xc2\x00bytes"),
	}
	counts1 = score.Counts{
		Completed: 1000, Replied: 80, Bounced: 30, BouncedHard: 20, Complained: 1, Unsubscribed: 2, Opened: 300, Clicked: 50,
		MachineOpened: 400, MachineClicked: 60, AnonymousOpened: 7,
	}
	counts2 = func(c score.Counts) score.Counts { // numbers of hits came later
		c.Opens, c.Clicks, c.MachineOpens, c.MachineClicks = 450, 55, 500, 75
		return c
	}(counts1)
	counts3 = func(c score.Counts) score.Counts { // profiles came later
		c.ClickedDelivered = 45
		return c
	}(counts2)
)

// published is what a refined event shows of a ref.
func published(r event.Ref) event.Ref {
	r.SentAt, r.Flags = 0, 0
	return r
}

func noLink(r event.Ref) event.Ref {
	r.Link, r.URL = 0, ""
	return r
}

func scoresOf(counts score.Counts) rollup.SenderScores {
	rate := func(value float64) score.Rate { return score.Rate{Value: value, Low: value / 2, High: value * 2} }
	s := rollup.SenderScores{Account: "acme", Sender: "alice", AsOf: rollup.Stamp(at1), Windows: make(map[string]rollup.Score)}
	for _, window := range []string{"24h", "7d", "30d"} {
		s.Windows[window] = rollup.Score{
			Account: "acme", Sender: "alice", Window: window, Counts: counts, AsOf: s.AsOf,
			Recent: rollup.Recent{Hour: rollup.Period{Sent: 12, Bounced: 1}, Day: rollup.Period{Sent: 345, Bounced: 6}},
			Result: score.Result{ // not computed: the last digits may depend on the machine
				Rates:      score.Rates{Reply: rate(.0625), Bounce: rate(.03125), Complaint: rate(.001), Unsubscribe: rate(.002), Open: rate(.25), Click: rate(.5)},
				Score:      score.Score{Value: 73.5, Reply: 38.5, Bounce: 35, Low: 56.25, High: 82.25, Band: score.Good, Bands: []score.Band{score.Fair, score.Good, score.Excellent}},
				Sufficient: true,
			},
		}
	}
	return s
}

// profiled adds what records have since scores are made by profiles.
func profiled(s rollup.SenderScores) rollup.SenderScores {
	for window, w := range s.Windows {
		w.Profile, w.Score.Goal, w.Goal = "broadcast", score.Clicks, score.Rate{Value: .5, Low: .25, High: 1}
		s.Windows[window] = w
	}
	return s
}

func formats(t *testing.T) []format {
	raw := func(file string, src event.Source, e event.Event) format {
		return format{
			file: file, kind: Raw, today: &log.Record{Value: appendRaw(nil, src, e.AppendBinary(nil))},
			read: func(t *testing.T, rec log.Record) {
				var got event.Event
				if err := got.DecodeBinary(rec.Value); err != nil {
					t.Fatal(err)
				}
				same(t, rec.Source, src)
				same(t, got, e)
			},
		}
	}
	refined := func(file string, e event.Refined) format {
		return format{
			file: file, kind: Events, today: &log.Record{Key: []byte("acme/alice"), Value: e.AppendJSON(nil), Head: e.Head()},
			read: func(t *testing.T, rec log.Record) {
				var got event.Refined
				if err := got.DecodeJSON(rec.Value); err != nil {
					t.Fatal(err)
				}
				same(t, got, e)
				head := e.Head()
				head.Origin.Node = "" // readers of headers need none
				same(t, rec.Head, head)
			},
		}
	}
	encode := func(v any) []byte {
		value, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	scored := func(file string, s rollup.SenderScores) format {
		return format{
			file: file, kind: Scores, today: &log.Record{Key: []byte("acme/alice"), Value: encode(s)},
			read: func(t *testing.T, rec log.Record) {
				var got rollup.SenderScores
				if err := json.Unmarshal(rec.Value, &got); err != nil {
					t.Fatal(err)
				}
				same(t, got, s)
			},
		}
	}
	noLonger := func(f format) format {
		f.today = nil
		return f
	}
	return []format{
		raw("raw-1.txt", testSource, event1),
		raw("raw-tick-1.txt", event.Source{}, tick1),
		refined("events-click-1.txt", click1),
		refined("events-bounce-1.txt", bounce1),
		{
			file: "addresses-1.txt", kind: Addresses, today: &log.Record{Key: address1.AppendKey(nil), Value: address1.AppendJSON(nil)},
			read: func(t *testing.T, rec log.Record) {
				var got event.AddressFact
				if err := got.DecodeJSON(rec.Value); err != nil {
					t.Fatal(err)
				}
				same(t, got, address1)
				same(t, string(rec.Key), address1.Recipient)
			},
		},
		{
			file: "rejects-1.txt", kind: Rejects, today: &log.Record{Value: encode(reject1)},
			read: func(t *testing.T, rec log.Record) {
				got, err := refine.ReadReject(rec.Value)
				if err != nil {
					t.Fatal(err)
				}
				same(t, got, reject1)
			},
		},
		noLonger(scored("scores-1.txt", scoresOf(counts1))),
		noLonger(scored("scores-2.txt", scoresOf(counts2))),
		scored("scores-3.txt", profiled(scoresOf(counts3))),
	}
}

func same[T any](t *testing.T, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// What releases wrote is read, by our reader from a topic; what is written today is what was written yesterday.
func TestFormats(t *testing.T) {
	list := formats(t)
	for _, f := range list {
		t.Run(f.file, func(t *testing.T) {
			cluster := fake(t)
			c, p := producing(t, cluster, func(o *Options) { o.Partitions = 1 })
			var today string
			if f.today != nil {
				today = formatText(f.kind, f.write(t, c, p))
			}
			golden := readFormat(t, f.file, today)
			if today != "" && today != golden {
				t.Errorf("the format has changed, see testdata/formats/README.md; got\n%s\nwant\n%s", today, golden)
			}
			o := c.options
			o.TopicPrefix = "earlier"
			if err := cluster.CreateTopic(o.TopicName(f.kind), 1, nil); err != nil {
				t.Fatal(err)
			}
			old := parseFormat(t, f.kind, golden)
			old.Topic = o.TopicName(f.kind)
			if err := franz(t, o).ProduceSync(testContext(t), old).FirstErr(); err != nil {
				t.Fatal(err)
			}
			f.read(t, readRecords(t, newReader(t, newClient(t, o), f.kind, 0), 0, 1, 1)[0])
		})
	}
	files, err := filepath.Glob("testdata/formats/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !slices.ContainsFunc(list, func(f format) bool { return f.file == filepath.Base(file) }) {
			t.Errorf("nobody reads %s", file)
		}
	}
}

// write writes a record as stages do, and returns it as another client sees it.
func (f format) write(t *testing.T, c *Client, p *Producer) *kgo.Record {
	t.Helper()
	switch f.kind {
	case Raw: // TestRelay and TestTicker see to it that there is no more to it
		return &kgo.Record{Value: f.today.Value}
	case Addresses:
		write(t, p.Addresses(), []log.Record{*f.today})
	case Rejects:
		write(t, p.Rejects(0), []log.Record{*f.today})
	default:
		write(t, p.byKey(f.kind), []log.Record{*f.today})
	}
	return consume(t, c.options, f.kind, 1)[0]
}

// readFormat reads a file; one that is not there yet is written if that is asked for.
func readFormat(t *testing.T, file, today string) string {
	t.Helper()
	path := filepath.Join("testdata", "formats", file)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && *newFormats && today != "" {
		text, err = []byte(today), os.WriteFile(path, []byte(today), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func formatText(kind string, r *kgo.Record) string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix("key "+string(r.Key), " ") + "\n")
	for _, h := range r.Headers {
		b.WriteString(h.Key + " " + string(h.Value) + "\n")
	}
	value := string(r.Value)
	if kind == Raw {
		value = hex.EncodeToString(r.Value)
	}
	return b.String() + "\n" + value + "\n"
}

func parseFormat(t *testing.T, kind, text string) *kgo.Record {
	t.Helper()
	head, value, ok := strings.Cut(text, "\n\n")
	value, ended := strings.CutSuffix(value, "\n")
	if !ok || !ended {
		t.Fatalf("malformed: %q", text)
	}
	r := &kgo.Record{Value: []byte(value)}
	for i, line := range strings.Split(head, "\n") {
		name, content, _ := strings.Cut(line, " ")
		switch {
		case i > 0:
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(content)})
		case content != "":
			r.Key = []byte(content)
		}
	}
	if kind == Raw {
		raw, err := hex.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		r.Value = raw
	}
	return r
}
