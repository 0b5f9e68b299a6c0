package rollup

import (
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
)

// gatherAtOnce is how many parts of a listing are asked at once.
const gatherAtOnce = 16

// SendersFunc is Partition.Senders, or asks for it elsewhere.
type SendersFunc func(q SendersQuery) (page []Score, next string, err error)

// GatherSenders answers q from parts that have senders of their own, exactly as one Partition with all of them would.
// If one part fails, it fails.
func GatherSenders(q SendersQuery, parts []SendersFunc) (page []Score, next string, err error) {
	l, err := newListing(q)
	if err != nil {
		return nil, "", err
	}
	pages := make(chan []Score)
	mores := make(chan bool, len(parts))
	var asked errgroup.Group
	asked.SetLimit(gatherAtOnce)
	failed := make(chan error, 1)
	go func() {
		defer close(pages)
		for _, senders := range parts {
			asked.Go(func() error {
				part, next, err := senders(q)
				if err == nil {
					err = l.check(part)
				}
				if err != nil {
					return err
				}
				pages <- part
				mores <- next != ""
				return nil
			})
		}
		failed <- asked.Wait()
	}()
	more := false
	for part := range pages { // merged as they come, so that few are in memory
		page = append(page, part...)
		slices.SortFunc(page, func(a, b Score) int { return l.compare(l.entry(&a), l.entry(&b)) })
		if len(page) > l.limit {
			more = true
			clear(page[l.limit:])
			page = page[:l.limit]
		}
	}
	if err := <-failed; err != nil {
		return nil, "", err
	}
	close(mores)
	for m := range mores {
		more = more || m
	}
	if more && len(page) > 0 {
		last := l.entry(&page[len(page)-1])
		next = cursor{sort: l.sort, asOf: l.asOf, value: last.value, sender: last.sender}.String()
	}
	return page, next, nil
}

// entry returns a score's place in the listing.
func (l *listing) entry(s *Score) entry {
	e := entry{sender: s.Sender}
	if l.value != nil {
		e.value = l.value(s)
	}
	return e
}

// CheckSenders reports why page can't be an answer to q.
func CheckSenders(q SendersQuery, page []Score) error {
	l, err := newListing(q)
	if err != nil {
		return err
	}
	return l.check(page)
}

// check refuses a page that would make the listing skip or repeat.
func (l *listing) check(page []Score) error {
	if len(page) > l.limit {
		return fmt.Errorf("rollup: a page of %d senders, asked for %d", len(page), l.limit)
	}
	last := l.after
	for i := range page {
		e := l.entry(&page[i])
		if page[i].Account != l.account || last != nil && l.compare(*last, e) >= 0 {
			return fmt.Errorf("rollup: a page of senders is out of order at %q", e.sender)
		}
		last = &e
	}
	return nil
}
