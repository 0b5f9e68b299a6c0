package scenario

import (
	"context"
	"time"

	"carom/bench/mails"
	"carom/bench/node"
)

var (
	hardStatus  = mails.Status{Action: "failed", Code: "5.1.1", Diagnostic: "550 5.1.1 no such user here"}
	softStatus  = mails.Status{Action: "failed", Code: "5.2.2", Diagnostic: "552 5.2.2 mailbox is full"}
	delayStatus = mails.Status{Action: "delayed", Code: "4.4.1", Diagnostic: "421 4.4.1 connection timed out"}
)

// live plays everything that becomes of one message, in an order in which a click implies no open that comes later.
func (p *player) live(ctx context.Context, m *message) error {
	for _, step := range []struct {
		when fate
		play func(context.Context, *message) error
	}{
		{bouncesHard | bouncesSoft | isDelayed, p.report},
		{isPrefetched | isScanned, p.machines},
		{isOpened | isClicked, p.person},
		{isUnsubscribed, p.unsubscribe},
		{isReplied | isAway | isComplained, p.answers},
	} {
		if m.fate.has(step.when) {
			if err := step.play(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// report delivers the status report.
func (p *player) report(ctx context.Context, m *message) error {
	k, link, status := delay, 0, delayStatus
	switch {
	case m.fate.has(bouncesHard):
		k, link, status = bounce, bounceLink(hardStatus.Code), hardStatus
	case m.fate.has(bouncesSoft):
		k, link, status = bounce, bounceLink(softStatus.Code), softStatus
	}
	text := mails.StatusReport(p.plan.about(m), status, time.Now())
	return p.deliver(ctx, m, newFact(m.index, k, nobody, link), "", m.links.ReturnPath, text)
}

func (p *player) machines(ctx context.Context, m *message) error {
	if m.fate.has(isPrefetched) {
		if err := p.hit(ctx, m, newFact(m.index, open, proxy, 0), m.proxy); err != nil {
			return err
		}
	}
	if m.fate.has(isScanned) {
		for link := range m.links.ClickURLs {
			if err := p.hit(ctx, m, newFact(m.index, click, scanner, link), m.scanner); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *player) person(ctx context.Context, m *message) error {
	if m.fate.has(isOpened) {
		if err := p.hit(ctx, m, newFact(m.index, open, person, 0), m.reader); err != nil {
			return err
		}
	}
	if !m.fate.has(isClicked) {
		return nil
	}
	return p.hit(ctx, m, newFact(m.index, click, person, m.random.IntN(m.group.Links)), m.reader)
}

func (p *player) unsubscribe(ctx context.Context, m *message) error {
	return p.tell(ctx, m, p.http, newFact(m.index, unsubscribe, nobody, 0), func() error {
		return p.client.Unsubscribe(ctx, &node.Hit{URL: m.links.UnsubscribeURL})
	})
}

// answers delivers what comes back from people and their providers.
func (p *player) answers(ctx context.Context, m *message) error {
	about, now := p.plan.about(m), time.Now()
	feedback := p.client.Target().Feedback
	for _, one := range []struct {
		when     fate
		kind     kind
		from, to string
		text     string
	}{
		{isReplied, reply, about.Recipient, about.ReplyTo, mails.Reply(about, now)},
		{isAway, autoReply, "", about.ReplyTo, mails.Vacation(about, now)},
		{isComplained, complaint, "feedback@example.net", feedback, mails.Complaint(about, feedback, now)},
	} {
		if !m.fate.has(one.when) {
			continue
		}
		if err := p.deliver(ctx, m, newFact(m.index, one.kind, nobody, 0), one.from, one.to, one.text); err != nil {
			return err
		}
	}
	return nil
}

// deliver delivers one mail, over a connection that is kept for the next.
func (p *player) deliver(ctx context.Context, m *message, f fact, from, to, text string) error {
	mailer := <-p.mailers // first: a wait for it is no time of the node's
	defer func() { p.mailers <- mailer }()
	return p.tell(ctx, m, p.smtp, f, func() (err error) {
		defer func() {
			if err != nil {
				mailer.Close()
				mailer = nil
			}
		}()
		if mailer == nil {
			if mailer, err = node.DialMailer(ctx, p.client.Target().Mail); err != nil {
				return err
			}
		}
		return mailer.Deliver(from, to, []byte(text))
	})
}
