package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func newSuppressionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "suppressions",
		Short: "Who gets no mail, and why; add, remove, reactivate, import, export",
		Long: `Who gets no mail, and why. All of these ask a running server (--api). They print a table on a terminal, and JSON lines
otherwise. pipeline/suppress/SUPPRESSIONS.md has the rules, and every order is in 'carom suppressions audit'.`,
		Example: suppressionsExamples,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSuppressionsListCommand(), newSuppressionsCheckCommand(), newSuppressionsAddCommand(), newSuppressionsRemoveCommand(),
		newSuppressionsReactivateCommand(), newSuppressionsLiftCommand(), newSuppressionsImportCommand(), newSuppressionsExportCommand(),
		newSuppressionsRevertCommand(), newSuppressionsConfirmCommand(), newSuppressionsAuditCommand())
	return cmd
}

const suppressionsExamples = `  carom suppressions list --api http://127.0.0.1:8081 --account acme --reason bounce
  carom suppressions check --api http://127.0.0.1:8081 bob@example.com
  carom suppressions import --api http://127.0.0.1:8081 --account acme --dry-run old-platform.csv
  carom suppressions reactivate --api http://127.0.0.1:8081 --account acme --confirmed bob@example.com
  carom suppressions revert --api http://127.0.0.1:8081 --provider google --from 2020-12-14T20:00:00Z --to 2020-12-16T00:00:00Z --dry-run`

const suppressionsPath = "/v1/suppressions"

// suppressionsCall is what the commands have in common.
type suppressionsCall struct {
	apiServer
	account string
}

func (c *suppressionsCall) add(cmd *cobra.Command) {
	c.apiServer.add(cmd)
	cmd.Flags().StringVar(&c.account, "account", "", "customer of the platform (default: default)")
}

// refusedError is an order that the server has understood and refused.
type refusedError struct {
	Title      string  `json:"title"`
	Detail     string  `json:"detail"`
	Rule       string  `json:"rule"`
	PossibleAt *string `json:"possible_at"`
}

func (e *refusedError) Error() string {
	text := e.Rule + ": " + e.Title
	if e.Detail != "" {
		text = e.Rule + ": " + e.Detail
	}
	if e.PossibleAt != nil {
		text += " (possible at " + *e.PossibleAt + ")"
	}
	return printable("refused: " + text)
}

// send asks the server and returns its answer, whose body the caller closes; an error tells what the server says.
func (c *suppressionsCall) send(ctx context.Context, method, target string, body io.Reader, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	c.authorize(request)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	var refused refusedError
	if json.Unmarshal(text, &refused) == nil && refused.Rule != "" {
		return nil, &refused
	}
	return nil, fmt.Errorf("ask the server: it answered %s: %s", answer.Status, printable(string(bytes.TrimSpace(text))))
}

// query leaves out what is empty.
func query(pairs ...string) string {
	q := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// checkTimes wants flags that are times.
func checkTimes(flags map[string]string) error {
	for name, value := range flags {
		if _, err := time.Parse(time.RFC3339, value); value != "" && err != nil {
			return usageError{fmt.Errorf("--%s %q: want a time such as 2026-11-21T17:45:03Z", name, value)}
		}
	}
	return nil
}

// suppressionRow is an object of GET /v1/suppressions, as far as a table or an import needs it.
type suppressionRow struct {
	Account     string  `json:"account"`
	Address     string  `json:"address"`
	Original    string  `json:"original"`
	Scope       string  `json:"scope"`
	Reason      string  `json:"reason"`
	Category    string  `json:"category"`
	Note        string  `json:"note"`
	Since       string  `json:"since"`
	Until       *string `json:"until"`
	Active      *bool   `json:"active"`
	Quarantined bool    `json:"quarantined"`
}

func (r *suppressionRow) state() string {
	switch {
	case r.Quarantined:
		return "quarantined"
	case r.Active == nil || *r.Active:
		return "active"
	}
	return "ended"
}

const suppressionsHeading = "ADDRESS\tSCOPE\tREASON\tCATEGORY\tSINCE\tUNTIL\tSTATE\tNOTE"

func (r *suppressionRow) tableRow() string {
	until := "-"
	if r.Until != nil {
		until = *r.Until
	}
	return tabbed(r.Address, r.Scope, r.Reason, orDash(r.Category), r.Since, until, r.state(), r.Note)
}

// auditRow is an object of GET /v1/suppressions/audit.
type auditRow struct {
	Made    string `json:"made"`
	Actor   string `json:"actor"`
	Op      string `json:"op"`
	Account string `json:"account"`
	Address string `json:"address"`
	OK      bool   `json:"ok"`
	Rule    string `json:"rule"`
	Note    string `json:"note"`
}

const auditHeading = "MADE\tWHO\tORDER\tACCOUNT\tADDRESS\tOUTCOME\tNOTE"

func (r *auditRow) tableRow() string {
	outcome := "done"
	if !r.OK {
		outcome = "refused: " + r.Rule
	}
	return tabbed(r.Made, r.Actor, r.Op, orDash(r.Account), orDash(r.Address), outcome, r.Note)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// tabbed joins cells, which may hold what strangers wrote.
func tabbed(cells ...string) string {
	for i := range cells {
		cells[i] = printable(cells[i])
	}
	return strings.Join(cells, "\t")
}

// tableRows is how many rows are aligned with each other: a table of a million begins at once.
const tableRows = 500

// rowsOut prints JSON lines as they are, or as a table.
type rowsOut struct {
	out     io.Writer
	heading string // empty: no table
	row     func(line []byte) (string, error)
	table   *tabwriter.Writer
	n       int
}

// newRowsOut prints a table where cmd's output is a terminal.
func newRowsOut(cmd *cobra.Command, heading string, row func(line []byte) (string, error)) *rowsOut {
	r := &rowsOut{out: cmd.OutOrStdout(), row: row}
	if f, ok := r.out.(*os.File); ok && isTerminal(f) {
		r.heading = heading
	}
	return r
}

func (r *rowsOut) print(line []byte) error {
	if r.heading == "" {
		_, err := r.out.Write(append(bytes.TrimSpace(line), '\n'))
		return err
	}
	text, err := r.row(line)
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if r.table == nil {
		r.table = tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(r.table, r.heading)
	}
	r.n++
	if _, err = fmt.Fprintln(r.table, text); err == nil && r.n%tableRows == 0 {
		err = r.table.Flush()
	}
	return err
}

func (r *rowsOut) end() error {
	if r.table == nil {
		return nil
	}
	return r.table.Flush()
}

// rowOf reads a line as T for a table.
func rowOf[T any, P interface {
	*T
	tableRow() string
}](line []byte) (string, error) {
	var row T
	if err := json.Unmarshal(line, &row); err != nil {
		return "", err
	}
	return P(&row).tableRow(), nil
}

// errCut is what reading an answer that was cut off ends with.
var errCut = errors.New("the server cut its answer off: what was printed is not all")
