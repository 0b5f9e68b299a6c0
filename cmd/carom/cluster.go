package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"carom/edge/api"
	"carom/kv"
	"carom/pipeline/control"
	"carom/pipeline/journal"
	"carom/pipeline/kafka"
	"carom/pipeline/log"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"
	"carom/pipeline/scrub"
	"carom/pipeline/suppress"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// cluster is the pipeline behind the journal when the logs are topics. Of the stages this node has the partitions that
// it owns, each with a state of its own:
//
//	journal ─▶ relay ─▶ raw ─▶ refine ─▶ events ─▶ mirror ─▶ rollup ─▶ scores
//	                              └─▶ addresses ─▶ suppress ─▶ suppressions ─▶ book
//
// Opening needs no broker: what the disk holds is answered at once. A cluster that is away, or does not fit the
// settings, is asked again for ever; meanwhile the edges go on, and the journal keeps what they hear.
type cluster struct {
	config   *Config
	log      *zap.Logger
	state    *kv.Store
	client   *kafka.Client
	producer *kafka.Producer
	control  *control.Controls
	scrub    *scrub.Scrubber // nil for a node that is no worker
	relay    *kafka.Relay    // nil on a node that journals nothing
	keeper   *log.Keeper
	refined  *kafka.Group
	mirrored *kafka.Group
	refines  map[int32]*refining
	rollsUp  map[int32]*rolling
	suppress suppressing
	rejects  []log.Reader
	readers  []*kafka.Reader
	joined   prometheus.Gauge

	mu       sync.Mutex
	problems map[string]string // by part
}

// refining is a partition of raw records.
type refining struct {
	stage *refine.Partition
	goal  goal
}

// rolling is a partition of events: its copy on this node, and the counts.
type rolling struct {
	in     *kafka.Reader
	mirror *log.Mirror
	rollup *rollup.Partition
	goal   goal
	copied atomic.Int64 // the end of the copy when it reached the goal; unknown before
	done   atomic.Bool  // and counted up to there
}

// complete reports whether the copy is.
func (r *rolling) complete() bool { return r.goal.reached(r.mirror.Passed()) }

// counted reports whether the copy is complete and counted.
func (r *rolling) counted() bool {
	if r.done.Load() {
		return true
	}
	if !r.complete() {
		return false
	}
	_, end := r.mirror.Bounds()
	r.copied.CompareAndSwap(unknown, end)
	if r.rollup.Passed() < r.copied.Load() {
		return false
	}
	r.done.Store(true)
	return true
}

// current reports whether the counts are about how things stand, and not about a part of what had been counted, or about
// the time before an absence.
func (r *rolling) current() bool {
	_, end := r.in.Bounds()
	return r.goal.offset.Load() != unknown && r.counted() && end-r.mirror.Passed() <= scoresBehind
}

// goal is how far a partition had come before, on this disk or another. A worker that begins anew with an empty disk
// answers nothing before it is there again: it would deny what was answered yesterday.
type goal struct{ offset atomic.Int64 }

// unknown is the goal until the group's offset is known, from the brokers or from when they were asked last.
const unknown = -1

// reached reports whether passed is as far as the partition had come.
func (g *goal) reached(passed int64) bool {
	offset := g.offset.Load()
	return offset != unknown && passed >= offset
}

// set takes the goal from offsets, if it is there.
func (g *goal) set(offsets map[int32]int64, p int32) {
	offset, ok := offsets[p]
	if !ok {
		offset = unknown
	}
	g.offset.Store(offset)
}

const (
	// scoresBehind is how many events the copy of a partition may be behind while its scores are published.
	scoresBehind = 1000
	// lookEvery is how often the topics are looked at again: one may be deleted and made anew under a running node.
	lookEvery = time.Minute
	// joinEvery is the longest pause between two tries to join the cluster, sayEvery that between two lines that say why
	// it can't.
	joinEvery = 10 * time.Second
	sayEvery  = time.Minute
)

