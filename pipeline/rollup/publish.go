package rollup

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// SenderScores is the value of a record of the log of scores, as JSON: a sender's scores over every window. The record's
// key is account/sender, and the log is compacted: its newest record of a key counts.
type SenderScores struct {
	Account string           `json:"account"`
	Sender  string           `json:"sender"`
	AsOf    Stamp            `json:"as_of"`
	Windows map[string]Score `json:"windows"` // 24h, 7d and 30d
}

// publishedWindows are those of DESIGN §10.
var publishedWindows = [...]time.Duration{24 * time.Hour, 7 * 24 * time.Hour, maxWindow}

const (
	// maxChanged bounds the senders that are remembered to have changed; beyond, all are looked at.
	maxChanged = 1 << 16
	// publishPage is how many senders one commit covers.
	publishPage = 256
)

// publisher brings the scores of senders to a log. What is published is a view: it says how things stood at as_of by the
// wall clock, and is no part of what is exact.
//
//	counted ─▶ changed senders ──▶ every publish_every ─┐
//	senders' table ──────────────▶ every whole hour ────┴▶ other than what was published last? ─▶ scores
//
// Numbers change without a fact too, when an enrollment completes or leaves a window: hence the hours. What was published
// last is kept as a hash, so that an hour, or a restart, publishes no more than what is news.
type publisher struct {
	p    *Partition
	out  log.Writer
	hour time.Time // up to which all senders were looked at
	when func() bool

	mu       sync.Mutex // guards what follows
	senders  map[scope]struct{}
	overflow bool // more changed than senders holds
}

func newPublisher(p *Partition, out log.Writer) *publisher {
	return &publisher{p: p, out: out, when: func() bool { return true }, senders: make(map[scope]struct{})}
}

// changed notes that the senders of some sequences may have new numbers.
func (pb *publisher) changed(names []scope) {
	pb.mu.Lock()
	defer pb.mu.Unlock()
	for _, s := range names {
		pb.note(scope{account: s.account, sender: s.sender})
	}
}

func (pb *publisher) note(s scope) {
	if pb.overflow {
		return
	}
	pb.senders[s] = struct{}{}
	if len(pb.senders) > maxChanged {
		clear(pb.senders)
		pb.overflow = true
	}
}

// take returns the senders that changed since it was called last, in order, or that all may have.
func (pb *publisher) take() (senders []scope, all bool) {
	pb.mu.Lock()
	defer pb.mu.Unlock()
	for s := range pb.senders {
		senders = append(senders, s)
	}
	all = pb.overflow
	clear(pb.senders)
	pb.overflow = false
	slices.SortFunc(senders, func(a, b scope) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.sender, b.sender))
	})
	return senders, all
}

// run publishes until ctx is done, which is no error.
func (pb *publisher) run(ctx context.Context) error {
	pb.hour = time.Now().Truncate(time.Hour)
	tick := time.NewTicker(pb.p.o.PublishEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if pb.p.lag() > int64(pb.p.o.StepRecords) || !pb.when() {
			continue // numbers of a backlog, or of a rebuild, are old ones
		}
		if err := pb.publish(ctx, time.Now()); err != nil {
			return unlessDone(ctx, fmt.Errorf("publish scores: %w", err))
		}
	}
}

// publish publishes what changed, or after a whole hour what changed with it.
func (pb *publisher) publish(ctx context.Context, now time.Time) error {
	senders, all := pb.take()
	if hour := now.Truncate(time.Hour); all || hour.After(pb.hour) {
		if err := pb.publishAll(ctx); err != nil {
			return err
		}
		pb.hour = hour
		return nil
	}
	for page := range slices.Chunk(senders, publishPage) {
		if err := pb.publishPage(ctx, page); err != nil {
			return err
		}
	}
	return nil
}

