package main

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"carom/bench/mails"
	benchnode "carom/bench/node"
	"carom/bench/targets"
	"carom/bench/wire"
)

// platform is a sending system with its readers: it registers messages by the bulk, some of which are then opened, clicked,
// or come back.
type platform struct {
	node   *node
	client *benchnode.Client
	world  string
	next   atomic.Int64
	bulks  chan struct{} // full while as many are sent as a node takes at once

	registered, opened, clicked, bounced, failed atomic.Int64

	mu      sync.Mutex // guards latency and lastErr
	latency *hdrhistogram.Histogram
	lastErr error // the last of those that are counted in failed
}

// Of a bulk, every n-th message is opened, every n-th of those clicked, and every n-th that was not opened bounces.
const (
	bulkMessages = 50
	openEvery    = 3
	clickEvery   = 4
	bounceEvery  = 49
	bulksAtOnce  = 16
)

// drainBound is how long a node may take to work off what it has acknowledged.
const drainBound = 30 * time.Minute

func newPlatform(n *node, world string) (*platform, error) {
	client, err := benchnode.New(benchnode.Target{API: "http://" + n.api}, people)
	return &platform{node: n, client: client, world: world, bulks: make(chan struct{}, bulksAtOnce), latency: newHistogram()}, err
}

// events is how many were acknowledged.
func (p *platform) events() int64 {
	return p.registered.Load() + p.opened.Load() + p.clicked.Load() + p.bounced.Load()
}

func (p *platform) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed.Add(1)
	p.lastErr = err
}

// failures is an error that says how many requests have failed so far, and why the last one did; nil if none has.
func (p *platform) failures() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lastErr == nil {
		return nil
	}
	return fmt.Errorf("%d requests failed, the last: %w", p.failed.Load(), p.lastErr)
}

// heard takes over the latencies since the last call.
func (p *platform) heard() *hdrhistogram.Histogram {
	p.mu.Lock()
	defer p.mu.Unlock()
	latency := p.latency
	p.latency = newHistogram()
	return latency
}

// sentMessage is a message that was registered.
type sentMessage struct {
	registration *benchnode.Registration
	links        benchnode.Links
}

// send registers so many messages, in one request, and returns those that were answered.
func (p *platform) send(ctx context.Context, messages int) ([]sentMessage, error) {
	last, now := p.next.Add(int64(messages)), time.Now().UTC()
	all := make([]benchnode.Registration, messages)
	for i := range all {
		n := last - int64(messages) + int64(i)
		r := messageRef(p.world, n)
		all[i] = benchnode.Registration{
			Account: r.Account, Sender: r.Sender, Sequence: r.Sequence, Contact: r.Contact, Message: r.Message,
			Recipient: fmt.Sprintf("recipient.%d@example.net", n), Links: []string{"https://example.com/offers/autumn"}, SentAt: now,
		}
	}
	sent := make([]sentMessage, 0, messages)
	err := p.client.Register(ctx, all, func(i int, l benchnode.Links) { sent = append(sent, sentMessage{&all[i], l}) })
	return sent, err
}

// person is one connection each to the edges.
type person struct {
	*platform
	hits *wire.HTTP
	asks one // what hits asks for next
	mail *benchnode.Mailer
	met  time.Time // when mail was connected
}

// mailLasts is how long a person keeps a connection to the mail edge. The edge ends those that last an hour, are silent for
// five minutes, or bring ten thousand mails, and no mail may be under way then.
const mailLasts = time.Minute

func newPerson(ctx context.Context, platform *platform) (p *person, err error) {
	p = &person{platform: platform}
	p.hits, err = dial(ctx, platform.node.track, &p.asks)
	return p, err
}

func (p *person) close() {
	_ = p.hits.Close()
	p.mail.Close()
}