func openCluster(c *Config, secret suppress.Secret, j *journal.Journal, heard, state *kv.Store, logger *zap.Logger, reg prometheus.Registerer) (*cluster, error) {
	if bound, err := journal.Bound(state); err != nil {
		return nil, err
	} else if bound {
		return nil, fmt.Errorf("data.dir: %s holds what was counted without Kafka, which topics can't continue: move that folder away, and the node begins anew with what the journal still holds", state.Dir())
	}
	client, err := kafka.New(c.Kafka, logger, reg)
	if err != nil {
		return nil, err
	}
	k := &cluster{
		config: c, log: logger.Named("cluster"), state: state, client: client, producer: client.NewProducer(reg),
		refines: make(map[int32]*refining), rollsUp: make(map[int32]*rolling),
		joined: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carom_kafka_joined_count", Help: "1 while the cluster fits the settings and the stages run, 0 while the node waits for it.",
		}),
		problems: map[string]string{"kafka": "the brokers have not answered yet"},
	}
	reg.MustRegister(k.joined, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "carom_kafka_problems_count", Help: "What is wrong until somebody mends it: partitions that stopped, and a cluster that does not fit; the log says what.",
	}, func() float64 {
		k.mu.Lock()
		defer k.mu.Unlock()
		return float64(len(k.problems))
	}))
	if err := k.open(secret, j, heard, reg); err != nil {
		return nil, errors.Join(err, k.close())
	}
	return k, nil
}

func (k *cluster) open(secret suppress.Secret, j *journal.Journal, heard *kv.Store, reg prometheus.Registerer) (err error) {
	if k.config.has(roleRelay) || k.config.has(roleRollup) || k.config.suppresses() { // stages journal, too
		if k.relay, err = k.producer.NewRelay(j, j.Incarnation(), k.state, k.log, reg); err != nil {
			return err
		}
		k.relay.OnPassed(func(offset int64) { j.Passed(readerRelay, offset) })
	}
	controls := control.Log{In: k.read(kafka.Controls, 0, reg), Out: k.producer.Controls(), Compacted: true}
	if k.control, err = control.Open(k.config.Control, k.state, controls, k.log, reg); err != nil {
		return err
	}
	if err := k.control.Adopt(heard); err != nil { // what it was told while it was embedded
		return err
	}
	for p := range int32(k.config.Kafka.Partitions) {
		k.rejects = append(k.rejects, k.read(kafka.Rejects, p, reg))
	}
	if k.config.has(roleRefine) {
		if err := k.openRefine(reg); err != nil {
			return err
		}
	}
	if k.config.has(roleRollup) {
		if err := k.openRollup(j, reg); err != nil {
			return err
		}
	}
	if err := k.openSuppress(secret, j, reg); err != nil {
		return err
	}
	k.openScrub(j, reg)
	k.openKeeper(reg)
	return nil
}

// openKeeper makes what trims the copies of events. The topics are the brokers' to keep.
func (k *cluster) openKeeper(reg prometheus.Registerer) {
	var logs []log.Kept
	for _, p := range slices.Sorted(maps.Keys(k.rollsUp)) {
		r := k.rollsUp[p]
		logs = append(logs, log.Kept{Name: fmt.Sprintf("mirror %d", p), Log: r.mirror, Retention: k.config.Events, Passed: r.rollup.Passed})
	}
	k.keeper = log.NewKeeper(logs, k.log, reg)
}

// openScrub makes what rewrites the copies on this disk after an erase.
func (k *cluster) openScrub(j *journal.Journal, reg prometheus.Registerer) {
	if len(k.refines)+len(k.rollsUp) == 0 {
		return
	}
	e := &erases{}
	var logs []scrub.Log
	for _, p := range slices.Sorted(maps.Keys(k.rollsUp)) {
		r := k.rollsUp[p]
		e.rollup = append(e.rollup, r.rollup)
		logs = append(logs, scrubLocal(fmt.Sprintf("mirror %d", p), r.mirror, func(w *scrub.Work) log.Rewriting { return w.Event }, r.rollup.Passed))
	}
	if k.relay != nil {
		logs = append(logs, scrubJournal(j, k.relay.Passed))
	}
	for _, r := range sorted(k.refines) {
		e.stages = append(e.stages, r.stage)
	}
	k.scrub = scrub.New(k.state, e, logs, k.log, reg)
}

func (k *cluster) openRefine(reg prometheus.Registerer) error {
	owned, err := k.config.Kafka.Refines()
	if err != nil {
		return err
	}
	k.refined = k.client.NewGroup(roleRefine, kafka.Raw, reg)
	kept, err := k.refined.Kept(k.state)
	if err != nil {
		return err
	}
	for _, p := range owned {
		// Writers of its own: one stage owns a writer.
		out := refine.Outputs{Events: k.producer.Events(), Addresses: k.producer.Addresses(), Rejects: k.producer.Rejects(p)}
		stage, err := refine.Open(k.config.Refine.Share(len(owned)), k.state, k.read(kafka.Raw, p, reg), out, k.producer.Ticker(p), k.log, reg)
		if err != nil {
			return err
		}
		stage.RebuildTrimmed()
		stage.OnPassed(func(offset int64) { k.refined.Passed(p, offset) })
		k.refines[p] = &refining{stage: stage}
		k.refines[p].goal.set(kept, p)
	}
	return nil
}

