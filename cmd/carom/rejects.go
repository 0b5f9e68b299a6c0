package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"carom/kv"
	"carom/pipeline/kafka"
	"carom/pipeline/log"
	"carom/pipeline/refine"

	"github.com/spf13/cobra"
)

func newRejectsCommand() *cobra.Command {
	var list rejectsList
	rejects := &cobra.Command{
		Use:   "rejects",
		Short: "List what could not be understood or attributed, and replay it",
		Long: `List what refine has rejected, as JSON lines: what could not be understood or attributed, why, and the bytes.
The same as 'carom rejects list'.`,
		Example: rejectsExamples,
		Args:    cobra.NoArgs,
		RunE:    list.run,
	}
	list.add(rejects)
	var sub rejectsList
	listing := &cobra.Command{
		Use:   "list",
		Short: "Print rejects as JSON lines, oldest first",
		Long: `Print rejects as JSON lines, oldest first. From a data folder that no server holds open, or with --api from a
running server. With Kafka they are kept in a topic: use --api.`,
		Example: rejectsExamples,
		Args:    cobra.NoArgs,
		RunE:    sub.run,
	}
	sub.add(listing)
	rejects.AddCommand(listing, newRejectsReplayCommand())
	return rejects
}

const rejectsExamples = `  carom rejects --data ./data
  carom rejects --api http://127.0.0.1:8081 --reason unattributed --node edge-1
  carom rejects list --data ./data | jq -r .reason | sort | uniq -c
  carom rejects replay --api http://127.0.0.1:8081 --reason undecodable --dry-run`

// rejectsFlags are those of both commands.
type rejectsFlags struct {
	server       apiServer
	reason, node string
}

func (f *rejectsFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.server.add(cmd)
	flags.StringVar(&f.reason, "reason", "", "only those with this reason")
	flags.StringVar(&f.node, "node", "", "only those that this node heard")
}

// rejectsList is what `carom rejects list` was asked for.
type rejectsList struct {
	rejectsFlags
	config configFlags
	data   string
	limit  int
}

func (q *rejectsList) add(cmd *cobra.Command) {
	q.config.add(cmd)
	q.rejectsFlags.add(cmd)
	cmd.Flags().StringVar(&q.data, "data", "", "data folder; default: the one of the settings")
	cmd.Flags().IntVar(&q.limit, "limit", 0, "stop after this many lines; 0 prints all that is there")
}

func (q *rejectsList) run(cmd *cobra.Command, _ []string) error {
	if q.limit < 0 {
		return usageError{fmt.Errorf("--limit %d: want 0 (all) or more", q.limit)}
	}
	out := bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
	read := q.fromFolder
	if q.server.url != "" {
		read = q.fromServer
	}
	return errors.Join(read(cmd.Context(), out), out.Flush())
}

// fromFolder reads the log of rejects of a node that does not run.
func (q *rejectsList) fromFolder(ctx context.Context, out io.Writer) error {
	dir := q.data
	if dir == "" {
		c, err := q.config.load()
		if err != nil {
			return err
		}
		dir = c.Data.Dir
	}
	store, err := kv.Open(filepath.Join(dir, kv.RoleState), kv.Options{Role: kv.RoleState, ReadOnly: true})
	if err != nil {
		return storeError(err)
	}
	bound, err := kafka.Bound(store)
	if bound {
		err = fmt.Errorf("%s is a folder of a node with Kafka, which keeps rejects in a topic: name a running server with --api", dir)
	}
	var rejects *log.Local
	if err == nil {
		rejects, err = log.NewLocal(store, kv.LogRejects, embeddedPartition)
	}
	if err == nil {
		events := eventsQuery{limit: q.limit}
		err = events.copyLog(ctx, rejects, func(r log.Record) error { return q.write(out, &r) })
	}
	return errors.Join(err, store.Close())
}

// write prints a reject as GET /v1/rejects does, without its cursor.
func (q *rejectsList) write(out io.Writer, rec *log.Record) error {
	r, err := refine.ReadReject(rec.Value)
	if err != nil {
		return fmt.Errorf("record %d: %w", rec.Offset, err)
	}
	if q.reason != "" && q.reason != r.Reason || q.node != "" && q.node != r.Node {
		return errPassOver
	}
	line, err := json.Marshal(struct {
		refine.Reject
		Position string `json:"position"`
	}{r, fmt.Sprintf("%d/%d", embeddedPartition, rec.Offset)})
	if err != nil {
		return fmt.Errorf("record %d: %w", rec.Offset, err)
	}
	_, err = out.Write(append(line, '\n'))
	return err
}

// fromServer pages through a running server's API.
func (q *rejectsList) fromServer(ctx context.Context, out io.Writer) error {
	query := url.Values{"reason": {q.reason}, "node": {q.node}}
	return q.server.copyPages(ctx, "/v1/rejects", query, q.limit, out)
}

// rejectsReplay is what `carom rejects replay` was asked for.
type rejectsReplay struct {
	rejectsFlags
	from, to string
	dryRun   bool
}

