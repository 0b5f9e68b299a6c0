package main

import (
	"context"
	"fmt"
	"net"

	"carom/bench/null"

	"github.com/spf13/cobra"
)

// newBenchNullCommand starts a server that does nothing, to measure the harness itself: `make bench-self`.
func newBenchNullCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:    "null http",
		Short:  "Serve answers that are right and mean nothing, to measure the harness",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			serve, ok := map[string]func(net.Listener) error{"http": null.ServeHTTP}[args[0]]
			if !ok {
				return usageError{fmt.Errorf("%q: want http", args[0])}
			}
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), l.Addr())
			defer context.AfterFunc(cmd.Context(), func() { _ = l.Close() })()
			if err := serve(l); cmd.Context().Err() == nil {
				return err
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "host:port; the address is printed")
	return cmd
}
