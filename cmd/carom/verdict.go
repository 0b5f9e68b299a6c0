package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"carom/pipeline/bot"
	"carom/pipeline/judge"

	"github.com/spf13/cobra"
)

// verdictQuery is what `carom verdict` was asked for.
type verdictQuery struct {
	one     verdictLine // from flags
	headers []string
	since   time.Duration
	rules   string
	format  string
	opens   string
	clicks  string
	summary bool
	window  time.Duration
}

func newVerdictCommand() *cobra.Command {
	var q verdictQuery
	cmd := &cobra.Command{
		Use:   "verdict [FILE...]",
		Short: "Say who made an open or a click: a person, a privacy proxy, a scanner",
		Long: `Say who made an open or a click, and why, by the rules that a node applies. No server and no settings are needed.

Without a FILE, the flags tell one request. With files (- is standard input) every line is a hit: a JSON object, or with
--format combined a line of an access log as Apache and nginx write it. Hits that name the same message are judged
together, so that bursts are seen; the verdicts come in the order of the lines.

A JSON object has these members, of which none is required:

  kind          open or click; click if left out
  time          RFC 3339, or seconds since 1970
  message       what the mail is called; hits without it are judged alone
  link          which of its links
  honeypot      true if it is the link that no human sees
  address, agent, method, referer, accept
  headers       object: Accept, Referer, User-Agent, Sec-Purpose, Purpose, X-Purpose, X-Moz
  sent_at, delivered_at
  id            is repeated in the answer

In an access log the path tells what was hit: --open and --click are regular expressions, whose groups (?P<message>...)
and (?P<link>...) name mail and link. Other lines are passed over.

A line that can't be read is named on standard error, the rest is judged all the same, and the exit code is 1.`,
		Example: `  carom verdict --kind open --agent 'Mozilla/5.0' --address 17.58.0.1
  carom verdict --agent 'curl/8.5.0' --header 'Sec-Purpose: prefetch'
  carom verdict --address 148.163.128.9 --since 30s --agent 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) Firefox/140.0'
  carom verdict hits.jsonl | jq -r 'select(.verdict == "human") | .id'
  carom verdict --summary --format combined --click '^/l/(?P<message>[^/]+)/(?P<link>\d+)' /var/log/nginx/access.log`,
		RunE: func(cmd *cobra.Command, files []string) error { return q.run(cmd, files) },
	}
	f := cmd.Flags()
	f.StringVar(&q.one.Kind, "kind", "click", "open or click")
	f.StringVar(&q.one.Agent, "agent", "", "user agent")
	f.StringVar(&q.one.Address, "address", "", "IP address of the client")
	f.StringVar(&q.one.Method, "method", "GET", "method of the request")
	f.StringVar(&q.one.Accept, "accept", "", "value of the header Accept")
	f.StringVar(&q.one.Referer, "referer", "", "value of the header Referer")
	f.StringArrayVar(&q.headers, "header", nil, "a header, 'Name: value'; may be given many times")
	f.DurationVar(&q.since, "since", 0, "how long after delivery it came, for example 30s; 0: not known")
	f.StringVar(&q.rules, "rules", "", "folder of rules that replace the built-in ones of the same name")
	f.StringVar(&q.format, "format", formatJSON, "of the files: json or combined")
	f.StringVar(&q.opens, "open", `\.gif(\?|$)`, "regular expression: the paths of opens in an access log")
	f.StringVar(&q.clicks, "click", "", "regular expression: the paths of clicks in an access log")
	f.BoolVar(&q.summary, "summary", false, "count verdicts and reasons instead")
	f.DurationVar(&q.window, "window", judge.Default().Window, "how long, by the times of the lines, a message waits for more hits")
	return cmd
}

func (q *verdictQuery) run(cmd *cobra.Command, files []string) error {
	rules := bot.Default()
	if q.rules != "" {
		var err error
		if rules, err = bot.Load(q.rules); err != nil {
			return usageError{fmt.Errorf("--rules: %w", err)}
		}
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	r := verdictRun{out: out, errs: cmd.ErrOrStderr(), counts: make(map[[2]string]int), summary: q.summary}
	if err := q.begin(&r, rules); err != nil {
		return usageError{err}
	}
	var err error
	if len(files) == 0 {
		err = q.judgeOne(&r)
	} else {
		err = r.readAll(files, cmd.InOrStdin())
	}
	if q.summary {
		err = errors.Join(err, r.writeSummary())
	}
	return errors.Join(err, out.Flush())
}

// begin prepares r to read what the query says.
func (q *verdictQuery) begin(r *verdictRun, rules *bot.Rules) (err error) {
	switch q.format {
	case formatJSON:
		r.parse = parseVerdictLine
	case formatCombined:
		if r.parse, err = newCombinedParser(q.opens, q.clicks); err != nil {
			return err
		}
	default:
		return fmt.Errorf("--format %q: want %s or %s", q.format, formatJSON, formatCombined)
	}
	o := judge.Default()
	o.Window = q.window
	if r.judge, err = judge.New(rules, o, r.told); err != nil {
		return fmt.Errorf("--%w", err)
	}
	return nil
}

// judgeOne judges the request that the flags tell.
func (q *verdictQuery) judgeOne(r *verdictRun) error {
	line := &q.one
	line.Headers = make(map[string]string)
	for _, h := range q.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return usageError{fmt.Errorf("--header %q: want 'Name: value'", h)}
		}
		line.Headers[name] = strings.TrimSpace(value)
	}
	hit, err := line.hit()
	if err != nil {
		return usageError{err}
	}
	if q.since > 0 {
		hit.Time = someTime
		hit.Sent = someTime.Add(-q.since)
	}
	r.asked = append(r.asked, asked{})
	return errors.Join(r.judge.Add(&hit), r.judge.Close())
}

