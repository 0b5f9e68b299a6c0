package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"
)

// suppressionsList is what list and export were asked for.
type suppressionsList struct {
	suppressionsCall
	reason, category, domain, from, to, asOf, format string
	global, active, ended                            bool
	limit                                            int
}

func (q *suppressionsList) add(cmd *cobra.Command) {
	q.suppressionsCall.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&q.global, "global", false, "those that hold in all accounts, in place of an account's")
	f.StringVar(&q.reason, "reason", "", "only those with this reason: bounce, complaint, unsubscribe or manual")
	f.StringVar(&q.category, "category", "", "only bounces of this category")
	f.StringVar(&q.domain, "domain", "", "only addresses of this domain")
	f.BoolVar(&q.active, "active", false, "only those that stop mail")
	f.BoolVar(&q.ended, "ended", false, "only those that do not: ended, or in quarantine")
	f.StringVar(&q.from, "from", "", "only those since this time or later, as RFC 3339 writes it")
	f.StringVar(&q.to, "to", "", "only those since before this time")
	f.StringVar(&q.asOf, "as-of", "", "as they stand at this time")
	f.IntVar(&q.limit, "limit", 0, "stop after this many; 0 prints all")
}

// target returns the URL, or why the flags can't be.
func (q *suppressionsList) target() (string, error) {
	switch {
	case q.limit < 0:
		return "", usageError{fmt.Errorf("--limit %d: want 0 (all) or more", q.limit)}
	case q.active && q.ended:
		return "", usageError{errors.New("--active, --ended: want one of them")}
	case q.global && q.account != "":
		return "", usageError{errors.New("--global, --account: want one of them")}
	}
	if err := checkTimes(map[string]string{"from": q.from, "to": q.to, "as-of": q.asOf}); err != nil {
		return "", err
	}
	base, err := q.base(suppressionsPath)
	if err != nil {
		return "", err
	}
	scope, active, limit := "", "", ""
	if q.global {
		scope = "global"
	}
	if q.active || q.ended {
		active = strconv.FormatBool(q.active)
	}
	if q.limit > 0 {
		limit = strconv.Itoa(q.limit)
	}
	return base + query("account", q.account, "scope", scope, "reason", q.reason, "category", q.category, "domain", q.domain,
		"active", active, "from", q.from, "to", q.to, "as_of", q.asOf, "limit", limit), nil
}

func newSuppressionsListCommand() *cobra.Command {
	var q suppressionsList
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Print suppressions",
		Example: `  carom suppressions list --api http://127.0.0.1:8081 --account acme --active
  carom suppressions list --api http://127.0.0.1:8081 --global
  carom suppressions list --api http://127.0.0.1:8081 --reason bounce --domain example.com | jq -r .address`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			target, err := q.target()
			if err != nil {
				return err
			}
			return q.printRows(cmd, target, newRowsOut(cmd, suppressionsHeading, rowOf[suppressionRow]))
		},
	}
	q.add(cmd)
	return cmd
}

// printRows prints a list that comes as a stream of JSON lines.
func (c *suppressionsCall) printRows(cmd *cobra.Command, target string, rows *rowsOut) error {
	answer, err := c.send(cmd.Context(), http.MethodGet, target, nil, http.Header{"Accept": {"application/x-ndjson"}})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, maxAPILine)
	for lines.Scan() {
		if err := rows.print(lines.Bytes()); err != nil {
			return err
		}
	}
	return errors.Join(cut(lines.Err()), rows.end())
}

// cut says what a read that failed in the middle means.
func cut(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errCut, err)
}

func newSuppressionsExportCommand() *cobra.Command {
	var q suppressionsList
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print suppressions as CSV or JSON lines, all that is known of them",
		Long: `Print suppressions as CSV or JSON lines. 'carom suppressions import' takes both. In CSV, a cell that a spreadsheet would
take for a formula has an apostrophe before it, which import takes off again. Exit code 0: these are all; 1: they may not be.`,
		Example: `  carom suppressions export --api http://127.0.0.1:8081 --account acme > acme.csv
  carom suppressions export --api http://127.0.0.1:8081 --account acme --format jsonl | gzip > acme.jsonl.gz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			accept, ok := map[string]string{"csv": "text/csv", "jsonl": "application/x-ndjson"}[q.format]
			if !ok {
				return usageError{fmt.Errorf("--format %q: want csv or jsonl", q.format)}
			}
			target, err := q.target()
			if err != nil {
				return err
			}
			answer, err := q.send(cmd.Context(), http.MethodGet, target, nil, http.Header{"Accept": {accept}})
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			_, err = io.Copy(cmd.OutOrStdout(), answer.Body)
			return cut(err)
		},
	}
	q.add(cmd)
	cmd.Flags().StringVar(&q.format, "format", "csv", "csv or jsonl")
	return cmd
}

func newSuppressionsAuditCommand() *cobra.Command {
	var c suppressionsCall
	var address string
	var limit int
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Print who ordered what, and what became of it, newest first",
		Example: `  carom suppressions audit --api http://127.0.0.1:8081 --account acme
  carom suppressions audit --api http://127.0.0.1:8081 --account acme --address bob@example.com | jq`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usageError{fmt.Errorf("--limit %d: want 0 (all) or more", limit)}
			}
			base, err := c.base(suppressionsPath + "/audit")
			if err != nil {
				return err
			}
			most := ""
			if limit > 0 {
				most = strconv.Itoa(limit)
			}
			return c.printRows(cmd, base+query("account", c.account, "address", address, "limit", most), newRowsOut(cmd, auditHeading, rowOf[auditRow]))
		},
	}
	c.apiServer.add(cmd)
	cmd.Flags().StringVar(&c.account, "account", "", "only orders of this account; default: of all")
	cmd.Flags().StringVar(&address, "address", "", "only orders about this address")
	cmd.Flags().IntVar(&limit, "limit", 0, "stop after this many; 0 prints all")
	return cmd
}
