package burst

import (
	"slices"
	"time"

	"carom/pipeline/event"
)

// Judge returns of each hit what is found about it, in out, which grows as needed. hits are all of one message that are
// at hand, in canonical order (Compare). The work grows with their number and with how many fall into one window: the
// caller bounds both.
func (o *Options) Judge(m Message, hits []Hit, out []Verdict) []Verdict {
	out = slices.Grow(out[:0], len(hits))[:len(hits)]
	for i := range hits {
		out[i] = Verdict{Verdict: hits[i].Verdict}
	}
	if !m.Shared {
		o.byLinks(hits, out)
	}
	for i := range hits {
		if h := &hits[i]; h.Kind == event.Open && (m.Opened == 0 || h.Time < m.Opened) {
			m.Opened = h.Time
		}
	}
	for i := range hits {
		h := &hits[i]
		if h.Fixed {
			out[i] = h.Final
			out[i].First = false
			continue
		}
		o.judge(&m, hits, i, out)
		o.weigh(h, &out[i])
	}
	o.repeats(hits, out)
	firsts(hits, out)
	return out
}

func millis(d time.Duration) event.Millis { return event.Millis(d.Milliseconds()) }

// judge decides about one hit; out[i] has what byLinks found.
func (o *Options) judge(m *Message, hits []Hit, i int, out []Verdict) {
	h, v := &hits[i], &out[i]
	found := v.Reasons
	v.Reasons = 0
	switch {
	case h.Verdict == event.Self:
		return
	case h.trap():
		v.Verdict, v.Reasons = event.Scanner, Honeypot
		return
	case h.Verdict.Machine():
		return
	}
	if h.Soon.Within > 0 && m.within(h.Time, h.Soon.Within) {
		v.Verdict, v.Reasons = h.Soon.Verdict, Early
		if v.Verdict.Machine() {
			return
		}
	}
	if h.Kind == event.Click {
		found |= o.nearby(m, hits, i)
		if bursts := found & (BurstAddress | BurstLinks | HoneypotNear); bursts != 0 {
			v.Verdict = event.Scanner
			v.Reasons |= bursts
			return
		}
		v.Reasons |= found
		if m.within(h.Time, millis(o.EarlyClick)) {
			v.Reasons |= EarlyClick
		}
		if m.Opened == 0 || m.Opened > h.Time {
			v.Reasons |= ClickWithoutOpen
		}
		return
	}
	if m.within(h.Time, millis(o.EarlyOpen)) {
		v.Reasons |= EarlyOpen
	}
}

// trap reports whether h is a click on the honeypot that betrays its maker; a sender may try his own.
func (h *Hit) trap() bool { return h.Honeypot && h.Kind == event.Click && h.Verdict != event.Self }

// evidence reports whether h is a click that bears on others.
func (h *Hit) evidence() bool { return h.Kind == event.Click && h.Verdict != event.Self }

// within reports whether a time is less than so long after delivery, or after sending if the delivery isn't known. A
// gateway looks at a mail before it has taken it, so a hit may come somewhat before; but one that came longer before its
// delivery than that says that the report of the delivery came late, and tells nothing.
func (m *Message) within(at, so event.Millis) bool {
	if so <= 0 {
		return false
	}
	if m.Delivered != 0 && at-m.Delivered > -so {
		return at-m.Delivered < so
	}
	return m.Sent != 0 && at-m.Sent < so
}

