package main

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestExamplesCanBePasted has a shell read the examples of every command, where carom is a function that notes how it is
// called, and next to no other program is there.
func TestExamplesCanBePasted(t *testing.T) {
	const world = `exec 3>&1 1>&2
PATH=
carom() { printf '%s\0' "$@" >&3; printf 'end\0' >&3; }
pgrep() { echo 4711; }
cp() { :; }
: > bounces.mbox > list.txt
`
	command := regexp.MustCompile(`(?m)(^|[ |])carom `)
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			look(sub)
		}
		if cmd.Example == "" {
			return
		}
		shell := exec.Command("/bin/sh", "-c", world+cmd.Example)
		shell.Dir, shell.Env = t.TempDir(), []string{"TOKEN=x"}
		var said bytes.Buffer
		shell.Stderr = &said
		out, _ := shell.Output() // what stands behind a pipe is not there
		var args []string
		calls := 0
		for _, arg := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
			if arg != "end" {
				args = append(args, arg)
				continue
			}
			checkUsage(t, args)
			args = nil
			calls++
		}
		if want := len(command.FindAllString(cmd.Example, -1)); calls == 0 || calls < want {
			t.Errorf("%s: %d calls of %d: %s", cmd.CommandPath(), calls, want, said.Bytes())
		}
	}
	look(newRootCommand())
}

// checkUsage reads a command line as far as its flags and the number of its arguments.
func checkUsage(t *testing.T, args []string) {
	t.Helper()
	cmd, rest, err := newRootCommand().Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err == nil {
		err = cmd.ValidateRequiredFlags()
	}
	if err != nil {
		t.Errorf("carom %q: %v", args, err)
	}
}
