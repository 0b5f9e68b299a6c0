package mailbox

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
)

// ErrTooLarge is the error of a mail that is larger than the bound. It is passed over; the next one can be read.
var ErrTooLarge = errors.New("mail too large")

const (
	// windowSize is how much of a file is looked at at once.
	windowSize = 256 << 10
	// maxEmptyReads is how often a source may give nothing before it counts as broken.
	maxEmptyReads = 100
)

// Reader reads one mail, or all mails of an mbox, as it finds them. The zero value is ready for Reset. It is no use to
// several goroutines at once.
type Reader struct {
	src     io.Reader
	zip     *gzip.Reader // kept for the next file
	maxMail int
	mbox    bool
	lengths bool // no Content-Length was wrong so far

	// window[at:end] is what was read and not yet given out.
	window  []byte
	at, end int
	stopped error // io.EOF, or what else ended the source

	more bool // a further mail begins at the window's
	done bool
}

// Reset makes r read src: one mail, whatever it begins with, if single. It may be gzip'd. No mail may be larger than
// maxMail bytes.
func (r *Reader) Reset(src io.Reader, single bool, maxMail int) error {
	if r.window == nil {
		r.window = make([]byte, windowSize)
	}
	r.maxMail, r.more, r.done, r.lengths = maxMail, false, false, true
	r.begin(src)
	if bytes.HasPrefix(r.rest(), []byte{0x1f, 0x8b, 8}) { // RFC 1952 §2.3.1: the magic, and deflate
		if err := r.unzip(); err != nil {
			return err
		}
	}
	r.mbox = !single && bytes.HasPrefix(r.rest(), []byte(fromLine))
	return nil
}

// begin reads enough of src to tell what it is.
func (r *Reader) begin(src io.Reader) {
	r.src, r.at, r.end, r.stopped = src, 0, 0, nil
	for r.end < len(fromLine) && r.stopped == nil {
		r.fill()
	}
}

// unzip begins anew with what the file is the compressed form of.
func (r *Reader) unzip() error {
	rest := io.Reader(ended{r.stopped})
	if r.stopped == nil {
		rest = r.src
	}
	packed := io.MultiReader(bytes.NewReader(bytes.Clone(r.rest())), rest)
	var err error
	if r.zip == nil {
		r.zip, err = gzip.NewReader(packed)
	} else {
		err = r.zip.Reset(packed)
	}
	if err != nil {
		return err
	}
	r.begin(r.zip)
	return nil
}

// ended is a reader that has nothing more.
type ended struct{ err error }

func (e ended) Read([]byte) (int, error) { return 0, e.err }

// rest is what was read and not yet given out.
func (r *Reader) rest() []byte { return r.window[r.at:r.end] }

// fill reads more into the window.
func (r *Reader) fill() {
	r.end = copy(r.window, r.rest())
	r.at = 0
	for range maxEmptyReads {
		n, err := r.src.Read(r.window[r.end:])
		if r.end += n; err != nil {
			r.stopped = err
			return
		}
		if n > 0 {
			return
		}
	}
	r.stopped = io.ErrNoProgress
}

// More reports whether a further mail follows the one that Next gave last.
func (r *Reader) More() bool { return r.more }

// Next appends the next mail to dst. After an error dst is as it was: io.EOF at the end, ErrTooLarge of a mail that was
// passed over, and whatever else the source says, which ends the reading. A file without a byte is one empty mail.
func (r *Reader) Next(dst []byte) ([]byte, error) {
	if r.done {
		return dst, io.EOF
	}
	start, size := len(dst), 0
	if mail, raw, is := r.byLength(dst); is {
		if r.done && !errors.Is(r.stopped, io.EOF) {
			return dst, r.stopped
		}
		if !raw {
			mail = unquote(mail, start)
		}
		return mail, nil
	}
	take := func(n int) { // moves n bytes of the window to dst
		if size += n; size <= r.maxMail {
			dst = append(dst, r.window[r.at:r.at+n]...)
		}
		r.at += n
	}
	for from := r.at; ; {
		cut, found := r.separator(from)
		if found {
			take(cut - r.at)
			r.more = true
			break
		}
		if r.stopped != nil {
			take(r.end - r.at)
			r.more, r.done = false, true
			break
		}
		take(max(0, cut-lookBehind-r.at))
		if size > r.maxMail && !r.mbox {
			r.done = true
			return dst[:start], ErrTooLarge
		}
		from = cut - r.at // where it will be after fill
		r.fill()
	}
	if r.done && !errors.Is(r.stopped, io.EOF) {
		return dst[:start], r.stopped
	}
	if size > r.maxMail {
		return dst[:start], ErrTooLarge
	}
	if r.mbox {
		dst = unquote(dst, start)
	}
	return dst, nil
}
