package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Target is where the node listens.
type Target struct {
	API  string // base URL
	Mail string // host:port
	// Feedback is the address that feedback reports go to.
	Feedback string
	// Token of the API, if it wants one.
	Token string
}

// links is the answer of POST /v1/messages.
type links struct {
	Send           bool              `json:"send"`
	OpenURL        string            `json:"open_url"`
	ClickURLs      []string          `json:"click_urls"`
	UnsubscribeURL string            `json:"unsubscribe_url"`
	ReturnPath     string            `json:"return_path"`
	ReplyTo        string            `json:"reply_to"`
	Headers        map[string]string `json:"headers"`
}

// registration is what POST /v1/messages takes.
type registration struct {
	Account   string    `json:"account"`
	Sender    string    `json:"sender"`
	Sequence  string    `json:"sequence,omitempty"`
	Contact   string    `json:"contact"`
	Message   string    `json:"message"`
	Recipient string    `json:"recipient,omitempty"`
	Links     []string  `json:"links"`
	SentAt    time.Time `json:"sent_at"`
}

// rate is a share with its interval.
type rate struct {
	Value, Low, High float64
}

// scoreObject is the part of the API's score object that the demo shows.
type scoreObject struct {
	counts
	ReplyRate  rate `json:"reply_rate"`
	BounceRate rate `json:"bounce_rate"`
	Score      struct {
		Value, Low, High float64
		Band             string
		Bands            []string
	} `json:"score"`
	Sufficient bool `json:"sufficient"`
}

// refinedEvent is the part of an event that the demo counts and shows.
type refinedEvent struct {
	ID       string `json:"id"`
	Revision int    `json:"revision"`
	Kind     string `json:"kind"`
	Cursor   string `json:"cursor"`
	Bounce   struct {
		Hard      bool   `json:"hard"`
		Category  string `json:"category"`
		Status    string `json:"status"`
		Recipient string `json:"recipient"`
	} `json:"bounce"`
	Origin struct {
		Offset int64 `json:"offset"`
		N      int   `json:"n"`
	} `json:"origin"`
}

const (
	requestTimeout = 30 * time.Second
	maxLine        = 1 << 20
)

// client speaks HTTP to the node, as readers and as the sending platform.
type client struct {
	http   http.Client
	target Target
}

func newClient(t Target, connections int) *client {
	transport := &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	return &client{target: t, http: http.Client{
		Transport: transport, Timeout: requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// do sends one request and returns the answer, whose body the caller closes, if it has the status that is wanted.
func (c *client) do(request *http.Request, want int) (*http.Response, error) {
	if c.target.Token != "" && strings.HasPrefix(request.URL.String(), c.target.API) {
		request.Header.Set("Authorization", "Bearer "+c.target.Token)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != want {
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		return nil, fmt.Errorf("%s %s: answered %d, not %d: %s", request.Method, request.URL.Path, answer.StatusCode, want, text)
	}
	return answer, nil
}

// hit loads a pixel or follows a link, as agent does.
func (c *client) hit(ctx context.Context, target, agent string, want int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", agent)
	request.Header.Set("Accept", "text/html,image/*")
	return c.drain(request, want)
}

// unsubscribe does what a mailbox provider does on one click (RFC 8058 §3.2).
func (c *client) unsubscribe(ctx context.Context, target string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader("List-Unsubscribe=One-Click"))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.drain(request, http.StatusOK)
}

func (c *client) drain(request *http.Request, want int) error {
	answer, err := c.do(request, want)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// register sends registrations as JSON lines and hands each answer to got, in order.
func (c *client) register(ctx context.Context, all []registration, got func(i int, l links)) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	for i := range all {
		if err := encoder.Encode(&all[i]); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.target.API+"/v1/messages", &body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	answer, err := c.do(request, http.StatusOK)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, maxLine)
	n := 0
	for ; lines.Scan(); n++ {
		var l links
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil || n >= len(all) || !l.Send {
			return fmt.Errorf("register message %d: unexpected answer %q", n, lines.Text())
		}
		got(n, l)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if n != len(all) {
		return fmt.Errorf("register messages: %d of %d were answered", n, len(all))
	}
	return nil
}

// score reads the sender's score.
func (c *client) score(ctx context.Context, account, sender string) (scoreObject, error) {
	var s scoreObject
	err := c.get(ctx, "/v1/senders/"+url.PathEscape(sender)+"/score?window=7d&account="+url.QueryEscape(account), &s)
	return s, err
}

// timeline reads what is known of one message.
func (c *client) timeline(ctx context.Context, account, message string) ([]refinedEvent, error) {
	var m struct{ Events []refinedEvent }
	err := c.get(ctx, "/v1/messages/"+url.PathEscape(message)+"?account="+url.QueryEscape(account), &m)
	return m.Events, err
}

func (c *client) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.target.API+path, nil)
	if err != nil {
		return err
	}
	answer, err := c.do(request, http.StatusOK)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return json.NewDecoder(answer.Body).Decode(into)
}

// eventPage reads refined events after a cursor, and returns the cursor to go on from.
func (c *client) eventPage(ctx context.Context, account, after string, got func(refinedEvent)) (next string, err error) {
	path := "/v1/events?limit=10000&account=" + url.QueryEscape(account) + "&after=" + url.QueryEscape(after)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.target.API+path, nil)
	if err != nil {
		return "", err
	}
	answer, err := c.do(request, http.StatusOK)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	decoder := json.NewDecoder(answer.Body)
	for {
		var e refinedEvent
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return "", err
		}
		after = e.Cursor
		got(e)
	}
	if header := answer.Header.Get("Carom-Next-Cursor"); header != "" {
		after = header
	}
	return after, nil
}
