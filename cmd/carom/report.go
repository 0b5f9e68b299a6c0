package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"carom/edge/report"

	"github.com/spf13/cobra"
)

// The formats of `carom report`.
const (
	formatJSON  = "json"
	formatTable = "table"
)

// reportQuery is what `carom report` was asked for.
type reportQuery struct {
	inputs  []string
	replies []string
	attempt report.Attempt // that the replies are to
	format  string         // "" is JSON, or of a summary a table
	explain bool
	summary bool
}

func newReportCommand() *cobra.Command {
	var q reportQuery
	cmd := &cobra.Command{
		Use:   "report FILE...",
		Short: "Say what inbound mails tell: bounces, complaints, auto-replies, replies",
		Long: `Say what inbound mails tell, one JSON line a fact. No server and no settings are needed.

A FILE is a mail, an mbox, a Maildir or any folder, whose folders are read too; - is standard input: a mail or an mbox.
All may be gzip'd. Lines come in the order of the files; in a folder, of their names. The mails of an mbox that holds
more than one are named FILE#1, FILE#2, ... A file whose name ends in .eml is one mail. In folders, links, hidden files
and what is no file are passed over. With --reply, what the reply of an SMTP server means; with --mx and --to, of which server
about whom: both tell the mailbox provider, and each provider has words of its own.

What can't be read is named on standard error, the rest is read all the same, and the exit code is 1.`,
		Example: `  carom report bounce.eml
  carom report --format table ~/Maildir                     # for the eye
  carom report --summary /var/mail/bounces                  # how many of what: kinds, categories, providers, decoders
  carom report --explain bounce.eml | jq .explain           # which decoder, which rule, which words decided
  carom report - < bounces.mbox | jq -r 'select(.hard) | .recipient' | sort -u
  carom report --reply '550 5.1.1 <bob@example.com>: user unknown'
  carom report --reply '550 Mailbox unavailable or access denied' --mx mx3.qq.com
  carom report --reply $'550-5.7.1 first line\n550 5.7.1 second line'`,
		RunE: func(cmd *cobra.Command, files []string) error {
			q.inputs = files
			if err := q.check(); err != nil {
				return usageError{err}
			}
			return q.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&q.replies, "reply", nil, "reply of an SMTP server, in place of a file; may be given many times")
	f.StringVar(&q.attempt.Host, "mx", "", "host that gave the replies, as the mail log names it")
	f.StringVar(&q.attempt.Recipient, "to", "", "address that the replies are about")
	f.StringVar(&q.format, "format", "", "json or table (default json; of a summary, table)")
	f.BoolVar(&q.explain, "explain", false, "say why, too: which decoder, which rule of which file, which text, which steps")
	f.BoolVar(&q.summary, "summary", false, "print counts in place of the facts")
	return cmd
}

func (q *reportQuery) check() error {
	switch {
	case len(q.inputs) == 0 && len(q.replies) == 0:
		return errors.New("name at least one file or folder, or - for standard input")
	case !slices.Contains([]string{"", formatJSON, formatTable}, q.format):
		return fmt.Errorf("--format %q: want %s or %s", q.format, formatJSON, formatTable)
	case len(q.replies) == 0 && q.attempt != (report.Attempt{}):
		return errors.New("--mx and --to tell of a --reply, and there is none: a mail names its own")
	case q.explain && q.summary:
		return errors.New("--summary prints counts only: leave out --explain")
	}
	return nil
}

// flusher is what facts are written to.
type flusher interface {
	io.Writer
	Flush() error
}

func (q *reportQuery) run(cmd *cobra.Command) error {
	var out flusher = bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
	if q.format == formatTable && !q.summary {
		out = newReportTable(out, terminalWidth(os.Stdout))
	}
	r := newReportRun(q, cmd.InOrStdin(), out)
	if isTerminal(os.Stderr) && (q.summary || !isTerminal(os.Stdout)) {
		defer r.console.showProgress(r.mails.Load)()
	}
	counts, err := r.run(cmd.Context())
	if q.summary {
		err = errors.Join(counts.write(out, q.format), err)
	}
	return errors.Join(out.Flush(), err)
}

// replyFact is what the n-th reply means.
func (q *reportQuery) replyFact(reply string) (report.Fact, *report.Explanation) {
	if !q.explain {
		return q.attempt.ReadReply(reply), nil
	}
	fact, why := q.attempt.ExplainReply(reply)
	return fact, &why
}

// mailFacts is what a mail says.
func (q *reportQuery) mailFacts(mail []byte) ([]report.Fact, *report.Explanation) {
	if !q.explain {
		return report.Read(mail).Facts, nil
	}
	told, why := report.Explain(mail)
	return told.Facts, &why
}