func (k *cluster) openRollup(j *journal.Journal, reg prometheus.Registerer) error {
	owned, err := k.config.Kafka.RollsUp()
	if err != nil {
		return err
	}
	k.mirrored = k.client.NewGroup(roleRollup, kafka.Events, reg)
	kept, err := k.mirrored.Kept(k.state)
	if err != nil {
		return err
	}
	for _, p := range owned {
		r := &rolling{in: k.read(kafka.Events, p, reg)}
		r.goal.set(kept, p)
		r.copied.Store(unknown)
		if r.mirror, err = log.OpenMirror(k.state, kv.LogEvents, p, k.log, reg); err != nil {
			return err
		}
		r.mirror.OnPassed(func(offset int64) { k.mirrored.Passed(p, offset) })
		if r.rollup, err = rollup.Open(k.config.Rollup.Share(len(owned)), k.config.Score, k.state, r.mirror, k.producer.Scores(), k.log, reg); err != nil {
			return err
		}
		r.rollup.PublishWhen(r.current)
		r.rollup.TellAlerts(teller{j}, r.current)
		k.rollsUp[p] = r
	}
	return nil
}

func (k *cluster) read(kind string, partition int32, reg prometheus.Registerer) *kafka.Reader {
	r := k.client.NewReader(kind, partition, reg)
	k.readers = append(k.readers, r)
	return r
}

// run joins the cluster and then runs the stages until ctx is done. What the disk has is counted meanwhile.
func (k *cluster) run(ctx context.Context) error {
	parts, ctx := errgroup.WithContext(ctx)
	for p, r := range k.rollsUp {
		parts.Go(func() error { return k.keep(fmt.Sprintf("rollup %d", p), r.rollup.Run(ctx)) })
	}
	parts.Go(func() error { return k.keep("scrub", runScrub(ctx, k.scrub)) })
	parts.Go(func() error { return k.keep("keeper", k.keeper.Run(ctx)) })
	parts.Go(func() error {
		if k.join(ctx) != nil {
			return nil // told to stop
		}
		k.start(ctx, parts)
		return k.watch(ctx)
	})
	return parts.Wait()
}

// start runs what needs the brokers.
func (k *cluster) start(ctx context.Context, parts *errgroup.Group) {
	parts.Go(func() error { return k.keep("controls", k.control.Run(ctx)) })
	if k.relay != nil {
		parts.Go(func() error { return named("relay", k.relay.Run(ctx)) })
	}
	for p, r := range k.refines {
		parts.Go(func() error { return k.keep(fmt.Sprintf("refine %d", p), r.stage.Run(ctx)) })
	}
	for p, r := range k.rollsUp {
		parts.Go(func() error { return k.keep(fmt.Sprintf("mirror %d", p), r.mirror.Run(ctx, r.in)) })
	}
	parts.Go(func() error { return k.keep(roleSuppress, k.suppress.runStage(ctx)) })
	parts.Go(func() error { return k.keep("suppressions", k.suppress.runBook(ctx)) })
	for _, group := range []*kafka.Group{k.refined, k.mirrored, k.suppress.group} {
		if group != nil {
			parts.Go(func() error { return named("group", group.Run(ctx)) })
		}
	}
}

// keep turns the end of one partition into a problem of the node: the others go on, and a supervisor that started the
// node anew would meet the same again. Only a broken store ends the node.
func (k *cluster) keep(part string, err error) error {
	err = named(part, err)
	if err == nil || k.state.Err() != nil {
		return err
	}
	k.log.Error("a partition stopped; the others go on", zap.Error(err))
	k.set(part, err.Error())
	return nil
}

