package main

import (
	"errors"
	"fmt"
	"io"

	"carom/bench/result"

	"github.com/spf13/cobra"
)

// compareFlags are the flags of `carom bench compare`.
type compareFlags struct {
	json bool
	html string
}

func newBenchCompareCommand() *cobra.Command {
	var flags compareFlags
	cmd := &cobra.Command{
		Use:   "compare FILE...",
		Short: "Compare results, of one round each or of several",
		Long: `Compare results that bench http, smtp and api have written with --json; those of bench e2e and verdicts say whether
something holds, and are of another form. Results of one --name are rounds of one thing: their figures are told as median,
lowest and highest. Ratios are to the first name.

A figure is called higher or lower only where both have at least three rounds and the rounds of the one all lie above
those of the other. Run rounds alternating (A B A B A B), so that a machine that is slower for a while is slower for
both: with the same number of rounds, ratios are made round by round, in the order of the files.

One FILE alone shows that result once more: - reads it from standard input.`,
		Example: `  for i in 1 2 3 4 5; do
    carom bench http http://127.0.0.1:8080/empty.gif --name nginx --json nginx-$i.json
    carom bench http --name carom --json carom-$i.json
  done
  carom bench compare nginx-*.json carom-*.json --html compared.html
  carom bench compare nginx-*.json carom-*.json --json | jq '.compared[1].figures[] | {figure, ratio}'
  carom bench compare carom-1.json --html report.html`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error { return flags.run(cmd, files) },
	}
	f := cmd.Flags()
	f.BoolVar(&flags.json, "json", false, "print the comparison as JSON")
	f.StringVar(&flags.html, "html", "", "write a page with plots to this file; - prints it")
	return cmd
}

func (f *compareFlags) run(cmd *cobra.Command, files []string) error {
	if f.json && f.html == "-" {
		return usageError{errors.New("--json and --html - both print: give --html a file")}
	}
	if len(files) > result.MaxResults {
		return usageError{fmt.Errorf("%d files, %d at most are compared", len(files), result.MaxResults)}
	}
	var results []*result.Result
	for _, file := range files {
		r, err := readResult(cmd.InOrStdin(), file)
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	c, err := result.Compare(results)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	switch {
	case f.html == "-":
		return c.WritePage(out)
	case f.html != "":
		if err := intoFile(f.html, c.WritePage); err != nil {
			return fmt.Errorf("--html: %w", err)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "wrote %s\n", f.html)
	}
	switch {
	case f.json:
		return c.WriteJSON(out)
	case len(results) == 1:
		return results[0].WriteTable(out)
	}
	return c.WriteTable(out)
}

func readResult(stdin io.Reader, file string) (*result.Result, error) {
	if file != "-" {
		return result.ReadFile(file)
	}
	r, err := result.Read(stdin)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return r, nil
}
