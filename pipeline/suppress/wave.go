package suppress

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"carom/kv"
	"carom/pipeline/event"
)

// rowsAtOnce is how many addresses one commit of a wave covers.
const rowsAtOnce = 512

// wave is a revert or confirm that is being carried out: over the hard bounces of some time, in as many commits as it
// takes, before the next record is read. So it is one decision, made at one place of the log.
type wave struct {
	Decision *wireDecision    `json:"decision"`
	Place    wirePlace        `json:"place"`
	After    []byte           `json:"after,omitempty"` // the key of the row that was handled last
	Counts   map[string]int64 `json:"counts"`
}

func newWave(d *Decision, at wirePlace) *wave {
	return &wave{Decision: d.wire(), Place: at, Counts: map[string]int64{"matched": 0, "changed": 0}}
}

// finishWave carries out the wave that there is, if there is one.
func (p *Partition) finishWave(ctx context.Context) error {
	for p.wave != nil {
		if err := p.step(ctx, p.waveStep); err != nil {
			return err
		}
	}
	return nil
}

// waveStep handles some of the wave's addresses, or ends it.
func (p *Partition) waveStep() error {
	w := p.wave
	p.place = w.Place
	d, err := w.Decision.decision()
	if err != nil {
		return err
	}
	f := d.Order.Filter
	from := kv.AppendUint64(p.table(tableWave), uint64(max(0, f.From)))
	end := kv.PrefixEnd(p.table(tableWave))
	if f.To > 0 {
		end = kv.AppendUint64(p.table(tableWave), uint64(f.To))
	}
	if w.After != nil {
		from = append(w.After, 0)
	}
	var keys [][]byte
	err = p.scan(from, end, func(key, _ []byte) (bool, error) {
		keys = append(keys, key)
		return len(keys) < p.rowsAtOnce, nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := p.waveRow(w, &d.Order, key); err != nil {
			return err
		}
		w.After = key
	}
	if len(keys) == p.rowsAtOnce {
		return p.keepWave()
	}
	p.wave = nil
	d.OK, d.Counts, d.Title = true, w.Counts, "The wave was undone."
	switch {
	case f.DryRun:
		d.Title = "Nothing was changed."
	case d.Order.Op == OpConfirm:
		d.Title = "The wave was applied."
	}
	return errors.Join(p.keepWave(), p.decided(&d, ""))
}

// keepWave writes how far the wave is.
func (p *Partition) keepWave() error {
	if p.wave == nil {
		p.publishOwn([]byte(keyWave), nil)
		return p.drop(p.metaKey(metaWave))
	}
	p.publishOwn([]byte(keyWave), &wireWave{typeWave, p.wave})
	return p.set(p.metaKey(metaWave), encode(p.wave))
}

// wireWave is a wave as the log of suppressions has it.
type wireWave struct {
	Type string `json:"type"`
	Wave *wave  `json:"wave"`
}

// waveRow undoes or applies the hard bounces of one address, of which the row tells one moment.
func (p *Partition) waveRow(w *wave, o *Order, key []byte) error {
	rest := key[headerSize:]
	if len(rest) < 8 {
		return errRow
	}
	at := event.Millis(binary.BigEndian.Uint64(rest))
	account, name, err := cutEntryRef(rest[8:])
	if err != nil {
		return err
	}
	if o.Account != "" && o.Account != account {
		return nil
	}
	e, known, err := p.load(account, name)
	if err != nil || !known {
		return err
	}
	before := e.hard()
	var matched []*bounce
	for i := range e.Messages {
		for j := range e.Messages[i].Bounces {
			b := &e.Messages[i].Bounces[j]
			if b.matches(o.Filter) && !e.settled(b) && !e.Messages[i].lifted(b) && (o.Op == OpRevert || b.Wave) {
				matched = append(matched, b)
			}
		}
	}
	// All of an address are taken at once, when the first row of them comes: so a dry run counts what the other does.
	if first, err := p.firstRow(e, matched); err != nil || first != at {
		return err
	}
	for _, b := range matched {
		w.Counts["matched"]++
		if b.Wave {
			w.Counts["quarantined"]++
		}
		if o.Op == OpConfirm {
			b.Wave = false
		} else {
			b.Reverted = max(o.Time, 1)
		}
	}
	after := e.hard()
	if was, is := stands(before), stands(after); was != is {
		w.Counts["changed"]++
		if was {
			e.remember(before[0], max(o.Time, before[0].Since), OpRevert)
		}
	}
	if o.Filter.DryRun {
		return nil
	}
	return p.keep(e)
}

// firstRow returns the time of the first of bounces that has a row; -1 if none has: those of long ago have lost theirs.
func (p *Partition) firstRow(e *entry, list []*bounce) (event.Millis, error) {
	slices.SortFunc(list, func(x, y *bounce) int { return cmp.Compare(x.Time, y.Time) })
	for _, b := range list {
		if row, err := p.get(p.waveKey(b.Time, e.account, e.name)); err != nil || row != nil {
			return b.Time, err
		}
	}
	return -1, nil
}

// stands reports whether a cause by hard bounces stops mail.
func stands(c []Cause) bool { return len(c) > 0 && c[0].Ended == 0 && !c[0].Quarantined }

// matches reports whether a filter chooses b.
func (b *bounce) matches(f *Filter) bool {
	return b.Hard && b.Time >= f.From && (f.To == 0 || b.Time < f.To) && (f.Provider == "" || f.Provider == b.Provider) && (f.Rule == "" || f.Rule == b.Rule) && (f.Category == "" || f.Category == b.Category)
}
