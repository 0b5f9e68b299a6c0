package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"

	benchload "carom/bench/load"
	"carom/bench/targets"
	"carom/bench/wire"
	"carom/edge/ref"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// smtpFlags are the flags of `carom bench smtp`.
type smtpFlags struct {
	load loadFlags

	// The dialogue.
	startTLS, insecure, pipelining, chunking, reuse bool
	perConnection, recipients                       int
	hello                                           string

	// Generated mails.
	keys, mix, size, bounces, replies, feedback string
	senders                                     int
	account                                     string
	seed                                        uint64

	// One's own.
	mails, to, from string
}

func newBenchSMTPCommand() *cobra.Command {
	var s smtpFlags
	cmd := &cobra.Command{
		Use:   "smtp [HOST:PORT]",
		Short: "Measure a mail server: bounces, complaints, replies, or mails of your own",
		Long: `Deliver mails over SMTP and measure how many a server takes, how fast, and what it answers.

Without a target a node is started in a process of its own, with a temporary folder, and measured: every mail is a bounce,
complaint or reply about a message that no other mail speaks of, so every 250 is a new event on disk. For a running node
give its keys (--keys) and domains. For any other server, give mails of your own (--mails) and recipients (--to).

Every mail ends in a 250, or counts as failed: refusals are told by code and words, and so are successes that are none (a
Carom says how many events it made of a mail). After a refusal the dialogue goes on with RSET; after anything else with a
new connection. A connection that the server ends between two mails is replaced, and costs no mail.

Certificates are checked with --starttls against the target's name and what the system trusts (SSL_CERT_FILE may name more).
A server may bound the connections of one client: a node of yours by inbound.max_connections_per_client, 128 by default.`,
		Example: `  carom bench smtp
  carom bench smtp --rate 500..5000 --duration 1m --html inbound.html --dir /var/tmp
  carom bench smtp --find-rate 'p99<50ms' --connections 100 --mix bounce=1 --size 2k..64k
  carom bench smtp 127.0.0.1:2525 --keys data/keys.yaml --server-pid "$(pgrep -xo carom)"
  carom bench smtp mx.example.com:25 --mails ~/corpus --to postmaster@example.com --starttls
  carom bench smtp 127.0.0.1:25 --mails bounces.mbox --to addresses.txt --recipients 5 --reuse=false`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target := ""
			if len(args) > 0 {
				target = args[0]
			}
			return s.run(cmd, target)
		},
	}
	d, f := targets.DefaultMails(), cmd.Flags()
	f.BoolVar(&s.startTLS, "starttls", false, "change to TLS, or fail")
	f.BoolVar(&s.insecure, "insecure", false, "do not check the certificate")
	f.BoolVar(&s.pipelining, "pipelining", true, "send commands in groups where the server offers PIPELINING")
	f.BoolVar(&s.chunking, "chunking", false, "send mails by BDAT where the server offers CHUNKING")
	f.BoolVar(&s.reuse, "reuse", true, "send many mails over a connection; false: one")
	f.IntVar(&s.perConnection, "messages-per-connection", 0, "connect anew after so many mails; 0: when the server says so")
	f.IntVar(&s.recipients, "recipients", 1, "recipients of each mail")
	f.StringVar(&s.hello, "hello", wire.SMTPDefault().Hello, "name to say in EHLO")
	f.StringVar(&s.keys, "keys", "", "keys file of the node, for which mails are generated")
	f.StringVar(&s.mix, "mix", "bounce=0.7,complaint=0.1,reply=0.15,auto_reply=0.05", "kinds of generated mails and their shares: bounce, delay, complaint, reply, auto_reply, unsubscribe")
	f.StringVar(&s.size, "size", "0", "bytes that generated mails are filled up to: 8k, 2k..64k; 0: as short as they are")
	f.StringVar(&s.bounces, "bounce-domain", "bounce.localhost", "domain of return paths (inbound.bounce_domain)")
	f.StringVar(&s.replies, "reply-domain", "reply.localhost", "domain of reply addresses (inbound.reply_domain)")
	f.StringVar(&s.feedback, "feedback", "fbl@bounce.localhost", "address for feedback reports (of inbound.feedback_addresses)")
	f.IntVar(&s.senders, "senders", d.Senders, "how many senders the messages are of")
	f.StringVar(&s.account, "account", d.Account, "account that they are of")
	f.Uint64Var(&s.seed, "seed", d.Seed, "what is drawn: kinds, sizes and wordings come in the same order with the same seed")
	f.StringVar(&s.mails, "mails", "", "send these instead: a mail, an mbox, a Maildir, or a folder of them")
	f.StringVar(&s.to, "to", "", "with --mails: the recipient, or a file of recipients, one on a line, who get mail in turn")
	f.StringVar(&s.from, "from", "", "with --mails: return path; left out, the empty one")
	s.load.add(cmd, 50)
	return cmd
}

