package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"carom/bench/mails"
	"carom/bench/node"
	"carom/bench/progress"
)

const (
	account     = "demo"
	connections = 16
	mailers     = 8
	target      = "https://example.com/offer?utm_source=mail&id=1#top"
)

// The agents of the day.
const (
	agentPerson  = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0"
	agentBrowser = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15"
	agentPrivacy = "Mozilla/5.0"
	agentScanner = "Mozilla/5.0 (compatible; Barracuda Sentinel (EE))"
)

// Options of a day.
type Options struct {
	Seed uint64
	// Progress gets lines and bars for people.
	Progress io.Writer
}

// Play plays the day and checks what the node made of it. It returns an error if a count differs.
func Play(ctx context.Context, t node.Target, o Options) (*Result, error) {
	c, err := node.New(t, connections)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	day := time.Now().UTC().Add(-5 * 24 * time.Hour).Truncate(time.Hour)
	plan := makePlan(o.Seed, day)
	p := &player{client: c, progress: o.Progress}
	if err := p.register(ctx, plan); err != nil {
		return nil, err
	}
	// Bounces first: what comes later from the same contact lifts them, and must be later on the clock as well.
	if err := p.mails(ctx, "bounces", plan, bounceMails); err != nil {
		return nil, err
	}
	if err := p.hits(ctx, plan); err != nil {
		return nil, err
	}
	if err := p.mails(ctx, "replies", plan, answerMails(t.Feedback)); err != nil {
		return nil, err
	}
	return p.check(ctx, plan)
}

// player plays a plan against a node.
type player struct {
	client   *node.Client
	progress io.Writer
}

func (p *player) register(ctx context.Context, plan []*message) error {
	bar := progress.New(p.progress, "register", len(plan))
	defer bar.Done()
	all := make([]node.Registration, len(plan))
	for i, m := range plan {
		all[i] = node.Registration{
			Account: account, Sender: m.sender.name, Sequence: m.sender.sequence, Contact: m.contact,
			Message: m.id, Recipient: m.recipient, Links: []string{target}, SentAt: m.sentAt,
		}
	}
	return p.client.RegisterAll(ctx, all, func(i int, l node.Links) {
		plan[i].links = l
		bar.Add(1)
	})
}

// hits loads pixels, follows links and unsubscribes.
func (p *player) hits(ctx context.Context, plan []*message) error {
	bar := progress.New(p.progress, "opens and clicks", len(plan))
	defer bar.Done()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(connections)
	for _, m := range plan {
		group.Go(func() error {
			defer bar.Add(1)
			return p.meet(ctx, m)
		})
	}
	return group.Wait()
}

// meet plays everything that happens to one message over HTTP.
func (p *player) meet(ctx context.Context, m *message) error {
	if m.fate.has(isPrefetched) {
		if err := p.open(ctx, m, agentPrivacy); err != nil {
			return err
		}
	}
	if m.fate.has(isScanned) {
		if err := p.click(ctx, m, agentScanner); err != nil {
			return err
		}
	}
	if m.fate.has(isOpened) {
		if err := p.open(ctx, m, agentPerson); err != nil {
			return err
		}
		if m.fate.has(isOpenedTwice) { // some mail clients load a pixel twice: not one event more
			if err := p.open(ctx, m, agentPerson); err != nil {
				return err
			}
		}
	}
	if m.fate.has(isClicked) {
		if err := p.click(ctx, m, agentBrowser); err != nil {
			return err
		}
	}
	if m.fate.has(isUnsubscribed) {
		return p.client.Unsubscribe(ctx, &node.Hit{URL: m.links.UnsubscribeURL})
	}
	return nil
}

func (p *player) open(ctx context.Context, m *message, agent string) error {
	return p.hit(ctx, m.links.OpenURL, agent, http.StatusOK)
}

func (p *player) click(ctx context.Context, m *message, agent string) error {
	return p.hit(ctx, m.links.ClickURLs[0], agent, http.StatusFound)
}

func (p *player) hit(ctx context.Context, target, agent string, want int) error {
	return p.client.Hit(ctx, &node.Hit{URL: target, Agent: agent, Headers: map[string]string{"Accept": "text/html,image/*"}, Want: want})
}

// letter is one mail to deliver.
type letter struct {
	from     string // the return path; "" of reports and auto-replies
	to, text string
}

func (m *message) about() *mails.About {
	return &mails.About{
		Message: m.id, Sender: m.sender.name, Recipient: m.recipient,
		ReturnPath: m.links.ReturnPath, ReplyTo: m.links.ReplyTo, Ref: m.links.Headers["X-Carom-Ref"],
	}
}

func bounceMails(m *message, now time.Time) []letter {
	var status mails.Status
	switch {
	case m.fate.has(bouncesHard):
		status = mails.Status{Action: "failed", Code: "5.1.1", Diagnostic: "550 5.1.1 <" + m.recipient + ">: no such user here"}
	case m.fate.has(bouncesSoft):
		status = mails.Status{Action: "failed", Code: "5.2.2", Diagnostic: "552 5.2.2 <" + m.recipient + ">: mailbox is full"}
	case m.fate.has(isDelayed):
		status = mails.Status{Action: "delayed", Code: "4.4.1", Diagnostic: "421 4.4.1 connection timed out"}
	default:
		return nil
	}
	return []letter{{"", m.links.ReturnPath, mails.StatusReport(m.about(), status, now)}}
}

func answerMails(feedback string) func(*message, time.Time) []letter {
	return func(m *message, now time.Time) []letter {
		var all []letter
		if m.fate.has(isReplied) {
			all = append(all, letter{m.recipient, m.links.ReplyTo, mails.Reply(m.about(), now)})
		}
		if m.fate.has(isAway) {
			all = append(all, letter{"", m.links.ReplyTo, mails.Vacation(m.about(), now)})
		}
		if m.fate.has(isComplained) {
			all = append(all, letter{"feedback@example.net", feedback, mails.Complaint(m.about(), feedback, now)})
		}
		return all
	}
}

// mails delivers what write makes of each message, over a few connections.
func (p *player) mails(ctx context.Context, title string, plan []*message, write func(*message, time.Time) []letter) error {
	now := time.Now()
	var all []letter
	for _, m := range plan {
		all = append(all, write(m, now)...)
	}
	bar := progress.New(p.progress, title, len(all))
	defer bar.Done()
	queue := make(chan letter, len(all))
	for _, l := range all {
		queue <- l
	}
	close(queue)
	group, ctx := errgroup.WithContext(ctx)
	for range mailers {
		group.Go(func() error {
			mailer, err := node.DialMailer(ctx, p.client.Target().Mail)
			if err != nil {
				return err
			}
			defer mailer.Close()
			for l := range queue {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := mailer.Deliver(l.from, l.to, []byte(l.text)); err != nil {
					return fmt.Errorf("deliver a mail to %s: %w", l.to, err)
				}
				bar.Add(1)
			}
			return nil
		})
	}
	return group.Wait()
}
