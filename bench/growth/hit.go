package main

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	benchload "carom/bench/load"
	"carom/bench/result"
	"carom/bench/targets"
	"carom/bench/wire"
	"carom/edge/ref"
	"carom/pipeline/event"
)

// answerBound is how long an edge may take to answer.
const answerBound = 10 * time.Second

// dial makes a connection to a tracking edge.
func dial(ctx context.Context, address string, hits targets.Hits) (*wire.HTTP, error) {
	return wire.NewHTTP(ctx, wire.HTTPOptions{Base: "http://" + address, Reuse: true, Timeout: answerBound}, hits)
}

// opens are opens of messages that nobody has opened yet.
func opens(keys *ref.Keyring) (*targets.Minted, error) {
	return targets.NewMinted(keys, targets.MintedOptions{})
}

// load has clients open pixels in a closed loop.
func load(ctx context.Context, n *node, opens *targets.Minted, connections int, lasts time.Duration) (*result.Result, error) {
	plan := benchload.Plan{
		Clients: connections, Stages: []benchload.Stage{{Duration: lasts}}, Timeout: answerBound, ServerPID: n.cmd.Process.Pid,
	}
	r, err := benchload.Run(ctx, plan, func(int) (benchload.Client, error) { return dial(ctx, n.track, opens.Hits()) }, unwatched{})
	if err != nil {
		return nil, err
	}
	if r.Requests == 0 {
		return nil, fmt.Errorf("nothing was answered as it should: %v", r.Errors)
	}
	return r, ctx.Err()
}

// unwatched is a load whose seconds nobody looks at.
type unwatched struct{}

func (unwatched) Second(result.Point, int64) {}
func (unwatched) Tried(result.Try)           {}

// one is a connection's next hit.
type one struct{ targets.Hit }

func (o *one) Next(into *targets.Hit) { *into = o.Hit }

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60_000_000, 3) }

// keyOf is a message's key.
func keyOf(r *event.Ref) event.Key { return event.KeyOf(r.Account, r.Message) }
