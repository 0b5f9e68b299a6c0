package inbound

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// readDots reads a mail up to the line with a single dot and takes away the dots that were put before others
// (RFC 5321 §4.5.2).
//
// A line ends in CRLF and in nothing else: a bare CR or LF is content (RFC 5321 §2.3.8, §4.1.1.4). So the end of a mail
// is CRLF.CRLF alone, which is what every careful client takes it for, and nobody can hide a second mail in a first by
// ending it in a way that only we would see. CR CR LF ends a line too, after a line that ends in a CR.
func readDots(in *bufio.Reader, to *body) error {
	lineStart := true
	for {
		if lineStart {
			end, err := readLineStart(in, to)
			if end || err != nil {
				return err
			}
		}
		window, err := peek(in, 1)
		if err != nil {
			return err
		}
		n := lineWithDot(window)
		if lineStart = n >= 0; !lineStart {
			n = len(window) - heldBack(window)
		}
		if n == 0 {
			// All there is may be the beginning of the end. More must come, if only the dot.
			if _, err := peek(in, len(window)+1); err != nil {
				return err
			}
			continue
		}
		if err := to.append(window[:n]); err != nil {
			return err
		}
		_, _ = in.Discard(n)
	}
}

// lineWithDot returns where the first line after CRLF begins that begins with a dot; -1 if none does. It goes from dot to
// dot, of which a mail has fewer than bytes by far.
func lineWithDot(window []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(window[from:], '.')
		if i < 0 {
			return -1
		}
		if i += from; i >= len(crlf) && window[i-1] == '\n' && window[i-2] == '\r' {
			return i
		}
		from = i + 1
	}
}

// readLineStart takes away a dot at the start of a line, or the whole line if that ends the mail.
func readLineStart(in *bufio.Reader, to *body) (end bool, err error) {
	window, err := peek(in, 1)
	if err != nil || window[0] != '.' {
		return false, err
	}
	if window, err = peek(in, len(".\r\n")); err != nil {
		return false, err
	}
	if bytes.HasPrefix(window, []byte(".\r\n")) {
		_, _ = in.Discard(len(".\r\n"))
		return true, nil
	}
	_, _ = in.Discard(1)
	return false, nil
}

// heldBack is how many bytes at the end of a window may be the beginning of CRLF and a dot.
func heldBack(window []byte) int {
	switch {
	case bytes.HasSuffix(window, crlf):
		return 2
	case bytes.HasSuffix(window, crlf[:1]):
		return 1
	}
	return 0
}

// peek returns all that is read ahead, at least n bytes, for which it waits.
func peek(in *bufio.Reader, n int) ([]byte, error) {
	if in.Buffered() < n {
		if _, err := in.Peek(n); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return in.Peek(in.Buffered())
}
