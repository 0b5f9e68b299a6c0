// Command carom is the listening half of a mail platform: it hears opens, clicks, bounces, complaints and replies,
// and makes of them one stream of facts and a score for every sender.
//
// This package only wires: every stage and every edge is a library of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes, a contract with scripts.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError marks an error as the caller's: wrong flags, arguments or config keys.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	keepTwoProcs()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string) int {
	root := newRootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(os.Stderr, "carom: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) || isCobraUsage(err) {
		fmt.Fprintln(os.Stderr, "Try 'carom --help', or 'carom COMMAND --help' for examples.")
		return exitUsage
	}
	return exitFailed
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "carom",
		Short: "The listening half of a mail platform",
		Long: `Carom hears what comes back when mail has gone out: opens, clicks, bounces, complaints, replies.
It turns them into one clean stream of facts: durable, deduplicated, labelled human or machine,
and rolled up into a score for every sender.`,
		Example: `  carom serve --dev                      # start everything, with data under ./data
  carom demo                             # play a day of a small platform and check the counts
  carom report bounce.eml                # what does this bounce say?`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newServeCommand(), newKeysCommand(), newLinkCommand(), newReportCommand(), newEventsCommand(),
		newDemoCommand(), newBenchCommand(), newVerdictCommand(), newTopicsCommand(), newRejectsCommand(), newRulesCommand(), newTokensCommand(),
		newSuppressionsCommand(),
		newBackupCommand(), newRestoreCommand(), newPlanCommand(), newConfigCommand())
	return root
}

// isCobraUsage recognises the errors that cobra's own argument checks return; they have no type.
func isCobraUsage(err error) bool {
	text := err.Error()
	for _, sign := range []string{"unknown command", "accepts ", "requires at least", "requires at most", "required flag"} {
		if strings.HasPrefix(text, sign) {
			return true
		}
	}
	return false
}
