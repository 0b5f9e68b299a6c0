package main

import "github.com/spf13/cobra"

func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a node, or any server of its kind: how fast, what it keeps, how well it tells people from machines",
		Long: `Measure a node, or any server of its kind: how much load it takes (http, smtp, api), whether what it acknowledged is what
arrives (e2e), and how well it tells people from machines (verdicts). Each command starts a node of its own where it is
given no target.`,
		Example: `  carom bench http --rate 5000
  carom bench http --find-rate 'p99<10ms'
  carom bench smtp
  carom bench e2e small --kill 1
  carom bench verdicts`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchHTTPCommand())
	cmd.AddCommand(newBenchSMTPCommand())
	cmd.AddCommand(newBenchAPICommand())
	cmd.AddCommand(newBenchEndToEndCommand())
	cmd.AddCommand(newBenchCompareCommand())
	cmd.AddCommand(newBenchVerdictsCommand())
	cmd.AddCommand(newBenchNullCommand())
	return cmd
}
