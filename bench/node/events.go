package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// Event is what a client looks at in an event, as the journal or the refined stream tells it.
type Event struct {
	ID       string    `json:"id"`
	Revision int       `json:"revision"`
	Kind     string    `json:"kind"`
	Time     time.Time `json:"time"`
	Account  string    `json:"account"`
	Sender   string    `json:"sender"`
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
	Bounce struct {
		Hard      bool   `json:"hard"`
		Category  string `json:"category"`
		Status    string `json:"status"`
		Recipient string `json:"recipient"`
	} `json:"bounce"`
	Origin struct {
		Partition int32 `json:"partition"`
		Offset    int64 `json:"offset"`
		N         int   `json:"n"`
	} `json:"origin"`
	Cursor string `json:"cursor"`
}

// TakenBack reports an event of a hit that turned out to repeat another.
func (e *Event) TakenBack() bool {
	return e.Actor.Verdict == "unknown" && slices.Contains(e.Actor.Reasons, "repeat")
}

// The streams that can be paged through.
const (
	Events  = "/v1/events"  // refined
	Journal = "/v1/journal" // as this node heard them
)

const (
	// headerNext is the cursor behind the last event of a page.
	headerNext = "Carom-Next-Cursor"
	pageSize   = "10000"
)

// Page reads the next page of a stream, of one account if it is not empty. It returns how many events there were and the
// cursor to go on from, which, after an error, is behind the last event that got saw.
func (c *Client) Page(ctx context.Context, stream, account, after string, got func(*Event)) (next string, n int, err error) {
	query := url.Values{"limit": {pageSize}, "after": {after}}
	if account != "" {
		query.Set("account", account)
	}
	answer, err := c.ask(ctx, http.MethodGet, stream+"?"+query.Encode(), nil)
	if err != nil {
		return after, 0, err
	}
	defer answer.Body.Close()
	decoder := json.NewDecoder(answer.Body)
	for ; ; n++ {
		var e Event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return after, n, fmt.Errorf("%s: %w", stream, err)
		}
		if e.Cursor != "" {
			after = e.Cursor
		}
		got(&e)
	}
	if header := answer.Header.Get(headerNext); header != "" {
		after = header
	}
	return after, n, nil
}

// Read reads a stream from a cursor to its end and returns the cursor behind it.
func (c *Client) Read(ctx context.Context, stream, account, after string, got func(*Event)) (next string, err error) {
	for {
		next, n, err := c.Page(ctx, stream, account, after, got)
		if err != nil || n == 0 && next == after {
			return next, err
		}
		after = next
	}
}

// Timeline reads what is known of one message.
func (c *Client) Timeline(ctx context.Context, account, message string) ([]Event, error) {
	var m struct{ Events []Event }
	err := c.get(ctx, "/v1/messages/"+url.PathEscape(message)+"?account="+url.QueryEscape(account), &m)
	return m.Events, err
}
