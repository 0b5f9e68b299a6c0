package targets

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"carom/bench/mails"
	"carom/edge/ref"
	"carom/pipeline/event"
)

// MailOptions say which mails are generated.
type MailOptions struct {
	Keys         *ref.Keyring // of the node that is to know them
	BounceDomain string
	ReplyDomain  string
	Feedback     string // where feedback reports go
	Account      string
	Senders      int // how many the messages are of
	Mix          Mix
	Sizes        Sizes
	Recipients   int // of each mail, which tells its fact of a message for each
	Seed         uint64
	// Run is part of every message's id, so that each run tells of messages of its own; letters and digits.
	Run string
}

// DefaultMails are mails for a node that serves the domains of --dev.
func DefaultMails() MailOptions {
	return MailOptions{
		Account: "bench", Senders: 100, Mix: DefaultMix(), Recipients: 1, Seed: 1,
		Run: strconv.FormatInt(time.Now().UnixMilli(), 36),
	}
}

// MaxRecipients is how many recipients a mail may have: any server takes 100 (RFC 5321 §4.5.3.1.8).
const MaxRecipients = 100

// Validate names the first option that is not allowed.
func (o *MailOptions) Validate() error {
	switch {
	case o.Keys == nil:
		return fmt.Errorf("mails: want the keys of the node that is measured")
	case o.BounceDomain == "" || o.ReplyDomain == "":
		return fmt.Errorf("mails: want the domains of return paths and of reply addresses")
	case o.Mix.Has(Complaint) && o.Feedback == "":
		return fmt.Errorf("mails: complaints want an address for feedback reports")
	case len(o.Mix.kinds) == 0:
		return fmt.Errorf("mails: want a mix of kinds")
	case o.Recipients < 1 || o.Recipients > MaxRecipients:
		return fmt.Errorf("%d recipients: want 1 to %d", o.Recipients, MaxRecipients)
	case o.Senders < 1:
		return fmt.Errorf("%d senders: want 1 or more", o.Senders)
	}
	return checkRun(o.Run)
}

const (
	// mailsAhead is how many batches wait for clients.
	mailsAhead = 8
	// A batch ends with so many mails or bytes.
	batchMails = 16
	batchBytes = 64 << 10
)

// Generator makes mails that come back about messages of their own, ahead of the clients that send them.
//
//	Run: batch, batch, ... ─▶ full ─▶ Feed, Feed, ...
//	       ▲                            │ sent
//	       └────────── empty ◀──────────┘
//
// There are no more batches than feeds and those ahead.
type Generator struct {
	o           MailOptions
	full, empty chan *mailBatch

	// Of Run alone.
	rand     *rand.Rand
	messages int64
	date     []byte
	now      event.Millis
}

// mailBatch is some mails, whose bytes lie in one piece of memory.
type mailBatch struct {
	mails []Mail
	bytes []byte
}

// NewGenerator checks the options, and makes the first mails.
func NewGenerator(o MailOptions) (*Generator, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	g := &Generator{
		o: o, full: make(chan *mailBatch, mailsAhead), empty: make(chan *mailBatch, mailsAhead),
		rand: rand.New(rand.NewPCG(o.Seed, 5321)),
	}
	first := new(mailBatch)
	if err := g.fill(first); err != nil { // an account that can't be sealed, say
		return nil, err
	}
	g.full <- first
	return g, nil
}

// Run makes mails until ctx is done, which is no error.
func (g *Generator) Run(ctx context.Context) error {
	for {
		var b *mailBatch
		select {
		case b = <-g.empty:
		default:
			b = new(mailBatch)
		}
		if err := g.fill(b); err != nil {
			close(g.full)
			return err
		}
		select {
		case g.full <- b:
		case <-ctx.Done():
			return nil
		}
	}
}

// Feed returns mails for one client.
func (g *Generator) Feed() Mails { return &mailFeed{g: g} }

type mailFeed struct {
	g     *Generator
	batch *mailBatch // nil before the first
	next  int
}

