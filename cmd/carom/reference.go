package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newConfigCommand() *cobra.Command {
	config := &cobra.Command{
		Use:   "config",
		Short: "Show the settings and check a config file",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var flags configFlags
	check := &cobra.Command{
		Use:     "check",
		Short:   "Check a config file and the environment without starting anything",
		Example: "  carom config check --config /etc/carom/carom.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := flags.load()
			if err != nil {
				return err
			}
			if err := c.validate(); err != nil {
				return usageError{err}
			}
			_, err = fmt.Fprintln(cmd.ErrOrStderr(), "the config is fine")
			return err
		},
	}
	flags.add(check)
	reference := &cobra.Command{
		Use:   "reference",
		Short: "Print the reference page of all settings, as Markdown",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return writeReference(cmd.OutOrStdout()) },
	}
	config.AddCommand(check, reference)
	return config
}

// writeReference prints the page that is kept in deploy/CONFIG.md; CI refuses a page that differs.
func writeReference(w io.Writer) error {
	c, dev := defaultConfig(), devConfig()
	c.Node, dev.Node = "", ""
	var b strings.Builder
	b.WriteString(`# Settings

Made by ` + "`carom config reference`" + `; do not edit.

One YAML file (` + "`carom serve --config FILE`" + `) holds sections of keys; every key is also a variable of the environment,
which wins over the file. Durations are written as in Go (` + "`500ms`, `12s`, `72h`" + `), lists with commas in a variable and as
a list or with commas in the file. A name within such a value has ` + "`%2F`, `%2C`, `%25`" + ` for a slash, a comma, a percent sign. An unknown key or a bad value stops the start. ` + "`--dev`" + ` starts from other defaults.
`)
	devValues := settings(&dev)
	section := ""
	for i, s := range settings(&c) {
		name, _, nested := strings.Cut(s.key, ".")
		if !nested {
			name = "general"
		}
		if name != section {
			section = name
			fmt.Fprintf(&b, "\n## %s\n\n| key | variable | default | with --dev | meaning |\n| --- | --- | --- | --- | --- |\n", name)
		}
		devText := valueText(devValues[i])
		if devText == valueText(s) {
			devText = ""
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s |\n", s.key, s.env(), code(valueText(s)), code(devText), strings.ReplaceAll(s.doc, "|", "\\|"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// valueText writes a setting's value as the environment would give it.
func valueText(s setting) string {
	switch v := s.value.Interface().(type) {
	case []string:
		return strings.Join(v, ",")
	case time.Duration:
		return shortDuration(v)
	}
	if s.value.Kind() == reflect.Slice {
		return strings.Trim(fmt.Sprint(s.value.Interface()), "[]")
	}
	return fmt.Sprint(s.value.Interface())
}

// shortDuration drops the zero minutes and seconds that Go writes: 72h0m0s is 72h.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
