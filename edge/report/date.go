package report

import "time"

var months = [...]string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

// parseDate reads the date-time of RFC 5322 §3.3 with its obsolete forms; the zero time if it is none.
// net/mail's parser knows more forms and costs ten times as much.
func parseDate(b []byte) time.Time {
	s := dateScanner{b: trim(b[:min(len(b), 128)])}
	if s.skipWord() {
		s.skip(',')
	}
	day, ok1 := s.number(2)
	s.skip('-')
	month, ok2 := s.month()
	s.skip('-')
	year, ok3 := s.number(4)
	hour, ok4 := s.number(2)
	ok5 := s.skip(':')
	minute, ok6 := s.number(2)
	second := 0
	if s.skip(':') {
		second, _ = s.number(2)
	}
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) {
		return time.Time{}
	}
	switch {
	case year < 50:
		year += 2000 // RFC 5322 §4.3
	case year < 1000:
		year += 1900
	}
	if day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}
	}
	days := daysBefore(year, month) + int64(day-1)
	seconds := days*86400 + int64(hour*3600+minute*60+second)
	return time.Unix(seconds, 0).UTC().Add(-s.zone())
}

// daysBefore returns how many days lie between 1970 and the first of a month; the year is 0 at least. It counts in years
// that begin in March, so that a leap day is the last of its year.
func daysBefore(year int, month time.Month) int64 {
	y, m := int64(year), int64(month)-3
	if m < 0 {
		y, m = y-1, m+12
	}
	y += 400 // so that nothing below is negative
	return 365*y + y/4 - y/100 + y/400 + (153*m+2)/5 - (719468 + 400*365 + 97)
}

type dateScanner struct{ b []byte }

func (s *dateScanner) blanks() {
	for len(s.b) > 0 && isBlank(s.b[0]) {
		s.b = s.b[1:]
	}
}

// skipWord passes over a day name.
func (s *dateScanner) skipWord() bool {
	n := 0
	for n < len(s.b) && (s.b[n]|0x20)-'a' <= 'z'-'a' {
		n++
	}
	s.b = s.b[n:]
	return n > 0
}

func (s *dateScanner) skip(c byte) bool {
	s.blanks()
	if len(s.b) > 0 && s.b[0] == c {
		s.b = s.b[1:]
		return true
	}
	return false
}

func (s *dateScanner) number(digits int) (n int, ok bool) {
	s.blanks()
	i := 0
	for i < len(s.b) && i < digits && isDigit(s.b[i]) {
		n = n*10 + int(s.b[i]-'0')
		i++
	}
	s.b = s.b[i:]
	return n, i > 0
}

func (s *dateScanner) month() (time.Month, bool) {
	s.blanks()
	if len(s.b) < 3 {
		return 0, false
	}
	name := [3]byte{lower(s.b[0]), lower(s.b[1]), lower(s.b[2])}
	for i := range months {
		if string(name[:]) == months[i] {
			s.skipWord()
			return time.Month(i + 1), true
		}
	}
	return 0, false
}

// zone returns the offset from UTC; names other than those of RFC 5322 §4.3 mean that it is not known.
func (s *dateScanner) zone() time.Duration {
	s.blanks()
	if len(s.b) >= 5 && (s.b[0] == '+' || s.b[0] == '-') {
		sign := s.b[0]
		s.b = s.b[1:]
		hours, ok1 := s.number(2)
		minutes, ok2 := s.number(2)
		d := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
		if !ok1 || !ok2 || hours > 23 || minutes > 59 {
			return 0
		}
		if sign == '-' {
			return -d
		}
		return d
	}
	for _, z := range [...]struct {
		name  string
		hours time.Duration
	}{{"edt", -4}, {"est", -5}, {"cdt", -5}, {"cst", -6}, {"mdt", -6}, {"mst", -7}, {"pdt", -7}, {"pst", -8}} {
		if hasFold(s.b, z.name) {
			return z.hours * time.Hour
		}
	}
	return 0
}
