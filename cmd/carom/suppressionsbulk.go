package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"carom/edge/api"

	"github.com/spf13/cobra"
)

// bulkSender sends lines while it reads the answers.
type bulkSender struct {
	call   *suppressionsCall
	target string
	header http.Header
	// lines writes what is sent.
	lines func(w *bufio.Writer) error
	// answer is told of each line that comes back.
	answer func(line []byte) error
}

// run returns when the server has answered all, or one side failed. What is being read then, such as a terminal, is not
// waited for.
func (b *bulkSender) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, in := io.Pipe()
	var unread atomic.Pointer[inputError]
	go func() {
		out := bufio.NewWriterSize(in, 64<<10)
		err := b.lines(out)
		var input inputError
		if errors.As(err, &input) {
			unread.Store(&input)
		}
		if err == nil {
			err = out.Flush()
		}
		_ = in.CloseWithError(err) // nil: the end of the body
	}()
	err := b.read(ctx, body)
	_ = body.Close() // ends the other side, if it still sends
	if input := unread.Load(); input != nil {
		return *input
	}
	return err
}

func (b *bulkSender) read(ctx context.Context, body io.Reader) error {
	answer, err := b.call.send(ctx, http.MethodPost, b.target, body, b.header)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, maxAPILine)
	for lines.Scan() {
		if err := b.answer(lines.Bytes()); err != nil {
			return err
		}
	}
	return cut(lines.Err())
}

// inputError is about what is to be sent.
type inputError struct{ error }

func (e inputError) Unwrap() error { return e.error }

// openInput opens a file, or standard input for "-".
func openInput(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(name)
}

func newSuppressionsCheckCommand() *cobra.Command {
	var c suppressionsCall
	var asOf string
	var transactional, suppressed bool
	cmd := &cobra.Command{
		Use:   "check [ADDRESS...]",
		Short: "Say of addresses whether they may be mailed",
		Long: `Say of addresses whether they may be mailed: those that are named, or else those on standard input, one a line. A million
takes seconds.`,
		Example: `  carom suppressions check --api http://127.0.0.1:8081 --account acme bob@example.com
  carom suppressions check --api http://127.0.0.1:8081 --account acme --suppressed < list.txt | jq -r .address`,
		RunE: func(cmd *cobra.Command, addresses []string) error {
			if err := checkTimes(map[string]string{"as-of": asOf}); err != nil {
				return err
			}
			base, err := c.base(suppressionsPath + "/check")
			if err != nil {
				return err
			}
			out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
			rows := newRowsOut(cmd, checkHeading, rowOf[checkRow])
			if rows.heading == "" {
				rows.out = out
			}
			sender := bulkSender{
				call: &c, target: base + query("account", c.account, "as_of", asOf), header: http.Header{"Content-Type": {"application/x-ndjson"}},
				lines: func(w *bufio.Writer) error { return writeAddresses(w, cmd.InOrStdin(), addresses, transactional) },
				answer: func(line []byte) error {
					if suppressed && strings.HasSuffix(string(line), `"suppressed":null}`) {
						return nil
					}
					return rows.print(line)
				},
			}
			return errors.Join(sender.run(cmd.Context()), rows.end(), out.Flush())
		},
	}
	c.add(cmd)
	cmd.Flags().StringVar(&asOf, "as-of", "", "at this time; default: now")
	cmd.Flags().BoolVar(&transactional, "transactional", false, "for transactional mail, which complaints and unsubscribes do not stop")
	cmd.Flags().BoolVar(&suppressed, "suppressed", false, "print only those that may not be mailed, and what could not be read")
	return cmd
}

const checkHeading = "ADDRESS\tMAIL\tSCOPE\tREASON\tCATEGORY\tSINCE\tUNTIL"

// checkRow is a line of the answer of POST /v1/suppressions/check.
type checkRow struct {
	Address    string          `json:"address"`
	Suppressed *suppressionRow `json:"suppressed"`
	Detail     string          `json:"detail"` // of a problem
	Line       int             `json:"line"`
}

func (r *checkRow) tableRow() string {
	switch s := r.Suppressed; {
	case r.Line > 0:
		return tabbed(fmt.Sprintf("line %d", r.Line), "?", r.Detail)
	case s == nil:
		return tabbed(r.Address, "yes")
	default:
		until := "-"
		if s.Until != nil {
			until = *s.Until
		}
		return tabbed(r.Address, "no", s.Scope, s.Reason, orDash(s.Category), s.Since, until)
	}
}

