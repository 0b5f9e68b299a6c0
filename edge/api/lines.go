package api

import (
	"bytes"
	"errors"
	"io"
)

// lineReader cuts a stream into lines and passes over lines that are too long without keeping them. It hands out the
// lines that it has; only fill waits for more.
type lineReader struct {
	r    io.Reader
	most int // bytes of a line without its end
	buf  []byte
	// buf[from:to] was read and not handed out; buf[from:seen] of it has no line end.
	from, seen, to int
	// skipping is set in the middle of a line that is too long.
	skipping bool
	// number is that of the line handed out last, from 1.
	number int
	err    error // why there is no more
}

// firstBuffer is the size of the buffer before a line needs more.
const firstBuffer = 64 << 10

func newLineReader(r io.Reader, most int) *lineReader {
	return &lineReader{r: r, most: most, buf: make([]byte, min(firstBuffer, most+2))}
}

// next returns the next line of what was read, without its end; tooLong in place of one that is. ok is false if none is
// complete. The line is valid until fill is called.
func (l *lineReader) next() (line []byte, tooLong, ok bool) {
	if i := bytes.IndexByte(l.buf[l.seen:l.to], '\n'); i >= 0 {
		line, l.from = l.buf[l.from:l.seen+i], l.seen+i+1
		l.seen = l.from
		return l.hand(line)
	}
	l.seen = l.to
	if errors.Is(l.err, io.EOF) && (l.from < l.to || l.skipping) { // the last line may lack its end, but not be cut off
		line, l.from = l.buf[l.from:l.to], l.to
		return l.hand(line)
	}
	return nil, false, false
}

func (l *lineReader) hand(line []byte) (_ []byte, tooLong, ok bool) {
	l.number++
	line = bytes.TrimSuffix(line, []byte("\r"))
	tooLong = l.skipping || len(line) > l.most
	l.skipping = false
	if tooLong {
		line = nil
	}
	return line, tooLong, true
}

// fill waits until there is more to hand out or the stream has ended.
func (l *lineReader) fill() {
	if l.err != nil {
		return
	}
	if l.from > 0 {
		copy(l.buf, l.buf[l.from:l.to])
		l.seen, l.to, l.from = l.seen-l.from, l.to-l.from, 0
	}
	if l.to > l.most+1 { // longer than the longest line with "\r"
		l.skipping = true
	}
	if l.skipping {
		l.seen, l.to = 0, 0
	}
	if l.to == len(l.buf) {
		l.buf = append(l.buf, make([]byte, min(len(l.buf), l.most+2-len(l.buf)))...)
	}
	var n int
	for n == 0 && l.err == nil {
		n, l.err = l.r.Read(l.buf[l.to:])
	}
	l.to += n
}

// ended reports whether there is no more to read.
func (l *lineReader) ended() bool { return l.err != nil }

// cause returns why the stream ended before its time; nil if it ended well.
func (l *lineReader) cause() error {
	if errors.Is(l.err, io.EOF) {
		return nil
	}
	return l.err
}
