package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"carom/edge/api"
	"carom/edge/inbound"
	"carom/edge/ref"
	"carom/edge/track"
	"carom/edge/webhook"
	"carom/kv"
	"carom/pipeline"
	"carom/pipeline/backup"
	"carom/pipeline/bot"
	"carom/pipeline/control"
	"carom/pipeline/journal"
	"carom/pipeline/log"
	"carom/pipeline/suppress"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// The names by which the journal's trimming knows who reads it.
const (
	readerRefine = "refine" // embedded
	readerRelay  = "relay"  // with Kafka
)

// stages are what lies behind the journal: all of the pipeline in this process, or this node's part of it with topics
// in between.
type stages interface {
	// run runs them until ctx is done, which is no error, or something fails for good.
	run(ctx context.Context) error
	// controls are what all nodes know of contacts and senders; run follows them.
	controls() *control.Controls
	// answer fills in what the API may ask.
	answer(d *api.Dependencies)
	// notReady says why the node should get no traffic now.
	notReady() []api.Problem
	// copied says, where the events here are copies, how far a partition had been copied before this node was started.
	copied() func(partition int32) (offset int64, ok bool)
	close() error
}

// node is one process with all its parts, joined by the logs.
type node struct {
	config Config
	log    *zap.Logger

	heard   *kv.Store // holds the journal and, embedded, the controls
	journal *journal.Journal
	state   *kv.Store // holds everything that stages keep, and the logs that are not topics
	stages  stages

	accept  *pipeline.Acceptor
	track   *track.Server   // nil without the role
	inbound *inbound.Server // nil without the role
	api     *api.Server
	hooks   *webhook.Hooks
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
	if err := n.openPipeline(keys.PersonKey(), reg); err != nil {
		return err
	}
	begun := time.Now()
	if err := n.openEdges(keys, reg); err != nil {
		return err
	}
	n.opened("edges", begun)
	return nil
}

func makeDataDir(c *Config) error {
	if err := os.MkdirAll(c.Data.Dir, 0o700); err != nil {
		return fmt.Errorf("data.dir: make the data folder: %w", err)
	}
	if err := backup.CheckData(c.Data.Dir); err != nil {
		return fmt.Errorf("data.dir: %w", err)
	}
	return nil
}

// openPipeline opens the two stores, the journal and what reads it.
func (n *node) openPipeline(secret suppress.Secret, reg *prometheus.Registry) (err error) {
	c := &n.config
	begun := time.Now()
	if n.heard, err = openStore(c.Data.Dir, kv.RoleJournal, 0, n.log, reg); err != nil {
		return err
	}
	begun = n.opened("journal store", begun)
	reader := readerRefine
	if c.withKafka() {
		reader = readerRelay
	}
	n.journal, err = journal.Open(n.heard, c.Journal, journal.Deps{Node: c.Node, Readers: []string{reader}, Logger: n.log, Registerer: reg})
	if err != nil {
		return err
	}
	begun = n.opened("journal", begun)
	if n.state, err = openStore(c.Data.Dir, kv.RoleState, c.Data.CacheBytes, n.log, reg); err != nil {
		return err
	}
	begun = n.opened("state store", begun)
	if c.withKafka() {
		n.stages, err = orNone(openCluster(c, secret, n.journal, n.heard, n.state, n.log, reg))
	} else {
		n.stages, err = orNone(openEmbedded(c, secret, n.journal, n.heard, n.state, n.log, reg))
	}
	if err == nil {
		n.opened("stages", begun)
	}
	return err
}

// opened tells how long a part of the start took, which began when the last had ended, and when the next begins.
func (n *node) opened(part string, begun time.Time) time.Time {
	now := time.Now()
	n.log.Info("opened", zap.String("part", part), zap.Duration("took", now.Sub(begun)))
	return now
}

