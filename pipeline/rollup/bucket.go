package rollup

import (
	"math"

	"carom/pipeline/event"
)

// Buckets are whole minutes and hours of UTC, numbered from 1970, and closed on the right: bucket n of a size ends
// with the instant n*size, which belongs to it. So "up to 17:45" is a set of whole buckets, and an enrollment that
// completes at 17:45:00.000 is in it.
const (
	minuteMillis = 60_000
	hourMinutes  = 60
	dayMinutes   = 24 * hourMinutes
)

// minuteOf returns the minute that at lies in. What lies before 1970 is in minute 0, what a key can't hold in the last.
func minuteOf(at event.Millis) uint32 {
	if at <= 0 {
		return 0
	}
	n := int64(at) / minuteMillis
	if int64(at)%minuteMillis != 0 {
		n++
	}
	return uint32(min(n, math.MaxUint32))
}

// hourOf returns the hour that a minute lies in.
func hourOf(minute uint32) uint32 {
	return uint32((uint64(minute) + hourMinutes - 1) / hourMinutes)
}

// span is the minutes after from, up to and including to.
type span struct{ from, to int64 }

// split cuts the whole hours out of s: the minutes before them, the hours, the minutes after them. Parts may be empty.
func (s span) split() (head, hours, tail span) {
	first := (s.from + hourMinutes - 1) / hourMinutes
	last := s.to / hourMinutes
	if first >= last {
		return s, span{}, span{}
	}
	return span{s.from, first * hourMinutes}, span{first, last}, span{last * hourMinutes, s.to}
}

// cohortSpan returns the window of a score: so many whole hours, of which the last is the one that minute lies in, up to
// that minute.
func cohortSpan(minute uint32, hours int64) span {
	from := (int64(hourOf(minute)) - hours) * hourMinutes
	return span{max(0, from), int64(minute)}
}

// recentSpan returns the last so many minutes.
func recentSpan(minute uint32, minutes int64) span {
	return span{max(0, int64(minute)-minutes), int64(minute)}
}