func (f *mailFeed) Next(ctx context.Context) (*Mail, error) {
	if f.batch == nil || f.next == len(f.batch.mails) {
		if f.batch != nil {
			select {
			case f.g.empty <- f.batch:
			default:
			}
			f.batch = nil
		}
		select {
		case b, more := <-f.g.full:
			if !more {
				return nil, errors.New("no more mails are made")
			}
			f.batch = b
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		f.next = 0
	}
	f.next++
	return &f.batch.mails[f.next-1], nil
}

// fill makes a batch anew.
func (g *Generator) fill(b *mailBatch) error {
	now := time.Now()
	g.now = event.Millis(now.UnixMilli())
	g.date = mails.AppendDate(g.date[:0], now.UTC())
	b.bytes = b.bytes[:0]
	if b.mails == nil {
		b.mails = make([]Mail, 0, batchMails)
	}
	old := b.mails[:cap(b.mails)]
	b.mails = b.mails[:0]
	for len(b.mails) < batchMails && (len(b.mails) == 0 || len(b.bytes) < batchBytes) {
		b.mails = append(b.mails, Mail{To: old[len(b.mails)].To[:0]})
		if err := g.make(b, &b.mails[len(b.mails)-1]); err != nil {
			return err
		}
	}
	return nil
}

// make makes a mail at the end of a batch. Its recipients are addresses of as many messages; the mail itself speaks of the
// first, as servers do that write one report for several.
func (g *Generator) make(b *mailBatch, m *Mail) error {
	kind, size := g.o.Mix.draw(g.rand), g.o.Sizes.draw(g.rand)
	variant := g.rand.IntN(1 << 20)
	m.Kind, m.Facts, m.Plain = kind, 1, true
	var o mails.Original
	for n := range g.o.Recipients {
		message := g.nextMessage()
		key := event.KeyOf(g.o.Account, message)
		begin := len(b.bytes)
		b.bytes = g.appendAddress(b.bytes, kind, n, key)
		m.To = append(m.To, b.bytes[begin:len(b.bytes):len(b.bytes)])
		if n > 0 {
			continue
		}
		var err error
		if o, err = g.original(kind, message, string(m.To[0])); err != nil {
			return err
		}
	}
	begin := len(b.bytes)
	switch kind {
	case Bounce, Delay:
		reasons := mails.Diagnoses
		if kind == Delay {
			reasons = mails.Delays
		}
		b.bytes = mails.AppendReport(b.bytes, &o, &mails.Styles[variant%len(mails.Styles)], &reasons[variant/len(mails.Styles)%len(reasons)], g.date, size)
	case Complaint:
		b.bytes = mails.AppendComplaint(b.bytes, &o, g.o.Feedback, variant, g.date, size)
	case Reply:
		b.bytes = mails.AppendReply(b.bytes, &o, variant, g.date, size)
		m.From = append(m.From[:0], o.Recipient...)
	case AutoReply:
		b.bytes = mails.AppendAutoReply(b.bytes, &o, variant, g.date, size)
	case Unsubscribe:
		b.bytes = mails.AppendUnsubscribe(b.bytes, &o, string(m.To[0]), g.date, size)
		m.From = append(m.From[:0], o.Recipient...)
	}
	m.Content = b.bytes[begin:len(b.bytes):len(b.bytes)]
	return nil
}

// nextMessage returns the id of a message that nobody has spoken of. Before the @ it ends with what makes the contact.
func (g *Generator) nextMessage() string {
	g.messages++
	var stack [96]byte
	b := strconv.AppendInt(stack[:0], g.messages, 10)
	return string(append(append(append(b, '.'), g.o.Run...), "@mail.example.com"...))
}

// appendAddress appends the n-th recipient of a mail: an address of the message with that key. A feedback report goes to
// the one address for them; in copy it goes to return paths, because each address is told a fact once.
func (g *Generator) appendAddress(dst []byte, kind string, n int, key event.Key) []byte {
	purpose, domain := ref.ReturnPath, g.o.BounceDomain
	switch kind {
	case Complaint:
		if n == 0 {
			return append(dst, g.o.Feedback...)
		}
	case Reply, AutoReply:
		purpose, domain = ref.ReplyTo, g.o.ReplyDomain
	case Unsubscribe:
		purpose = ref.MailtoUnsubscribe
	}
	dst = g.o.Keys.SealAddress(append(dst, byte(purpose), '-'), purpose, key)
	return append(append(dst, '@'), domain...)
}

// original describes the message that a mail of a kind speaks of. Reports bring its sealed header back.
func (g *Generator) original(kind, message, address string) (mails.Original, error) {
	number, _, _ := strings.Cut(message, ".")
	sender := "sender-" + strconv.FormatInt(g.messages%int64(g.o.Senders), 10)
	o := mails.Original{
		Message: message, From: sender + "@example.com", Recipient: "c" + number + "@example.net",
		Subject: "Your order", ReturnPath: address, ReplyTo: address,
	}
	if kind != Bounce && kind != Delay && kind != Complaint {
		return o, nil
	}
	if kind == Complaint {
		o.ReturnPath = "bounces@example.com"
	}
	r := event.Ref{Account: g.o.Account, Sender: sender, Contact: "c" + number, Message: message, SentAt: g.now}
	token, err := g.o.Keys.Seal(nil, ref.Header, &r)
	if err != nil {
		return o, fmt.Errorf("seal a message's header: %w", err)
	}
	o.Ref = string(token)
	return o, nil
}
