package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"carom/edge/api"

	"golang.org/x/sync/errgroup"
)

// A token is made, known to a running server after SIGHUP, and removed; what people wrote into the file stays.
func TestTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(file, []byte("version: 1\n# of the shop's people\ntokens:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		cmd := newRootCommand()
		var out strings.Builder
		cmd.SetOut(&out)
		cmd.SetErr(new(strings.Builder))
		cmd.SetArgs(append([]string{"tokens", "--file", file}, args...))
		err := cmd.Execute()
		return strings.TrimSpace(out.String()), err
	}
	for _, bad := range [][]string{
		{"new", "--name", "shop"},
		{"new", "--name", "shop", "--scope", "all", "--account", "acme"},
		{"new", "--name", "a b", "--scope", "read", "--account", "acme"},
		{"remove", "nobody"},
	} {
		if _, err := run(bad...); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
	secret, err := run("new", "--name", "shop", "--scope", "read", "--account", "acme,umbra")
	if err != nil || !strings.HasPrefix(secret, "carom_") {
		t.Fatalf("%q, %v", secret, err)
	}
	if _, err := run("new", "--name", "shop", "--scope", "read", "--account", "acme"); err == nil {
		t.Error("a name twice")
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), secret) || !strings.Contains(string(text), "# of the shop's people") {
		t.Errorf("%s, %v", text, err)
	}
	if list, err := run("list"); err != nil || !strings.Contains(list, "shop") || !strings.Contains(list, "acme,umbra") || strings.Contains(list, secret) {
		t.Errorf("%s, %v", list, err)
	}

	s := newServer(t)
	s.start("CAROM_API_TOKENS_FILE=" + file)
	status := func(path, token string) int {
		r, err := http.NewRequest(http.MethodGet, "http://"+s.api+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	if got := status("/v1/senders?account=acme", secret); got != http.StatusOK {
		t.Errorf("its account: %d", got)
	}
	if got := status("/v1/senders", secret); got != http.StatusForbidden {
		t.Errorf("another account: %d", got)
	}
	if _, err := run("remove", "shop"); err != nil {
		t.Fatal(err)
	}
	if got, err := api.ReadTokens(file); err != nil || len(got.Tokens) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.until("the server has read the file", func() bool { return status("/v1/senders?account=acme", secret) == http.StatusUnauthorized })
	if code := s.stop(); code != exitDone {
		t.Errorf("stopped with %d", code)
	}
}

// Nodes ask each other with api.token: without one, those of a cluster could not once tokens are needed.
func TestTokensOfACluster(t *testing.T) {
	c := devConfig()
	c.fill(true)
	c.Kafka.Worker = 0
	c.Kafka.Brokers, c.Kafka.Workers, c.API.TokensFile = []string{"127.0.0.1:9092"}, []string{"127.0.0.1:1", "127.0.0.1:2"}, "tokens.yaml"
	if err := c.validate(); err == nil || !strings.HasPrefix(err.Error(), "api.token: is empty") {
		t.Errorf("got %v", err)
	}
	c.API.Token = "correct-horse-battery"
	if err := c.validate(); err != nil {
		t.Error(err)
	}
}

// Of tokens that are made at the same time none is lost, and the file keeps its mode.
func TestTokensAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(file, []byte(emptyTokensFile), 0o640); err != nil {
		t.Fatal(err)
	}
	var all errgroup.Group
	for i := range 8 {
		all.Go(func() error {
			cmd := newTokensCommand()
			cmd.SetOut(io.Discard)
			cmd.SetErr(io.Discard)
			cmd.SetArgs([]string{"new", "--file", file, "--name", fmt.Sprint("n", i), "--scope", "read", "--account", "acme"})
			return cmd.Execute()
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	have, err := api.ReadTokens(file)
	info, statErr := os.Stat(file)
	if err != nil || statErr != nil || len(have.Tokens) != 8 || info.Mode().Perm() != 0o640 {
		t.Errorf("%d tokens, %v, %v, %v", len(have.Tokens), info.Mode(), err, statErr)
	}
}
