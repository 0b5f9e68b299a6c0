package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"carom/edge/api"
	"carom/pipeline"
	"carom/pipeline/bot"
)

// rulesOf shows the API which rules an Acceptor has.
type rulesOf struct{ accept *pipeline.Acceptor }

func (r rulesOf) State() api.RulesState { return rulesState(r.accept.Rules()) }

func (r rulesOf) Reload() (api.RulesState, error) {
	rules, err := r.accept.ReloadRules()
	return rulesState(rules), err
}

func rulesState(r pipeline.Rules) api.RulesState {
	s := api.RulesState{Hash: r.Hash, LoadedAt: r.LoadedAt.UTC()}
	if r.Folder != "" {
		s.Folder = &r.Folder
	}
	for _, f := range r.Files {
		s.Files = append(s.Files, api.RuleFile{
			Name: f.Name, Origin: originOf(f), Rules: f.Rules, Prefixes: f.Prefixes, Bytes: f.Bytes, Hash: f.Hash,
		})
	}
	if r.Err != nil {
		s.Failed = &api.RulesFailure{Time: r.FailedAt.UTC(), Error: r.Err.Error()}
		var broken *bot.FileError
		if errors.As(r.Err, &broken) {
			s.Failed.File, s.Failed.Line = broken.File, broken.Line
		}
	}
	return s
}

func originOf(f bot.File) string {
	switch {
	case f.Missing:
		return "missing"
	case f.BuiltIn:
		return "built-in"
	}
	return "folder"
}

func newRulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "The rules that tell people from machines",
		Long: `The rules that tell people from machines. They are built in; a file in the folder that accept.rules_dir names takes the
place of the built-in file of its name. deploy/VERDICTS.md says what is in them and what every reason means.`,
		Example: `  carom rules export rules/              # write the built-in files, to start from
  carom rules check rules/               # are they well-formed?
  carom rules reload --api http://127.0.0.1:8081`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRulesExportCommand(), newRulesCheckCommand(), newRulesReloadCommand())
	return cmd
}

func newRulesExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "export DIR",
		Short:   "Write the built-in files into a folder; no file is overwritten",
		Example: "  carom rules export /etc/carom/rules",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := bot.Export(args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Written. Keep the files that you change, and remove the others: built-in rules get better with every version.\n")
			return nil
		},
	}
}

func newRulesCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check [DIR]",
		Short:   "Read the rules as a server with that folder would, and say what they are made of",
		Example: "  carom rules check /etc/carom/rules",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := ""
			if len(args) > 0 {
				dir = args[0]
			}
			rules, err := bot.Load(dir)
			if err != nil {
				return err
			}
			return writeRuleFiles(cmd.OutOrStdout(), rules.Summary())
		},
	}
}

func writeRuleFiles(w io.Writer, s bot.Summary) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FILE\tFROM\tRULES\tPREFIXES\tBYTES")
	for _, f := range s.Files {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\n", f.Name, originOf(f), f.Rules, f.Prefixes, f.Bytes)
	}
	return t.Flush()
}

func newRulesReloadCommand() *cobra.Command {
	var server apiServer
	cmd := &cobra.Command{
		Use:     "reload --api URL",
		Short:   "Let a running server read its rules anew",
		Example: "  carom rules reload --api http://127.0.0.1:8081",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			target, err := server.base("/v1/rules/reload")
			if err != nil {
				return err
			}
			return reloadRules(cmd.Context(), &server, target, cmd.OutOrStdout())
		},
	}
	server.add(cmd)
	return cmd
}

// reloadRules prints the state of the rules, as JSON, or fails with what the server says.
func reloadRules(ctx context.Context, server *apiServer, target string, out io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	if err != nil {
		return err
	}
	server.authorize(request)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		var problem struct {
			Detail string `json:"detail"`
		}
		if json.Unmarshal(text, &problem) == nil && problem.Detail != "" {
			return fmt.Errorf("rules not reloaded, the old ones stay: %s", problem.Detail)
		}
		return fmt.Errorf("ask the server: it answered %s: %s", answer.Status, text)
	}
	_, err = out.Write(text)
	return err
}
