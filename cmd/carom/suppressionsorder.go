package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

// suppressionsOrder is what an order was asked for.
type suppressionsOrder struct {
	suppressionsCall
	key, note, time string
}

func (o *suppressionsOrder) add(cmd *cobra.Command) {
	o.apiServer.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.key, "key", "", "Idempotency-Key: the order is carried out once, however often it is sent with this key")
	f.StringVar(&o.note, "note", "", "why, for the audit log")
	f.StringVar(&o.time, "time", "", "from when it counts, RFC 3339; default: now")
}

// pathOf is the path of an address.
func pathOf(address, rest string) string {
	return suppressionsPath + "/" + url.PathEscape(address) + rest
}

// give sends an order, with what is not empty of members, and returns the answer.
func (o *suppressionsOrder) give(cmd *cobra.Command, method, path string, members map[string]any) ([]byte, error) {
	if err := checkTimes(map[string]string{"time": o.time}); err != nil {
		return nil, err
	}
	target, err := o.base(path)
	if err != nil {
		return nil, err
	}
	header := make(http.Header)
	if o.key != "" {
		header.Set("Idempotency-Key", o.key)
	}
	var body io.Reader
	if method == http.MethodDelete {
		target += query("account", o.account, "note", o.note, "time", o.time)
	} else {
		for name, value := range map[string]string{"account": o.account, "note": o.note, "time": o.time} {
			if value != "" {
				members[name] = value
			}
		}
		text, err := json.Marshal(members)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
		header.Set("Content-Type", "application/json")
	}
	answer, err := o.send(cmd.Context(), method, target, body, header)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(io.LimitReader(answer.Body, maxAPILine))
}

// each gives an order for each address and prints how it stands then. One that is refused spoils no other.
func (o *suppressionsOrder) each(cmd *cobra.Command, method, rest string, members map[string]any, addresses []string) error {
	if o.key != "" && len(addresses) > 1 {
		return usageError{errors.New("--key: stands for one order: want one address")}
	}
	rows := newRowsOut(cmd, suppressionsHeading, rowOf[suppressionRow])
	failed := 0
	for _, address := range addresses {
		answer, err := o.give(cmd, method, pathOf(address, rest), members)
		var refused *refusedError
		switch {
		case errors.As(err, &refused):
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", printable(address), refused)
			failed++
			continue
		case err != nil:
			return errors.Join(err, rows.end())
		}
		if err := rows.print(answer); err != nil {
			return err
		}
	}
	if err := rows.end(); err != nil || failed == 0 {
		return err
	}
	return fmt.Errorf("%d of %d orders were refused", failed, len(addresses))
}

func newSuppressionsAddCommand() *cobra.Command {
	var o suppressionsOrder
	var reason, category, until string
	var global bool
	cmd := &cobra.Command{
		Use:   "add ADDRESS...",
		Short: "Suppress addresses",
		Example: `  carom suppressions add --api http://127.0.0.1:8081 --account acme --note "asked by phone" bob@example.com
  carom suppressions add --api http://127.0.0.1:8081 --account acme --until 2027-01-01T00:00:00Z bob@example.com
  carom suppressions add --api http://127.0.0.1:8081 --global bob@example.com`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, addresses []string) error {
			if err := checkTimes(map[string]string{"until": until}); err != nil {
				return err
			}
			members := make(map[string]any)
			if global {
				members["scope"] = "global"
			}
			for name, value := range map[string]string{"reason": reason, "category": category, "until": until} {
				if value != "" {
					members[name] = value
				}
			}
			return o.each(cmd, http.MethodPut, "", members, addresses)
		},
	}
	o.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.account, "account", "", "customer of the platform (default: default)")
	f.StringVar(&reason, "reason", "", "bounce, complaint, unsubscribe or manual (default: manual)")
	f.StringVar(&category, "category", "", "category of the bounce")
	f.StringVar(&until, "until", "", "when it ends, RFC 3339; default: never")
	f.BoolVar(&global, "global", false, "in all accounts; for tokens with the scope admin")
	return cmd
}

func newSuppressionsRemoveCommand() *cobra.Command {
	var o suppressionsOrder
	cmd := &cobra.Command{
		Use:     "remove ADDRESS...",
		Short:   "End an account's suppressions of addresses, whatever their reasons",
		Example: `  carom suppressions remove --api http://127.0.0.1:8081 --account acme --note "by mistake" bob@example.com`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, addresses []string) error {
			return o.each(cmd, http.MethodDelete, "", nil, addresses)
		},
	}
	o.add(cmd)
	cmd.Flags().StringVar(&o.account, "account", "", "customer of the platform (default: default)")
	return cmd
}

