package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"carom/edge/api"
	"carom/edge/inbound"
	"carom/edge/ref"
	"carom/edge/track"
	"carom/kv"
	"carom/pipeline"
	"carom/pipeline/bot"
	"carom/pipeline/journal"
	"carom/pipeline/log"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// readerRefine is the name by which the journal's trimming knows refine.
const readerRefine = "refine"

// stateCacheBytes keeps the states of some million messages at hand: refine reads one for every hit.
const stateCacheBytes = 256 << 20

// Embedded, every log has one partition.
const embeddedPartition = 0

// node is one process with all its parts, joined by the logs.
type node struct {
	config Config
	log    *zap.Logger

	heard   *kv.Store // holds the journal
	journal *journal.Journal
	state   *kv.Store // holds everything that stages keep, and the logs between them
	events  *log.Local
	rejects *log.Local
	refine  *refine.Partition
	rollup  *rollup.Partition

	track   *track.Server
	inbound *inbound.Server
	api     *api.Server
}

// openNode opens the stores and every listener; nothing is served before run. On an error everything is closed again.
func openNode(c Config, logger *zap.Logger) (*node, error) {
	n := &node{config: c, log: logger}
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func (n *node) open() error {
	if err := makeDataDir(&n.config); err != nil {
		return err
	}
	keys, err := ref.ReadKeyring(n.config.keysFile())
	if err != nil {
		return fmt.Errorf("keys.file: %w", err)
	}
	if warning := keys.Warning(); warning != "" {
		n.log.Warn("keys file", zap.String("warning", warning))
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := n.openPipeline(reg); err != nil {
		return err
	}
	return n.openEdges(keys, reg)
}

func makeDataDir(c *Config) error {
	if err := os.MkdirAll(c.Data.Dir, 0o700); err != nil {
		return fmt.Errorf("data.dir: make the data folder: %w", err)
	}
	return nil
}

// openPipeline opens the two stores and the stages between them: journal ─▶ refine ─▶ events ─▶ rollup.
func (n *node) openPipeline(reg *prometheus.Registry) (err error) {
	c := &n.config
	if n.heard, err = openStore(c.Data.Dir, kv.RoleJournal, 0, n.log, reg); err != nil {
		return err
	}
	n.journal, err = journal.Open(n.heard, c.Journal, journal.Deps{Node: c.Node, Readers: []string{readerRefine}, Logger: n.log, Registerer: reg})
	if err != nil {
		return err
	}
	if n.state, err = openStore(c.Data.Dir, kv.RoleState, stateCacheBytes, n.log, reg); err != nil {
		return err
	}
	if err := n.journal.Bind(n.state); err != nil {
		return fmt.Errorf("data.dir: %w", err)
	}
	if n.events, err = log.NewLocal(n.state, kv.LogEvents, embeddedPartition); err != nil {
		return err
	}
	if n.rejects, err = log.NewLocal(n.state, kv.LogRejects, embeddedPartition); err != nil {
		return err
	}
	n.refine, err = refine.Open(c.Refine, n.state, n.journal, n.events, n.rejects, n.journal, n.log, reg)
	if err != nil {
		return err
	}
	n.refine.OnPassed(func(offset int64) { n.journal.Passed(readerRefine, offset) })
	n.rollup, err = rollup.Open(c.Rollup, c.Score, n.state, n.events, n.log, reg)
	return err
}

// openStore opens one of the node's stores, in a folder of its name; 0 is the usual size of cache.
func openStore(dir, role string, cacheBytes int64, logger *zap.Logger, reg *prometheus.Registry) (*kv.Store, error) {
	store, err := kv.Open(filepath.Join(dir, role), kv.Options{Role: role, CacheBytes: cacheBytes, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("data.dir: %w", err)
	}
	reg.MustRegister(store.Collector())
	return store, nil
}

// openEdges binds the listeners. The tracking edge comes first: with --dev its address is part of what is minted.
func (n *node) openEdges(keys *ref.Keyring, reg *prometheus.Registry) error {
	c := &n.config
	accept, err := pipeline.New(c.Accept, n.journal, bot.Default(), keys.ClientKey(), n.log, reg)
	if err != nil {
		return err
	}
	if n.track, err = track.New(c.Track, keys, accept, n.log, reg); err != nil {
		return err
	}
	if err := n.track.Listen(); err != nil {
		return err
	}
	minter, err := newMinter(*c, keys, n.trackURL())
	if err != nil {
		return err
	}
	if n.inbound, err = inbound.New(c.Inbound, keys, accept, n.log, reg); err != nil {
		return err
	}
	if err := n.inbound.Listen(); err != nil {
		return err
	}
	n.api, err = api.New(c.API, api.Dependencies{
		Sink: accept, Minter: minter, Events: []log.Reader{n.events}, Rejects: []log.Reader{n.rejects}, Journal: n.journal, Messages: n.refine, Scores: n.rollup,
		Ready: n.notReady, Gatherer: reg, Registerer: reg, Clock: time.Now, Log: n.log,
	})
	if err != nil {
		return err
	}
	return n.api.Listen()
}

// run serves until ctx is done or a part fails, and stops in the order of the data: edges, requests in flight, stages.
func (n *node) run(ctx context.Context) error {
	stages, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	edges, edgeCtx := errgroup.WithContext(ctx)
	backs, stageCtx := errgroup.WithContext(stages)
	for name, run := range map[string]func(context.Context) error{"refine": n.refine.Run, "rollup": n.rollup.Run} {
		backs.Go(func() error { return named(name, run(stageCtx)) })
	}
	// A stage that fails takes the edges with it: a supervisor starts the node anew, and the journal has lost nothing.
	edges.Go(func() error {
		select {
		case <-edgeCtx.Done():
			return nil
		case <-stageCtx.Done():
			return errStageStopped
		case <-n.state.Failed(): // and the stages may hang in it
			return errStageStopped
		}
	})
	for name, run := range map[string]func(context.Context) error{"track": n.track.Run, "inbound": n.inbound.Run, "api": n.api.Run} {
		edges.Go(func() error { return named(name, run(edgeCtx)) })
	}
	n.log.Info("listening", zap.Stringer("track", n.track.Addr()), zap.Stringer("inbound", n.inbound.Addr()), zap.Stringer("api", n.api.Addr()))
	err := edges.Wait()
	stop()
	if stageErr := unlessFailed(n.state, backs.Wait); stageErr != nil {
		return stageErr
	}
	if errors.Is(err, errStageStopped) {
		err = nil
	}
	n.log.Info("stopped")
	return err
}

// failing is a store that may fail for good.
type failing interface {
	Failed() <-chan struct{}
	Err() error
}

// unlessFailed returns what wait returns. If the store fails it returns why, at once: a commit that was in flight may
// never return then.
func unlessFailed(store failing, wait func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- wait() }()
	select {
	case err := <-ended:
		return err
	case <-store.Failed():
		return named("state store", store.Err())
	}
}

var errStageStopped = errors.New("a stage stopped")

// named says which part failed; being told to stop is no failure.
func named(part string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("%s: %w", part, err)
}

// close releases everything that was opened, in the order of the data.
func (n *node) close() error {
	var errs []error
	if n.track != nil {
		errs = append(errs, n.track.Close())
	}
	if n.inbound != nil {
		errs = append(errs, n.inbound.Close())
	}
	if n.api != nil {
		errs = append(errs, n.api.Close())
	}
	if n.journal != nil {
		errs = append(errs, n.journal.Close())
	}
	for _, store := range []*kv.Store{n.heard, n.state} {
		if store != nil {
			errs = append(errs, store.Close())
		}
	}
	return errors.Join(errs...)
}

// notReady says why the node should get no traffic now; nothing if it should.
func (n *node) notReady() []api.Problem {
	if err := n.journal.Health(); err != nil {
		return []api.Problem{{Part: "journal", Reason: err.Error()}}
	}
	return nil
}

// newMinter joins the keys with the addresses that the config gives.
func newMinter(c Config, keys *ref.Keyring, trackURL string) (*ref.Minter, error) {
	return ref.NewMinter(keys, ref.MinterOptions{
		TrackBaseURL: trackURL, BounceDomain: c.Inbound.BounceDomain, ReplyDomain: c.Inbound.ReplyDomain,
	})
}

// boundURL is the base of every minted URL. With --dev and port 0 nobody knows it before the edge listens.
func boundURL(base string, bound net.Addr) string {
	rest, ok := strings.CutSuffix(base, ":0")
	if !ok {
		return base
	}
	_, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		return base
	}
	return rest + ":" + port
}

func (n *node) trackURL() string { return boundURL(n.config.Track.BaseURL, n.track.Addr()) }