// mailFeeder gives each client its mails.
type mailFeeder interface{ Feed() targets.Mails }

func (s *smtpFlags) run(cmd *cobra.Command, target string) error {
	if err := s.check(target); err != nil {
		return err
	}
	if s.mails != "" {
		mails, err := s.ownMails(cmd)
		if err != nil {
			return err
		}
		return s.measure(cmd, nil, target, mails)
	}
	generated, err := s.generated()
	if err != nil {
		return err
	}
	if target != "" {
		return s.generate(cmd, nil, target, s.keys, generated)
	}
	return withChildNode(cmd.Context(), s.load.dir, []string{roleInbound}, s.nodeSettings(), func(node *childNode) error {
		return s.generate(cmd, node, node.inbound, node.keysFile(), generated)
	})
}

// check refuses what can't be meant before anything is started.
func (s *smtpFlags) check(target string) error {
	if err := s.load.check(target == ""); err != nil {
		return err
	}
	usage := func(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
	switch {
	case target == "" && s.mails != "":
		return usage("--mails: want a target: the node that is started by this command knows none of their recipients")
	case target == "" && s.keys != "":
		return usage("--keys: want a target: the node that is started by this command makes its own")
	case target == "" && s.startTLS:
		return usage("--starttls: want a target: the node that is started by this command has no certificate")
	case target != "" && s.mails == "" && s.keys == "":
		return usage("want --keys, the keys file of the node at %s, to mint addresses that it knows; or --mails and --to, for any server", target)
	case s.mails != "" && s.to == "":
		return usage("--mails: want --to, the recipients")
	case s.mails == "" && (s.to != "" || s.from != ""):
		return usage("--to, --from: want --mails: generated mails have addresses of their own")
	case !s.reuse && s.perConnection > 1:
		return usage("--messages-per-connection %d: want no --reuse=false", s.perConnection)
	}
	if target != "" {
		o := s.options(target)
		if err := o.Validate(); err != nil {
			return usageError{err}
		}
	}
	return nil
}

func (s *smtpFlags) options(target string) wire.SMTPOptions {
	o := wire.SMTPOptions{
		Address: target, Hello: s.hello, StartTLS: s.startTLS, Pipelining: s.pipelining, Chunking: s.chunking,
		MailsPerConnection: s.perConnection, Timeout: s.load.plan.Timeout,
	}
	if !s.reuse {
		o.MailsPerConnection = 1
	}
	if s.insecure {
		o.TLS = &tls.Config{InsecureSkipVerify: true} // as --insecure says
	}
	return o
}

// nodeSettings make a node that takes all mails from one client.
func (s *smtpFlags) nodeSettings() map[string]string {
	connections := strconv.Itoa(max(s.load.plan.Clients+1, 128))
	return map[string]string{
		"inbound.bounce_domain": s.bounces, "inbound.reply_domain": s.replies, "inbound.feedback_addresses": s.feedback,
		"inbound.max_connections": connections, "inbound.max_connections_per_client": connections,
	}
}

// generated are the options of generated mails, but for the keys.
func (s *smtpFlags) generated() (o targets.MailOptions, err error) {
	o = targets.DefaultMails()
	o.BounceDomain, o.ReplyDomain, o.Feedback = s.bounces, s.replies, s.feedback
	o.Account, o.Senders, o.Recipients, o.Seed = s.account, s.senders, s.recipients, s.seed
	if o.Mix, err = targets.ParseMix(s.mix); err == nil {
		o.Sizes, err = targets.ParseSizes(s.size)
	}
	if err != nil {
		return o, usageError{fmt.Errorf("--%w", err)}
	}
	return o, nil
}

// generate makes mails while they are sent.
func (s *smtpFlags) generate(cmd *cobra.Command, node *childNode, target, keys string, o targets.MailOptions) error {
	var err error
	if o.Keys, err = ref.ReadKeyring(keys); err != nil {
		return fmt.Errorf("--keys: %w", err)
	}
	mails, err := targets.NewGenerator(o)
	if err != nil {
		return usageError{err}
	}
	ctx, stop := context.WithCancel(cmd.Context())
	making, ctx := errgroup.WithContext(ctx)
	making.Go(func() error { return mails.Run(ctx) })
	err = s.measure(cmd, node, target, mails)
	stop()
	return errors.Join(err, making.Wait())
}

func (s *smtpFlags) ownMails(cmd *cobra.Command) (mailFeeder, error) {
	to, err := targets.ReadAddresses(s.to)
	if err != nil {
		return nil, usageError{fmt.Errorf("--to: %w", err)}
	}
	mails, err := targets.ReadCorpus(s.mails, targets.CorpusOptions{From: s.from, To: to, Recipients: s.recipients})
	if err != nil {
		return nil, usageError{fmt.Errorf("--mails: %w", err)}
	}
	if kept, leftOut := mails.Mails(); leftOut > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "--mails: the first %d are sent; %d others would not fit into the memory for them\n", kept, leftOut)
	}
	return mails, nil
}

