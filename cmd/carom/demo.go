package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"carom/bench/demo"
	benchnode "carom/bench/node"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

// demoSettle shortens the wait for bursts, so that the demo ends soon; its day has none.
const demoSettle = time.Second

func newDemoCommand() *cobra.Command {
	var mailDir string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play a day of a small platform against a fresh node and check every count",
		Long: `Start a node in a temporary folder and play a day of a small platform against it, over real HTTP and SMTP:
three senders, some thousands of messages, opens, clicks, replies, auto-replies, bounces, complaints. Then print
the scores, and what was sent against what was counted; the exit code is 1 if they differ.

With --mail it also delivers the mails of a folder, byte for byte, and lists what each said.`,
		Example: `  carom demo
  carom demo --seed 7
  carom demo --mail ~/bounces`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return playDemo(cmd.Context(), seed, mailDir, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&mailDir, "mail", "", "folder of mails, one a file, to deliver as well")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "the day that is played: the same seed plays the same day")
	return cmd
}

// playDemo plays against a node of its own.
func playDemo(ctx context.Context, seed uint64, mailDir string, out, progress io.Writer) error {
	// The wait for bursts is short, so that the demo ends soon; its day has none.
	return withNode(ctx, func(c *Config) { c.Refine.Settle = demoSettle }, func(n *node, c *Config) error {
		target := benchnode.Target{
			API: "http://" + n.api.Addr().String(), Mail: n.inbound.Addr().String(), Feedback: c.Inbound.FeedbackAddresses[0],
		}
		return playAll(ctx, target, seed, mailDir, out, progress)
	})
}

// withNode starts a node in a temporary folder, has it played with, and stops it again.
func withNode(ctx context.Context, configure func(*Config), play func(*node, *Config) error) (err error) {
	dir, err := os.MkdirTemp("", "carom-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c, err := playConfig(dir, configure)
	if err != nil {
		return err
	}
	logger, err := newLogger(c.Log, os.Stderr)
	if err != nil {
		return err
	}
	if err := ensureKeys(&c, zap.NewNop()); err != nil {
		return err
	}
	n, err := openNode(c, logger)
	if err != nil {
		return err
	}
	nodeCtx, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- errors.Join(n.run(nodeCtx), n.close()) }()
	err = play(n, &c)
	stop()
	return errors.Join(err, <-stopped)
}

// playConfig is that of --dev, in a folder of its own and on free ports. The environment stays out of it: a play on a
// machine that is set up for a real node must not touch that node's data.
func playConfig(dir string, configure func(*Config)) (Config, error) {
	c := devConfig()
	c.Data.Dir = filepath.Join(dir, "data")
	c.Log.Level = "warn"
	c.Track.Listen, c.Inbound.Listen, c.API.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	configure(&c)
	c.fill(true)
	return c, c.validate()
}

func playAll(ctx context.Context, t benchnode.Target, seed uint64, mailDir string, out, progress io.Writer) error {
	result, err := demo.Play(ctx, t, demo.Options{Seed: seed, Progress: progress})
	if result != nil {
		fmt.Fprintln(out)
		writeErr := errors.Join(result.WriteScores(out), writeLine(out), result.WriteCounts(out))
		err = errors.Join(err, writeErr)
	}
	if err != nil || mailDir == "" {
		return err
	}
	fmt.Fprintln(out)
	return demo.DeliverFolder(ctx, t, mailDir, out, progress)
}

func writeLine(w io.Writer) error {
	_, err := fmt.Fprintln(w)
	return err
}
