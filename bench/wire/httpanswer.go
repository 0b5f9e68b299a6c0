package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Bounds of an answer, which may come from anybody.
const (
	maxHead    = 16 << 10 // also the size of a connection's buffer
	maxBody    = 64 << 20
	maxInterim = 8 // 1xx answers before the final one
	maxLine    = 256
)

// answer reads one HTTP/1.1 answer (RFC 9112) out of a buffer that is filled piece by piece. It keeps what the load is
// interested in and passes over the rest.
type answer struct {
	buf  [maxHead]byte
	r, w int // what is filled and not read yet
	size int // bytes so far

	head    bool // was asked for with HEAD: there is no body
	state   answerState
	interim int
	left    int64 // of the body or the chunk
	body    int64 // seen

	status      int
	length      int64 // Content-Length; -1: none
	chunked     bool
	close       bool // the connection ends with this answer
	gif         bool // Content-Type
	hasLocation bool
}

type answerState uint8

const (
	inHead answerState = iota
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	untilClose
	complete
)

var (
	errNoHTTP      = errors.New("the answer is no HTTP/1.1")
	errLongHead    = fmt.Errorf("the answer's head is longer than %d bytes", maxHead)
	errLongBody    = fmt.Errorf("the answer's body is longer than %d bytes", maxBody)
	errFraming     = errors.New("the answer's Content-Length or Transfer-Encoding is wrong")
	errChunk       = errors.New("the answer's chunks are wrong")
	errInterim     = fmt.Errorf("more than %d interim answers", maxInterim)
	errMore        = errors.New("the server sent more than one answer")
	errCut         = fmt.Errorf("the connection ended within the answer: %w", io.ErrUnexpectedEOF)
	errClosedEarly = errors.New("the server closed the connection instead of answering")
)

// begin is before the next answer.
func (a *answer) begin(head bool) {
	a.r, a.w, a.size, a.body, a.interim = 0, 0, 0, 0, 0
	a.state, a.head, a.status, a.close = inHead, head, 0, false
}

// room is where to read into. It is never empty while the answer is not complete.
func (a *answer) room() []byte {
	if a.r > 0 {
		a.w = copy(a.buf[:], a.buf[a.r:a.w])
		a.r = 0
	}
	return a.buf[a.w:]
}

// filled takes n bytes more and reports whether the answer is complete.
func (a *answer) filled(n int) (bool, error) {
	a.w += n
	a.size += n
	for {
		before, at := a.state, a.r
		if err := a.step(); err != nil {
			return false, err
		}
		if a.state == complete {
			if a.r < a.w {
				return false, errMore
			}
			return true, nil
		}
		if a.state == before && a.r == at {
			return false, nil
		}
	}
}

// ended is the connection's end, and reports whether the answer is complete by that.
func (a *answer) ended() error {
	a.close = true
	switch {
	case a.state == untilClose:
		a.state = complete
		return nil
	case a.size == 0:
		return errClosedEarly
	}
	return errCut
}

// step reads as far as one state goes.
func (a *answer) step() error {
	switch data := a.buf[a.r:a.w]; a.state {
	case inHead:
		return a.stepHead(data)
	case inBody, inChunk, untilClose:
		return a.stepBody(data)
	case inChunkSize:
		return a.stepChunkSize(data)
	case inChunkEnd:
		if len(data) < 2 {
			return nil
		}
		if data[0] != '\r' || data[1] != '\n' {
			return errChunk
		}
		a.r += 2
		a.state = inChunkSize
	case inTrailer:
		return a.stepTrailer(data)
	}
	return nil
}

var (
	headEnd = []byte("\r\n\r\n")
	lineEnd = []byte("\r\n")
	version = []byte("HTTP/1.")
)

func (a *answer) stepHead(data []byte) error {
	if n := min(len(data), len(version)); !bytes.Equal(data[:n], version[:n]) {
		return errNoHTTP
	}
	end := bytes.Index(data, headEnd)
	if end < 0 {
		if len(data) == maxHead {
			return errLongHead
		}
		return nil
	}
	a.r += end + len(headEnd)
	if err := a.readHead(data[:end]); err != nil {
		return err
	}
	if a.status < 200 {
		// 101 would need an Upgrade, which nobody asked for.
		if a.interim++; a.interim > maxInterim || a.status == 101 {
			return errInterim
		}
		return nil
	}
	a.state = inBody
	switch {
	case a.head || a.status == 204 || a.status == 304:
		a.left = 0
	case a.chunked:
		a.state = inChunkSize
	case a.length >= 0:
		a.left = a.length
	default:
		a.state, a.left, a.close = untilClose, maxBody+1, true
	}
	if a.state == inBody && a.left == 0 {
		a.state = complete
	}
	return nil
}

