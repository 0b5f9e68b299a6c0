package node

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strings"
)

// Hit is one request to the tracking listener.
type Hit struct {
	URL    string
	Method string // GET if empty
	Agent  string // "" sends none
	// Address goes into X-Forwarded-For: the node must trust this client as a proxy. The zero one sends none.
	Address netip.Addr
	Headers map[string]string
	Want    int // the status of a right answer
}

// Hit loads a pixel or follows a link.
func (c *Client) Hit(ctx context.Context, h *Hit) error { return c.send(ctx, h, nil, "") }

// Unsubscribe does what a mailbox provider does on one click (RFC 8058 §3.2). Its method and the status that is wanted are fixed.
func (c *Client) Unsubscribe(ctx context.Context, h *Hit) error {
	h.Method, h.Want = http.MethodPost, http.StatusOK
	return c.send(ctx, h, strings.NewReader("List-Unsubscribe=One-Click"), "application/x-www-form-urlencoded")
}

func (c *Client) send(ctx context.Context, h *Hit, body io.Reader, contentType string) error {
	request, err := http.NewRequestWithContext(ctx, h.Method, h.URL, body)
	if err != nil {
		return err
	}
	if c.track != nil {
		request.Host = request.URL.Host
		request.URL.Scheme, request.URL.Host = c.track.Scheme, c.track.Host
	}
	for name, value := range h.Headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("User-Agent", h.Agent)
	if h.Address.IsValid() {
		request.Header.Set("X-Forwarded-For", h.Address.String())
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := c.do(request, h.Want)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	return err
}
