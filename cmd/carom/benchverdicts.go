package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	benchnode "carom/bench/node"
	"carom/bench/result"
	"carom/bench/verdicts"

	"github.com/spf13/cobra"
)

// verdictsFlags are the flags of `carom bench verdicts`.
type verdictsFlags struct {
	scripts string
	only    []string
	list    bool
	json    string
	seed    uint64
	settle  time.Duration
	dir     string
	target  benchnode.Target
}

// tokenVariable holds the API's token, so that it need not stand on a command line.
const tokenVariable = "CAROM_API_TOKEN"

func newBenchVerdictsCommand() *cobra.Command {
	var flags verdictsFlags
	cmd := &cobra.Command{
		Use:   "verdicts",
		Short: "Play labelled traffic and measure precision and recall of the verdicts",
		Long: `Play scripts of labelled traffic over real HTTP: privacy proxies, image proxies, security gateways, link previews,
crawlers, and people of many habits. Then print for each script how hits were judged, at once and after settling.

Without --api it starts a node in a process of its own, with a temporary folder. A node of yours must trust the player as a proxy
(track.trusted_proxies), because the visitors' addresses come in X-Forwarded-For. The play writes messages of the
account "verdicts" there.

The CPU time of the harness and of a node that is started here is told with the result, on Linux only.

The exit code is 1 if precision is below 0.99, recall below 0.97, half a percent of the humans are called machines, a
hit has no event, or an unsubscribe is missing or wrong.`,
		Example: `  carom bench verdicts
  carom bench verdicts --only barracuda,mimecast
  carom bench verdicts --scripts ~/scripts --seed 7 --json verdicts.json
  carom bench verdicts --json - | jq '.all.final.human'
  carom bench verdicts --api http://127.0.0.1:8081 --track http://127.0.0.1:8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags.target.Token = os.Getenv(tokenVariable)
			return flags.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.scripts, "scripts", "", "folder of scripts (*.yaml) to play instead of the built-in ones")
	f.StringSliceVar(&flags.only, "only", nil, "names of the scripts to play; all if left out")
	f.BoolVar(&flags.list, "list", false, "list the scripts and end")
	f.StringVar(&flags.json, "json", "", "write the result as JSON to this file; - is standard output, in place of the table")
	f.Uint64Var(&flags.seed, "seed", 1, "what is drawn: the same seed plays the same traffic")
	f.DurationVar(&flags.settle, "settle", 12*time.Second, "how long the node lets clicks wait (refine.settle)")
	f.StringVar(&flags.target.API, "api", "", "URL of a running node's API, for example http://127.0.0.1:8081; its token in "+tokenVariable)
	f.StringVar(&flags.target.Track, "track", "", "URL of its tracking listener, if the minted URLs don't lead there from here")
	addDir(f, &flags.dir)
	return cmd
}

func (v *verdictsFlags) run(cmd *cobra.Command) error {
	if err := checkDir(v.dir, v.target.API == "", "--api"); err != nil {
		return usageError{err}
	}
	scripts, err := v.load()
	if err != nil {
		return err
	}
	out, progress := cmd.OutOrStdout(), cmd.ErrOrStderr()
	if v.list {
		return listScripts(out, scripts)
	}
	ctx := cmd.Context()
	options := verdicts.Options{Scripts: scripts, Seed: v.seed, Settle: v.settle, Progress: progress}
	play := func(t benchnode.Target, disk *result.Disk) error {
		r, err := verdicts.Play(ctx, t, options)
		if err != nil {
			return err
		}
		r.Machine.Carom, r.Machine.Disk = version(), disk
		return v.show(out, progress, r)
	}
	if v.target.API != "" {
		return play(v.target, nil)
	}
	set := map[string]string{"refine.settle": v.settle.String()}
	return withChildNode(ctx, v.dir, rolesWithoutKafka(), set, func(c *childNode) error {
		options.PID = c.pid()
		return play(benchnode.Target{API: "http://" + c.api, Track: v.target.Track}, c.disk)
	})
}

// load reads the scripts that are to be played.
func (v *verdictsFlags) load() (scripts []verdicts.Script, err error) {
	if v.scripts == "" {
		scripts, err = verdicts.Builtin()
	} else {
		scripts, err = verdicts.Load(v.scripts)
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("--scripts: %w", err)}
	}
	if len(v.only) == 0 {
		return scripts, nil
	}
	for _, name := range v.only {
		if !slices.ContainsFunc(scripts, func(s verdicts.Script) bool { return s.Name == name }) {
			return nil, usageError{fmt.Errorf("--only: there is no script %q: carom bench verdicts --list names them", name)}
		}
	}
	return slices.DeleteFunc(scripts, func(s verdicts.Script) bool { return !slices.Contains(v.only, s.Name) }), nil
}

func listScripts(out io.Writer, scripts []verdicts.Script) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range scripts {
		fmt.Fprintf(t, "%s\t%d messages\t%s\n", s.Name, s.Messages, s.About)
	}
	return t.Flush()
}

// show prints a result, and returns an error if it misses a bar.
func (v *verdictsFlags) show(out, progress io.Writer, r *verdicts.Result) error {
	table := func(w io.Writer) error { return errors.Join(writeLine(progress), r.WriteTable(w)) }
	err := writeOutput(out, table, outputForm{"json", v.json, r.WriteJSON})
	short := r.Shortfalls()
	if len(short) == 0 {
		return err
	}
	fmt.Fprintln(progress, "\nthe most frequent mistakes:")
	return errors.Join(err, r.WriteMistakes(progress), errors.New(strings.Join(short, "; ")))
}
