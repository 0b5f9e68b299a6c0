package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// reader is a mail client: one connection to the tracking edge.
type reader struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
	out     []byte
	agent   string
}

const (
	answerBound = 10 * time.Second
	headOf      = " HTTP/1.1\r\nHost: track.example.com\r\nAccept: image/avif,image/webp,*/*\r\nUser-Agent: "
)

func (r *reader) close() {
	if r.conn != nil {
		_ = r.conn.Close()
		r.conn = nil
	}
}

// get asks for a path and returns the status of the answer. After an error it connects anew.
func (r *reader) get(path []byte) (status int, err error) {
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.conn == nil {
		if r.conn, err = net.DialTimeout("tcp", r.address, answerBound); err != nil {
			return 0, err
		}
		r.in = bufio.NewReaderSize(r.conn, 4<<10)
	}
	_ = r.conn.SetDeadline(time.Now().Add(answerBound))
	r.out = append(append(append(r.out[:0], "GET "...), path...), headOf...)
	r.out = append(append(r.out, r.agent...), "\r\n\r\n"...)
	if _, err := r.conn.Write(r.out); err != nil {
		return 0, err
	}
	return r.answer()
}

func (r *reader) answer() (status int, err error) {
	length := 0
	for first := true; ; first = false {
		line, err := r.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first {
			if len(line) < 12 {
				return 0, fmt.Errorf("status line %q", line)
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, fmt.Errorf("status line %q", line)
			}
			continue
		}
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, err
			}
		}
	}
	_, err = r.in.Discard(length)
	return status, err
}

// measured is what a load came to.
type measured struct {
	requests int64 // answered with 200
	failed   int64
	took     time.Duration
	latency  *hdrhistogram.Histogram // microseconds
}

func (m *measured) rate() float64 { return float64(m.requests) / m.took.Seconds() }

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60_000_000, 3) }

// opener makes opens of messages that nobody has opened yet.
type opener struct {
	keys  *ref.Keyring
	world string
	next  atomic.Int64
}

// path appends the path of the next pixel.
func (o *opener) path(dst []byte) ([]byte, error) {
	r := messageRef(o.world, o.next.Add(1))
	return o.keys.Seal(append(dst, "/o/"...), ref.OpenPixel, &r)
}

// load has clients open pixels in a closed loop.
func load(ctx context.Context, address string, o *opener, connections int, lasts time.Duration) (measured, error) {
	total := measured{latency: newHistogram()}
	var mu sync.Mutex // guards total and failure
	var failure error
	began := time.Now()
	end := began.Add(lasts)
	var group sync.WaitGroup
	for range connections {
		group.Go(func() {
			r := &reader{address: address, agent: agent}
			defer r.close()
			latency := newHistogram()
			requests, failed := int64(0), int64(0)
			var path []byte
			var last error
			for ctx.Err() == nil && time.Now().Before(end) {
				var err error
				if path, err = o.path(path[:0]); err != nil {
					last = err
					break
				}
				sent := time.Now()
				status, err := r.get(path)
				if err == nil && status != 200 {
					err = fmt.Errorf("answered %d", status)
				}
				if err != nil {
					last = err
					failed++
					continue
				}
				requests++
				_ = latency.RecordValue(max(1, time.Since(sent).Microseconds()))
			}
			mu.Lock()
			defer mu.Unlock()
			total.requests += requests
			total.failed += failed
			total.latency.Merge(latency)
			if last != nil {
				failure = last
			}
		})
	}
	group.Wait()
	total.took = time.Since(began)
	if total.requests == 0 {
		return total, errors.Join(errors.New("nothing was answered"), failure, ctx.Err())
	}
	return total, ctx.Err()
}

// keyOf is a message's key.
func keyOf(r *event.Ref) event.Key { return event.KeyOf(r.Account, r.Message) }
