package targets

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync/atomic"
)

// URLs are given ones, all of one server, which are asked for in order, again and again.
type URLs struct {
	base  string
	hits  []Hit
	asked atomic.Uint64
}

// Bounds of a list of URLs.
const (
	maxURLs      = 10_000_000
	maxURLsBytes = 1 << 30
	maxURL       = 16 << 10
)

// NewURLs takes one URL.
func NewURLs(text string) (*URLs, error) {
	u := &URLs{}
	return u, u.add(text)
}

// ReadURLs reads URLs, one a line. Empty lines and those that begin with # are passed over.
func ReadURLs(r io.Reader) (*URLs, error) {
	u := &URLs{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxURL)
	size := 0
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := u.add(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if size += len(line); size > maxURLsBytes || len(u.hits) > maxURLs {
			return nil, fmt.Errorf("line %d: want at most %d URLs of %d bytes together", n, maxURLs, maxURLsBytes)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read URLs: %w", err)
	}
	if len(u.hits) == 0 {
		return nil, errors.New("there is no URL: want one a line")
	}
	return u, nil
}

func (u *URLs) add(text string) error {
	base, hit, err := parseURL(text)
	if err != nil {
		return err
	}
	if u.base == "" {
		u.base = base
	}
	if base != u.base {
		return fmt.Errorf("%s is another server than %s: want URLs of one", base, u.base)
	}
	hit.Client = uint32(len(u.hits))
	u.hits = append(u.hits, hit)
	return nil
}

// parseURL parts a URL into scheme and host, and what is asked for. Paths such as a node's have its right answers.
func parseURL(text string) (base string, h Hit, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Opaque != "" || len(text) > maxURL {
		return "", Hit{}, fmt.Errorf("%.200q: want a URL such as http://127.0.0.1:8080/o/TOKEN.gif, up to %d bytes", text, maxURL)
	}
	path := u.RequestURI()
	switch {
	case strings.Contains(path, "/o/"):
		h.Kind = Open
	case strings.Contains(path, "/c/"):
		h.Kind = Click
	}
	h.Path = []byte(path)
	return u.Scheme + "://" + u.Host, h, nil
}

// Base is the server's URL.
func (u *URLs) Base() string { return u.base }

// Len is how many URLs there are.
func (u *URLs) Len() int { return len(u.hits) }

// Hits returns what one connection asks.
func (u *URLs) Hits() Hits { return urlHits{u} }

type urlHits struct{ *URLs }

func (u urlHits) Next(h *Hit) {
	if len(u.hits) == 1 {
		*h = u.hits[0]
		return
	}
	*h = u.hits[(u.asked.Add(1)-1)%uint64(len(u.hits))]
}
