package node

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Registration is what POST /v1/messages takes.
type Registration struct {
	Account   string    `json:"account"`
	Sender    string    `json:"sender"`
	Sequence  string    `json:"sequence,omitempty"`
	Contact   string    `json:"contact"`
	Message   string    `json:"message"`
	Recipient string    `json:"recipient,omitempty"`
	Links     []string  `json:"links"`
	SentAt    time.Time `json:"sent_at"`
}

// Links is what was minted for a message: the answer of POST /v1/messages.
type Links struct {
	Send           bool              `json:"send"`
	OpenURL        string            `json:"open_url"`
	ClickURLs      []string          `json:"click_urls"`
	HoneypotURL    string            `json:"honeypot_url"`
	UnsubscribeURL string            `json:"unsubscribe_url"`
	ReturnPath     string            `json:"return_path"`
	ReplyTo        string            `json:"reply_to"`
	Headers        map[string]string `json:"headers"`
}

// Register registers messages in one bulk and hands each answer to got, in order. Those that got saw are registered, even
// if an error follows.
func (c *Client) Register(ctx context.Context, all []Registration, got func(i int, l Links)) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	for i := range all {
		if err := encoder.Encode(&all[i]); err != nil {
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
	for ; lines.Scan(); n++ {
		var l Links
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil || n >= len(all) || !l.Send {
			return fmt.Errorf("register message %d: unexpected answer %.500q", n, lines.Text())
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

// bulk is how many messages RegisterAll puts into a request.
const bulk = 500

// RegisterAll registers any number of messages, one bulk after the other, as Register does.
func (c *Client) RegisterAll(ctx context.Context, all []Registration, got func(i int, l Links)) error {
	for start := 0; start < len(all); start += bulk {
		part := all[start:min(start+bulk, len(all))]
		if err := c.Register(ctx, part, func(i int, l Links) { got(start+i, l) }); err != nil {
			return err
		}
	}
	return nil
}
