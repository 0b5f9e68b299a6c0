package verdicts

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Target is the node that is played against.
type Target struct {
	API   string // base URL
	Token string // of the API, if it wants one
	// Track is the URL of the tracking listener to connect to, if that is not where the minted URLs point.
	Track string
}

// links is the part of an answer of POST /v1/messages that is played with.
type links struct {
	Send           bool     `json:"send"`
	OpenURL        string   `json:"open_url"`
	ClickURLs      []string `json:"click_urls"`
	HoneypotURL    string   `json:"honeypot_url"`
	UnsubscribeURL string   `json:"unsubscribe_url"`
}

// registration is what POST /v1/messages takes.
type registration struct {
	Account   string    `json:"account"`
	Sender    string    `json:"sender"`
	Contact   string    `json:"contact"`
	Message   string    `json:"message"`
	Recipient string    `json:"recipient"`
	Links     []string  `json:"links"`
	SentAt    time.Time `json:"sent_at"`
}

// told is an event as the journal or the refined stream tells it.
type told struct {
	ID       string    `json:"id"`
	Revision int       `json:"revision"`
	Kind     string    `json:"kind"`
	Time     time.Time `json:"time"`
	Message  string    `json:"message"`
	Inferred bool      `json:"inferred"`
	Link     struct {
		Index int `json:"index"`
	} `json:"link"`
	Actor struct {
		Verdict string   `json:"verdict"`
		Reasons []string `json:"reasons"`
	} `json:"actor"`
	Client struct {
		IP        netip.Addr `json:"ip"`
		UserAgent string     `json:"user_agent"`
	} `json:"client"`
	Cursor string `json:"cursor"`
}

const (
	requestTimeout = 30 * time.Second
	maxLine        = 1 << 20
	maxAnswer      = 64 << 10 // what is read of the answer to a hit
)

// client speaks HTTP to the node, as visitors and as the sending platform.
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

// send plays a hit and returns an error unless it is answered as a visitor expects.
func (c *client) send(ctx context.Context, h *hit) error {
	target, want := h.target()
	var body io.Reader
	if h.do == doUnsubscribe {
		body = strings.NewReader("List-Unsubscribe=One-Click")
	}
	request, err := http.NewRequestWithContext(ctx, h.method, target, body)
	if err != nil {
		return err
	}
	if c.target.Track != "" {
		track, err := url.Parse(c.target.Track)
		if err != nil {
			return fmt.Errorf("address of the tracking listener: %w", err)
		}
		request.Host = request.URL.Host
		request.URL.Scheme, request.URL.Host = track.Scheme, track.Host
	}
	for name, value := range h.headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("X-Forwarded-For", h.address.String())
	request.Header.Set("User-Agent", h.agent) // "" sends none
	if body != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer)); err != nil {
		return err
	}
	if answer.StatusCode != want {
		return fmt.Errorf("%s %s: answered %d, not %d", h.method, request.URL.Path, answer.StatusCode, want)
	}
	return nil
}

// target returns the URL of a hit, and the status of a good answer.
func (h *hit) target() (string, int) {
	l := &h.message.links
	switch h.do {
	case doOpen:
		return l.OpenURL, http.StatusOK
	case doClick:
		return l.ClickURLs[h.link], http.StatusFound
	case doHoneypot:
		return l.HoneypotURL, http.StatusFound
	}
	return l.UnsubscribeURL, http.StatusOK
}

// register registers messages and keeps what was minted for each.
func (c *client) register(ctx context.Context, messages []*message) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	for _, m := range messages {
		r := registration{
			Account: account, Sender: m.script.Name, Contact: m.id, Message: m.id, Recipient: m.id, SentAt: m.sentAt,
		}
		for i := range m.script.Links {
			r.Links = append(r.Links, fmt.Sprintf("https://example.com/%s/%d", m.script.Name, i))
		}
		if err := encoder.Encode(&r); err != nil {
			return err
		}
	}
	answer, err := c.ask(ctx, http.MethodPost, "/v1/messages", &body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, maxLine)
	n := 0
	for ; lines.Scan() && n < len(messages); n++ {
		if err := json.Unmarshal(lines.Bytes(), &messages[n].links); err != nil || !messages[n].links.Send {
			return fmt.Errorf("register %s: unexpected answer %.500q", messages[n].id, lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if n != len(messages) {
		return fmt.Errorf("register messages: %d of %d were answered", n, len(messages))
	}
	return nil
}

// ask sends a request to the API and returns the answer, whose body the caller closes, if it is 200.
func (c *client) ask(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.target.API, "/")+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/x-ndjson")
	}
	if c.target.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.target.Token)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		return nil, fmt.Errorf("%s %s: answered %d: %s", method, path, answer.StatusCode, text)
	}
	return answer, nil
}

// headerNext is the cursor behind the last event of a page.
const headerNext = "Carom-Next-Cursor"

// page reads one page of a stream of events behind a cursor.
func (c *client) page(ctx context.Context, path, after string, got func(told)) (next string, n int, err error) {
	query := url.Values{"limit": {"10000"}, "after": {after}}
	answer, err := c.ask(ctx, http.MethodGet, path+"?"+query.Encode(), nil)
	if err != nil {
		return after, 0, err
	}
	defer answer.Body.Close()
	decoder := json.NewDecoder(answer.Body)
	for ; ; n++ {
		var e told
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return after, n, fmt.Errorf("%s: %w", path, err)
		}
		if e.Cursor != "" {
			after = e.Cursor
		}
		got(e)
	}
	if header := answer.Header.Get(headerNext); header != "" {
		after = header
	}
	return after, n, nil
}