// verdictRun judges lines and writes what is found.
type verdictRun struct {
	judge *judge.Judge
	parse func(line []byte) (hit judge.Hit, id string, ok bool, err error)
	out   *bufio.Writer
	errs  io.Writer

	asked   []asked // the hits that wait for their verdict
	buf     []byte
	summary bool
	counts  map[[2]string]int // verdict and reason
	hits    int
	flawed  int
}

// asked is where a hit came from.
type asked struct {
	file string
	line int
	id   string
}

// maxHitLine bounds a line.
const maxHitLine = 1 << 20

func (r *verdictRun) readAll(files []string, stdin io.Reader) error {
	for _, name := range files {
		if err := r.readFile(name, stdin); err != nil {
			return err
		}
	}
	if err := r.judge.Close(); err != nil {
		return err
	}
	if r.flawed > 0 {
		return fmt.Errorf("lines that could not be read: %d", r.flawed)
	}
	return nil
}

func (r *verdictRun) readFile(name string, stdin io.Reader) error {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewReaderSize(in, maxHitLine)
	for n := 1; ; n++ {
		line, err := readHitLine(lines)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			r.flaw(name, n, fmt.Errorf("longer than %d bytes", maxHitLine))
			continue
		case err != nil:
			return fmt.Errorf("%s: line %d: %w", name, n, err)
		case len(line) == 0:
			continue
		}
		hit, id, ok, err := r.parse(line)
		switch {
		case err != nil:
			r.flaw(name, n, err)
			continue
		case !ok:
			continue
		}
		r.asked = append(r.asked, asked{name, n, id})
		if err := r.judge.Add(&hit); err != nil {
			return err
		}
	}
}

// readHitLine returns the next line, without its end and valid until the next call, or io.EOF. Of one that does not fit
// into the buffer it passes over all and returns bufio.ErrBufferFull.
func readHitLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = in.ReadSlice('\n')
		}
		if err == nil || errors.Is(err, io.EOF) {
			err = bufio.ErrBufferFull
		}
		return nil, err
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// maxFlaws is how many lines that can't be read are named.
const maxFlaws = 20

func (r *verdictRun) flaw(name string, line int, err error) {
	if r.flawed++; r.flawed <= maxFlaws {
		fmt.Fprintf(r.errs, "carom: %s: line %d: %s\n", name, line, printable(err.Error()))
	}
}

// told takes the next verdict.
func (r *verdictRun) told(v judge.Verdict) error {
	a := r.asked[0]
	r.asked = r.asked[1:]
	r.hits++
	if r.summary {
		r.count(v)
		return nil
	}
	r.buf = appendVerdict(r.buf[:0], a, v)
	_, err := r.out.Write(r.buf)
	return err
}

func (r *verdictRun) count(v judge.Verdict) {
	verdict := v.Verdict.String()
	r.counts[[2]string{verdict}]++
	for _, reason := range v.Reasons {
		r.counts[[2]string{verdict, reason}]++
	}
	if v.Repeat {
		r.counts[[2]string{verdict, "(repeats)"}]++
	}
}

func (r *verdictRun) writeSummary() error {
	var keys [][2]string
	for k := range r.counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [2]string) int {
		if a[0] != b[0] {
			return strings.Compare(a[0], b[0])
		}
		if a[1] == "" || b[1] == "" {
			return strings.Compare(a[1], b[1])
		}
		return r.counts[b] - r.counts[a]
	})
	t := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "verdict\treason\thits\tshare\n")
	for _, k := range keys {
		fmt.Fprintf(t, "%s\t%s\t%d\t%.1f %%\n", k[0], k[1], r.counts[k], 100*float64(r.counts[k])/float64(max(1, r.hits)))
	}
	return t.Flush()
}