func newRejectsReplayCommand() *cobra.Command {
	var q rejectsReplay
	cmd := &cobra.Command{
		Use:   "replay [POSITION...]",
		Short: "Take rejects in again, as facts that the server hears now",
		Long: `Take rejects in again, as facts that the server hears now: all that match, or those at the positions that
'carom rejects' prints. Those that this Carom can't read either stay where they are. To replay twice does no harm:
facts have identities, and count once; what is rejected anew is a new reject.

Prints {"matched","replayed","unreadable"}. Exit code 0: all that matched was replayed, or with --dry-run, could be.
1: some could not be read, or the server failed. 2: wrong usage.`,
		Example: `  carom rejects replay --api http://127.0.0.1:8081 --reason undecodable --dry-run      # after an upgrade: what can be read now?
  carom rejects replay --api http://127.0.0.1:8081 --reason unattributed --from 2026-11-20T00:00:00Z
  carom rejects replay --api http://127.0.0.1:8081 0/17 0/18`,
		RunE: func(cmd *cobra.Command, positions []string) error {
			return q.run(cmd.Context(), positions, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	q.add(cmd)
	f := cmd.Flags()
	f.StringVar(&q.from, "from", "", "only those of this log time or later, as RFC 3339 writes it")
	f.StringVar(&q.to, "to", "", "only those of before this log time")
	f.BoolVar(&q.dryRun, "dry-run", false, "count only, and change nothing")
	return cmd
}

// replayCall is the body of POST /v1/rejects/replay.
type replayCall struct {
	Reason    string   `json:"reason,omitempty"`
	Node      string   `json:"node,omitempty"`
	From      string   `json:"from,omitempty"`
	To        string   `json:"to,omitempty"`
	Positions []string `json:"positions,omitempty"`
	After     string   `json:"after,omitempty"`
	DryRun    bool     `json:"dry_run,omitempty"`
}

// replayCounts is its answer.
type replayCounts struct {
	Matched    int    `json:"matched"`
	Replayed   int    `json:"replayed"`
	Unreadable int    `json:"unreadable"`
	Next       string `json:"next,omitempty"`
}

func (q *rejectsReplay) run(ctx context.Context, positions []string, out, notes io.Writer) error {
	if q.server.url == "" {
		return usageError{errors.New("--api: is empty: want the base URL of a running server, which takes the facts in")}
	}
	for name, value := range map[string]string{"from": q.from, "to": q.to} {
		if _, err := time.Parse(time.RFC3339, value); value != "" && err != nil {
			return usageError{fmt.Errorf("--%s %q: want a time such as 2026-11-21T17:45:03Z", name, value)}
		}
	}
	if len(positions) > 0 && (q.reason != "" || q.node != "" || q.from != "" || q.to != "") {
		return usageError{errors.New("want positions or filters, not both")}
	}
	target, err := q.server.base("/v1/rejects/replay")
	if err != nil {
		return err
	}
	sum, err := q.replay(ctx, target, positions)
	q.tell(notes, sum, err)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(sum); err != nil {
		return err
	}
	if sum.Unreadable > 0 {
		return fmt.Errorf("%d rejects can't be read by this Carom: they stay where they are", sum.Unreadable)
	}
	return nil
}

// replayPositions is how many positions the API takes at once.
const replayPositions = 1000

// replay calls the API until all is done, and adds up.
func (q *rejectsReplay) replay(ctx context.Context, target string, positions []string) (sum replayCounts, err error) {
	call := replayCall{Reason: q.reason, Node: q.node, From: q.from, To: q.to, DryRun: q.dryRun}
	for {
		if n := min(len(positions), replayPositions); n > 0 {
			call.Positions, positions = positions[:n], positions[n:]
		}
		got, err := q.post(ctx, target, call)
		if err != nil {
			return sum, err
		}
		sum.Matched, sum.Replayed, sum.Unreadable = sum.Matched+got.Matched, sum.Replayed+got.Replayed, sum.Unreadable+got.Unreadable
		call.After = got.Next
		if call.After == "" && len(positions) == 0 {
			return sum, nil
		}
	}
}

func (q *rejectsReplay) post(ctx context.Context, target string, call replayCall) (got replayCounts, err error) {
	body, err := json.Marshal(call)
	if err != nil {
		return got, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return got, err
	}
	request.Header.Set("Content-Type", "application/json")
	q.server.authorize(request)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return got, fmt.Errorf("ask the server: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxReplayAnswer))
	switch {
	case err != nil:
		return got, fmt.Errorf("read the server's answer: %w", err)
	case answer.StatusCode != http.StatusOK:
		return got, fmt.Errorf("ask the server: it answered %s: %s", answer.Status, bytes.TrimSpace(text))
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return got, fmt.Errorf("read the server's answer: %w", err)
	}
	return got, nil
}

// maxReplayAnswer bounds an answer: two cursors of 4096 partitions, and numbers.
const maxReplayAnswer = 256 << 10

// tell sums up for people.
func (q *rejectsReplay) tell(notes io.Writer, sum replayCounts, err error) {
	done := fmt.Sprintf("%d replayed", sum.Replayed)
	if q.dryRun {
		done = fmt.Sprintf("%d can be replayed; nothing was changed", sum.Matched-sum.Unreadable)
	}
	fmt.Fprintf(notes, "%d rejects matched, %d of them can't be read, %s\n", sum.Matched, sum.Unreadable, done)
	if err != nil {
		fmt.Fprintln(notes, "not all was looked at; to start again does no harm")
	}
}
