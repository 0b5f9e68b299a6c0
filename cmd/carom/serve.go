package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// configFlags are the flags of every command that reads the config.
type configFlags struct {
	file string
	dev  bool
}

func (f *configFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "config", "", "YAML file with the settings")
	cmd.Flags().BoolVar(&f.dev, "dev", false, "start from settings for one machine: data under ./data, everything on loopback")
}

// load returns the settings that flags, environment and file give together.
func (f *configFlags) load() (Config, error) {
	base := defaultConfig()
	if f.dev {
		base = devConfig()
	}
	c, err := loadConfig(base, f.file, os.Environ())
	c.fill(f.dev)
	return c, err
}

func newServeCommand() *cobra.Command {
	var flags configFlags
	var roles []string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Start the node: HTTP and SMTP edges, the pipeline, the API",
		Example: `  carom serve --dev                                  # everything on loopback, data under ./data
  carom serve --config /etc/carom/carom.yaml
  carom serve --config carom.yaml --roles track,relay   # an edge for HTTP; refine and rollup run on other nodes
  CAROM_DATA_DIR=/srv/carom carom serve --config carom.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := flags.load()
			if err != nil {
				return err
			}
			if len(roles) > 0 {
				c.Roles = roles
			}
			if err := c.validate(); err != nil {
				return usageError{err}
			}
			logger, err := newLogger(c.Log, os.Stderr)
			if err != nil {
				return err
			}
			defer func() { _ = logger.Sync() }()
			tuneRuntime(&c, "/", logger)
			stop, err := profile()
			if err != nil {
				return err
			}
			defer stop()
			if flags.dev {
				if err := ensureKeys(&c, logger); err != nil {
					return err
				}
			}
			n, err := openNode(c, logger)
			if err != nil {
				return err
			}
			if flags.dev && len(c.Roles) == 0 {
				n.greet(cmd.ErrOrStderr()) // standard output is for machines
			}
			return errors.Join(n.run(cmd.Context()), n.close())
		},
	}
	flags.add(cmd)
	cmd.Flags().StringSliceVar(&roles, "roles", nil, "what this node does: some of "+strings.Join(allRoles, ",")+"; over the setting roles")
	cmd.Long = "Start the node. Settings come from the file, and over it from the environment.\n\nSettings:\n" + settingsHelp()
	return cmd
}

// settingsHelp lists every key with its variable, default and meaning.
func settingsHelp() string {
	c := defaultConfig()
	c.Node = "" // the host's name differs from machine to machine
	var b strings.Builder
	for _, s := range settings(&c) {
		fmt.Fprintf(&b, "  %s (%s)", s.key, s.env())
		if text := valueText(s); text != "" {
			fmt.Fprintf(&b, ", default %s", text)
		}
		fmt.Fprintf(&b, "\n      %s\n", s.doc)
	}
	return b.String()
}

// greet prints where the node listens, and three commands to try it.
func (n *node) greet(w io.Writer) {
	trackURL, apiURL := n.trackURL(), "http://"+n.api.Addr().String()
	fmt.Fprintf(w, `
Carom is ready.
  opens, clicks   %s
  mail            %s
  API             %s
  data            %s

Try it, in another terminal:

  # 1. register a message
  curl -s %[3]s/v1/messages -d '{"sender":"alice","contact":"bob@example.com","message":"m-1","links":["https://example.com/"]}' | tee /tmp/carom-m1.json

  # 2. load its pixel, as the reader's mail client would
  curl -s -A 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0' -o /dev/null -w '%%{http_code}\n' "$(sed 's/.*"open_url":"\([^"]*\)".*/\1/' /tmp/carom-m1.json)"

  # 3. read the sender's score, as it will be when the message has completed
  curl -s "%[3]s/v1/senders/alice/score?window=24h&as_of=$(date -u -d '+73 hours' +%%Y-%%m-%%dT%%H:%%M:%%SZ 2>/dev/null || date -u -v+73H +%%Y-%%m-%%dT%%H:%%M:%%SZ)"

`, trackURL, n.inbound.Addr(), apiURL, n.config.Data.Dir)
}

func (o LogOptions) level() (zapcore.Level, error) {
	level, err := zapcore.ParseLevel(o.Level)
	if err != nil || level < zapcore.DebugLevel || level > zapcore.ErrorLevel {
		return 0, fmt.Errorf("level: %q: want debug, info, warn or error", o.Level)
	}
	return level, nil
}

func newLogger(o LogOptions, w zapcore.WriteSyncer) (*zap.Logger, error) {
	level, err := o.level()
	if err != nil {
		return nil, fmt.Errorf("log.%w", err)
	}
	settings := zap.NewProductionEncoderConfig()
	settings.EncodeTime = zapcore.ISO8601TimeEncoder
	encoder := zapcore.NewJSONEncoder(settings)
	if o.Format == "console" {
		encoder = zapcore.NewConsoleEncoder(settings)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(w), level)), nil
}