// nearby looks at the clicks around click i.
func (o *Options) nearby(m *Message, hits []Hit, i int) (found Reasons) {
	address, trap, two := millis(o.AddressWindow), millis(o.HoneypotWindow), millis(o.TwoLinksWindow)
	widest := max(address, trap, two)
	h := &hits[i]
	look := func(other *Hit, distance event.Millis) {
		if !other.evidence() || m.Shared && !h.sameAddress(other) {
			return
		}
		if other.trap() && distance <= trap {
			found |= HoneypotNear
		}
		if other.Link == h.Link {
			return
		}
		if address > 0 && distance <= address && h.sameAddress(other) {
			found |= BurstAddress
		}
		if two > 0 && distance <= two {
			found |= TwoLinks
		}
	}
	for j := i - 1; j >= 0 && h.Time-hits[j].Time <= widest; j-- {
		look(&hits[j], h.Time-hits[j].Time)
	}
	for j := i + 1; j < len(hits) && hits[j].Time-h.Time <= widest; j++ {
		look(&hits[j], hits[j].Time-h.Time)
	}
	return found
}

// sameAddress reports whether two hits came from one address, as far as that was kept: the same client has the same.
func (h *Hit) sameAddress(other *Hit) bool {
	return h.Address != 0 && h.Address == other.Address || h.Client != 0 && h.Client == other.Client
}

// byLinks marks the clicks that lie in a window with clicks on enough distinct links. It walks along the clicks and
// remembers when each of the latest links was clicked last: where the last but so many lies within the window, all of
// the window is marked.
func (o *Options) byLinks(hits []Hit, out []Verdict) {
	window := millis(o.LinksWindow)
	if o.Links < 2 || window <= 0 {
		return
	}
	type click struct {
		link uint32
		at   event.Millis
	}
	var latest [maxLinks]click // newest first
	n, marked := 0, 0
	for i := range hits {
		h := &hits[i]
		if !h.evidence() {
			continue
		}
		at := 0
		for at < n && latest[at].link != h.Link {
			at++
		}
		if at == n {
			if n < min(o.Links, maxLinks) {
				n++
			} else {
				at-- // the oldest makes room
			}
		}
		copy(latest[1:at+1], latest[:at])
		latest[0] = click{h.Link, h.Time}
		if n < o.Links || h.Time-latest[n-1].at > window {
			continue
		}
		from := i
		for from > marked && h.Time-hits[from-1].Time <= window {
			from--
		}
		for j := from; j <= i; j++ {
			if hits[j].evidence() {
				out[j].Reasons |= BurstLinks
			}
		}
		marked = i + 1
	}
}

// weigh adds up what alone proves nothing.
func (o *Options) weigh(h *Hit, v *Verdict) {
	if o.Weights.Threshold <= 0 || v.Verdict == event.Self || v.Verdict.Machine() {
		return
	}
	if o.Weights.of(v.Reasons|h.Hints&hints) >= o.Weights.Threshold {
		v.Verdict = event.Scanner
		v.Reasons |= Weights
	}
}

// class brings verdicts together: hits of different classes never hide each other.
func class(v event.Verdict) int {
	switch {
	case v == event.Human:
		return 1
	case v.Machine():
		return 2
	}
	return 0
}

// repeats finds the hits that a recorded one like it shortly precedes. What is fixed stays as it is.
func (o *Options) repeats(hits []Hit, out []Verdict) {
	window := millis(o.Repeat)
	if window <= 0 {
		return
	}
	for i := range hits {
		if hits[i].Fixed {
			continue
		}
		for j := i - 1; j >= 0 && hits[i].Time-hits[j].Time <= window; j-- {
			if !out[j].Repeat && hits[i].like(&hits[j]) && class(out[i].Verdict) == class(out[j].Verdict) {
				out[i].Repeat = true
				break
			}
		}
	}
}

// like reports whether two hits are the same but for their time and verdict.
func (h *Hit) like(other *Hit) bool {
	return h.Kind == other.Kind && h.Link == other.Link && h.Client == other.Client
}

// firsts marks the earliest hit of each kind by a human.
func firsts(hits []Hit, out []Verdict) {
	var open, click bool
	for i := range hits {
		if out[i].Verdict != event.Human || out[i].Repeat {
			continue
		}
		seen := &click
		if hits[i].Kind == event.Open {
			seen = &open
		}
		out[i].First, *seen = !*seen, true
	}
}
