package kafka

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"carom/pipeline/event"
	"carom/pipeline/journal"
	"carom/pipeline/refine"
)

// fleet is two edge nodes that hear facts about the same messages. A is of this release; B is of the next one, and made
// by the test: what it writes has what a next release may add without a new version.
type fleet struct {
	t        testing.TB
	o        Options
	a        *journal.Journal
	relay    *Relay
	franz    *kgo.Client
	sequence uint64 // of B's last record
}

var sourceB = event.Source{Node: "edge-2", Incarnation: [16]byte{0xb, 0xb, 0xb}}

func newFleet(t testing.TB, c *Client, p *Producer) *fleet {
	f := &fleet{t: t, o: c.options, a: openJournal(t), franz: franz(t, c.options)}
	f.relay = newRelay(t, p, f.a, f.a.Incarnation(), openState(t))
	t.Cleanup(start(t, f.relay))
	return f
}

// hear has one of the nodes hear a fact.
func (f *fleet) hear(b bool, e event.Event) {
	f.t.Helper()
	if b {
		f.hearB(e.Key, nextEnvelope(f.nextB(), nextEvent(e.AppendBinary(nil))))
	} else if err := f.a.Append(journal.Essential, &e); err != nil {
		f.t.Fatal(err)
	}
}

// nextB returns the source of B's next record.
func (f *fleet) nextB() event.Source {
	f.sequence++
	src := sourceB
	src.Sequence = f.sequence
	return src
}

// hearB writes a raw record of B's.
func (f *fleet) hearB(key event.Key, value []byte) {
	f.t.Helper()
	r := &kgo.Record{Topic: f.o.TopicName(Raw), Partition: RawPartition(key, int32(f.o.Partitions)), Value: value}
	if err := f.franz.ProduceSync(testContext(f.t), r).FirstErr(); err != nil {
		f.t.Fatal(err)
	}
}

// pause waits until what A has heard is in the topic.
func (f *fleet) pause() {
	f.t.Helper()
	_, end := f.a.Bounds()
	waitPassed(f.t, f.relay, end)
}

// What the next release adds: fields of every wire type, of numbers that are far from being used (60 to 63 of the event).
const (
	addedToEnvelope = "\x28\x07" + "\x32\x04zone" + "\x39\x01\x02\x03\x04\x05\x06\x07\x08" + "\xa5\x06\x01\x02\x03\x04"
	addedToEvent    = "\xe0\x03\x05" + "\xea\x03\x05brand" + "\xf1\x03\x01\x02\x03\x04\x05\x06\x07\x08" + "\xfd\x03\x01\x02\x03\x04"
)

func nextEnvelope(src event.Source, ev []byte) []byte {
	return append(appendRaw(nil, src, ev), addedToEnvelope...)
}

func nextEvent(ev []byte) []byte { return append(ev, addedToEvent...) }

// thisRelease takes out of a raw record what the next release added.
func thisRelease(t testing.TB, value []byte) []byte {
	t.Helper()
	src, ev, err := decodeRaw(value)
	if err != nil {
		t.Fatal(err)
	}
	return appendRaw(nil, src, bytes.TrimSuffix(ev, []byte(addedToEvent)))
}

// letter is message i, in the middle of everything that happens to it.
func letter(i int, at event.Millis) event.Event {
	message := fmt.Sprintf("m-%d@mail.example.com", i)
	return event.Event{
		KnownBy: event.ByRef, Key: event.KeyOf("acme", message), Time: at,
		Ref: event.Ref{
			Account: "acme", Sender: []string{"alice", "bob", "carol"}[i%3], Sequence: "q4", Contact: fmt.Sprint("c-", i), Message: message, SentAt: at,
		},
	}
}

const letters = 12

