package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Bounds of what a server may do to us.
const (
	maxAnswerHeader = 32 << 10
	maxAnswer       = 64 << 10
	// maxRetryAfter is how long a server may ask us to wait.
	maxRetryAfter = time.Hour
	// maxDetail bounds why a request failed: a certificate may be for many names.
	maxDetail = 1 << 10
	idleConns = 90 * time.Second
)

// newClient makes the client of all webhooks. It asks no proxy, because the proxy would resolve the name, and follows no
// redirect, because that could lead anywhere.
func newClient(o *Options, g guard) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            g.dial(o.Timeout),
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    2,
			MaxIdleConns:           256,
			IdleConnTimeout:        idleConns,
			MaxResponseHeaderBytes: maxAnswerHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// outcome is what became of a request.
type outcome struct {
	result     string
	detail     string        // why not; empty if it was delivered
	status     int           // of the answer, 0 without one
	retryAfter time.Duration // as the server asks
}

// headerMissed says how many records were trimmed before they were looked at, since the last request that was taken.
const headerMissed = "carom-missed"

// post sends a batch once.
func (h *Hooks) post(ctx context.Context, hook *Hook, s secrets, id string, b *batch, missed int64) outcome {
	ctx, cancel := context.WithTimeout(ctx, h.o.Timeout)
	defer cancel()
	now := time.Now()
	signature, err := s.sign(id, now, b.body)
	if err != nil {
		return outcome{result: resultUnsigned, detail: err.Error()}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(b.body))
	if err != nil {
		return outcome{result: resultUnreachable, detail: err.Error()}
	}
	r.Header.Set("Content-Type", b.mediaType())
	r.Header.Set("User-Agent", "Carom")
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("webhook-signature", signature)
	if missed > 0 {
		r.Header.Set(headerMissed, strconv.FormatInt(missed, 10))
	}
	answer, err := h.client.Do(r)
	if err != nil {
		return h.unanswered(err)
	}
	defer answer.Body.Close()
	// Read to its end, so that the connection serves again.
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer)); err != nil && answer.StatusCode/100 != 2 {
		return h.unanswered(err)
	}
	h.metrics.seconds.Observe(time.Since(now).Seconds())
	switch {
	case answer.StatusCode/100 == 2:
		return outcome{result: resultDelivered, status: answer.StatusCode}
	case answer.StatusCode == http.StatusGone:
		return outcome{result: resultGone, status: answer.StatusCode, detail: "the server answered 410: it wants no more"}
	}
	detail := fmt.Sprintf("the server answered %d", answer.StatusCode)
	if answer.StatusCode/100 == 3 {
		detail += ": it redirects, and redirections are not followed; make the url the one where it leads"
	}
	return outcome{
		result: resultRefused, status: answer.StatusCode, detail: detail,
		retryAfter: retryAfter(answer.Header.Get("Retry-After"), now),
	}
}

// unanswered is for a request that has no answer.
func (h *Hooks) unanswered(err error) outcome {
	var forbidden *errAddress
	switch {
	case errors.As(err, &forbidden):
		return outcome{result: resultForbidden, detail: forbidden.Error()}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return outcome{result: resultTimeout, detail: fmt.Sprintf("the server did not answer within %v", h.o.Timeout)}
	}
	var inner interface{ Unwrap() error } // url.Error repeats the whole URL
	if errors.As(err, &inner) && inner.Unwrap() != nil {
		err = inner.Unwrap()
	}
	text := err.Error()
	return outcome{result: resultUnreachable, detail: strings.ToValidUTF8(text[:min(len(text), maxDetail)], "?")}
}

// retryAfter reads the header, RFC 9110 §10.2.3; 0 if it says nothing.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(0, at.Sub(now)), maxRetryAfter)
	}
	return 0
}