// orNone keeps a nil pointer from becoming stages.
func orNone[S stages](s S, err error) (stages, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// openStore opens one of the node's stores, in a folder of its name; 0 is the usual size of cache.
func openStore(dir, role string, cacheBytes int64, logger *zap.Logger, reg *prometheus.Registry) (*kv.Store, error) {
	store, err := kv.Open(filepath.Join(dir, role), kv.Options{Role: role, CacheBytes: cacheBytes, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("data.dir: %w", err)
	}
	reg.MustRegister(store.Collector(), store.KeyspaceCollector(keyspaces(role)))
	return store, nil
}

// openEdges binds the listeners. The tracking edge comes first: with --dev its address is part of what is minted. The
// API is opened whatever the roles: for metrics, health and other nodes.
func (n *node) openEdges(keys *ref.Keyring, reg *prometheus.Registry) error {
	c := &n.config
	rules, err := bot.Load(c.Accept.RulesDir)
	if err != nil {
		return fmt.Errorf("accept.rules_dir: %w", err)
	}
	accept, err := pipeline.New(c.Accept, n.journal, rules, keys.ClientKey(), n.log, reg)
	if err != nil {
		return err
	}
	n.accept = accept
	accept.Deny(n.stages.controls().Table())
	accept.Recognise(n.stages.controls().Table())
	if c.has(roleTrack) {
		if n.track, err = track.New(c.Track, keys, accept, n.log, reg); err != nil {
			return err
		}
		if err := n.track.Listen(); err != nil {
			return err
		}
	}
	if c.has(roleInbound) {
		if n.inbound, err = inbound.New(c.Inbound, keys, accept, n.log, reg); err != nil {
			return err
		}
		if err := n.inbound.Listen(); err != nil {
			return err
		}
	}
	d := api.Dependencies{
		Sink: accept, Journal: n.journal, Rules: rulesOf{accept}, PeersOnly: !c.has(roleAPI),
		Controls: n.stages.controls(), SelfOpens: c.Track.Self,
		Ready: n.notReady, Gatherer: reg, Registerer: reg, Clock: time.Now, Log: n.log,
	}
	if c.has(roleAPI) {
		if d.Minter, err = newMinter(*c, keys, n.trackURL()); err != nil {
			return err
		}
	}
	if d.Backup, err = n.backups(); err != nil {
		return err
	}
	n.stages.answer(&d)
	if n.hooks, err = n.newHooks(d.Events, keys, reg); err != nil {
		return err
	}
	d.Webhooks = n.hooks
	if n.api, err = api.New(c.API, d); err != nil {
		return err
	}
	return n.api.Listen()
}

// newHooks makes the webhooks, which deliver those partitions of events that this node has.
func (n *node) newHooks(events []log.Reader, keys *ref.Keyring, reg *prometheus.Registry) (*webhook.Hooks, error) {
	here := slices.DeleteFunc(slices.Clone(events), func(r log.Reader) bool { return r == nil })
	return webhook.New(n.config.Webhooks, webhook.Deps{
		Store: n.state, Controls: n.stages.controls(), Sealer: keys, Events: here, Copied: n.stages.copied(),
		Teller: teller{n.journal}, Logger: n.log, Registerer: reg,
	})
}

// run serves until ctx is done or a part fails, and stops in the order of the data: edges, requests in flight, stages.
func (n *node) run(ctx context.Context) error {
	stages, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	edges, edgeCtx := errgroup.WithContext(ctx)
	backs, stageCtx := errgroup.WithContext(stages)
	backs.Go(func() error { return n.stages.run(stageCtx) })
	backs.Go(func() error { return named("webhooks", n.hooks.Run(stageCtx)) })
	backs.Go(func() error { return keepReleasing(stageCtx) })
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
	edges.Go(func() error {
		return reloadOnHangup(edgeCtx, func() { _, _ = n.accept.ReloadRules() }, func() { _ = n.api.ReloadTokens() })
	})
	for name, run := range n.serving() {
		edges.Go(func() error { return named(name, run(edgeCtx)) })
	}
	n.log.Info("listening", n.addresses()...)
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

// serving lists what has a listener, by role.
func (n *node) serving() map[string]func(context.Context) error {
	serving := map[string]func(context.Context) error{roleAPI: n.api.Run}
	if n.track != nil {
		serving[roleTrack] = n.track.Run
	}
	if n.inbound != nil {
		serving[roleInbound] = n.inbound.Run
	}
	return serving
}

func (n *node) addresses() []zap.Field {
	fields := []zap.Field{zap.Stringer(roleAPI, n.api.Addr())}
	if n.track != nil {
		fields = append(fields, zap.Stringer(roleTrack, n.track.Addr()))
	}
	if n.inbound != nil {
		fields = append(fields, zap.Stringer(roleInbound, n.inbound.Addr()))
	}
	return fields
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
	if n.stages != nil {
		errs = append(errs, n.stages.close())
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
		return append([]api.Problem{{Part: "journal", Reason: err.Error()}}, n.stages.notReady()...)
	}
	return n.stages.notReady()
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

func (n *node) trackURL() string {
	if n.track == nil {
		return n.config.Track.BaseURL
	}
	return boundURL(n.config.Track.BaseURL, n.track.Addr())
}
