package scenario

import (
	"sync"
	"time"

	"carom/bench/result"
)

// listener counts what one of the node's listeners was asked and answered.
type listener struct {
	name    string
	latency *latency // of what was answered

	mu       sync.Mutex // guards what follows
	answered int64
	failed   int64
	items    int64 // facts of those answered, repeats included
	errors   map[string]int64
	streak   int // failures without an answer between
}

// Listener is that in a report.
type Listener struct {
	Name     string              `json:"name"` // http, smtp, api
	Requests int64               `json:"requests"`
	Items    int64               `json:"items"` // facts, repeats included
	Failed   int64               `json:"failed"`
	Rate     float64             `json:"rate"` // items a second, over the whole play
	Errors   map[string]int64    `json:"errors,omitempty"`
	Latency  result.Distribution `json:"latency"`
}

func newListener(name string) *listener {
	return &listener{name: name, latency: newLatency(), errors: make(map[string]int64)}
}

// maxErrors bounds the sorts of errors that are counted apart.
const maxErrors = 20

// answer counts one request, and returns how many have failed in a row.
func (l *listener) answer(began time.Time, items int, err error) (streak int) {
	if err == nil {
		l.latency.record(time.Since(began))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.answered++
		l.items += int64(items)
		l.streak = 0
		return 0
	}
	l.failed++
	l.streak++
	text := errorText(err)
	if _, ok := l.errors[text]; !ok && len(l.errors) >= maxErrors {
		text = "others"
	}
	l.errors[text]++
	return l.streak
}

func (l *listener) report(took time.Duration) (Listener, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	times, err := l.latency.distribution()
	return Listener{
		Name: l.name, Requests: l.answered, Items: l.items, Failed: l.failed, Errors: l.errors, Latency: times,
		Rate: float64(l.items) / took.Seconds(),
	}, err
}
