package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	benchload "carom/bench/load"
	"carom/bench/targets"
	"carom/bench/wire"
	"carom/edge/ref"

	"github.com/spf13/cobra"
)

// httpFlags are the flags of `carom bench http`.
type httpFlags struct {
	load    loadFlags
	keys    string
	urls    string
	clicks  float64
	repeats float64
	reuse   bool
	head    bool
	forward bool
	trust   bool
}

func newBenchHTTPCommand() *cobra.Command {
	var f httpFlags
	cmd := &cobra.Command{
		Use:   "http [URL]",
		Short: "Load a tracking edge, or any HTTP server, with opens and clicks",
		Long: `Ask for pixels and links, and tell how fast they are answered.

Without a URL it starts a node with the role track in a temporary folder and measures that, its CPU time included. With
the base URL of a node, such as https://track.example.com, and its --keys, it mints references by itself: each request
is an event of a message of its own. With any other URL it asks for that, and --urls takes a list.

With --rate, requests start when they should whether or not others have been answered, and their latency counts from
then: a server that stalls is charged for all who come meanwhile. Without it, the next request of a connection waits
for the answer to the last.

An open must be answered with 200 and a GIF (paths with /o/), a click with 302 and a Location (/c/), and everything
else with a status below 400. What is answered otherwise counts as failed.

Requests are HTTP/1.1, one after the other on each connection, by TLS where the URL is https: GET, or with --head HEAD,
without a body. Their headers are Host, Accept, the User-Agent of a browser or mail program, and what --forwarded-for and
--reuse=false add; there is no way to give others. Redirects are not followed.`,
		Example: `  carom bench http                                            # a node of its own, 64 connections, as fast as it goes
  carom bench http --rate 5000 --duration 30s --dir /var/tmp  # 5000 a second, on the disk of that folder
  carom bench http --rate 1000..20000 --html ramp.html        # a ramp, with plots
  carom bench http --find-rate 'p99<10ms' --connections 256   # how much can it take?
  carom bench http https://track.example.com --keys keys.yaml --rate 200 --clicks 0.1
  carom bench http http://127.0.0.1:8000/empty.gif --server-pid "$(pgrep -o nginx)" --json nginx.json
  zcat access.log.gz | awk '{print "http://127.0.0.1:8080" $7}' | carom bench http --urls -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.load.add(cmd, 64)
	flags := cmd.Flags()
	flags.StringVar(&f.keys, "keys", "", "keys file of the node at URL: references are minted with it")
	flags.StringVar(&f.urls, "urls", "", "file with URLs of one server to ask for in turn, one a line; - is standard input")
	flags.Float64Var(&f.clicks, "clicks", 0.2, "share of clicks among minted hits, 0 to 1; the others are opens")
	flags.Float64Var(&f.repeats, "repeats", 0, "share of minted hits that repeat the one before them on their connection, 0 to 1")
	flags.BoolVar(&f.reuse, "reuse", true, "keep connections; with --reuse=false every request makes one of its own")
	flags.BoolVar(&f.head, "head", false, "ask with HEAD instead of GET")
	flags.BoolVar(&f.forward, "forwarded-for", false, "name a client of its own for each hit in X-Forwarded-For; the server must trust it (track.trusted_proxies). On with a node of its own.")
	flags.BoolVar(&f.trust, "insecure", false, "take any certificate of the server")
	return cmd
}

func (f *httpFlags) run(cmd *cobra.Command, args []string) error {
	if err := f.load.check(len(args) == 0 && f.urls == ""); err != nil {
		return err
	}
	switch {
	case len(args) == 1 && f.urls != "":
		return usageError{fmt.Errorf("--urls and a URL: want one of them")}
	case f.keys != "" && len(args) == 0:
		return usageError{fmt.Errorf("--keys without the base URL of its node: want for example https://track.example.com --keys %s", f.keys)}
	case len(args) == 1 && f.keys != "":
		return f.minted(cmd, nil, args[0], f.keys)
	case len(args) == 1 || f.urls != "":
		for _, flag := range []string{"clicks", "repeats"} {
			if cmd.Flags().Changed(flag) {
				return usageError{fmt.Errorf("--%s: want --keys and the base URL of their node: given URLs are asked for as they are", flag)}
			}
		}
		return f.given(cmd, args)
	}
	return withChildNode(cmd.Context(), f.load.dir, []string{roleTrack}, nil, func(c *childNode) error {
		f.forward = true
		return f.minted(cmd, c, "http://"+c.track, c.keysFile())
	})
}

// minted asks for hits of messages that nobody has seen.
func (f *httpFlags) minted(cmd *cobra.Command, node *childNode, base, keysFile string) error {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.RawQuery != "" {
		return usageError{fmt.Errorf("%q: want the base URL of a node, such as https://track.example.com", base)}
	}
	keys, err := ref.ReadKeyring(keysFile)
	if err != nil {
		return fmt.Errorf("--keys: %w", err)
	}
	hits, err := targets.NewMinted(keys, targets.MintedOptions{Path: strings.TrimRight(u.EscapedPath(), "/"), Clicks: f.clicks, Repeats: f.repeats})
	if err != nil {
		return usageError{fmt.Errorf("--%w", err)}
	}
	defer hits.Close()
	return f.ask(cmd, u.Scheme+"://"+u.Host, hits.Hits, measured{
		target: base, node: node, options: map[string]string{"clicks": fmt.Sprint(f.clicks), "repeats": fmt.Sprint(f.repeats)},
		notes: func() []string {
			return []string{fmt.Sprintf("of the harness's CPU time, minting took %s a hit", hits.Cost().Round(10*time.Nanosecond))}
		},
	})
}

// given asks for given URLs.
func (f *httpFlags) given(cmd *cobra.Command, args []string) error {
	urls, err := f.readURLs(cmd.InOrStdin(), args)
	if err != nil {
		return err
	}
	target := urls.Base()
	if len(args) == 1 {
		target = args[0]
	}
	return f.ask(cmd, urls.Base(), urls.Hits, measured{target: target, options: map[string]string{"urls": fmt.Sprint(urls.Len())}})
}

func (f *httpFlags) readURLs(in io.Reader, args []string) (urls *targets.URLs, err error) {
	if len(args) == 1 {
		if urls, err = targets.NewURLs(args[0]); err != nil {
			return nil, usageError{err}
		}
		return urls, nil
	}
	if f.urls != "-" {
		file, err := os.Open(f.urls)
		if err != nil {
			return nil, fmt.Errorf("--urls: %w", err)
		}
		defer file.Close()
		in = file
	}
	if urls, err = targets.ReadURLs(in); err != nil {
		return nil, fmt.Errorf("--urls: %w", err)
	}
	return urls, nil
}

func (f *httpFlags) ask(cmd *cobra.Command, base string, hits func() targets.Hits, m measured) error {
	o := wire.HTTPOptions{Base: base, Reuse: f.reuse, Head: f.head, ForwardedFor: f.forward, Insecure: f.trust, Timeout: f.load.plan.Timeout}
	m.kind = "http"
	m.options["reuse"] = fmt.Sprint(f.reuse)
	if f.head {
		m.options["head"] = "true"
	}
	return f.load.run(cmd, m, func(int) (benchload.Client, error) {
		return wire.NewHTTP(cmd.Context(), o, hits())
	})
}