// writeAddresses writes the lines of a check.
func writeAddresses(w *bufio.Writer, in io.Reader, addresses []string, transactional bool) error {
	write := func(address string) error {
		line, err := json.Marshal(struct {
			Address       string `json:"address"`
			Transactional bool   `json:"transactional,omitempty"`
		}{address, transactional})
		if err == nil {
			_, err = w.Write(append(line, '\n'))
		}
		return err
	}
	for _, address := range addresses {
		if err := write(address); err != nil {
			return err
		}
	}
	if len(addresses) > 0 {
		return nil
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxAPILine)
	for lines.Scan() {
		address := strings.TrimSpace(lines.Text())
		if address == "" { // keeps its number
			if err := w.WriteByte('\n'); err != nil {
				return err
			}
			continue
		}
		if err := write(address); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return inputError{fmt.Errorf("read addresses: %w", err)}
	}
	return nil
}

// suppressionsImport is what import was asked for.
type suppressionsImport struct {
	suppressionsCall
	format, reason, key string
	dryRun, all         bool
	skipped             atomic.Int64
}

func newSuppressionsImportCommand() *cobra.Command {
	var q suppressionsImport
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Add suppressions from CSV, JSON lines or a list of addresses",
		Long: `Add suppressions from a file, or from standard input for '-'. CSV begins with the names of its columns, of which address is
needed, and account, scope, reason, category, note, since (or time) and until are understood; others are passed over, as are members
of JSON lines. So what 'carom suppressions export' wrote can be imported; rows that are not active are skipped. txt is one
address a line.

Prints what could not be added, with its line in the file, and last the report; --all prints every line. To import twice
does no harm. Exit code 0: all is suppressed now (or would be); 1: something is not.`,
		Example: `  carom suppressions import --api http://127.0.0.1:8081 --account acme --dry-run old-platform.csv
  carom suppressions import --api http://127.0.0.1:8081 --account acme --reason unsubscribe unsubscribed.txt
  zcat acme.jsonl.gz | carom suppressions import --api http://127.0.0.1:8081 --format jsonl -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return q.run(cmd, args[0]) },
	}
	q.add(cmd)
	f := cmd.Flags()
	f.StringVar(&q.format, "format", "", "csv, jsonl or txt; default: by the name of the file")
	f.StringVar(&q.reason, "reason", "", "reason of those that have none in the file (default: manual)")
	f.StringVar(&q.key, "key", "", "Idempotency-Key: the same file sent again with it is carried out once")
	f.BoolVar(&q.dryRun, "dry-run", false, "say what would become of it, and change nothing")
	f.BoolVar(&q.all, "all", false, "print what became of every line")
	return cmd
}

func (q *suppressionsImport) run(cmd *cobra.Command, name string) error {
	if q.format == "" {
		q.format = strings.TrimPrefix(filepath.Ext(name), ".")
	}
	write, ok := map[string]func(*bufio.Writer, io.Reader) error{
		"csv": q.writeCSV, "jsonl": q.writeLines, "ndjson": q.writeLines, "txt": q.writePlain,
	}[q.format]
	if !ok {
		return usageError{fmt.Errorf("--format %q: want csv, jsonl or txt", q.format)}
	}
	base, err := q.base(suppressionsPath)
	if err != nil {
		return err
	}
	file, err := openInput(cmd, name)
	if err != nil {
		return err
	}
	defer file.Close()
	header := http.Header{"Content-Type": {"application/x-ndjson"}}
	if q.key != "" {
		header.Set("Idempotency-Key", q.key)
	}
	dry := ""
	if q.dryRun {
		dry = "true"
	}
	out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
	var report importReport
	reported := false
	sender := bulkSender{
		call: &q.suppressionsCall, target: base + query("dry_run", dry), header: header,
		lines: func(w *bufio.Writer) error { return write(w, file) },
		answer: func(line []byte) error {
			switch text := string(line); {
			case strings.HasPrefix(text, `{"report":`):
				reported = true
				return json.Unmarshal(line, &struct {
					Report *importReport `json:"report"`
				}{&report})
			case !q.all && strings.Contains(text, `,"result":"`):
				return nil
			}
			_, err := out.Write(append(line, '\n'))
			return err
		},
	}
	err = sender.run(cmd.Context())
	if err == nil && !reported {
		err = errCut
	}
	if err == nil {
		report.Skipped = int(q.skipped.Load())
		err = json.NewEncoder(out).Encode(map[string]importReport{"report": report})
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		return err
	}
	return report.outcome(cmd.ErrOrStderr())
}

// importReport is the last line of an import, with what was not sent.
type importReport struct {
	DryRun   bool `json:"dry_run"`
	Complete bool `json:"complete"`
	Lines    int  `json:"lines"`
	Added    int  `json:"added"`
	Known    int  `json:"known"`
	Refused  int  `json:"refused"`
	Invalid  int  `json:"invalid"`
	Failed   int  `json:"failed"`
	Skipped  int  `json:"skipped"`
}

// outcome tells people, and is an error where something is not suppressed that should be.
func (r *importReport) outcome(notes io.Writer) error {
	done := "added"
	if r.DryRun {
		done = "would be added"
	}
	fmt.Fprintf(notes, "%d lines: %d %s, %d known, %d skipped as not active\n", r.Lines, r.Added, done, r.Known, r.Skipped)
	switch {
	case !r.Complete:
		return errors.New("the server has not read all of it: send it again")
	case r.Refused+r.Invalid+r.Failed > 0:
		return fmt.Errorf("%d lines are invalid, %d refused, %d failed", r.Invalid, r.Refused, r.Failed)
	}
	return nil
}

