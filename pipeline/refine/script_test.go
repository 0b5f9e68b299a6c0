package refine

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// TestScripts plays testdata/*.txt:
//
//	open [settle=12s] [park=168h] [repeat=10s]   a new, empty world
//	reopen [settle=…]                            the same store, opened anew
//	feed [all]                                   one record a line; prints what came out; contacts and volumes only with all
//	message [account=acme] id=m1                 what Message answers
//	counters                                     the counters and gauges that are not 0
//
// A record's line is `LOGTIME KIND MESSAGE [name=value]...`, times as durations since the epoch; see parseRecord.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		var w *world
		nodes := make(map[string]*builder)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "open":
				if w != nil {
					w.close()
				}
				w, nodes = openWorld(t, scriptOptions(t, d), vfs.NewMem(), newFeed()), make(map[string]*builder)
				return ""
			case "reopen":
				w.t = t
				w.reopen(scriptOptions(t, d))
				return ""
			case "feed":
				w.t = t
				for line := range strings.Lines(d.Input) {
					w.feed.append(parseRecord(t, strings.TrimSpace(line), nodes))
				}
				_, events := w.events.Bounds()
				_, addresses := w.addresses.Bounds()
				_, rejects := w.rejects.Bounds()
				w.drain(all)
				return describe(t, contents(t, w.events)[events:], contents(t, w.addresses)[addresses:], contents(t, w.rejects)[rejects:], d.HasArg("all"))
			case "message":
				return w.describeMessage(d)
			case "counters":
				return w.describeCounters()
			}
			d.Fatalf(t, "no command %s", d.Cmd)
			return ""
		})
		if w != nil {
			w.t = t
			w.close()
		}
	})
}

func scriptOptions(t *testing.T, d *datadriven.TestData) Options {
	o := testOptions()
	for _, arg := range d.CmdArgs {
		v, err := time.ParseDuration(arg.SingleVal(t))
		if err != nil {
			d.Fatalf(t, "%s: %v", arg.Key, err)
		}
		switch arg.Key {
		case "settle":
			o.Settle = v
		case "park":
			o.Park = v
		case "repeat":
			o.Repeat = v
		default:
			d.Fatalf(t, "no option %s", arg.Key)
		}
	}
	return o
}

// parseRecord reads a line of feed. Facts that a token tells are known by their ref, the others by their key, unless
// by= says otherwise; names have defaults.
func parseRecord(t testing.TB, line string, nodes map[string]*builder) log.Record {
	words := strings.Fields(line)
	if len(words) < 2 {
		t.Fatalf("line %q: want LOGTIME KIND MESSAGE", line)
	}
	at := epoch.Add(parseOffset(t, words[0]))
	if words[1] == "tick" {
		return tickAtTime(at)
	}
	if len(words) < 3 {
		t.Fatalf("line %q: want LOGTIME KIND MESSAGE", line)
	}
	kind, known := event.ParseKind(words[1])
	switch words[1] {
	case "order":
		kind, known = event.Order, true
	case "inquiry":
		kind, known = event.Inquiry, true
	}
	if !known && words[1] != "garbage" && words[1] != "unheard" {
		t.Fatalf("line %q: no kind %s", line, words[1])
	}
	if words[1] == "unheard" {
		kind = 77
	}
	e := event.Event{Kind: kind, Time: at, KnownBy: event.ByKey, Ref: event.Ref{
		Account: "acme", Sender: "alice", Sequence: "q4", Contact: "c-" + words[2], Message: words[2],
	}}
	switch kind {
	case event.Sent:
		e.KnownBy, e.Recipient = event.ByRef, words[2]+"@example.com"
	case event.Open, event.Click:
		e.KnownBy, e.Actor.Verdict = event.ByRef, event.Human
	case event.Unsubscribe:
		e.KnownBy = event.ByRef
	case event.Order, event.Inquiry: // the word stands for the id
		e.Ref = event.Ref{Account: "acme", Message: event.ID{0: byte(len(words[2]))}.String()}
		e.Key, e.Body = event.OrderKey("acme", ""), []byte(`{"a": 1, "partitions": 4}`)
	case event.Alert:
		e.Ref = event.Ref{Account: "acme", Sender: "alice"}
		e.Key, e.Body = event.Key(event.AlertID("acme", "alice", "bounce_rate", words[2])), []byte(`{"rule": "bounce_rate"}`)
	}
	b := builderOf(nodes, "n1")
	for _, word := range words[3:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "node":
			b = builderOf(nodes, value)
		case "seq":
			b.sequence = parseUint(t, value) - 1
		default:
			setField(t, &e, name, value)
		}
	}
	if len(e.Body) == 0 {
		finishKey(&e)
	}
	rec := b.record(at, e)
	if words[1] == "garbage" {
		rec.Value = []byte(words[2])
	}
	return rec
}

