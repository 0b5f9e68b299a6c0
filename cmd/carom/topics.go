package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"carom/pipeline/kafka"
)

// topicsFlags are those of both commands about topics.
type topicsFlags struct {
	configFlags
	development bool
}

func (f *topicsFlags) add(cmd *cobra.Command) {
	f.configFlags.add(cmd)
	cmd.Flags().BoolVar(&f.development, "development", false, "keep each record on one broker only: kafka.replication and kafka.min_insync_replicas are 1, whatever the settings say")
}

// load returns the settings of Kafka. The others may be missing: whoever makes the topics need not be a node.
func (f *topicsFlags) load() (kafka.Options, LogOptions, error) {
	c, err := f.configFlags.load()
	if err != nil {
		return kafka.Options{}, LogOptions{}, err
	}
	if f.development {
		c.Kafka.Development()
	}
	if err := c.Kafka.Validate(); err != nil {
		return kafka.Options{}, LogOptions{}, usageError{fmt.Errorf("kafka.%w", err)}
	}
	if len(c.Kafka.Brokers) == 0 {
		return kafka.Options{}, LogOptions{}, usageError{errors.New("kafka.brokers: is empty: name the brokers in --config FILE or in CAROM_KAFKA_BROKERS")}
	}
	return c.Kafka, c.Log, nil
}

func newTopicsCommand() *cobra.Command {
	topics := &cobra.Command{
		Use:   "topics",
		Short: "Make the Kafka topics, or check those that are there",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	topics.AddCommand(newTopicsPlanCommand(), newTopicsApplyCommand())
	return topics
}

const topicsLegend = `
In the plan, + is made, ~ is changed, = is as it should be, and ! can't be made so, with the reason. Settings are those
of section kafka ('carom serve --help'), by default for a cluster of three brokers or more. The number of partitions is
fixed when a topic is made: another one is refused, here and by every node.`

func newTopicsPlanCommand() *cobra.Command {
	var flags topicsFlags
	var check bool
	plan := &cobra.Command{
		Use:   "plan",
		Short: "Show what 'carom topics apply' would do, and change nothing",
		Long: `Show what 'carom topics apply' would do, and change nothing.
` + topicsLegend + `

Exit code 0: the plan can be carried out, or nothing is to do. 1: it can't, or the cluster can't be asked; with --check
also if anything is to do. 2: wrong usage or settings.`,
		Example: `  carom topics plan --config /etc/carom/carom.yaml
  carom topics plan --config carom.yaml --check       # for CI: fail if the topics are not as they should be
  CAROM_KAFKA_BROKERS=127.0.0.1:19092 carom topics plan --development`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.run(cmd, func(_ context.Context, _ *kafka.Client, plan kafka.Plan) error {
				if check && plan.Refused() == nil && !plan.Done() {
					return errors.New("the topics are not as they should be: 'carom topics apply' makes them so")
				}
				return nil
			})
		},
	}
	flags.add(plan)
	plan.Flags().BoolVar(&check, "check", false, "fail if anything is to do")
	return plan
}

func newTopicsApplyCommand() *cobra.Command {
	var flags topicsFlags
	apply := &cobra.Command{
		Use:   "apply",
		Short: "Make the topics that are missing, and change settings that differ",
		Long: `Make the topics that are missing, and change settings that differ. The plan is shown first; if a topic is refused,
nothing is done. It can be run again at any time.
` + topicsLegend + `

Exit code 0: the topics are as they should be. 1: they are not, and why. 2: wrong usage or settings.`,
		Example: `  carom topics apply --config /etc/carom/carom.yaml
  CAROM_KAFKA_BROKERS=127.0.0.1:19092 carom topics apply --development      # one broker, as 'make kafka-up' starts it`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.run(cmd, func(ctx context.Context, client *kafka.Client, plan kafka.Plan) error {
				if plan.Refused() != nil || plan.Done() {
					return nil
				}
				fmt.Fprintln(cmd.ErrOrStderr(), "applying ...")
				if err := client.Apply(ctx, plan); err != nil {
					return err
				}
				fmt.Fprintln(cmd.ErrOrStderr(), "done: the topics are as they should be")
				return nil
			})
		},
	}
	flags.add(apply)
	return apply
}

// run makes the plan, prints it, and does what the command does with it. A plan that is refused fails.
func (f *topicsFlags) run(cmd *cobra.Command, do func(context.Context, *kafka.Client, kafka.Plan) error) error {
	options, logging, err := f.load()
	if err != nil {
		return err
	}
	logger, err := newLogger(logging, os.Stderr)
	if err != nil {
		return usageError{err}
	}
	defer func() { _ = logger.Sync() }()
	ctx := cmd.Context()
	client, err := kafka.Dial(ctx, options, logger.Named("kafka"), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	plan, err := client.Plan(ctx)
	if err != nil {
		return err
	}
	if err := printPlan(cmd.OutOrStdout(), cmd.ErrOrStderr(), plan); err != nil {
		return err
	}
	if err := do(ctx, client, plan); err != nil {
		return err
	}
	if plan.Refused() != nil {
		return errors.New("the topics marked with ! can't be made as they should be; nothing was changed")
	}
	return nil
}

func printPlan(out, notes io.Writer, plan kafka.Plan) error {
	plural := "s"
	if plan.Brokers == 1 {
		plural = ""
	}
	fmt.Fprintf(notes, "cluster %s, %d broker%s\n", plan.Cluster, plan.Brokers, plural)
	if _, err := io.WriteString(out, plan.String()); err != nil {
		return err
	}
	if plan.Done() {
		fmt.Fprintln(notes, "nothing to do")
	}
	return nil
}
