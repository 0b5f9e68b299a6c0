package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"carom/bench/result"
)

// firstOnPage lists the peers to which a page relates all others: bare servers that keep nothing.
var firstOnPage = []string{"fasthttp", "smtp-sink"}

// writePages writes, for every protocol and number of connections, each measurement as carom bench compare reads it, and
// a page that compares them. Only our own harness tells enough for that.
func writePages(dir string, cells []cell) (pages []string, err error) {
	for _, g := range measurements(cells) {
		folder := filepath.Join(dir, g.name)
		if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o755)); err != nil {
			return pages, err
		}
		var results []*result.Result
		for _, c := range g.cells {
			results = append(results, c.detail)
			name := filepath.Join(folder, fmt.Sprintf("%s-%d.json", c.Peer, c.Round))
			if err := writeFile(name, c.detail.Write); err != nil {
				return pages, err
			}
		}
		page := folder + ".html"
		if err := writeFile(page, func(w io.Writer) error { return result.WritePage(w, results...) }); err != nil {
			return pages, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

// pageGroup are the cells of one page.
type pageGroup struct {
	name  string
	cells []*cell
}

func measurements(cells []cell) []pageGroup {
	var groups []pageGroup
	for i := range cells {
		c := &cells[i]
		if c.Error != "" || c.detail == nil {
			continue
		}
		name := fmt.Sprintf("%s-%d", c.Protocol, c.Connections)
		at := slices.IndexFunc(groups, func(g pageGroup) bool { return g.name == name })
		if at < 0 {
			at = len(groups)
			groups = append(groups, pageGroup{name: name})
		}
		groups[at].cells = append(groups[at].cells, c)
	}
	rank := func(c *cell) int { // order turns from round to round; pages don't
		if slices.Contains(firstOnPage, c.Peer) {
			return -1
		}
		return slices.IndexFunc(everyPeer(), func(p peer) bool { return p.name == c.Peer })
	}
	for _, g := range groups {
		slices.SortStableFunc(g.cells, func(a, b *cell) int { return rank(a) - rank(b) })
	}
	return groups
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
