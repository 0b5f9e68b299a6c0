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

// minuteOf returns the minute that at lies in. What lies before 1970 is in minute 1, what a key can't hold in the last.
func minuteOf(at event.Millis) uint32 {
	if at <= 0 {
		return 1
	}
	n := int64(at) / minuteMillis
	if int64(at)%minuteMillis != 0 {
		n++
	}
	return uint32(min(n, math.MaxUint32))
}

// hourOf returns the hour that a minute lies in, and which minute of it that is, from 0 to 59.
func hourOf(minute uint32) (hour uint32, in int) {
	return (minute-1)/hourMinutes + 1, int((minute - 1) % hourMinutes)
}

// span is the minutes after from, up to and including to.
type span struct{ from, to int64 }

// hours returns the first and the last hour that s touches. s must not be empty.
func (s span) hours() (first, last uint32) {
	first, _ = hourOf(uint32(s.from + 1))
	last, _ = hourOf(uint32(s.to))
	return first, last
}

// within returns which minutes of an hour, counted from 0, lie in s: from is the first, to the one after the last.
func (s span) within(hour uint32) (from, to int) {
	start := (int64(hour) - 1) * hourMinutes
	return int(max(s.from-start, 0)), int(min(s.to-start, hourMinutes))
}

// cohortSpan returns the window of a score: so many whole hours, of which the last is the one that minute lies in, up to
// that minute.
func cohortSpan(minute uint32, hours int64) span {
	hour, _ := hourOf(minute)
	return span{max(0, (int64(hour)-hours)*hourMinutes), int64(minute)}
}

// recentSpan returns the last so many minutes.
func recentSpan(minute uint32, minutes int64) span {
	return span{max(0, int64(minute)-minutes), int64(minute)}
}
