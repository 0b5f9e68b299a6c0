package judge

import (
	"container/list"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"carom/pipeline/bot"
	"carom/pipeline/burst"
	"carom/pipeline/event"
)

// Hit is one open or click of a log.
type Hit struct {
	Kind    event.Kind // Open or Click
	Time    event.Millis
	Request event.Request
	// Message groups the hits that are judged together; "": this one stands alone. It is the log's name for a mail.
	Message  string
	Link     string // of a click: whatever tells the links of a message apart
	Honeypot bool
	// Sent and Delivered are the message's, 0 if not known.
	Sent, Delivered event.Millis
}

// Verdict is who made a hit.
type Verdict struct {
	event.Actor
	// Repeat says that it repeats another one and counts for nothing.
	Repeat bool
}

// Options are the settings of a Judge.
type Options struct {
	Burst burst.Options
	// Window is how long, by the log's times, a message waits for more hits after its last one.
	Window time.Duration
	// MaxWaiting bounds the hits that wait.
	MaxWaiting int
}

// Default returns the settings of a node, and a window that no burst rule looks beyond. So many hits waiting take some 400 MB
// if each is of another message, and are 10 s of a log with 26,000 hits a second.
func Default() Options {
	return Options{Burst: burst.Default(), Window: time.Minute, MaxWaiting: 1 << 18}
}

// Validate names the first setting that is out of its bounds.
func (o Options) Validate() error {
	switch {
	case o.Window <= 0 || o.Window > 24*time.Hour:
		return fmt.Errorf("window: %v: want more than 0 and at most 24h", o.Window)
	case o.MaxWaiting < 1:
		return fmt.Errorf("max_waiting: %d: want 1 or more", o.MaxWaiting)
	}
	return o.Burst.Validate()
}

// maxTogether bounds the hits of one message that are judged together, and so the work on each.
const maxTogether = 4096

// Judge judges the hits of one log. It is for one goroutine.
type Judge struct {
	o     Options
	rules *bot.Rules
	tell  func(Verdict) error
	seed  maphash.Seed

	times    [3]event.Millis // of the last hits, the newest first
	messages map[string]*list.Element
	silent   list.List // of *message, those that were silent for longest first
	queue    []*waiting
	told     int // of queue
	err      error

	hits     []burst.Hit
	verdicts []burst.Verdict
}

// message is one whose hits wait.
type message struct {
	id    string
	hits  []*waiting
	last  event.Millis // of the hit that was added last
	links map[string]uint32
	burst burst.Message
}

// waiting is a hit that is not told yet.
type waiting struct {
	hit     burst.Hit
	verdict Verdict
	of      *message
	judged  bool
}

// New returns a Judge that hands each verdict to tell, in the order of the hits, until tell fails.
func New(rules *bot.Rules, o Options, tell func(Verdict) error) (*Judge, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Judge{
		o: o, rules: rules, tell: tell, seed: maphash.MakeSeed(), messages: make(map[string]*list.Element),
	}, nil
}

// Add takes the next hit. An error is tell's.
func (j *Judge) Add(h *Hit) error {
	actor, soon := j.rules.Judge(h.Kind, &h.Request, nil)
	w := &waiting{verdict: Verdict{Actor: actor}}
	w.hit = burst.Hit{
		ID: idOf(j.told + len(j.queue)), Kind: h.Kind, Time: h.Time, Verdict: actor.Verdict, Soon: soon,
		Hints: burst.HintsOf(actor.Reasons), Honeypot: h.Honeypot,
		Client: j.hash(h.Request.IP, h.Request.UserAgent), Address: j.hash(h.Request.IP, ""),
	}
	j.queue = append(j.queue, w)
	m := j.message(h)
	w.of, w.hit.Link = m, m.link(h.Link)
	m.hits = append(m.hits, w)
	m.last = h.Time
	m.burst.Sent, m.burst.Delivered = earliest(m.burst.Sent, h.Sent), earliest(m.burst.Delivered, h.Delivered)
	now := j.passed(h.Time)
	if h.Message == "" {
		j.judge(m)
	} else if len(m.hits) >= maxTogether {
		j.end(j.messages[m.id])
	}
	for e := j.silent.Front(); e != nil; e = j.silent.Front() {
		if m := e.Value.(*message); m.last.Add(j.o.Window) >= now && now.Add(j.o.Window) >= m.last {
			break
		}
		j.end(e)
	}
	for len(j.queue) > j.o.MaxWaiting { // what waits for the one that came first makes room, and nobody else need be cut short
		if first := j.queue[0]; !first.judged {
			j.end(j.messages[first.of.id])
		}
		if err := j.flush(); err != nil {
			return err
		}
	}
	return j.flush()
}

