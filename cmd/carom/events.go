package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/journal"
	"carom/pipeline/kafka"
	"carom/pipeline/log"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

// eventsQuery is what `carom events` was asked for.
type eventsQuery struct {
	config  configFlags
	data    string
	server  apiServer
	refined bool
	limit   int
	lines   int // copied so far
}

// done reports that the limit is reached.
func (q *eventsQuery) done() bool { return q.limit > 0 && q.lines >= q.limit }

// readStep is how many records are read from a log at once.
const readStep = 1024

func newEventsCommand() *cobra.Command {
	var q eventsQuery
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print the journal, or the refined events, as JSON lines",
		Long: `Print the journal as JSON lines, oldest first: everything that this node heard, before it is deduplicated
and attributed. With --refined, what was made of it. From a data folder that no server holds open, or with --api
from a running server.`,
		Example: `  carom events --data ./data
  carom events --data ./data --refined | jq -r .kind | sort | uniq -c
  carom events --api http://127.0.0.1:8081 --limit 100`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.limit < 0 {
				return usageError{fmt.Errorf("--limit %d: want 0 (all) or more", q.limit)}
			}
			out := bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
			var err error
			if q.server.url != "" {
				err = q.fromServer(cmd.Context(), out)
			} else {
				err = q.fromFolder(cmd.Context(), out)
			}
			return errors.Join(err, out.Flush())
		},
	}
	q.config.add(cmd)
	q.server.add(cmd)
	f := cmd.Flags()
	f.StringVar(&q.data, "data", "", "data folder; default: the one of the settings")
	f.BoolVar(&q.refined, "refined", false, "print refined events in place of the journal")
	f.IntVar(&q.limit, "limit", 0, "stop after this many lines; 0 prints all that is there")
	return cmd
}

// fromFolder reads the stores of a node that does not run.
func (q *eventsQuery) fromFolder(ctx context.Context, out io.Writer) error {
	dir := q.data
	if dir == "" {
		c, err := q.config.load()
		if err != nil {
			return err
		}
		dir = c.Data.Dir
	}
	if q.refined {
		return q.refinedFromFolder(ctx, dir, out)
	}
	store, err := kv.Open(filepath.Join(dir, "journal"), kv.Options{Role: "journal", ReadOnly: true})
	if err != nil {
		return storeError(err)
	}
	j, err := journal.Open(store, journal.Default(), journal.Deps{})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	line := make([]byte, 0, 4096)
	var e event.Event
	err = q.copyLog(ctx, j, func(r log.Record) error {
		if err := e.DecodeBinary(r.Value); err != nil {
			return fmt.Errorf("record %d: %w", r.Offset, err)
		}
		if e.Kind == event.Tick {
			return errPassOver
		}
		line = append(e.AppendJSON(line[:0], r.Offset, r.Time, r.Source), '\n')
		_, err := out.Write(line)
		return err
	})
	return errors.Join(err, j.Close(), store.Close())
}

func (q *eventsQuery) refinedFromFolder(ctx context.Context, dir string, out io.Writer) error {
	store, err := kv.Open(filepath.Join(dir, "state"), kv.Options{Role: "state", ReadOnly: true})
	if err != nil {
		return storeError(err)
	}
	return errors.Join(q.copyEvents(ctx, store, out), store.Close())
}

// copyEvents copies all partitions, one after the other. Of topics the store holds copies.
func (q *eventsQuery) copyEvents(ctx context.Context, store *kv.Store, out io.Writer) error {
	partitions, err := log.Partitions(store, kv.LogEvents)
	if err != nil {
		return err
	}
	topics, err := kafka.Bound(store)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		var events log.Reader
		if topics {
			events, err = log.OpenMirror(store, kv.LogEvents, p, zap.NewNop(), nil)
		} else {
			events, err = log.NewLocal(store, kv.LogEvents, p)
		}
		if err == nil {
			err = q.copyLog(ctx, events, func(r log.Record) error {
				_, err := out.Write(append(r.Value, '\n'))
				return err
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errPassOver is returned by a copier for a record that is no line.
var errPassOver = errors.New("pass over")

// copyLog hands every record that is there now to write, up to the limit.
func (q *eventsQuery) copyLog(ctx context.Context, from log.Reader, write func(log.Record) error) error {
	at, end := from.Bounds()
	var records []log.Record
	for at < end && !q.done() {
		var err error
		if records, err = from.Read(ctx, at, readStep, records[:0]); err != nil {
			return err
		}
		for _, r := range records {
			at = r.Offset + 1
			err := write(r)
			if errors.Is(err, errPassOver) {
				continue
			}
			if err != nil {
				return err
			}
			if q.lines++; q.done() {
				return nil
			}
		}
	}
	return nil
}

// storeError says what else could be meant.
func storeError(err error) error {
	return fmt.Errorf("%w: name a stopped node's data folder with --data, or a running server with --api", err)
}

// fromServer pages through a running server's API.
func (q *eventsQuery) fromServer(ctx context.Context, out io.Writer) error {
	path := "/v1/journal"
	if q.refined {
		path = "/v1/events"
	}
	return q.server.copyPages(ctx, path, nil, q.limit, out)
}