func builderOf(nodes map[string]*builder, name string) *builder {
	if nodes[name] == nil {
		nodes[name] = newBuilder(name)
	}
	return nodes[name]
}

// finishKey leaves of the identity what the way of knowing tells.
func finishKey(e *event.Event) {
	switch e.KnownBy {
	case event.ByMessageID:
		e.Ref = event.Ref{Message: e.Message}
		e.Key = event.PartialKey(e.Message)
	case event.ByKey:
		e.Key = event.KeyOf(e.Account, e.Message)
		if !event.IsEnrollmentID(e.Message) {
			e.Ref = event.Ref{}
		}
	default:
		if e.Key == (event.Key{}) {
			e.Key = event.KeyOf(e.Account, e.Message)
		}
	}
}

func setField(t testing.TB, e *event.Event, name, value string) {
	texts := map[string]*string{
		"account": &e.Account, "sender": &e.Sender, "sequence": &e.Sequence, "contact": &e.Contact, "to": &e.Recipient,
		"url": &e.URL, "via": &e.Actor.Via, "ip-agent": &e.Client.UserAgent, "category": &e.Bounce.Category,
		"status": &e.Bounce.Status, "rule": &e.Bounce.Rule, "id": &e.Message, "mail": &e.Mail.ID, "from": &e.Mail.From, "ft": &e.Mail.FeedbackType,
	}
	if p, ok := texts[name]; ok {
		*p = value
		return
	}
	switch name {
	case "at":
		e.Time = epoch.Add(parseOffset(t, value))
	case "sent_at":
		e.SentAt = epoch.Add(parseOffset(t, value))
	case "verdict":
		v, ok := event.ParseVerdict(value)
		if !ok {
			t.Fatalf("no verdict %s", value)
		}
		e.Actor.Verdict = v
	case "reason":
		e.Actor.Reasons = append(e.Actor.Reasons, value)
	case "client":
		e.Client.Hash = parseUint(t, value)
	case "address":
		e.Client.AddressHash = parseUint(t, value)
	case "body":
		e.Body = []byte(value)
	case "soon": // within:verdict
		within, verdict, _ := strings.Cut(value, ":")
		e.Soon.Within = event.Millis(parseOffset(t, within).Milliseconds())
		e.Soon.Verdict, _ = event.ParseVerdict(verdict)
	case "link":
		e.Link = uint32(parseUint(t, value))
	case "links":
		e.Links = make([]string, parseUint(t, value))
	case "hard":
		e.Bounce.Hard = true
	case "reply":
		e.Mail.ReplyAddress = true
	case "refs":
		e.Mail.References = true
	case "badkey":
		e.Key = event.KeyOf("somebody", "else")
	case "enrollment":
		e.Message = event.EnrollmentID(e.Account, e.Sender, e.Sequence, e.Contact)
	case "by":
		e.KnownBy = map[string]event.KnownBy{"ref": event.ByRef, "key": event.ByKey, "id": event.ByMessageID}[value]
	case "flag":
		e.Flags |= map[string]event.Flags{
			"transactional": event.Transactional, "anonymous": event.Anonymous, "shared": event.Shared,
			"untracked": event.Untracked, "honeypot": event.Honeypot, "not_sent": event.NotSent,
		}[value]
	default:
		t.Fatalf("no field %s", name)
	}
}

