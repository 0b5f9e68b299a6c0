package main

import "github.com/spf13/cobra"

func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a node: how well it tells people from machines",
		Example: `  carom bench verdicts
  carom bench verdicts --list`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchSMTPCommand())
	cmd.AddCommand(newBenchAPICommand())
	cmd.AddCommand(newBenchVerdictsCommand())
	return cmd
}
