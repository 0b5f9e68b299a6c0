package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	benchnode "carom/bench/node"
	"carom/bench/result"
	"carom/bench/scenario"
	"carom/edge/ref"
	"carom/pipeline/event"
	"carom/pipeline/kafka"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

// endToEndFlags are the flags of `carom bench e2e`.
type endToEndFlags struct {
	configFlags
	target   benchnode.Target
	options  scenario.Options
	messages int
	rate     float64
	seed     uint64
	list     bool
	json     string
	dir      string
}

func newBenchEndToEndCommand() *cobra.Command {
	var flags endToEndFlags
	cmd := &cobra.Command{
		Use:   "e2e [SCENARIO]",
		Short: "Play a scenario and check that what was acknowledged is what arrived",
		Long: `Play a scenario through the public listeners: messages are registered, then opened, clicked, bounced, answered and so on,
by HTTP and SMTP. Every fact that the node acknowledged is kept account of. Then wait until nothing more arrives, and
check that each of them is there exactly once, of the right sender, with the right verdict where that is sure, and that
nothing is there that was never sent: among the events of the API, in each sender's score, and with --brokers on the
topics of Kafka. What had no answer may be there or not, and is counted apart.

SCENARIO is a file, or the name of a built-in one: --list shows them; small if left out. bench/scenario/SCENARIOS.md
has the form of a file.

Without --api it starts a node of its own, as a process with a temporary folder. --kill kills that node (kill -9) while
it is at work, and starts it again in the same place: what was acknowledged must be there all the same. With --brokers
the node gets topics of its own, which stay.

A node of yours should trust the player as a proxy (track.trusted_proxies), because the visitors' addresses come in
X-Forwarded-For, and its enrollments should complete within 5 days (rollup.complete_after), because the messages count
as sent so long ago. Messages that are registered late want its keys: name its configuration with --config. With
--brokers name the prefix of its topics, too. Everything belongs to an account of its own, unless --account says else.

With a rate, messages begin when they are due, and what becomes of one follows step by step. The listeners' latency counts
from the sending of each request. How far messages began behind the rate is told apart, with their registration and the wait
for a connection that was free. What a message under way waits for a node that was killed is in neither.

Ctrl-C ends the play early: messages under way are played to their end, what was acknowledged by then is checked, and
the report says so. A second one ends everything at once.

The CPU time of the harness and of a node that is started here is told with every report, on Linux only: from the
beginning until all has arrived.

It needs some 32 to 64 bytes of memory for each fact, and 2 for each message; with --brokers 40 more for each message.
The exit code is 1 if anything differs; the first 20 differences of each check are named.`,
		Example: `  carom bench e2e
  carom bench e2e day --kill 2 --json day.json --dir /var/tmp
  carom bench e2e burst-of-bounces --messages 100000 --rate 500
  carom bench e2e my.yaml --brokers 127.0.0.1:9092
  carom bench e2e bots --api http://127.0.0.1:8081 --mail 127.0.0.1:2525 --config carom.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.target.Token = os.Getenv(tokenVariable)
			return flags.run(cmd, args)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&flags.list, "list", false, "list the built-in scenarios and end")
	f.IntVar(&flags.messages, "messages", 0, "how many messages are sent, in place of what the scenario says")
	f.Float64Var(&flags.rate, "rate", 0, "how many messages begin a second, in place of what the scenario says; 0: as many as the node takes")
	f.Uint64Var(&flags.seed, "seed", 0, "what is drawn, in place of what the scenario says")
	f.IntVar(&flags.options.Kills, "kill", 0, "how often the node is killed and started again, evenly over the play; only a node that this command starts")
	f.DurationVar(&flags.options.Settle, "settle", 12*time.Second, "how long the node lets clicks wait (refine.settle)")
	f.DurationVar(&flags.options.Patience, "patience", time.Minute, "how long nothing may arrive before the rest counts as missing")
	f.StringVar(&flags.options.Account, "account", "", "account of the messages; left out, one that nobody else uses")
	f.StringSliceVar(&flags.options.Brokers, "brokers", nil, "Kafka brokers, to check the topics of events and of what was heard; without SASL and TLS")
	f.StringVar(&flags.options.Prefix, "topic-prefix", "", "what the topics' names begin with; left out, carom, or a prefix of its own for a node that this command starts")
	f.StringVar(&flags.json, "json", "", "write the report as JSON to this file; - is standard output, in place of the table")
	f.StringVar(&flags.target.API, "api", "", "URL of a running node's API, for example http://127.0.0.1:8081; its token in "+tokenVariable)
	f.StringVar(&flags.target.Track, "track", "", "URL of its tracking listener, if the minted URLs don't lead there from here")
	f.StringVar(&flags.target.Mail, "mail", "", "host and port of its mail listener")
	f.StringVar(&flags.target.Feedback, "feedback", "", "address that it takes feedback reports at (inbound.feedback_addresses)")
	f.StringVar(&flags.file, "config", "", "that node's configuration file, whose keys and domains late messages are minted with")
	addDir(f, &flags.dir)
	return cmd
}

func (f *endToEndFlags) run(cmd *cobra.Command, args []string) error {
	if f.list {
		return listScenarios(cmd.OutOrStdout())
	}
	if err := f.load(cmd, args); err != nil {
		return usageError{err}
	}
	f.options.Progress = cmd.ErrOrStderr()
	if f.target.API != "" {
		return f.playForeign(cmd)
	}
	return f.playOwn(cmd)
}

// load reads the scenario and what the flags say in its place.
func (f *endToEndFlags) load(cmd *cobra.Command, args []string) (err error) {
	name := "small"
	if len(args) > 0 {
		name = args[0]
	}
	s := &f.options.Scenario
	if *s, err = scenario.Load(name); err != nil {
		return err
	}
	for flag, set := range map[string]func(){
		"messages": func() { s.Messages = f.messages },
		"rate":     func() { s.Rate = f.rate },
		"seed":     func() { s.Seed = f.seed },
	} {
		if cmd.Flags().Changed(flag) {
			set()
		}
	}
	switch {
	case f.options.Kills < 0 || f.options.Kills > 0 && f.target.API != "":
		return fmt.Errorf("--kill: %d: want 0 or more, and without --api: only a node of its own is killed", f.options.Kills)
	case f.target.API != "" && f.target.Mail == "":
		return errors.New("--mail: wanted with --api: the host and port of the node's mail listener")
	case f.target.API == "" && f.target.Track+f.target.Mail+f.target.Feedback+f.file != "":
		return errors.New("--track, --mail, --feedback and --config speak of a node of yours: --api is missing")
	case f.options.Settle < 0 || f.options.Patience <= 0:
		return errors.New("--settle and --patience: want a duration such as 12s")
	}
	if err := s.Validate(); err != nil {
		return fmt.Errorf("--%w", err)
	}
	return checkDir(f.dir, f.target.API == "", "--api")
}

func listScenarios(out io.Writer) error {
	all, err := scenario.Builtin()
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range all {
		fmt.Fprintf(t, "%s\t%d messages\t%s\n", s.Name, s.Messages, s.About)
	}
	return t.Flush()
}

// playForeign plays against a node that runs.
func (f *endToEndFlags) playForeign(cmd *cobra.Command) error {
	if f.options.Prefix == "" {
		f.options.Prefix = "carom"
	}
	if f.file != "" {
		c, minter, err := loadMinter(&f.configFlags)
		if err != nil {
			return err
		}
		f.options.Mint = mintWith(minter)
		if f.target.Feedback == "" && len(c.Inbound.FeedbackAddresses) > 0 {
			f.target.Feedback = c.Inbound.FeedbackAddresses[0]
		}
	}
	return f.play(cmd, nil)
}

// playOwn plays against a node in a process of its own.
func (f *endToEndFlags) playOwn(cmd *cobra.Command) error {
	roles := rolesWithoutKafka()
	set := map[string]string{
		"refine.settle":                      f.options.Settle.String(),
		"inbound.max_connections_per_client": strconv.Itoa(f.options.Scenario.MailConnections + 10),
		// Alerts are events that nobody sent; when they come depends on how the play falls into hours.
		"score.alert_bounce_rates": "", "score.alert_complaint_rates": "", "score.alert_bands": "false",
	}
	if len(f.options.Brokers) > 0 {
		roles = allRoles
		if f.options.Prefix == "" {
			f.options.Prefix = fmt.Sprintf("carom-e2e-%x", time.Now().UnixMilli())
		}
		set["kafka.brokers"], set["kafka.topic_prefix"] = strings.Join(f.options.Brokers, ","), f.options.Prefix
		if err := makeTopics(cmd.Context(), f.options.Brokers, f.options.Prefix); err != nil {
			return fmt.Errorf("make topics of its own for the node: %w", err)
		}
	}
	return withChildNode(cmd.Context(), f.dir, roles, set, func(c *childNode) error {
		dev := devConfig()
		f.target.API, f.target.Mail, f.target.Feedback = "http://"+c.api, c.inbound, dev.Inbound.FeedbackAddresses[0]
		keys, err := ref.ReadKeyring(c.keysFile())
		if err != nil {
			return err
		}
		minter, err := ref.NewMinter(keys, ref.MinterOptions{
			TrackBaseURL: "http://" + c.track, BounceDomain: dev.Inbound.BounceDomain, ReplyDomain: dev.Inbound.ReplyDomain,
		})
		if err != nil {
			return err
		}
		f.options.Mint, f.options.PID, f.options.Restart = mintWith(minter), c.pid, c.killAndRestart
		return f.play(cmd, c.disk)
	})
}

// play plays, and shows the report; disk is that of a node of its own.
func (f *endToEndFlags) play(cmd *cobra.Command, disk *result.Disk) error {
	report, err := scenario.Play(cmd.Context(), f.target, f.options)
	if err != nil {
		return err
	}
	report.Machine.Carom, report.Machine.Disk, report.Notes = version(), disk, noteMemory(report.Notes, disk)
	err = writeOutput(cmd.OutOrStdout(), report.WriteTable, outputForm{"json", f.json, report.WriteJSON})
	return errors.Join(err, report.Err())
}

// mintWith mints offline what registering a message would answer.
func mintWith(minter *ref.Minter) func(*benchnode.Registration) (benchnode.Links, error) {
	return func(r *benchnode.Registration) (benchnode.Links, error) {
		l, err := minter.Mint(ref.Message{Links: r.Links, Ref: event.Ref{
			Account: r.Account, Sender: r.Sender, Sequence: r.Sequence, Contact: r.Contact, Message: r.Message,
			SentAt: event.FromTime(r.SentAt),
		}})
		if err != nil {
			return benchnode.Links{}, err
		}
		return benchnode.Links{
			Send: true, OpenURL: l.OpenURL, ClickURLs: l.ClickURLs, HoneypotURL: l.HoneypotURL, UnsubscribeURL: l.UnsubscribeURL,
			ReturnPath: l.ReturnPath, ReplyTo: l.ReplyTo, Headers: map[string]string{"X-Carom-Ref": l.Headers.Ref},
		}, nil
	}
}

// makeTopics makes the topics of a node that is started for one play.
func makeTopics(ctx context.Context, brokers []string, prefix string) error {
	options := devConfig().Kafka
	options.Brokers, options.TopicPrefix = brokers, prefix
	if err := options.Validate(); err != nil {
		return usageError{fmt.Errorf("kafka.%w", err)}
	}
	client, err := kafka.Dial(ctx, options, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	plan, err := client.Plan(ctx)
	if err != nil {
		return err
	}
	return client.Apply(ctx, plan)
}
