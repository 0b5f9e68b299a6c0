package result

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unit is a name of a multiple.
type unit struct {
	factor float64
	name   string
}

var (
	timeUnits = []unit{{1, "µs"}, {1e3, "ms"}, {1e6, "s"}}
	byteUnits = []unit{{1, "B"}, {1e3, "kB"}, {1e6, "MB"}, {1e9, "GB"}, {1e12, "TB"}}
)

// inUnits shows v with three digits in the largest unit of which it has one.
func inUnits(v float64, units []unit) string {
	if v <= 0 {
		return "0"
	}
	for i, u := range units {
		text := three(v / u.factor)
		if text != "1,000" && v/u.factor < 1000 || i == len(units)-1 {
			return text + " " + u.name
		}
	}
	panic("BUG: no units")
}

// Micros shows a time: 12.3 µs, 1.23 ms, 4.56 s.
func Micros(v float64) string { return inUnits(v, timeUnits) }

// Bytes shows a size in decimal units.
func Bytes(v float64) string { return inUnits(v, byteUnits) }

// three shows three digits, or all before the point.
func three(v float64) string {
	switch {
	case v >= 99.95:
		return Count(int64(math.Round(v)))
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v == 0:
		return "0"
	case v < 0.0095:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Count shows a number with its thousands parted.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// percent shows a share of 0 to 1.
func percent(share float64) string {
	v := 100 * share
	switch {
	case v == 0:
		return "0 %"
	case v < 0.095:
		return strconv.FormatFloat(v, 'g', 1, 64) + " %"
	case v < 9.95:
		return strconv.FormatFloat(v, 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + " %"
}

// seconds shows a duration of a plan: 30 s, 1.5 s, 10 min.
func seconds(v float64) string {
	if v >= 120 && math.Mod(v, 60) == 0 {
		return Count(int64(v/60)) + " min"
	}
	return short(math.Round(v*10)/10) + " s"
}

// short shows a number without needless zeros, of a scale or a plan.
func short(v float64) string {
	if v >= 10_000 {
		return Count(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// percentileName is p99.9.
func percentileName(p float64) string {
	if p == 100 {
		return "max"
	}
	return "p" + strconv.FormatFloat(p, 'f', -1, 64)
}

// capital begins one of our own texts as a sentence.
func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// plain makes a text of a result fit to be shown on one line of a terminal or a page: what moves the cursor, changes
// colours or the direction of writing is replaced.
func plain(text string, most int) string {
	var b strings.Builder
	n := 0
	for _, c := range text {
		if n++; n > most {
			b.WriteRune('…')
			break
		}
		switch {
		case c == '\n' || c == '\t':
			b.WriteByte(' ')
		case !unicode.IsPrint(c) || c == utf8.RuneError:
			b.WriteRune('�')
		default:
			b.WriteRune(c)
		}
	}
	return strings.TrimSpace(b.String())
}
