package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	replyBuffer = 8 << 10
	// maxReplyLine is four times what RFC 5321 §4.5.3.1.5 allows.
	maxReplyLine  = 2 << 10
	maxReplyLines = 100

	codeReady     = 220
	codeBye       = 221
	codeTaken     = 250
	codeForwarded = 251
	codeGoOn      = 354
	codeClosing   = 421
)

// ErrGarbage is the error of an answer that is no SMTP.
var ErrGarbage = errors.New("no SMTP reply")

// reply is one reply. Its text, that of the last line, is valid until the next is read.
type reply struct {
	code int
	text []byte
}

// replyReader reads replies (RFC 5321 §4.2), and takes as many from the network at once as there are.
type replyReader struct {
	in      io.Reader
	buf     []byte
	at, end int
	total   int // bytes read so far
}

func (r *replyReader) reset(in io.Reader) { r.in, r.at, r.end = in, 0, 0 }

// waiting is how much was read of what no reply was asked for yet.
func (r *replyReader) waiting() int { return r.end - r.at }

// next reads a reply; each gets the text of every line, if it isn't nil.
func (r *replyReader) next(each func(text []byte)) (reply, error) {
	var whole reply
	for n := 0; ; n++ {
		line, err := r.line()
		if err != nil {
			return reply{}, err
		}
		code, text, more, ok := parseReplyLine(line)
		if !ok || n > 0 && code != whole.code {
			return reply{}, fmt.Errorf("%w: %s", ErrGarbage, words(line))
		}
		if each != nil {
			each(text)
		}
		whole = reply{code, text}
		if !more {
			return whole, nil
		}
		if n == maxReplyLines {
			return reply{}, fmt.Errorf("%w: more than %d lines", ErrGarbage, maxReplyLines)
		}
	}
}

// parseReplyLine reads a line without its CRLF.
func parseReplyLine(line []byte) (code int, text []byte, more, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0, nil, false, false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	switch {
	case len(line) == 3:
		return code, nil, false, true
	case line[3] == ' ' || line[3] == '-':
		return code, line[4:], line[3] == '-', true
	}
	return 0, nil, false, false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// line returns the next line without its CRLF.
func (r *replyReader) line() ([]byte, error) {
	for seen := 0; ; {
		if n := bytes.IndexByte(r.buf[r.at+seen:r.end], '\n'); n >= 0 {
			line := r.buf[r.at : r.at+seen+n]
			r.at += seen + n + 1
			if len(line) == 0 || line[len(line)-1] != '\r' || len(line) > maxReplyLine {
				return nil, fmt.Errorf("%w: %s", ErrGarbage, words(line))
			}
			return line[:len(line)-1], nil
		}
		if seen = r.end - r.at; seen > maxReplyLine {
			return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrGarbage, maxReplyLine)
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more. There is room: what is there is no longer than a line may be.
func (r *replyReader) fill() error {
	if r.at == r.end {
		r.at, r.end = 0, 0
	} else if len(r.buf)-r.end < maxReplyLine {
		r.end = copy(r.buf, r.buf[r.at:r.end])
		r.at = 0
	}
	n, err := r.in.Read(r.buf[r.end:])
	r.end += n
	r.total += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// Refused is a reply that is no success.
type Refused struct {
	Step string // the command that it answers; greeting
	Code int
	Text string // its enhanced code and words, without what differs from mail to mail
}

// Error gives the same text for all refusals of a kind, so that they can be counted.
func (r *Refused) Error() string { return fmt.Sprintf("%s: %d %s", r.Step, r.Code, r.Text) }

func refusedBy(step string, r reply) error { return &Refused{step, r.code, words(r.text)} }

// codeOf is the code of a refusal; 0 of another error.
func codeOf(err error) int {
	var refused *Refused
	if errors.As(err, &refused) {
		return refused.Code
	}
	return 0
}

// maxWords bounds the text of an error, in bytes.
const maxWords = 80

// words is what a server said, printable, bounded, and without the words that differ from mail to mail: addresses, ids and
// numbers, but for an enhanced code at its beginning.
func words(said []byte) string {
	if len(said) > 4*maxWords {
		said = said[:4*maxWords]
	}
	var kept []string
	length := 0
	for i, w := range strings.Fields(strings.ToValidUTF8(string(said), "?")) {
		if i > 0 && strings.ContainsAny(w, "0123456789@<>=") {
			w = "*"
		}
		if w == "*" && len(kept) > 0 && kept[len(kept)-1] == "*" {
			continue
		}
		w = strings.Map(printable, w)
		if length += len(w) + 1; length > maxWords {
			break
		}
		kept = append(kept, w)
	}
	return strings.Join(kept, " ")
}

func printable(c rune) rune {
	if c < ' ' || c > '~' {
		return '?'
	}
	return c
}
