package targets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"carom/edge/mailbox"
)

const (
	crlf = "\r\n"
	// maxCorpus bounds the mails that are kept in memory to be sent, in bytes; what lies beyond is left out.
	maxCorpus = 512 << 20
	// maxAddresses bounds a file of addresses, in bytes.
	maxAddresses = 64 << 20
	// maxPath bounds an address (RFC 5321 §4.5.3.1.3).
	maxPath = 254
)

// CorpusOptions say to whom mails of one's own are sent.
type CorpusOptions struct {
	From       string
	To         []string
	Recipients int // of each mail
}

// Corpus is mails of one's own, which are sent over and over, in their order, to all addresses in turn.
type Corpus struct {
	o        CorpusOptions
	mails    []Mail
	addrs    [][]byte
	leftOut  int
	nextMail atomic.Int64
	nextAddr atomic.Int64
}

// ReadCorpus reads the mails of a file, an mbox, a Maildir or a folder of such.
func ReadCorpus(path string, o CorpusOptions) (*Corpus, error) {
	if o.Recipients < 1 || o.Recipients > MaxRecipients || o.Recipients > len(o.To) {
		return nil, fmt.Errorf("%d recipients: want 1 to %d, and as many addresses", o.Recipients, MaxRecipients)
	}
	if o.From != "" {
		if err := checkAddress(o.From); err != nil {
			return nil, err
		}
	}
	c := &Corpus{o: o}
	for _, a := range o.To {
		if err := checkAddress(a); err != nil {
			return nil, err
		}
		c.addrs = append(c.addrs, []byte(a))
	}
	if err := c.read(path); err != nil {
		return nil, err
	}
	if len(c.mails) == 0 {
		return nil, fmt.Errorf("%s: there are no mails", path)
	}
	return c, nil
}

// Mails returns how many mails there are, and how many were left out because the memory for them is bounded.
func (c *Corpus) Mails() (kept, leftOut int) { return len(c.mails), c.leftOut }

// read reads a file or a folder.
func (c *Corpus) read(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	var r mailbox.Reader
	size := 0
	file := func(f mailbox.File, err error) error {
		if err != nil {
			return err
		}
		if err := c.readFile(&r, f, &size); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		return nil
	}
	if info.IsDir() {
		return mailbox.Walk(path, file)
	}
	return file(mailbox.NewFile(path), nil)
}

func (c *Corpus) readFile(r *mailbox.Reader, f mailbox.File, size *int) error {
	src, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := r.Reset(src, f.Single, maxMailSize); err != nil {
		return err
	}
	for {
		text, err := r.Next(nil)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, mailbox.ErrTooLarge), err == nil && *size+len(text) > maxCorpus:
			c.leftOut++
			continue
		case err != nil:
			return err
		}
		if bytes.HasPrefix(text, []byte("From ")) { // an mbox's own line
			_, text, _ = bytes.Cut(text, []byte("\n"))
		}
		m := NewMail(text)
		m.From = []byte(c.o.From)
		*size += len(m.Content)
		c.mails = append(c.mails, m)
	}
}

// NewMail makes a mail of a text, whose lines may end in LF alone, without recipients.
func NewMail(text []byte) Mail {
	m := Mail{Kind: "mail", Content: withCRLF(text), Facts: -1}
	m.Plain = bytes.HasSuffix(m.Content, []byte(crlf)) && !bytes.HasPrefix(m.Content, []byte(".")) && !bytes.Contains(m.Content, []byte("\r\n."))
	for _, b := range m.Content {
		if b >= 0x80 {
			m.EightBit = true
			break
		}
	}
	return m
}

// withCRLF returns a text whose lines end as SMTP wants them.
func withCRLF(text []byte) []byte {
	bare := bytes.Count(text, []byte("\n")) - bytes.Count(text, []byte(crlf))
	if bare == 0 {
		return text
	}
	out := make([]byte, 0, len(text)+bare)
	for i, b := range text {
		if b == '\n' && (i == 0 || text[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, b)
	}
	return out
}

// Feed returns mails for one client.
func (c *Corpus) Feed() Mails { return &corpusFeed{c: c} }

type corpusFeed struct {
	c *Corpus
	m Mail
}

func (f *corpusFeed) Next(context.Context) (*Mail, error) {
	c := f.c
	to := f.m.To[:0]
	f.m = c.mails[int((c.nextMail.Add(1)-1)%int64(len(c.mails)))]
	n := int64(c.o.Recipients)
	for at := c.nextAddr.Add(n) - n; len(to) < c.o.Recipients; at++ {
		to = append(to, c.addrs[int(at%int64(len(c.addrs)))])
	}
	f.m.To = to
	return &f.m, nil
}

// ReadAddresses reads an address, or a file of addresses, one on each line, where what begins with # is passed over.
func ReadAddresses(addressOrFile string) ([]string, error) {
	info, err := os.Stat(addressOrFile)
	if err != nil {
		if err := checkAddress(addressOrFile); err != nil {
			return nil, fmt.Errorf("%w, or a file of addresses", err)
		}
		return []string{addressOrFile}, nil
	}
	if info.Size() > maxAddresses {
		return nil, fmt.Errorf("%s: %d bytes: want %d at most", addressOrFile, info.Size(), maxAddresses)
	}
	text, err := os.ReadFile(addressOrFile)
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := checkAddress(line); err != nil {
			return nil, fmt.Errorf("%s: %w", addressOrFile, err)
		}
		list = append(list, line)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: there are no addresses", addressOrFile)
	}
	return list, nil
}

// checkAddress makes sure that an address can stand between angle brackets.
func checkAddress(a string) error {
	ok := len(a) <= maxPath && strings.Count(a, "@") > 0 && a[0] != '@'
	for i := range len(a) {
		ok = ok && a[i] > ' ' && a[i] < 0x7f && a[i] != '<' && a[i] != '>'
	}
	if !ok {
		return fmt.Errorf("%q: want a mail address of ASCII characters", a)
	}
	return nil
}