func parseOffset(t testing.TB, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func parseUint(t testing.TB, s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func describe(t testing.TB, events, addresses, rejects []log.Record, all bool) string {
	var out strings.Builder
	for i, r := range refinedOf(t, events) {
		if want := r.Account + "/" + r.Sender; string(events[i].Key) != want {
			t.Fatalf("an event has the key %s, want %s", events[i].Key, want)
		}
		fmt.Fprintln(&out, describeEvent(&r))
	}
	for i, f := range factsOf(t, addresses) {
		if want := event.NormalAddress(f.Recipient); string(addresses[i].Key) != want {
			t.Fatalf("a fact about an address has the key %s, want %s", addresses[i].Key, want)
		}
		if !all && (f.Kind == event.Contact || f.Kind == event.Volume) {
			continue
		}
		fmt.Fprintln(&out, describeAddress(&f))
	}
	for _, r := range rejectsOf(t, rejects) {
		fmt.Fprintf(&out, "reject %d.%d %s", r.Origin.Offset, r.Origin.N, r.Reason)
		if r.Detail != "" {
			fmt.Fprintf(&out, " (%s)", r.Detail)
		}
		fmt.Fprintf(&out, " offset=%d node=%s sequence=%d bytes=%d\n", r.Offset, r.Node, r.Sequence, len(r.Bytes))
	}
	if out.Len() == 0 {
		return "nothing"
	}
	return out.String()
}

func describeEvent(r *event.Refined) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d.%d %s %v", r.Origin.Offset, r.Origin.N, r.Kind, r.Time.Time().Sub(epoch.Time()))
	fmt.Fprintf(&b, " %s/%s/%s/%s/%s", r.Account, r.Sender, r.Sequence, r.Contact, r.Message)
	if r.Revision > 0 {
		fmt.Fprintf(&b, " revision=%d", r.Revision)
	}
	if r.First {
		b.WriteString(" first")
	}
	if r.Inferred {
		b.WriteString(" inferred")
	}
	if r.Actor.Verdict != event.NoVerdict {
		fmt.Fprintf(&b, " %v%v", r.Actor.Verdict, r.Actor.Reasons)
	}
	if r.Kind == event.Click {
		fmt.Fprintf(&b, " link=%d,%s", r.Link, r.URL)
	}
	if r.Client != (event.Client{}) {
		fmt.Fprintf(&b, " client=%v", r.Client)
	}
	if r.Recipient != "" {
		fmt.Fprintf(&b, " to=%s", r.Recipient)
	}
	if r.Bounce != (event.Diagnosis{}) {
		fmt.Fprintf(&b, " bounce=%s,%s,hard=%t", r.Bounce.Category, r.Bounce.Status, r.Bounce.Hard)
	}
	if r.FeedbackType != "" {
		fmt.Fprintf(&b, " feedback=%s", r.FeedbackType)
	}
	if r.Provider != "" && r.Provider != "example.com" {
		fmt.Fprintf(&b, " provider=%s", r.Provider)
	}
	if len(r.Alert) > 0 {
		fmt.Fprintf(&b, " %s", r.Alert)
	}
	if r.Origin.Node != "n1" {
		fmt.Fprintf(&b, " node=%s", r.Origin.Node)
	}
	return b.String()
}

func describeAddress(f *event.AddressFact) string {
	var b strings.Builder
	fmt.Fprintf(&b, "address %d.%d %s %v", f.Origin.Offset, f.Origin.N, f.Kind, f.Time.Time().Sub(epoch.Time()))
	fmt.Fprintf(&b, " %s/%s/%s/%s/%s to=%s", f.Account, f.Sender, f.Sequence, f.Contact, f.Message, f.Recipient)
	if f.Revision > 0 {
		fmt.Fprintf(&b, " revision=%d", f.Revision)
	}
	if f.Flags.Has(event.Transactional) {
		b.WriteString(" transactional")
	}
	if f.Bounce != (event.Diagnosis{}) {
		fmt.Fprintf(&b, " bounce=%s,%s,hard=%t", f.Bounce.Category, f.Bounce.Status, f.Bounce.Hard)
	}
	if f.Bounce.Rule != "" {
		fmt.Fprintf(&b, " rule=%s", f.Bounce.Rule)
	}
	if f.MailboxProvider != "" && f.MailboxProvider != "example.com" {
		fmt.Fprintf(&b, " mailbox_provider=%s", f.MailboxProvider)
	}
	if f.ContactKey != "" {
		fmt.Fprintf(&b, " contact_key=%.8s", f.ContactKey)
	}
	if len(f.Body) > 0 {
		fmt.Fprintf(&b, " %s", f.Body)
	}
	if f.Reported != "" {
		fmt.Fprintf(&b, " reported=%s", f.Reported)
	}
	if f.AliveAt != 0 {
		fmt.Fprintf(&b, " alive_at=%v", f.AliveAt.Time().Sub(epoch.Time()))
	}
	if f.FeedbackType != "" {
		fmt.Fprintf(&b, " feedback=%s", f.FeedbackType)
	}
	return b.String()
}

func (w *world) describeMessage(d *datadriven.TestData) string {
	account, id := "acme", ""
	d.MaybeScanArgs(w.t, "account", &account)
	d.ScanArgs(w.t, "id", &id)
	m, ok, err := w.p.Message(account, id)
	w.check(err)
	if !ok {
		return "not known"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s/%s/%s/%s to=%s registered=%t status=%s\n", m.Account, m.Sender, m.Sequence, m.Contact, m.Message,
		m.Recipient, m.Registered, m.Status)
	for i := range m.Events {
		fmt.Fprintln(&b, " ", describeEvent(&m.Events[i]))
	}
	return b.String()
}

func (w *world) describeCounters() string {
	families, err := w.reg.Gather()
	w.check(err)
	var lines []string
	for _, f := range families {
		name := strings.TrimPrefix(f.GetName(), "carom_refine_")
		if strings.HasSuffix(name, "_seconds") {
			continue
		}
		for _, m := range f.GetMetric() {
			v := m.GetCounter().GetValue() + m.GetGauge().GetValue()
			if v == 0 {
				continue
			}
			line := name
			for _, l := range m.GetLabel() {
				if l.GetName() != "partition" {
					line += " " + l.GetName() + "=" + l.GetValue()
				}
			}
			lines = append(lines, fmt.Sprintf("%s %v", line, v))
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n") + "\n"
}
