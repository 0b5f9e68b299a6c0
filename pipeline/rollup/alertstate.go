package rollup

import (
	"encoding/binary"
	"math"
	"slices"

	"carom/pipeline/event"
)

// The rules of alerts. The numbers are stored.
const (
	ruleBounce    byte = iota + 1 // the low end of bounced of sent, over the last day
	ruleComplaint                 // complaint rate, over 7 days
)

// alertState is what is remembered of a sender between two looks at its figures:
//
//	┌─────────┬────────────┬────────────┬───────────┬─────────────┬──────────────┬─────────────────────────────┬─────────
//	│ version │ heard,     │ looked,    │ band, 0   │ better,     │ n, the number│ of each: rule(1), level(8), │ alerts, each with
//	│ 1       │ varint     │ varint     │ for none  │ varint      │ of raised    │ since below, varint         │ its length
//	└─────────┴────────────┴────────────┴───────────┴─────────────┴──────────────┴─────────────────────────────┴─────────
type alertState struct {
	heard  event.Millis // the latest time of a fact
	looked event.Millis // up to which the figures were looked at
	band   byte         // the last sufficient one, by its place from 1
	better event.Millis // since when the band is a better one; 0: it is not
	raised []raised
	untold [][]byte // alerts that were not journaled yet, as JSON of pendingAlert
}

// raised is a threshold that is passed.
type raised struct {
	rule  byte
	level float64
	below event.Millis // since when it is not passed any more; 0: it is
}

// maxRaised bounds what is read: all levels of both rules, of this and other settings.
const maxRaised = 100

func (a *alertState) append(dst []byte) []byte {
	dst = binary.AppendVarint(append(dst, alertVersion), int64(a.heard))
	dst = binary.AppendVarint(dst, int64(a.looked))
	dst = binary.AppendVarint(append(dst, a.band), int64(a.better))
	dst = binary.AppendUvarint(dst, uint64(len(a.raised)))
	for _, r := range a.raised {
		dst = appendUint(append(dst, r.rule), math.Float64bits(r.level), 8)
		dst = binary.AppendVarint(dst, int64(r.below))
	}
	for _, text := range a.untold {
		dst = appendText(dst, text)
	}
	return dst
}

func (a *alertState) decode(value []byte) error {
	s := openValue(value, alertVersion, "state of alerts")
	*a = alertState{heard: s.millis(), looked: s.millis(), band: s.byte(), better: s.millis()}
	for range s.count(maxRaised) {
		a.raised = append(a.raised, raised{s.byte(), math.Float64frombits(s.uint(8)), s.millis()})
	}
	for len(s.rest) > 0 {
		a.untold = append(a.untold, slices.Clone(s.text()))
	}
	return s.end()
}

// rearm is how long a figure must be on the right side again before its next crossing is one, in milliseconds of what the
// figures speak of.
const rearm event.Millis = 3600_000

// crosses notes whether a level is passed at a time, and reports whether that is a crossing.
func (a *alertState) crosses(rule byte, level float64, passed bool, at event.Millis) bool {
	i := slices.IndexFunc(a.raised, func(r raised) bool { return r.rule == rule && r.level == level })
	switch {
	case i < 0 && passed && len(a.raised) < maxRaised:
		a.raised = append(a.raised, raised{rule: rule, level: level})
		return true
	case i < 0:
		return false
	case passed:
		a.raised[i].below = 0
	case a.raised[i].below == 0 || at < a.raised[i].below:
		a.raised[i].below = at
	case at-a.raised[i].below >= rearm:
		a.raised = slices.Delete(a.raised, i, i+1)
	}
	return false
}

// drops notes a band, by its place from 1, and returns the better one that was left; 0 if none was. A better band holds
// once it has lasted, so that a score on the border is told once.
func (a *alertState) drops(band byte, at event.Millis) (from byte) {
	switch {
	case a.band == 0 || band == a.band:
		a.band, a.better = band, 0
	case band < a.band:
		from = a.band
		a.band, a.better = band, 0
	case a.better == 0 || at < a.better:
		a.better = at
	case at-a.better >= rearm:
		a.band, a.better = band, 0
	}
	return from
}
