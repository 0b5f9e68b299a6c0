package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strconv"

	benchload "carom/bench/load"
	"carom/bench/targets"
	"carom/bench/wire"

	"github.com/spf13/cobra"
)

// apiFlags are the flags of `carom bench api`.
type apiFlags struct {
	load     loadFlags
	messages targets.RegistrationOptions
	insecure bool
}

func newBenchAPICommand() *cobra.Command {
	a := apiFlags{messages: targets.DefaultRegistrations()}
	cmd := &cobra.Command{
		Use:   "api [URL]",
		Short: "Measure the registration of messages",
		Long: `Register messages with POST /v1/messages, each of which gets its links and addresses, and is an event on disk when it
is answered. A request has one message, or with --batch many of them as JSON lines; rates are requests a second, and the
result tells messages a second too. Every line of every answer is checked.

Without a URL a node is started in a process of its own, with a temporary folder, and measured. The token of a node of
yours is read from ` + tokenVariable + `.`,
		Example: `  carom bench api
  carom bench api --batch 1000 --connections 4 --duration 30s --dir /var/tmp
  carom bench api --batch 100 --find-rate 'p99<100ms' --json api.json
  ` + tokenVariable + `=... carom bench api https://carom.example.com --links 10 --senders 5000`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target := ""
			if len(args) > 0 {
				target = args[0]
			}
			return a.run(cmd, target)
		},
	}
	f := cmd.Flags()
	f.IntVar(&a.messages.Batch, "batch", a.messages.Batch, "messages of a request")
	f.IntVar(&a.messages.Links, "links", a.messages.Links, "links of a message")
	f.IntVar(&a.messages.Senders, "senders", a.messages.Senders, "how many senders the messages are of")
	f.StringVar(&a.messages.Account, "account", a.messages.Account, "account that they are of")
	f.BoolVar(&a.insecure, "insecure", false, "do not check the certificate of an https URL")
	a.load.add(cmd, 16)
	return cmd
}

func (a *apiFlags) run(cmd *cobra.Command, target string) error {
	if err := a.load.check(target == ""); err != nil {
		return err
	}
	messages, err := targets.NewRegistrations(a.messages)
	if err != nil {
		return usageError{fmt.Errorf("--%w", err)} // named as the flags
	}
	if target != "" {
		return a.measure(cmd, nil, target, os.Getenv(tokenVariable), messages)
	}
	connections := strconv.Itoa(max(2*a.load.plan.Clients, 1024))
	return withChildNode(cmd.Context(), a.load.dir, []string{roleAPI}, map[string]string{"api.max_connections": connections}, func(node *childNode) error {
		return a.measure(cmd, node, "http://"+node.api, "", messages)
	})
}

func (a *apiFlags) measure(cmd *cobra.Command, node *childNode, target, token string, messages *targets.Registrations) error {
	o := wire.APIOptions{URL: target, Token: token, Timeout: a.load.plan.Timeout}
	if a.insecure {
		o.TLS = &tls.Config{InsecureSkipVerify: true} // as --insecure says
	}
	first, err := wire.NewAPI(o, messages)
	if err != nil {
		return usageError{err}
	}
	if err := errors.Join(first.Probe(cmd.Context()), first.Close()); err != nil { // to fail early
		return fmt.Errorf("%s: %w", target, err)
	}
	m := measured{kind: "api", target: target, node: node, options: map[string]string{
		"batch": strconv.Itoa(a.messages.Batch), "links": strconv.Itoa(a.messages.Links), "senders": strconv.Itoa(a.messages.Senders),
	}}
	return a.load.run(cmd, m, func(int) (benchload.Client, error) { return wire.NewAPI(o, messages) })
}