func newSuppressionsReactivateCommand() *cobra.Command {
	var o suppressionsOrder
	var confirmed bool
	cmd := &cobra.Command{
		Use:   "reactivate --confirmed ADDRESS...",
		Short: "Mail addresses again that bounced, at the wish of their owners",
		Long: `Mail addresses again that bounced, at the wish of their owners: once each, and for a small share of an account's contacts
in a calendar month. What is refused says by which rule, and when it will be possible.`,
		Example: `  carom suppressions reactivate --api http://127.0.0.1:8081 --account acme --confirmed bob@example.com
  carom suppressions reactivate --api http://127.0.0.1:8081 --account acme --confirmed --key ticket-4711 bob@example.com`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, addresses []string) error {
			return o.each(cmd, http.MethodPost, "/reactivate", map[string]any{"confirmed": confirmed}, addresses)
		},
	}
	o.add(cmd)
	cmd.Flags().StringVar(&o.account, "account", "", "customer of the platform (default: default)")
	cmd.Flags().BoolVar(&confirmed, "confirmed", false, "the owner of the address has confirmed that he wants mail; without it the order is refused")
	return cmd
}

func newSuppressionsLiftCommand() *cobra.Command {
	var o suppressionsOrder
	cmd := &cobra.Command{
		Use:     "lift ADDRESS...",
		Short:   "End global suppressions; for tokens with the scope admin",
		Example: `  carom suppressions lift --api http://127.0.0.1:8081 --note "the provider's fault" bob@example.com`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, addresses []string) error {
			return o.each(cmd, http.MethodPost, "/lift", make(map[string]any), addresses)
		},
	}
	o.add(cmd)
	return cmd
}

func newSuppressionsRevertCommand() *cobra.Command {
	return newWaveCommand("revert", "Undo what a wave of false bounces did", `Undo what a wave of false bounces did: ends the suppressions that bounces of a mailbox provider, or of a rule, caused within
a time. It counts in no quota. With --dry-run it says how many there are, and changes nothing.`)
}

func newSuppressionsConfirmCommand() *cobra.Command {
	return newWaveCommand("confirm", "Let a wave of bounces count that waits in quarantine", `Let a wave of bounces count that waits in quarantine: the addresses are suppressed as if nobody had doubted the bounces.`)
}

func newWaveCommand(name, short, long string) *cobra.Command {
	var o suppressionsOrder
	wave := make(map[string]*string)
	var dryRun bool
	cmd := &cobra.Command{
		Use:   name + " --provider P | --rule R  --from TIME --to TIME",
		Short: short,
		Long:  long,
		Example: fmt.Sprintf(`  carom suppressions %[1]s --api http://127.0.0.1:8081 --provider google --from 2020-12-14T20:00:00Z --to 2020-12-16T00:00:00Z --dry-run
  carom suppressions %[1]s --api http://127.0.0.1:8081 --provider google --from 2020-12-14T20:00:00Z --to 2020-12-16T00:00:00Z --account acme`, name),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			members := map[string]any{"dry_run": dryRun}
			for member, value := range wave {
				if *value != "" {
					members[member] = *value
				}
			}
			switch {
			case *wave["provider"] == "" && *wave["rule"] == "":
				return usageError{errors.New("--provider, --rule: want one of them, or both")}
			case *wave["from"] == "" || *wave["to"] == "":
				return usageError{errors.New("--from, --to: want the time of the wave")}
			}
			if err := checkTimes(map[string]string{"from": *wave["from"], "to": *wave["to"]}); err != nil {
				return err
			}
			answer, err := o.give(cmd, http.MethodPost, suppressionsPath+"/"+name, members)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(answer)
			return err
		},
	}
	o.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.account, "account", "", "only suppressions of this account; default: of all")
	wave["provider"] = f.String("provider", "", "mailbox provider of the recipients, as the list shows it")
	wave["rule"] = f.String("rule", "", "rule that classified the bounces, as the list shows it")
	wave["category"] = f.String("category", "", "only bounces of this category")
	wave["from"] = f.String("from", "", "time of the first bounce, RFC 3339")
	wave["to"] = f.String("to", "", "a time after the last bounce")
	f.BoolVar(&dryRun, "dry-run", false, "count only, and change nothing")
	return cmd
}