// readHead reads the status line and those fields that matter.
func (a *answer) readHead(head []byte) error {
	line, rest, _ := bytes.Cut(head, lineEnd)
	// HTTP/1.1 200 OK
	if len(line) < 12 || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return errNoHTTP
	}
	status, ok := number(line[9:12], 10)
	if !ok || status < 100 {
		return errNoHTTP
	}
	a.status, a.length, a.chunked, a.gif, a.hasLocation = int(status), -1, false, false, false
	a.close = line[7] == '0'
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, lineEnd)
		if err := a.readField(line); err != nil {
			return err
		}
	}
	if a.chunked && a.length >= 0 {
		return errFraming // RFC 9112 §6.3: it might be an attempt to smuggle
	}
	return nil
}

// readField reads one header field. Names are told apart by their length first, which is cheap.
func (a *answer) readField(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return errNoHTTP
	}
	name, value := line[:colon], line[colon+1:]
	switch len(name) {
	case len("location"):
		a.hasLocation = a.hasLocation || fold(name, "location") && len(bytes.TrimSpace(value)) > 0
	case len("connection"):
		if fold(name, "connection") {
			a.readConnection(value)
		}
	case len("content-type"):
		if fold(name, "content-type") {
			a.gif = bytes.HasPrefix(bytes.TrimSpace(value), []byte("image/gif"))
		}
	case len("content-length"):
		if fold(name, "content-length") {
			n, ok := number(bytes.TrimSpace(value), 10)
			if !ok || a.length >= 0 && a.length != n {
				return errFraming
			}
			if n > maxBody {
				return errLongBody
			}
			a.length = n
		}
	case len("transfer-encoding"):
		if fold(name, "transfer-encoding") {
			if a.chunked || !fold(bytes.TrimSpace(value), "chunked") {
				return errFraming // of others nobody asked for, and without chunked they last until the end
			}
			a.chunked = true
		}
	}
	return nil
}

func (a *answer) readConnection(value []byte) {
	for len(value) > 0 {
		var token []byte
		token, value, _ = bytes.Cut(value, []byte(","))
		switch token = bytes.TrimSpace(token); {
		case fold(token, "close"):
			a.close = true
		case fold(token, "keep-alive"):
			a.close = false // of HTTP/1.0
		}
	}
}

func (a *answer) stepBody(data []byte) error {
	n := min(int64(len(data)), a.left)
	a.r += int(n)
	a.left -= n
	if a.body += n; a.body > maxBody {
		return errLongBody
	}
	if a.left == 0 {
		switch a.state {
		case inBody:
			a.state = complete
		case inChunk:
			a.state = inChunkEnd
		}
	}
	return nil
}

func (a *answer) stepChunkSize(data []byte) error {
	end := bytes.IndexByte(data, '\n')
	if end < 0 && len(data) <= maxLine {
		return nil
	}
	if end < 1 || end > maxLine || data[end-1] != '\r' {
		return errChunk
	}
	size, _, _ := bytes.Cut(data[:end-1], []byte(";")) // extensions may be passed over
	n, ok := number(bytes.TrimRight(size, " \t"), 16)
	if !ok {
		return errChunk
	}
	if a.body+n > maxBody {
		return errLongBody
	}
	a.r += end + 1
	a.left = n
	a.state = inChunk
	if n == 0 {
		a.state = inTrailer
	}
	return nil
}

func (a *answer) stepTrailer(data []byte) error {
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		if len(data) == maxHead {
			return errLongHead
		}
		return nil
	}
	a.r += end + 1
	if a.body += int64(end); a.body > maxBody { // endless trailers are a long body, too
		return errLongBody
	}
	if line := data[:end]; len(line) == 0 || len(line) == 1 && line[0] == '\r' {
		a.state = complete
	}
	return nil
}

// fold compares with a lower-case name.
func fold(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i := range b {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// number reads digits, and nothing else, of a number below 2^56.
func number(b []byte, base int64) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	for _, c := range b {
		d := int64(99)
		switch {
		case '0' <= c && c <= '9':
			d = int64(c - '0')
		case 'a' <= c && c <= 'f':
			d = int64(c-'a') + 10
		case 'A' <= c && c <= 'F':
			d = int64(c-'A') + 10
		}
		if d >= base || n >= 1<<52 {
			return 0, false
		}
		n = n*base + d
	}
	return n, true
}