// publishAll looks at all senders, page by page.
func (pb *publisher) publishAll(ctx context.Context) error {
	table := appendHeader(nil, pb.p.number, tableSender)
	for after := table; after != nil; {
		page, next, err := pb.p.sendersFrom(table, after)
		if err != nil {
			return err
		}
		if err := pb.publishPage(ctx, page); err != nil {
			return err
		}
		after = next
	}
	return nil
}

// sendersFrom returns senders from a key on, and the key at which the next page begins, nil after the last.
func (p *Partition) sendersFrom(table, from []byte) (senders []scope, next []byte, err error) {
	r, err := p.read()
	if err != nil {
		return nil, nil, err
	}
	defer r.close()
	for ok := r.it.SeekGE(from); ok; ok = r.it.Next() {
		names, in := bytes.CutPrefix(r.it.Key(), table)
		if !in {
			break
		}
		if len(senders) == publishPage {
			return senders, bytes.Clone(r.it.Key()), nil
		}
		var s scope
		if s.account, names, err = kv.CutName(names); err != nil {
			return nil, nil, err
		}
		if s.sender, _, err = kv.CutName(names); err != nil {
			return nil, nil, err
		}
		senders = append(senders, s)
	}
	return senders, nil, r.it.Error()
}

// publishPage publishes those of some senders' scores that are news.
func (pb *publisher) publishPage(ctx context.Context, senders []scope) error {
	b := pb.p.store.NewBatch()
	defer func() { _ = b.Close() }()
	recs, err := pb.news(senders, event.Now(), b)
	if err != nil || len(recs) == 0 {
		return err
	}
	if err := pb.out.Write(ctx, b, recs); err != nil {
		return err
	}
	if err := pb.p.store.Commit(b); err != nil {
		return err
	}
	pb.out.Committed()
	pb.p.metrics.published.Add(float64(len(recs)))
	return nil
}

// news returns the records of those senders whose scores are others than were published last, and notes them in b.
func (pb *publisher) news(senders []scope, asOf event.Millis, b *kv.Batch) (recs []log.Record, err error) {
	r, err := pb.p.read()
	if err != nil {
		return nil, err
	}
	defer r.close()
	for _, s := range senders {
		v, err := r.allWindows(s, asOf)
		if err != nil {
			return nil, err
		}
		hash, err := v.hash()
		if err != nil {
			return nil, err
		}
		key := s.appendSender(appendHeader(nil, pb.p.number, tablePublished))
		last, _, err := pb.p.store.Get(nil, key)
		if err != nil {
			return nil, fmt.Errorf("read what was published: %w", err)
		}
		if bytes.Equal(last, hash) {
			continue
		}
		value, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("encode scores: %w", err)
		}
		if err := b.Set(key, hash, nil); err != nil {
			return nil, fmt.Errorf("note what is published: %w", err)
		}
		recs = append(recs, log.Record{Time: asOf, Key: event.AppendSenderKey(nil, s.account, s.sender), Value: value})
	}
	return recs, nil
}

// allWindows returns the scores of a sender over every window.
func (r *reading) allWindows(s scope, asOf event.Millis) (*SenderScores, error) {
	v := &SenderScores{Account: s.account, Sender: s.sender, AsOf: Stamp(asOf), Windows: make(map[string]Score, len(publishedWindows))}
	for _, window := range publishedWindows {
		m, err := newMoment(window, asOf)
		if err != nil {
			return nil, err
		}
		if v.Windows[m.windowName()], err = r.score(s.whole(), m); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// hash returns what the table of what was published holds of v: a version byte, and the first 16 bytes of SHA-256 over
// the JSON with every as_of zero.
func (v *SenderScores) hash() ([]byte, error) {
	timeless := SenderScores{Account: v.Account, Sender: v.Sender, Windows: make(map[string]Score, len(v.Windows))}
	for window, s := range v.Windows {
		s.AsOf = 0
		timeless.Windows[window] = s
	}
	text, err := json.Marshal(timeless)
	if err != nil {
		return nil, fmt.Errorf("encode scores: %w", err)
	}
	sum := sha256.Sum256(text)
	return append([]byte{publishedVersion}, sum[:16]...), nil
}