// speak has the fleet hear all there is about the letters: what one node heard first the other hears again, and half of
// the messages have the nodes in the other roles. It returns how many events that should make.
func (f *fleet) speak(base event.Millis) (events int) {
	steps := []func(e *event.Event) bool{ // whether the second node hears it
		func(e *event.Event) bool { // of every fourth, a bounce that overtakes its send
			*e = event.Event{
				Kind: event.Bounce, Time: base + 500, KnownBy: event.ByMessageID, Key: event.PartialKey(e.Message), Ref: event.Ref{Message: e.Message},
				Bounce: event.Diagnosis{Status: "4.2.2", Category: "mailbox_full", ReplyCode: "452"},
			}
			return true
		},
		func(e *event.Event) bool {
			e.Kind, e.Recipient, e.Links = event.Sent, e.Contact+"@example.com", []string{"https://example.com/a"}
			return false
		},
		func(e *event.Event) bool { return pixel(e, 1, base+1000) },
		func(e *event.Event) bool { return !pixel(e, 1, base+3000) }, // the same within the window
		func(e *event.Event) bool {
			pixel(e, 1, base+5000)
			e.Kind, e.URL = event.Click, "https://example.com/a"
			return true
		},
		func(e *event.Event) bool { return !pixel(e, 2, base+7000) }, // another client
		func(e *event.Event) bool { return hardBounce(e, base+8000) },
		func(e *event.Event) bool { return !hardBounce(e, base+9000) }, // told again
		func(e *event.Event) bool { // of every third
			e.Kind, e.Time, e.Mail = event.Reply, base+10_000, event.Mail{ID: "r-" + e.Message, From: e.Contact + "@example.com", ReplyAddress: true}
			return true
		},
	}
	for n, step := range steps {
		for i := range letters {
			if n == 0 && i%4 != 0 || n == 8 && i%3 != 0 {
				continue
			}
			e := letter(i, base)
			second := step(&e)
			f.hear(second != (i%2 == 1), e)
		}
		f.pause()
	}
	return letters*5 + letters/4 + letters/3
}

func pixel(e *event.Event, client uint64, at event.Millis) bool {
	e.Kind, e.Time, e.Actor = event.Open, at, event.Actor{Verdict: event.Human}
	e.Client = event.Client{Hash: client, UserAgent: agents[0]}
	return true
}

func hardBounce(e *event.Event, at event.Millis) bool {
	*e = event.Event{
		Kind: event.Bounce, Time: at, KnownBy: event.ByKey, Key: e.Key, Recipient: e.Contact + "@example.com",
		Bounce: event.Diagnosis{Hard: true, Status: "5.1.1", Category: "invalid_recipient", ReplyCode: "550", Diagnostic: "no such user"},
	}
	return true
}

// upgrading returns a fleet with topics of their own, and a worker of this release.
func upgrading(t testing.TB) (*fleet, *worker) {
	t.Helper()
	c, p := producing(t, fake(t), func(o *Options) { o.Partitions = 3 })
	return newFleet(t, c, p), startWorker(t, c)
}