// passed returns what time it is in the log after one more hit: the middle one of the last three, so that a line with a
// wrong time moves nothing. It runs back where another log begins.
func (j *Judge) passed(at event.Millis) event.Millis {
	if j.told+len(j.queue) == 1 {
		j.times = [3]event.Millis{at, at, at}
	}
	j.times = [3]event.Millis{at, j.times[0], j.times[1]}
	return max(min(j.times[0], j.times[1]), min(max(j.times[0], j.times[1]), j.times[2]))
}

// Close judges what waits.
func (j *Judge) Close() error {
	for e := j.silent.Front(); e != nil; e = j.silent.Front() {
		j.end(e)
	}
	return j.flush()
}

// message returns the one that a hit belongs to, as the last that was heard of.
func (j *Judge) message(h *Hit) *message {
	if h.Message == "" {
		return new(message)
	}
	if e := j.messages[h.Message]; e != nil {
		j.silent.MoveToBack(e)
		return e.Value.(*message)
	}
	m := &message{id: h.Message}
	j.messages[h.Message] = j.silent.PushBack(m)
	return m
}

// link numbers the links of a message.
func (m *message) link(name string) uint32 {
	n, ok := m.links[name]
	if !ok {
		if m.links == nil {
			m.links = make(map[string]uint32)
		}
		n = uint32(len(m.links))
		m.links[name] = n
	}
	return n
}

// end judges a message and forgets it.
func (j *Judge) end(e *list.Element) {
	m := j.silent.Remove(e).(*message)
	delete(j.messages, m.id)
	j.judge(m)
}

func (j *Judge) judge(m *message) {
	slices.SortFunc(m.hits, func(a, b *waiting) int { return burst.Compare(&a.hit, &b.hit) })
	j.hits = j.hits[:0]
	for _, w := range m.hits {
		j.hits = append(j.hits, w.hit)
	}
	j.verdicts = j.o.Burst.Judge(m.burst, j.hits, j.verdicts)
	for i, w := range m.hits {
		v := &j.verdicts[i]
		w.verdict.Verdict, w.verdict.Repeat, w.judged = v.Verdict, v.Repeat, true
		w.verdict.Reasons = v.Reasons.Append(w.verdict.Reasons)
	}
}

// flush tells what is judged and due.
func (j *Judge) flush() error {
	n := 0
	for ; n < len(j.queue) && j.queue[n].judged && j.err == nil; n++ {
		j.err = j.tell(j.queue[n].verdict)
	}
	clear(j.queue[:n])
	j.queue, j.told = j.queue[n:], j.told+n
	return j.err
}

func (j *Judge) hash(ip netip.Addr, agent string) uint64 {
	if !ip.IsValid() && agent == "" {
		return 0
	}
	var h maphash.Hash
	h.SetSeed(j.seed)
	b := ip.As16()
	h.Write(b[:])
	h.WriteString(agent)
	return max(1, h.Sum64())
}

// idOf makes hits of one time keep their order.
func idOf(n int) (id event.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

func earliest(a, b event.Millis) event.Millis {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
