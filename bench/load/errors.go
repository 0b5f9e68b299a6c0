package load

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
)

var (
	errUnsent = errors.New("not sent: no connection was free until the end")
	errOther  = errors.New("other failures")
)

// Bounds of the failures that are told apart: what a hostile server says must not fill the memory.
const (
	maxErrors     = 256
	maxErrorsTold = 20
	maxErrorText  = 200
)

// errorTally counts failures by what was said. Failures are the exception: a lock will do.
type errorTally struct {
	mu     sync.Mutex // guards counts
	counts map[string]int64
}

func (e *errorTally) add(err error, n int64) {
	text := errorText(err)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.counts == nil {
		e.counts = make(map[string]int64)
	}
	if _, known := e.counts[text]; !known && len(e.counts) >= maxErrors {
		text = errOther.Error()
	}
	e.counts[text] += n
}

// most returns the most frequent failures, and the others under one name.
func (e *errorTally) most() map[string]int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	texts := make([]string, 0, len(e.counts))
	for text := range e.counts {
		texts = append(texts, text)
	}
	slices.SortFunc(texts, func(a, b string) int {
		if n := e.counts[b] - e.counts[a]; n != 0 {
			return int(min(max(n, -1), 1))
		}
		return strings.Compare(a, b)
	})
	told := make(map[string]int64)
	for i, text := range texts {
		if i >= maxErrorsTold {
			told[errOther.Error()] += e.counts[text]
			continue
		}
		told[text] += e.counts[text]
	}
	return told
}

// errorText is what was said, without the addresses, which differ from connection to connection.
func errorText(err error) string {
	text := err.Error()
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		text = op.Op + ": " + op.Err.Error()
	}
	text = strings.ToValidUTF8(text, "?")
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "..."
	}
	return text
}

func timedOut(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}
