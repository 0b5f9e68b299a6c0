package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Target is where a node listens.
type Target struct {
	API   string // base URL
	Token string // of the API, if it wants one
	// Track is the URL of the tracking listener to connect to, if that is not where the minted URLs point.
	Track string
	Mail  string // host:port
	// Feedback is the address that feedback reports go to.
	Feedback string
}

const (
	requestTimeout = 30 * time.Second
	idleTimeout    = 30 * time.Second // less than a listener's: a request fails that meets the end of its connection
	maxLine        = 1 << 20
	maxAnswer      = 64 << 10 // what is read of the answer to a hit
	maxProblem     = 1000     // what is quoted of an answer that is not wanted
)

// Client speaks HTTP to a node. Any number of goroutines may use it.
type Client struct {
	http   http.Client
	target Target
	track  *url.URL // nil: where the minted URLs point
}

// New makes a client that holds at most so many connections to each listener. It connects to nothing.
func New(t Target, connections int) (*Client, error) {
	t.API = strings.TrimSuffix(t.API, "/")
	c := &Client{target: t, http: http.Client{
		Transport: &http.Transport{
			MaxIdleConns: 2 * connections, MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, IdleConnTimeout: idleTimeout,
		},
		Timeout: requestTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if t.Track != "" {
		var err error
		if c.track, err = url.Parse(t.Track); err != nil || c.track.Host == "" {
			return nil, fmt.Errorf("address of the tracking listener: %q: want a URL such as http://127.0.0.1:8080", t.Track)
		}
	}
	return c, nil
}

// Target is the node that c speaks to.
func (c *Client) Target() Target { return c.target }

// Close ends the connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ask sends a request to the API and returns the answer, whose body the caller closes, if it is 200.
func (c *Client) ask(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.target.API+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/x-ndjson")
	}
	if c.target.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.target.Token)
	}
	return c.do(request, http.StatusOK)
}

// do returns the answer, whose body the caller closes, if it has the status that is wanted.
func (c *Client) do(request *http.Request, want int) (*http.Response, error) {
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != want {
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, maxProblem))
		return nil, fmt.Errorf("%s %s: answered %d, not %d: %s", request.Method, request.URL.Path, answer.StatusCode, want, text)
	}
	return answer, nil
}

// get reads a JSON object of the API.
func (c *Client) get(ctx context.Context, path string, into any) error {
	answer, err := c.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return json.NewDecoder(answer.Body).Decode(into)
}
