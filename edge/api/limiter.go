package api

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"
)

// limiter lets through so many a second, and after a pause up to those of one second at once ("token bucket").
type limiter struct {
	perSecond float64
	now       func() time.Time

	mu   sync.Mutex
	left float64   // below 0: owed
	at   time.Time // when left was right
}

// newLimiter returns nil where there is no bound.
func newLimiter(perSecond int) *limiter {
	if perSecond == 0 {
		return nil
	}
	return &limiter{perSecond: float64(perSecond), now: time.Now, left: float64(perSecond), at: time.Now()}
}

// take takes n if at least one is left, and returns 0; otherwise how long it is until then.
func (l *limiter) take(n int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill()
	if l.left < 1 {
		return l.until(1)
	}
	l.left -= float64(n)
	return 0
}

// owe takes n whatever is left, and returns how long it is until they are paid for.
func (l *limiter) owe(n int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill()
	l.left -= float64(n)
	return l.until(0)
}

func (l *limiter) fill() {
	now := l.now()
	l.left = min(l.perSecond, l.left+l.perSecond*now.Sub(l.at).Seconds())
	l.at = now
}

func (l *limiter) until(left float64) time.Duration {
	if l.left >= left {
		return 0
	}
	return time.Duration(math.Ceil((left - l.left) / l.perSecond * float64(time.Second)))
}

// batch is how many lines of a bulk are read at once, of at most so many: those of a second.
func (l *limiter) batch(most int) int {
	if l == nil {
		return most
	}
	return min(most, int(l.perSecond))
}

// tooManyTails is for a token whose tails are open already.
func tooManyTails(n int) *problem {
	p := newProblem(http.StatusTooManyRequests, "rate", "Too many at once", fmt.Sprintf("Authorization: the token has %d live tails open already.", n))
	p.retryAfter = retrySeconds
	return p.at("Authorization")
}

func tooMany(what string, wait time.Duration) *problem {
	p := newProblem(http.StatusTooManyRequests, "rate", "Too many at once", fmt.Sprintf("Authorization: the token may send no more %s for %v.", what, wait.Round(time.Millisecond)))
	p.retryAfter = int(math.Ceil(wait.Seconds()))
	return p.at("Authorization")
}