// A node of this release and one of the next are heard by a worker of this release. What they tell is what it would be
// if all were of this release: down to the last byte, because the second run has the same records at the same offsets,
// without what the next release added.
func TestUpgradeMixed(t *testing.T) {
	base := event.Now().Add(-time.Hour)
	f, mixed := upgrading(t)
	want := f.speak(base)
	mixed.finish(want)

	c, _ := producing(t, fake(t), func(o *Options) { o.Partitions = f.o.Partitions })
	client := franz(t, c.options)
	byB := copyRaw(t, f.o, client)
	plain := startWorker(t, c)
	plain.finish(want)

	if heard := int(f.sequence); heard < 3*letters || byB != heard {
		t.Fatalf("%d of B's records were rewritten, of %d", byB, heard)
	}
	if got, want := mixed.events(), plain.events(); !reflect.DeepEqual(got, want) {
		t.Errorf("events differ:\n%s\n\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	statuses := make(map[string]int)
	for i := range letters {
		id := letter(i, base).Message
		got, want := mixed.message("acme", id), plain.message("acme", id)
		if !reflect.DeepEqual(got, want) || !got.Registered || len(got.Events) < 5 {
			t.Errorf("%s:\ngot  %+v\nwant %+v", id, got, want)
		}
		statuses[got.Status]++
	}
	if statuses["replied"] != letters/3 {
		t.Errorf("statuses: %v", statuses)
	}
	completed := int64(0)
	for _, sender := range []string{"alice", "bob", "carol"} {
		asOf := base + 3_600_000
		got, want := mixed.score("acme", sender, asOf), plain.score("acme", sender, asOf)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", sender, got, want)
		}
		completed += got.Completed
	}
	if completed != letters {
		t.Errorf("%d enrollments completed, want %d", completed, letters)
	}
}

// copyRaw copies the raw topic, record by record, with B's in the form of this release.
func copyRaw(t testing.TB, from Options, to *kgo.Client) (byB int) {
	t.Helper()
	all := 0
	c := newClient(t, from)
	for p := range int32(from.Partitions) {
		_, end, err := c.bounds(testContext(t), from.TopicName(Raw), p)
		if err != nil {
			t.Fatal(err)
		}
		all += int(end)
	}
	for _, r := range consume(t, from, Raw, all) {
		if src, _, err := decodeRaw(r.Value); err == nil && src.Incarnation == sourceB.Incarnation {
			if !bytes.Contains(r.Value, []byte(addedToEvent)) || !bytes.HasSuffix(r.Value, []byte(addedToEnvelope)) {
				t.Fatalf("%x has nothing of the next release", r.Value)
			}
			r.Value = thisRelease(t, r.Value)
			byB++
		}
		again := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Timestamp: r.Timestamp, Value: r.Value}
		if err := to.ProduceSync(testContext(t), again).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return byB
}

// A record that this release can't read is put aside with its bytes, and nothing stops for it. Once it can be read, it
// is played again, and counts once.
func TestUpgradeUnreadable(t *testing.T) {
	base := event.Now().Add(-time.Hour)
	f, w := upgrading(t)
	want := f.speak(base)

	// The same partition gets all, so that what stops it stops what follows.
	bounced := letter(1, base)
	hardBounce(&bounced, base+20_000)
	bounced.Bounce.Status = "5.7.1"
	opened := letter(1, base)
	pixel(&opened, 3, base+300_000)
	newEnvelope := nextEnvelope(f.nextB(), nextEvent(bounced.AppendBinary(nil)))
	newEnvelope[0] = rawVersion + 1
	newBody := nextEvent(opened.AppendBinary(nil))
	newBody[0] = 2
	f.hearB(bounced.Key, newEnvelope)
	f.hearB(opened.Key, nextEnvelope(f.nextB(), newBody))
	after := letter(1, base)
	pixel(&after, 4, base+30_000)
	f.hear(true, after)
	f.hear(false, event.Event{Kind: event.Unsubscribe, Time: base + 40_000, KnownBy: event.ByKey, Key: after.Key})
	want += 2
	w.finish(want)

	rejects := make(map[bool]refine.Reject) // by whether they have their envelope
	for _, r := range consume(t, f.o, Rejects, 2) {
		reject, err := refine.ReadReject(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		if reject.Reason != "undecodable" || !strings.Contains(reject.Detail, "newer") || r.Partition != reject.Partition {
			t.Errorf("rejected as %s: %s", reject.Reason, reject.Detail)
		}
		rejects[reject.Enveloped()] = reject
	}
	whole, body := rejects[true], rejects[false]
	if !bytes.Equal(whole.Bytes, newEnvelope) || !bytes.Equal(body.Bytes, newBody) || body.Node != sourceB.Node {
		t.Fatalf("got %+v\nand %+v", whole, body)
	}
	if ev, err := OpenEnvelope(whole.Bytes); err == nil {
		t.Errorf("this release opens %x", ev)
	}
	if e, err := body.Event(); err == nil {
		t.Errorf("this release reads %+v", e)
	}

	// An upgraded node reads the new forms. Here the new forms become such that this release is the upgraded one.
	whole.Bytes[0], body.Bytes[0] = rawVersion, 1
	var replayed [2]event.Event
	ev, err := OpenEnvelope(whole.Bytes)
	if err == nil {
		err = replayed[0].DecodeBinary(ev)
	}
	if err != nil {
		t.Fatal(err)
	}
	if replayed[1], err = body.Event(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // whoever is not sure that it was done does it again
		for i := range replayed {
			if err := f.a.Append(journal.Essential, &replayed[i]); err != nil {
				t.Fatal(err)
			}
		}
		f.pause()
	}
	want += 2
	w.finish(want)
	found := 0
	for _, r := range w.message("acme", after.Message).Events {
		if r.Kind == event.Bounce && r.Bounce.Status == "5.7.1" || r.Kind == event.Open && r.Time == base+300_000 {
			found++
		}
	}
	if found != 2 {
		t.Errorf("%d of the events that were played again are there, want 2", found)
	}
	if _, end, err := w.c.bounds(testContext(t), f.o.TopicName(Rejects), whole.Partition); err != nil || end != 2 {
		t.Errorf("%d rejects, want 2, %v", end, err)
	}
}
