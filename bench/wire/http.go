package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"carom/bench/load"
	"carom/bench/targets"
)

// HTTPOptions say how hits are asked for.
type HTTPOptions struct {
	Base         string // scheme, host and perhaps port of the server
	Reuse        bool   // keep connections; without it, every request has one of its own
	Head         bool   // ask with HEAD
	ForwardedFor bool   // say in X-Forwarded-For which client asks
	Insecure     bool   // take any certificate
	Timeout      time.Duration
}

// HTTP is one connection of a load of hits: HTTP/1.1, one request after the other.
type HTTP struct {
	options HTTPOptions
	hits    targets.Hits
	hit     targets.Hit
	request *request
	answer  answer
	dialer  net.Dialer
	address string
	tls     *tls.Config // nil: without
	line    line
	idle    time.Time // since when nothing was asked
	closed  context.Context
	close   context.CancelFunc
}

// idleCheck is how long a connection may have been idle that is used without asking whether the server has closed it.
const idleCheck = 200 * time.Millisecond

// NewHTTP makes a client, and connects it.
func NewHTTP(ctx context.Context, o HTTPOptions, hits targets.Hits) (*HTTP, error) {
	u, err := url.Parse(o.Base)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q: want a URL such as http://127.0.0.1:8080", o.Base)
	}
	if o.Timeout <= 0 {
		return nil, fmt.Errorf("timeout: %s: want more than nothing", o.Timeout)
	}
	h := &HTTP{options: o, hits: hits, request: newRequest(&o, u.Host)}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	h.address = net.JoinHostPort(u.Hostname(), port)
	if u.Scheme == "https" {
		h.tls = &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: o.Insecure, NextProtos: []string{"http/1.1"}}
		if !o.Reuse {
			h.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}
	}
	h.closed, h.close = context.WithCancel(context.Background())
	if err := h.connect(ctx); err != nil {
		return nil, err
	}
	return h, nil
}

// connect makes a new connection.
func (h *HTTP) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.options.Timeout)
	defer cancel()
	defer context.AfterFunc(h.closed, cancel)()
	conn, err := h.dialer.DialContext(ctx, "tcp", h.address)
	if err != nil {
		return err
	}
	if h.tls != nil {
		secured := tls.Client(conn, h.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			return errors.Join(fmt.Errorf("handshake: %w", err), conn.Close())
		}
		conn = secured
	}
	h.idle = time.Now()
	return h.line.open(conn)
}

// Do makes the next request.
func (h *HTTP) Do(ctx context.Context) load.Answer {
	h.hits.Next(&h.hit)
	got := load.Answer{Kind: h.hit.Kind.String()}
	got.Err = h.ask(ctx, &got)
	if got.Err != nil || h.answer.close || !h.options.Reuse {
		h.line.close()
	}
	return got
}

func (h *HTTP) ask(ctx context.Context, got *load.Answer) error {
	now := time.Now()
	if h.line.isOpen() && now.Sub(h.idle) > idleCheck && h.line.hungUp() {
		h.line.close()
	}
	if !h.line.isOpen() {
		if err := h.connect(ctx); err != nil {
			return err
		}
	}
	if err := h.line.limit(now, h.options.Timeout); err != nil {
		return err
	}
	request := h.request.render(&h.hit)
	h.answer.begin(h.options.Head)
	if err := h.line.exchange(request, &h.answer); err != nil {
		return plain(err)
	}
	h.idle = now
	got.Code = h.answer.status
	got.Bytes = len(request) + h.answer.size
	if err := h.check(); err != nil {
		return err
	}
	got.Items = 1
	return nil
}

var (
	errNoGIF      = errors.New("an open was answered with something else than a GIF")
	errNoRedirect = errors.New("a click was not answered with a 302")
	errNoLocation = errors.New("a click was answered with a 302 that leads nowhere")
)

// check says what is wrong with an answer.
func (h *HTTP) check() error {
	a := &h.answer
	switch {
	case a.status >= 400:
		return fmt.Errorf("%s was answered with status %d", h.hit.Kind, a.status)
	case h.hit.Kind == targets.Open && (a.status != 200 || !a.gif):
		return errNoGIF
	case h.hit.Kind == targets.Click && a.status != 302:
		return errNoRedirect
	case h.hit.Kind == targets.Click && !a.hasLocation:
		return errNoLocation
	}
	return nil
}

// Close ends the connection, also one that is waited on.
func (h *HTTP) Close() error {
	h.close()
	h.line.hangUp()
	return nil
}