// measure sends the mails. One connection comes first, to fail early and to see what is offered.
func (s *smtpFlags) measure(cmd *cobra.Command, node *childNode, target string, mails mailFeeder) error {
	var counts wire.SMTPCounts
	o := s.options(target)
	offer, err := probe(cmd.Context(), o)
	if err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	m := measured{kind: "smtp", target: target, node: node, options: s.settings(offer), notes: func() (notes []string) {
		if n := counts.Ended.Load(); n > 0 {
			notes = append(notes, fmt.Sprintf("%d of %d connections were ended by the server between two mails, and replaced", n, counts.Connections.Load()))
		}
		return notes
	}}
	return s.load.run(cmd, m, func(int) (benchload.Client, error) { return wire.NewSMTP(o, mails.Feed(), &counts) })
}

func probe(ctx context.Context, o wire.SMTPOptions) (wire.Offer, error) {
	c, err := wire.NewSMTP(o, nil, new(wire.SMTPCounts))
	if err != nil {
		return wire.Offer{}, usageError{err}
	}
	offer, err := c.Probe(ctx)
	return offer, errors.Join(err, c.Close())
}

// settings are what the figures depend on.
func (s *smtpFlags) settings(offer wire.Offer) map[string]string {
	m := map[string]string{
		"pipelining": yesNo(s.pipelining && offer.Pipelining), "chunking": yesNo(s.chunking && offer.Chunking), "starttls": yesNo(offer.TLS),
		"recipients": strconv.Itoa(s.recipients), "reuse": yesNo(s.reuse),
	}
	if s.perConnection > 0 {
		m["messages-per-connection"] = strconv.Itoa(s.perConnection)
	}
	if s.mails != "" {
		m["mails"] = s.mails
	} else {
		m["mix"], m["size"], m["seed"] = s.mix, s.size, strconv.FormatUint(s.seed, 10)
	}
	return m
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
