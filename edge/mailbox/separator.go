package mailbox

import "bytes"

// fromLine is what the first line of each mail of an mbox begins with: RFC 4155 §A.
const fromLine = "From "

const (
	// lookBehind is what must be known of the bytes before a line end, to see whether the line is blank.
	lookBehind = 2
	// maxFromLine is the longest "From " line: an address with room to spare, and a date.
	maxFromLine = 1 << 10
	// maxFieldName is the longest name of a header field with the blanks and the colon behind it.
	maxFieldName = 128
)

// separator looks for the next mail's "From " line in the window, from index from on. cut is where it begins. If none is
// found, cut is where to look again once more of the file is in the window.
func (r *Reader) separator(from int) (cut int, found bool) {
	if !r.mbox {
		return r.end, false
	}
	const sign = "\n" + fromLine
	for {
		i := bytes.Index(r.window[from:r.end], []byte(sign))
		if i < 0 {
			return max(from, r.end-len(sign)+1), false
		}
		from += i
		is, known := separates(r.window[r.at:from], r.window[from+1:r.end], r.stopped != nil)
		switch {
		case !known:
			return from, false
		case is:
			return from + 1, true
		}
		from++
	}
}

// separates reports whether a mail begins at text, which begins with "From " and follows before and a line end: its line
// has a time and a year, and two of three signs: a blank line before it, a weekday and a month, a header behind it. It is
// not known as long as too little of text is there, unless all of it is.
func separates(before, text []byte, all bool) (is, known bool) {
	end := bytes.IndexByte(text[:min(len(text), maxFromLine)], '\n')
	if end < 0 {
		return false, all || len(text) >= maxFromLine
	}
	line, next := text[:end], text[end+1:]
	if len(next) < maxFieldName && bytes.IndexByte(next, '\n') < 0 && !all {
		return false, false
	}
	if !hasTimeAndYear(line) {
		return false, true
	}
	signs := 0
	for _, sign := range [...]bool{
		bytes.HasSuffix(before, []byte("\n")) || bytes.HasSuffix(before, []byte("\n\r")),
		hasWord(line, weekdays) && hasWord(line, months),
		beginsHeader(next),
	} {
		if sign {
			signs++
		}
	}
	return signs >= 2, true
}

// beginsHeader reports whether text may be what is behind a "From " line: a field, a further envelope line, or the end. A
// blank line is no sign: a sentence that is a paragraph has one too.
func beginsHeader(text []byte) bool {
	if len(text) == 0 {
		return true
	}
	if bytes.HasPrefix(text, []byte(fromLine)) || bytes.HasPrefix(text, []byte(">"+fromLine)) {
		return true
	}
	text = text[:min(len(text), maxFieldName)]
	i := 0
	for i < len(text) && text[i] > ' ' && text[i] < 0x7f && text[i] != ':' {
		i++
	}
	name := i
	for i < len(text) && (text[i] == ' ' || text[i] == '\t') {
		i++
	}
	return name > 0 && i < len(text) && text[i] == ':'
}

// hasTimeAndYear reports whether a line names a time (9:05) and a year of this century or the last (1999), which
// "From " lines of all writers do, in whatever order.
func hasTimeAndYear(line []byte) bool {
	var clock, year bool
	for i := 0; i < len(line); {
		if !isDigit(line[i]) {
			i++
			continue
		}
		start := i
		for i < len(line) && isDigit(line[i]) {
			i++
		}
		number := line[start:i]
		if len(number) <= 2 && i+2 < len(line) && line[i] == ':' && isDigit(line[i+1]) && isDigit(line[i+2]) {
			clock = true
		}
		if len(number) == 4 && (bytes.HasPrefix(number, []byte("19")) || bytes.HasPrefix(number, []byte("20"))) {
			year = true
		}
	}
	return clock && year
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// The names that a date has: RFC 5322 §3.3.
const (
	weekdays = " Mon Tue Wed Thu Fri Sat Sun "
	months   = " Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec "
)

// hasWord reports whether one of three-letter words is a word of line.
func hasWord(line []byte, words string) bool {
	for word := range bytes.FieldsSeq(line) {
		if word = bytes.TrimSuffix(word, []byte(",")); len(word) == 3 && bytes.Contains([]byte(words), word) {
			return true
		}
	}
	return false
}

// unquote takes back what mboxrd does to b[start:]: one ">" before lines that begin with "From " and any number of ">".
func unquote(b []byte, start int) []byte {
	const sign = ">" + fromLine
	to := start // what was looked at ends here
	for at := start; ; {
		i := bytes.Index(b[at:], []byte(sign))
		if i < 0 {
			return b[:to+copy(b[to:], b[at:])]
		}
		quotes := i
		for quotes > 0 && b[at+quotes-1] == '>' {
			quotes--
		}
		drop := 0
		if quotes > 0 && b[at+quotes-1] == '\n' {
			drop = 1
		}
		to += copy(b[to:], b[at:at+i])
		at += i + drop
		to += copy(b[to:], b[at:at+len(sign)-drop])
		at += len(sign) - drop
	}
}
