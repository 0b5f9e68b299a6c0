package suppress

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// Query chooses suppressions. What is empty holds of all.
type Query struct {
	// Account is whose suppressions are listed; empty: the global ones.
	Account  string
	Reason   Reason
	Category string
	Domain   string
	Active   *bool
	From, To event.Millis // From <= since < To
	At       event.Millis // as of; 0: now
	After    string       // what List returned as next
	Limit    int
}

const (
	// looksAtMost bounds the rows that one page looks at.
	looksAtMost = 20_000
	maxPage     = 10_000
)

// List returns a page of suppressions, in the order of their domains and addresses. next is empty after the last. A page may
// be shorter than the limit, even empty, and have a next: the work of one page is bounded.
func (b *Book) List(q Query) (page []Suppression, next string, err error) {
	if b.ignorant.Load() {
		return nil, "", ErrNotReady
	}
	if q.At == 0 {
		q.At = event.Now()
	}
	prefix := bookAccount(q.Account)
	if q.Domain != "" {
		prefix = kv.AppendName(prefix, normalName("@" + q.Domain)[1:])
	}
	next, err = b.page(prefix, q.After, q.Limit, func(_, value []byte) (bool, error) {
		s, err := readEntry(value)
		if err != nil || !s.asOf(q.At) || !q.wants(&s) {
			return false, err
		}
		page = append(page, s)
		return true, nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("list suppressions: %w", err)
	}
	return page, next, nil
}

// wants reports whether q chooses s, by the cause that leads.
func (q *Query) wants(s *Suppression) bool {
	return (q.Reason == "" || q.Reason == s.Reason) && (q.Category == "" || q.Category == s.Category) &&
		(q.Active == nil || *q.Active == s.Active) && s.Since >= q.From && (q.To == 0 || s.Since < q.To)
}

// page calls take with the rows under a prefix after a cursor, until it took so many, and returns the cursor to go on from.
func (b *Book) page(prefix []byte, after string, limit int, take func(key, value []byte) (bool, error)) (next string, err error) {
	limit = max(1, min(limit, maxPage))
	from := prefix
	if after != "" {
		rest, err := base64.RawURLEncoding.DecodeString(after)
		if err != nil || len(after) > 4*maxName {
			return "", ErrCursor
		}
		from = append(bytes.Clone(prefix), append(rest, 0)...)
	}
	looked, took := 0, 0
	var last []byte
	err = eachRow(b.store, from, kv.PrefixEnd(prefix), func(key, value []byte) (bool, error) {
		if took == limit || looked == looksAtMost {
			next = base64.RawURLEncoding.EncodeToString(last)
			return false, nil
		}
		looked++
		last = append(last[:0], key[len(prefix):]...)
		taken, err := take(key, value)
		if taken {
			took++
		}
		return true, err
	})
	return next, err
}

// AuditQuery chooses decisions. What is empty holds of all.
type AuditQuery struct {
	Account string
	Address string
	After   string
	Limit   int
}

// Audit returns a page of decisions, newest first by the time when they were made. next is empty after the last. A page may
// be shorter than the limit and have a next, as of List.
func (b *Book) Audit(q AuditQuery) (page []Decision, next string, err error) {
	prefix := bookTable(bookTableByTime)
	if q.Account != "" {
		prefix = bookByAccount(q.Account)
	}
	name, hashed := normalName(q.Address), ""
	if name != "" && b.hashed.Load() {
		hashed = b.hashes.name(name)
	}
	next, err = b.page(prefix, q.After, q.Limit, func(key, _ []byte) (bool, error) {
		if len(key) < len(prefix)+8+16 {
			return false, errRow
		}
		value, closer, err := b.store.DB().Get(bookDecision(event.ID(key[len(prefix)+8:])))
		if errors.Is(err, pebble.ErrNotFound) {
			return false, nil // it is too old by now
		}
		if err != nil {
			return false, err
		}
		if value, err = openBookRow(value); err != nil {
			return false, errors.Join(err, closer.Close())
		}
		d, err := readDecision(value)
		if err = errors.Join(err, closer.Close()); err != nil {
			return false, err
		}
		if of := normalName(d.Order.Address); name != "" && of != name && of != hashed {
			return false, nil
		}
		page = append(page, d)
		return true, nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("list decisions: %w", err)
	}
	return page, next, nil
}