// importLine is what is sent of a row.
type importLine struct {
	Account  string `json:"account,omitempty"`
	Address  string `json:"address"`
	Scope    string `json:"scope,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Category string `json:"category,omitempty"`
	Note     string `json:"note,omitempty"`
	Time     string `json:"time,omitempty"`
	Until    string `json:"until,omitempty"`
}

// send writes the row that stands at a line of the file as that line of the bulk.
func (q *suppressionsImport) send(w *bufio.Writer, row *suppressionRow, time string, at int, sent *int) error {
	if row.Active != nil && !*row.Active {
		q.skipped.Add(1)
		return nil
	}
	line := importLine{
		Account: row.Account, Address: row.Address, Scope: row.Scope, Reason: row.Reason, Category: row.Category, Note: row.Note, Time: row.Since,
	}
	if row.Original != "" {
		line.Address = row.Original
	}
	if line.Time == "" {
		line.Time = time
	}
	if row.Until != nil {
		line.Until = *row.Until
	}
	if q.account != "" && line.Scope != "global" {
		line.Account = q.account
	}
	if line.Scope == "global" {
		line.Account = ""
	}
	if line.Reason == "" {
		line.Reason = q.reason
	}
	text, err := json.Marshal(line)
	if err != nil {
		return inputError{fmt.Errorf("line %d: %w", at, err)}
	}
	for ; *sent < at-1; *sent++ { // an empty line has no answer and keeps the numbers
		if err := w.WriteByte('\n'); err != nil {
			return err
		}
	}
	*sent++
	_, err = w.Write(append(text, '\n'))
	return err
}

// writeCSV sends the rows of a table with a heading.
func (q *suppressionsImport) writeCSV(w *bufio.Writer, in io.Reader) error {
	table := csv.NewReader(in)
	table.ReuseRecord = true
	table.FieldsPerRecord = -1
	first, err := table.Read()
	if err != nil {
		return inputError{fmt.Errorf("read the heading: %w", err)}
	}
	names := make([]string, len(first))
	for i, name := range first {
		names[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))) // a byte order mark, as some programs write it
	}
	if !slices.Contains(names, "address") && !slices.Contains(names, "email") {
		return inputError{fmt.Errorf("the heading %s: want a column address", printable(strings.Join(names, ",")))}
	}
	for sent := 0; ; {
		cells, err := table.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return inputError{fmt.Errorf("read the table: %w", err)}
		}
		at, _ := table.FieldPos(0)
		row, time := csvRow(names, cells)
		if err := q.send(w, &row, time, at, &sent); err != nil {
			return err
		}
	}
}

// csvRow reads the cells of a row.
func csvRow(names, cells []string) (row suppressionRow, time string) {
	for i, cell := range cells {
		cell = api.PlainCell(cell)
		if i >= len(names) || cell == "" {
			continue
		}
		cell = strings.Clone(cell)
		switch names[i] {
		case "account":
			row.Account = cell
		case "address", "email":
			row.Address = strings.TrimSpace(cell)
		case "original":
			row.Original = cell
		case "scope":
			row.Scope = cell
		case "reason":
			row.Reason = strings.ToLower(cell)
		case "category":
			row.Category = cell
		case "note":
			row.Note = cell
		case "since":
			row.Since = cell
		case "time":
			time = cell
		case "until":
			row.Until = &cell
		case "active":
			active := !strings.EqualFold(cell, "false")
			row.Active = &active
		}
	}
	return row, time
}

// eachLine reads lines with their numbers, empty ones not.
func eachLine(in io.Reader, fn func(line []byte, at int) error) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxAPILine)
	for at := 1; lines.Scan(); at++ {
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		if err := fn(lines.Bytes(), at); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return inputError{fmt.Errorf("read the file: %w", err)}
	}
	return nil
}

// writeLines sends JSON lines.
func (q *suppressionsImport) writeLines(w *bufio.Writer, in io.Reader) error {
	sent := 0
	return eachLine(in, func(line []byte, at int) error {
		var row struct {
			suppressionRow
			Time string `json:"time"`
		}
		if err := json.Unmarshal(line, &row); err != nil {
			return inputError{fmt.Errorf("line %d: %w", at, err)}
		}
		return q.send(w, &row.suppressionRow, row.Time, at, &sent)
	})
}

// writePlain sends addresses.
func (q *suppressionsImport) writePlain(w *bufio.Writer, in io.Reader) error {
	sent := 0
	return eachLine(in, func(line []byte, at int) error {
		return q.send(w, &suppressionRow{Address: strings.TrimSpace(string(line))}, "", at, &sent)
	})
}
