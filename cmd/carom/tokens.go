package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"carom/edge/api"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

func newTokensCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tokens",
		Short: "Make, list and remove the tokens of the API",
		Long: `Make, list and remove the tokens of the API, in the file that the setting api.tokens_file names. The file holds hashes: a
token is shown once, when it is made. Servers read the file at the start and on SIGHUP.

Scopes: read (what was recorded), write (messages, facts, what follows from them), admin (everything). A token has what it is
given, and no more: write does not include read. Accounts: those that the token may ask about; "*" is all.`,
		Example: `  carom tokens new --file tokens.yaml --name shop --scope write --account acme
  carom tokens list --file tokens.yaml
  carom tokens remove --file tokens.yaml shop
  kill -HUP $(pidof carom)`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var file tokensFile
	cmd.PersistentFlags().StringVar(&file.path, "file", "", "the tokens file; default: $"+tokensFileVariable)
	cmd.AddCommand(newTokensNewCommand(&file), newTokensListCommand(&file), newTokensRemoveCommand(&file))
	return cmd
}

const tokensFileVariable = envPrefix + "API_TOKENS_FILE"

func newTokensNewCommand(file *tokensFile) *cobra.Command {
	var name string
	var scopes, accounts []string
	cmd := &cobra.Command{
		Use:   "new --name NAME --scope SCOPE... --account ACCOUNT...",
		Short: "Make a token, put its hash into the file, and print it: this once",
		Example: `  carom tokens new --file tokens.yaml --name shop --scope write --account acme
  carom tokens new --file tokens.yaml --name board --scope read --account acme,umbra
  carom tokens new --file tokens.yaml --name on-call --scope admin --account '*'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" || len(scopes) == 0 || len(accounts) == 0 {
				return usageError{errors.New("want --name, --scope and --account")}
			}
			secret, entry, err := api.NewToken(name, scopes, accounts)
			if err != nil {
				return usageError{err}
			}
			if err := file.change(func(list *yaml.Node, have []api.Token) error {
				if slices.ContainsFunc(have, func(t api.Token) bool { return t.Name == name }) {
					return fmt.Errorf("there is a token %q: want another name, or 'carom tokens remove' first", name)
				}
				n := new(yaml.Node)
				if err := n.Encode(entry); err != nil {
					return err
				}
				list.Content = append(list.Content, n)
				return nil
			}); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), secret)
			fmt.Fprintln(cmd.ErrOrStderr(), "Keep it: the file holds a hash alone. Running servers know it after a SIGHUP.")
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "who holds it, as audit logs show it: letters, digits, dots, dashes, underscores")
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "what it may do: any of read, write, admin")
	cmd.Flags().StringSliceVar(&accounts, "account", nil, "which accounts it may ask about; * is all")
	return cmd
}

func newTokensListCommand(file *tokensFile) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the tokens of the file",
		Example: "  carom tokens list --file tokens.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := file.named()
			if err != nil {
				return err
			}
			all, err := api.ReadTokens(path)
			if err != nil {
				return fmt.Errorf("read tokens: %w", err)
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "NAME\tSCOPES\tACCOUNTS\tHASH")
			for _, e := range all.Tokens {
				fmt.Fprintf(t, "%s\t%s\t%s\t%.8s\n", e.Name, strings.Join(e.Scopes, ","), strings.Join(e.Accounts, ","), e.Hash)
			}
			return t.Flush()
		},
	}
}

func newTokensRemoveCommand(file *tokensFile) *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a token; running servers refuse it after a SIGHUP",
		Example: "  carom tokens remove --file tokens.yaml shop",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return file.change(func(list *yaml.Node, have []api.Token) error {
				i := slices.IndexFunc(have, func(t api.Token) bool { return t.Name == args[0] })
				if i < 0 {
					return fmt.Errorf("there is no token %q", args[0])
				}
				list.Content = slices.Delete(list.Content, i, i+1)
				return nil
			})
		},
	}
}

// tokensFile is the file that the commands work on. What people have written into it, remarks among it, stays.
type tokensFile struct{ path string }

func (f *tokensFile) named() (string, error) {
	path := f.path
	if path == "" {
		path = os.Getenv(tokensFileVariable)
	}
	if path == "" {
		return "", usageError{errors.New("want --file, the tokens file")}
	}
	return path, nil
}

const emptyTokensFile = "version: 1\ntokens: []\n"

// change lets edit work on the list of tokens, and puts the result in the place of the file: whole, or not at all.
func (f *tokensFile) change(edit func(list *yaml.Node, have []api.Token) error) error {
	path, err := f.named()
	if err != nil {
		return err
	}
	unlock, err := lockFolder(filepath.Dir(path)) // of two at once, the second must see what the first has made
	if err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	defer unlock()
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		data = []byte(emptyTokensFile)
	case err != nil:
		return fmt.Errorf("read tokens: %w", err)
	}
	have, err := api.ParseTokens(data)
	if err != nil {
		return fmt.Errorf("read tokens: %s: %w", path, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("read tokens: %s: %w", path, err)
	}
	list := tokensList(doc.Content[0])
	if err := edit(list, have.Tokens); err != nil {
		return err
	}
	list.Style = 0 // that of an empty list is [], which would hold all of it
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(&doc), enc.Close()); err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	if _, err := api.ParseTokens(out.Bytes()); err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	return replaceFile(path, out.Bytes())
}

// tokensList returns the node of the tokens, which ParseTokens has seen.
func tokensList(root *yaml.Node) *yaml.Node {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if n := root.Content[i+1]; root.Content[i].Value == "tokens" {
			n.Kind, n.Tag, n.Value = yaml.SequenceNode, "!!seq", "" // `tokens:` alone is null
			return n
		}
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "tokens"}, n)
	return n
}

// replaceFile writes a file under another name first, so that no server reads a half.
func replaceFile(path string, data []byte) error {
	mode := fs.FileMode(0o600)
	info, known := os.Stat(path)
	if known == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	_, err = f.Write(data)
	if known == nil {
		err = errors.Join(err, keepOwner(f, info)) // the server's, though root changes it
	}
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write tokens: %w", err)
	}
	return nil
}