// bulk sends a bulk of messages and plays what becomes of them.
func (p *person) bulk(ctx context.Context) {
	p.bulks <- struct{}{}
	sent, err := p.send(ctx, bulkMessages)
	<-p.bulks
	p.registered.Add(int64(len(sent)))
	if err != nil {
		if ctx.Err() == nil {
			p.fail(err)
		}
		return
	}
	opened := 0
	for i := range sent {
		if ctx.Err() != nil {
			return // no answer may be worth waiting for
		}
		m := &sent[i]
		switch {
		case i%openEvery == 0:
			if opened++; p.hit(ctx, targets.Open, m.links.OpenURL, &p.opened) && opened%clickEvery == 0 {
				p.hit(ctx, targets.Click, m.links.ClickURLs[0], &p.clicked)
			}
		case i == bounceEvery:
			if err := p.bounce(ctx, m); err != nil {
				p.fail(err)
				continue
			}
			p.bounced.Add(1)
		}
	}
}

// hit follows a URL, and counts it if it was answered as it should.
func (p *person) hit(ctx context.Context, kind targets.HitKind, link string, count *atomic.Int64) bool {
	u, err := url.Parse(link)
	if err != nil {
		p.fail(err)
		return false
	}
	p.asks.Hit = targets.Hit{Kind: kind, Path: []byte(u.Path)} // with the agent of client 0: a person's browser
	began := time.Now()
	if answer := p.hits.Do(ctx); answer.Err != nil {
		p.fail(answer.Err)
		return false
	}
	count.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.latency.RecordValue(max(1, time.Since(began).Microseconds()))
	return true
}

// full is what the report of a bounce says.
var full = mails.Status{Action: "failed", Code: "5.2.2", Diagnostic: "552 5.2.2 mailbox full"}

// bounce has the message come back as a report.
func (p *person) bounce(ctx context.Context, m *sentMessage) (err error) {
	if p.mail != nil && time.Since(p.met) > mailLasts {
		p.mail.Close()
		p.mail = nil
	}
	if p.mail == nil {
		if p.mail, err = benchnode.DialMailer(ctx, p.node.mail); err != nil {
			return err
		}
		p.met = time.Now()
	}
	defer func() {
		if err != nil {
			p.mail.Close()
			p.mail = nil
		}
	}()
	about := mails.About{
		Message: m.registration.Message, Sender: m.registration.Sender, Recipient: m.registration.Recipient,
		ReturnPath: m.links.ReturnPath, ReplyTo: m.links.ReplyTo, Ref: m.links.Headers["X-Carom-Ref"],
	}
	return p.mail.Deliver("", m.links.ReturnPath, []byte(mails.StatusReport(&about, full, time.Now())))
}

// backlog is how many records no stage has got to yet.
func backlog(f figures) float64 {
	return f.sum("carom_refine_lag_records") + f.sum("carom_rollup_lag_records")
}

// lag is how many records wait between the socket and the scores: clicks also for what may still come of their message.
func lag(f figures) float64 { return backlog(f) + f.sum("carom_refine_waiting_clicks") }

// drained waits until all that was acknowledged is counted.
func (p *platform) drained(ctx context.Context) error {
	// The figures of one answer are of several moments: rollup may have been asked before refine passed on the last. Of two
	// answers the second has seen all that refine had passed by the first.
	done := false
	for end := time.Now().Add(drainBound); ; {
		f, err := p.node.figures(ctx)
		if err != nil {
			return err
		}
		before := done
		if done = lag(f) == 0; done {
			if before {
				return nil
			}
			continue
		}
		if time.Now().After(end) {
			return fmt.Errorf("after %v there are still %.0f records to be worked off", drainBound, lag(f))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// counted asks the API for the sums over all senders, as of a time at which everything has completed.
func (p *platform) counted(ctx context.Context) (sum benchnode.Counts, err error) {
	err = p.client.Senders(ctx, "acme", time.Now().Add(75*time.Hour), func(c *benchnode.Counts) {
		sum.Completed += c.Completed
		sum.Bounced += c.Bounced
		sum.Opened += c.Opened
		sum.Clicked += c.Clicked
		sum.MachineOpened += c.MachineOpened
		sum.MachineClicked += c.MachineClicked
	})
	return sum, err
}
