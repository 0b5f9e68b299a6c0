package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"carom/edge/report"

	"github.com/spf13/cobra"
)

// maxReportBytes bounds one mail that `carom report` reads.
const maxReportBytes = 64 << 20

func newReportCommand() *cobra.Command {
	var replies []string
	cmd := &cobra.Command{
		Use:   "report FILE...",
		Short: "Say what inbound mails tell: bounces, complaints, auto-replies, replies",
		Long: `Say what inbound mails tell, one JSON line a fact. Each file holds one mail; - is standard input. No server and no
settings are needed. With --reply, what the reply of an SMTP server means.

A file that can't be read is named on standard error, the others are read all the same, and the exit code is 1.`,
		Example: `  carom report bounce.eml
  carom report ~/bounces/*.eml | jq -r .category | sort | uniq -c
  carom report - < bounce.eml
  carom report --reply '550 5.1.1 <bob@example.com>: user unknown'`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) == 0 && len(replies) == 0 {
				return usageError{errors.New("name at least one file, or - for standard input")}
			}
			out := bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
			return errors.Join(reportAll(files, replies, cmd.InOrStdin(), out), out.Flush())
		},
	}
	cmd.Flags().StringArrayVar(&replies, "reply", nil, "reply of an SMTP server, in place of a file; may be given many times")
	return cmd
}

func reportAll(files, replies []string, stdin io.Reader, out *bufio.Writer) error {
	var line []byte
	for _, reply := range replies {
		fact := report.ReadReply(reply)
		line = append(fact.AppendJSON(line[:0], "", 1), '\n')
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	failed := 0
	for _, file := range files {
		mail, err := readReportFile(file, stdin)
		if err != nil {
			failed++
			fmt.Fprintf(os.Stderr, "carom: %v\n", err)
			continue
		}
		told := report.Read(mail)
		for i := range told.Facts {
			line = append(told.Facts[i].AppendJSON(line[:0], file, i+1), '\n')
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d files could not be read", failed, len(files))
	}
	return nil
}

func readReportFile(file string, stdin io.Reader) ([]byte, error) {
	source := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		source = f
	}
	mail, err := io.ReadAll(io.LimitReader(source, maxReportBytes+1))
	if err != nil {
		return nil, err
	}
	if len(mail) > maxReportBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", file, maxReportBytes)
	}
	return mail, nil
}
