package mailbox

import (
	"bytes"
	"io"
)

// Some writers of mboxes put the length of each mail's body in its header and quote nothing (mboxcl2), or quote all the
// same (mboxcl):
//
//	From alice@example.com Sat Nov 21 10:00:05 2026
//	Content-Length: 13        counts the body, not the blank line behind it
//
//	From Bob, too
//
//	From carol@example.com …  here it must be, or the length is wrong
//
// A length is believed only where the next mail begins there, or the file ends. Other mails have such a field too, of
// whatever wrote it: once one was wrong, no other is asked for in this file, so that lies cost no more than one look.

// maxHeader is how far from a mail's beginning its header must end for a length to be found.
const maxHeader = 64 << 10

// byLength appends the mail at the window's beginning to dst if its header tells a length that is right. raw says that
// nothing is quoted in it.
func (r *Reader) byLength(dst []byte) (mail []byte, raw, is bool) {
	if !r.mbox || !r.lengths {
		return dst, false, false
	}
	size, head := r.length()
	if size < 0 || size > r.maxMail {
		return dst, false, false
	}
	start := len(dst)
	for len(dst)-start < size {
		if r.at == r.end {
			if r.stopped != nil {
				break
			}
			r.fill()
		}
		n := min(size-(len(dst)-start), r.end-r.at)
		dst = append(dst, r.window[r.at:r.at+n]...)
		r.at += n
	}
	if gap, right := r.endsHere(dst[start:], size); right {
		dst = append(dst, r.window[r.at:r.at+gap]...)
		r.at += gap
		r.more = r.at < r.end
		r.done = !r.more
		body := dst[start+head:]
		return dst, bytes.HasPrefix(body, []byte(fromLine)) || bytes.Contains(body, []byte("\n"+fromLine)), true
	}
	r.lengths = false
	r.unread(dst[start:])
	return dst[:start], false, false
}

// length is how long the mail at the window's beginning says that it is, with its header, and how long that is; -1 if it
// does not say.
func (r *Reader) length() (size, head int) {
	for {
		rest := r.rest()
		rest = rest[:min(len(rest), maxHeader)]
		if head = headerEnd(rest); head > 0 {
			n, is := contentLength(rest[:head])
			if !is || n > r.maxMail {
				return -1, head
			}
			return head + n, head
		}
		if len(rest) == maxHeader || r.stopped != nil {
			return -1, 0
		}
		r.fill()
	}
}

// headerEnd returns where the body begins behind the first blank line; 0 if there is none.
func headerEnd(b []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0
		}
		at += i + 1
		for _, end := range [...]string{"\n", "\r\n"} {
			if bytes.HasPrefix(b[at:], []byte(end)) {
				return at + len(end)
			}
		}
	}
}

// contentLength returns what the field Content-Length of a header says.
func contentLength(header []byte) (n int, is bool) {
	const name = "content-length:"
	for line := range bytes.Lines(header) {
		if len(line) < len(name) || line[0]|0x20 != 'c' || !bytes.EqualFold(line[:len(name)], []byte(name)) {
			continue
		}
		digits := bytes.TrimSpace(line[len(name):])
		if len(digits) == 0 || len(digits) > 9 {
			return 0, false
		}
		for _, c := range digits {
			if !isDigit(c) {
				return 0, false
			}
			n = 10*n + int(c-'0')
		}
		return n, true
	}
	return 0, false
}

// endsHere reports whether a mail of a size ends before the window's rest: with it the file ends, or the next "From " line
// follows behind gap bytes of line ends.
func (r *Reader) endsHere(mail []byte, size int) (gap int, right bool) {
	if len(mail) < size {
		return 0, false
	}
	for r.end-r.at < maxFromLine+2*lookBehind && r.stopped == nil {
		r.fill()
	}
	rest := r.rest()
	for gap < len(rest) && gap < 2*lookBehind && (rest[gap] == '\n' || rest[gap] == '\r') {
		gap++
	}
	switch {
	case gap == len(rest):
		return gap, true
	case gap == 0 && !bytes.HasSuffix(mail, []byte("\n")), gap > 0 && rest[gap-1] != '\n', !bytes.HasPrefix(rest[gap:], []byte(fromLine)):
		return 0, false
	}
	line, _, whole := bytes.Cut(rest[gap:min(len(rest), gap+maxFromLine)], []byte("\n"))
	return gap, (whole || r.stopped != nil) && hasTimeAndYear(line)
}

// unread puts back what was taken from before the window.
func (r *Reader) unread(taken []byte) {
	again := append(bytes.Clone(taken), r.rest()...)
	rest := io.Reader(ended{r.stopped})
	if r.stopped == nil {
		rest = r.src
	}
	r.src, r.at, r.end, r.stopped = io.MultiReader(bytes.NewReader(again), rest), 0, 0, nil
}
