package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"carom/bench/node"
)

// ErrUnequal says that the node counted something else than what was sent.
var ErrUnequal = errors.New("what was counted differs from what was sent")

const (
	settleBound = 90 * time.Second
	pollEvery   = 200 * time.Millisecond
)

// Result is what the day gave.
type Result struct {
	Scores map[string]node.Score
	rows   []row
	equal  bool
}

// row compares one number.
type row struct {
	what          string
	sent, counted int
}

// check waits until the node has worked everything off, then compares. Numbers that stay wrong are reported as such.
func (p *player) check(ctx context.Context, plan []*message) (*Result, error) {
	wantEvents, wantCounts := expectEvents(plan), expectCounts(plan)
	ctx, cancel := context.WithTimeout(ctx, settleBound)
	defer cancel()
	fmt.Fprintf(p.progress, "waiting for the scores\n")
	events := &eventCounter{kinds: make(map[string]int), seen: make(map[string]bool)}
	var result *Result
	for {
		if err := events.catchUp(ctx, p.client); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		scores, err := p.scores(ctx)
		if err == nil {
			result = compare(wantEvents, events, wantCounts, scores)
		} else if !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		if result != nil && (result.equal || ctx.Err() != nil) {
			return result, result.verdict()
		}
		select {
		case <-ctx.Done():
			if result == nil {
				return nil, ctx.Err()
			}
			return result, result.verdict()
		case <-time.After(pollEvery):
		}
	}
}

func (p *player) scores(ctx context.Context) (map[string]node.Score, error) {
	scores := make(map[string]node.Score)
	for _, s := range cast {
		score, err := p.client.Score(ctx, account, s.name)
		if err != nil {
			return nil, err
		}
		scores[s.name] = score
	}
	return scores, nil
}

// eventCounter counts refined events by kind; an event that comes twice is a fault of its own.
type eventCounter struct {
	cursor string
	kinds  map[string]int
	seen   map[string]bool
	twice  int
}

func (e *eventCounter) catchUp(ctx context.Context, c *node.Client) (err error) {
	e.cursor, err = c.Read(ctx, node.Events, account, e.cursor, func(r *node.Event) {
		id := fmt.Sprintf("%s/%d", r.ID, r.Revision)
		if e.seen[id] {
			e.twice++
			return
		}
		e.seen[id] = true
		if r.Revision == 0 && r.Kind != "alert" { // nobody sent those
			e.kinds[r.Kind]++
		}
	})
	return err
}

func compare(wantEvents map[string]int, events *eventCounter, wantCounts map[string]node.Counts, scores map[string]node.Score) *Result {
	r := &Result{Scores: scores}
	kinds := maps.Clone(wantEvents)
	for kind := range events.kinds {
		kinds[kind] += 0
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		r.rows = append(r.rows, row{"events: " + kind, wantEvents[kind], events.kinds[kind]})
	}
	r.rows = append(r.rows, row{"events told twice", 0, events.twice})
	for _, s := range cast {
		wanted, score := wantCounts[s.name], scores[s.name]
		want, got := wanted.List(), score.List()
		for i := range want {
			r.rows = append(r.rows, row{s.name + ": " + want[i].What, want[i].N, got[i].N})
		}
	}
	r.equal = !slices.ContainsFunc(r.rows, func(row row) bool { return row.sent != row.counted })
	return r
}

func (r *Result) verdict() error {
	if r.equal {
		return nil
	}
	return ErrUnequal
}

// WriteScores prints the table of the scores.
func (r *Result) WriteScores(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "sender\t\tcompleted\treply rate\tbounce rate\tscore\tband")
	for _, s := range cast {
		o := r.Scores[s.name]
		band := o.Score.Band
		if !o.Sufficient {
			band = "too few to judge"
		} else if len(o.Score.Bands) > 1 {
			band += " (" + strings.Join(o.Score.Bands, " or ") + ")"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%.0f (%.0f-%.0f)\t%s\n", s.name, s.about, o.Completed,
			percent(o.ReplyRate), percent(o.BounceRate), o.Score.Value, o.Score.Low, o.Score.High, band)
	}
	return t.Flush()
}

func percent(r node.Rate) string {
	return fmt.Sprintf("%.1f %% (%.1f-%.1f)", 100*r.Value, 100*r.Low, 100*r.High)
}

// WriteCounts prints what was sent against what was counted.
func (r *Result) WriteCounts(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tsent\tcounted\t\t")
	for _, row := range r.rows {
		sign := "="
		if row.sent != row.counted {
			sign = "DIFFERS"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t\n", row.what, row.sent, row.counted, sign)
	}
	return t.Flush()
}