// join waits until the cluster answers, fits the settings, and has the topics that this node knows. It returns an error
// only if ctx is done.
func (k *cluster) join(ctx context.Context) error {
	var said time.Time
	var last string
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, joinEvery) {
		err := k.look(ctx)
		if err == nil {
			err = k.resume(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			break
		}
		k.set("kafka", err.Error())
		if err.Error() != last || time.Since(said) > sayEvery {
			last, said = err.Error(), time.Now()
			k.log.Error("waiting for Kafka; what is heard stays in the journal", zap.Error(err))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if k.config.Kafka.Worker >= 0 && len(k.config.Kafka.Workers) == 0 {
		k.log.Warn("kafka.worker is set and kafka.workers is empty: this node takes all partitions")
	}
	k.set("kafka", "")
	k.joined.Set(1)
	k.log.Info("joined the cluster", zap.Strings("brokers", k.config.Kafka.Brokers),
		zap.Int("refines", len(k.refines)), zap.Int("rolls-up", len(k.rollsUp)), zap.Bool("relays", k.relay != nil))
	return nil
}

// look checks that the cluster and its topics are those that the settings and the state on disk mean.
func (k *cluster) look(ctx context.Context) error {
	if err := k.client.Check(ctx); err != nil {
		return err
	}
	topics, err := k.client.Topics(ctx)
	if err != nil {
		return err
	}
	return kafka.Bind(k.state, topics)
}

// resume tells each partition how far it had come, maybe on another worker or another disk: refine ships nothing again
// that was shipped before, and nobody answers before he is there.
func (k *cluster) resume(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.config.Kafka.RequestTimeout)
	defer cancel()
	shipped, err := committed(ctx, k.refined, k.state, slices.Collect(maps.Keys(k.refines)))
	if err != nil {
		return err
	}
	mirrored, err := committed(ctx, k.mirrored, k.state, slices.Collect(maps.Keys(k.rollsUp)))
	if err != nil {
		return err
	}
	for p, r := range k.refines {
		r.stage.Shipped(shipped[p])
		r.goal.set(shipped, p)
	}
	for p, r := range k.rollsUp {
		r.goal.set(mirrored, p)
	}
	return nil
}

// committed returns the group's offsets of the partitions that this node owns, 0 where there is none, and keeps them for
// a start while the brokers are away. Without the group there are none.
func committed(ctx context.Context, g *kafka.Group, state *kv.Store, owned []int32) (map[int32]int64, error) {
	if g == nil {
		return nil, nil
	}
	all, err := g.Committed(ctx)
	if err != nil {
		return nil, err
	}
	offsets := make(map[int32]int64, len(owned))
	for _, p := range owned {
		offsets[p] = all[p]
	}
	return offsets, g.Keep(state, offsets)
}

// watch looks at the topics now and then.
func (k *cluster) watch(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		err := k.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil, errors.Is(err, kafka.ErrUnreachable): // the relay and the readers tell of an outage
			k.set("kafka", "")
		default:
			k.log.Error("the cluster no longer fits", zap.Error(err))
			k.set("kafka", err.Error())
		}
		k.remind()
	}
}

// remind says again which partitions have stopped.
func (k *cluster) remind() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for part, reason := range k.problems {
		if part != "kafka" {
			k.log.Error("a partition has stopped; start the node anew when it is mended", zap.String("part", part), zap.String("reason", reason))
		}
	}
}

// set notes what is wrong with a part; nothing if text is empty.
func (k *cluster) set(part, text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if text == "" {
		delete(k.problems, part)
		return
	}
	k.problems[part] = text
}

// notReady says why a node that is only a worker should not be asked. An edge should get its traffic whatever Kafka
// does: its journal keeps it.
func (k *cluster) notReady() []api.Problem {
	if k.config.has(roleTrack) || k.config.has(roleInbound) || k.config.has(roleAPI) {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []api.Problem
	for _, part := range slices.Sorted(maps.Keys(k.problems)) {
		list = append(list, api.Problem{Part: part, Reason: k.problems[part]})
	}
	for _, text := range k.producer.Trouble() {
		list = append(list, api.Problem{Part: "kafka", Reason: text})
	}
	return list
}

func (k *cluster) copied() func(int32) (int64, bool) {
	return func(partition int32) (int64, bool) {
		r := k.rollsUp[partition]
		if r == nil {
			return 0, false
		}
		offset := r.goal.offset.Load()
		return offset, offset != unknown
	}
}

func (k *cluster) controls() *control.Controls { return k.control }

func (k *cluster) close() error {
	var errs []error
	for _, r := range k.readers {
		errs = append(errs, r.Close())
	}
	return errors.Join(append(errs, k.producer.Close(), k.client.Close())...)
}
