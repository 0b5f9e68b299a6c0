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

// playDemo starts a node, plays against it, and stops it again.
func playDemo(ctx context.Context, seed uint64, mailDir string, out, progress io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "carom-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c, err := demoConfig(dir)
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
	target := demo.Target{
		API: "http://" + n.api.Addr().String(), Mail: n.inbound.Addr().String(), Feedback: c.Inbound.FeedbackAddresses[0],
	}
	err = playAll(ctx, target, seed, mailDir, out, progress)
	stop()
	return errors.Join(err, <-stopped)
}

// demoConfig is that of --dev, in a folder of its own and on free ports. The environment stays out of it: a demo on a
// machine that is set up for a real node must not touch that node's data.
func demoConfig(dir string) (Config, error) {
	c := devConfig()
	c.Data.Dir = filepath.Join(dir, "data")
	c.Log.Level = "warn"
	c.Track.Listen, c.Inbound.Listen, c.API.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Refine.Settle = demoSettle
	c.fill(true)
	return c, c.validate()
}

func playAll(ctx context.Context, t demo.Target, seed uint64, mailDir string, out, progress io.Writer) error {
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
