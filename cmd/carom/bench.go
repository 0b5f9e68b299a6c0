package main

import "github.com/spf13/cobra"

func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a node, or any server of its kind: how fast, and how well it tells people from machines",
		Example: `  carom bench http --rate 5000
  carom bench http --find-rate 'p99<10ms'
  carom bench smtp
  carom bench verdicts`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchHTTPCommand())
	cmd.AddCommand(newBenchSMTPCommand())
	cmd.AddCommand(newBenchAPICommand())
	cmd.AddCommand(newBenchVerdictsCommand())
	cmd.AddCommand(newBenchNullCommand())
	return cmd
}
