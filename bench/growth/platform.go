package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/smtp"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// platform is a sending system with its readers: it registers messages by the bulk, some of which are then opened, clicked,
// or come back.
type platform struct {
	node  *node
	world string
	next  atomic.Int64

	registered, opened, clicked, bounced, failed atomic.Int64

	mu      sync.Mutex // guards latency and lastErr
	latency *hdrhistogram.Histogram
	lastErr error
}

// Of a bulk, every n-th message is opened, every n-th of those clicked, and every n-th that was not opened bounces.
const (
	bulkMessages = 50
	openEvery    = 3
	clickEvery   = 4
	bounceEvery  = 49
)

// drainBound is how long a node may take to work off what it has acknowledged.
const drainBound = 30 * time.Minute

func newPlatform(n *node, world string) *platform {
	return &platform{node: n, world: world, latency: newHistogram()}
}

// events is how many were acknowledged.
func (p *platform) events() int64 {
	return p.registered.Load() + p.opened.Load() + p.clicked.Load() + p.bounced.Load()
}

func (p *platform) fail(err error) {
	p.failed.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastErr = err
}

// heard takes over the latencies since the last call.
func (p *platform) heard() (*hdrhistogram.Histogram, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	latency, err := p.latency, p.lastErr
	p.latency, p.lastErr = newHistogram(), nil
	return latency, err
}

// registration is a line of POST /v1/messages.
type registration struct {
	Account   string    `json:"account"`
	Sender    string    `json:"sender"`
	Sequence  string    `json:"sequence"`
	Contact   string    `json:"contact"`
	Message   string    `json:"message"`
	Recipient string    `json:"recipient"`
	Links     []string  `json:"links"`
	SentAt    time.Time `json:"sent_at"`
}

// answer is what the line was answered.
type answer struct {
	Message    string   `json:"message"`
	OpenURL    string   `json:"open_url"`
	ClickURLs  []string `json:"click_urls"`
	ReturnPath string   `json:"return_path"`
}

// send registers so many messages, in one request.
func (p *platform) send(ctx context.Context, messages int) ([]answer, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	last := p.next.Add(int64(messages))
	for n := last - int64(messages); n < last; n++ {
		r := messageRef(p.world, n)
		if err := encoder.Encode(registration{
			r.Account, r.Sender, r.Sequence, r.Contact, r.Message, fmt.Sprintf("recipient.%d@example.net", n),
			[]string{"https://example.com/offers/autumn"},
			time.Now().UTC(),
		}); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.node.api+"/v1/messages", &body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	got, err := scraper.Do(request)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	answers := make([]answer, 0, messages)
	lines := bufio.NewScanner(got.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var a answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil || a.OpenURL == "" {
			return answers, fmt.Errorf("register: %d %s", got.StatusCode, lines.Text())
		}
		answers = append(answers, a)
	}
	if err := lines.Err(); err != nil || len(answers) != messages {
		return answers, fmt.Errorf("register: %d of %d lines were answered: %w", len(answers), messages, err)
	}
	return answers, nil
}

// person is one connection each to the edges.
type person struct {
	*platform
	reader reader
	mail   *smtp.Client
	path   []byte
}

func (p *person) close() {
	p.reader.close()
	if p.mail != nil {
		_ = p.mail.Close()
	}
}

// bulk sends a bulk of messages and plays what becomes of them.
func (p *person) bulk(ctx context.Context) {
	answers, err := p.send(ctx, bulkMessages)
	p.registered.Add(int64(len(answers)))
	if err != nil {
		if ctx.Err() == nil {
			p.fail(err)
		}
		return
	}
	opened := 0
	for i := range answers {
		a := &answers[i]
		switch {
		case i%openEvery == 0:
			if opened++; p.hit(a.OpenURL, http.StatusOK, &p.opened) && opened%clickEvery == 0 {
				p.hit(a.ClickURLs[0], http.StatusFound, &p.clicked)
			}
		case i == bounceEvery:
			if err := p.bounce(a); err != nil {
				p.fail(err)
				continue
			}
			p.bounced.Add(1)
		}
	}
}

// hit follows a URL, and counts it if it was answered as it should.
func (p *person) hit(link string, want int, count *atomic.Int64) bool {
	u, err := url.Parse(link)
	if err != nil {
		p.fail(err)
		return false
	}
	p.path = append(p.path[:0], u.Path...)
	began := time.Now()
	status, err := p.reader.get(p.path)
	if err == nil && status != want {
		err = fmt.Errorf("%s: answered %d", u.Path[:3], status)
	}
	if err != nil {
		p.fail(err)
		return false
	}
	count.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.latency.RecordValue(max(1, time.Since(began).Microseconds()))
	return true
}

const report = `From: MAILER-DAEMON@mx.example.net
To: <%[1]s>
Date: %[2]s
Message-ID: <dsn.%[3]s>
Subject: Delivery Status Notification
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; somebody@example.net
Action: failed
Status: 5.2.2
Diagnostic-Code: smtp; 552 5.2.2 mailbox full

--b--
`

// bounce has the message come back as a report.
func (p *person) bounce(a *answer) (err error) {
	if p.mail == nil {
		if p.mail, err = smtp.Dial(p.node.mail); err != nil {
			return err
		}
		if err := p.mail.Hello("mx.example.net"); err != nil {
			return err
		}
	}
	defer func() {
		if err != nil {
			_ = p.mail.Close()
			p.mail = nil
		}
	}()
	if err := errors.Join(p.mail.Mail(""), p.mail.Rcpt(a.ReturnPath)); err != nil {
		return err
	}
	w, err := p.mail.Data()
	if err != nil {
		return err
	}
	mail := fmt.Sprintf(report, a.ReturnPath, time.Now().Format(time.RFC1123Z), a.Message)
	if _, err := w.Write([]byte(strings.ReplaceAll(mail, "\n", "\r\n"))); err != nil {
		return err
	}
	return w.Close()
}

// lag is how many records wait between the socket and the scores.
func lag(f figures) float64 {
	return f.sum("carom_refine_lag_records") + f.sum("carom_rollup_lag_records") + f.sum("carom_refine_waiting_clicks")
}

// drained waits until all that was acknowledged is counted.
func (p *platform) drained(ctx context.Context) error {
	for end := time.Now().Add(drainBound); ; {
		f, err := p.node.figures(ctx)
		if err != nil {
			return err
		}
		if lag(f) == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("after %v there are still %.0f records to be worked off", drainBound, lag(f))
		}
		time.Sleep(time.Second)
	}
}

// counts are what the scores count, of all senders.
type counts struct {
	Completed     int64 `json:"completed"`
	Bounced       int64 `json:"bounced"`
	Opened        int64 `json:"opened"`
	Clicked       int64 `json:"clicked"`
	MachineOpened int64 `json:"machine_opened"`
	MachineClick  int64 `json:"machine_clicked"`
}

// counted asks the API for the sums over all senders, as of a time at which everything has completed.
func (p *platform) counted(ctx context.Context) (sum counts, err error) {
	for after := ""; ; {
		query := url.Values{"account": {"acme"}, "window": {"7d"}, "limit": {"100"}, "as_of": {time.Now().Add(75 * time.Hour).UTC().Format(time.RFC3339)}}
		if after != "" {
			query.Set("after", after)
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.node.api+"/v1/senders?"+query.Encode(), nil)
		if err != nil {
			return sum, err
		}
		got, err := scraper.Do(request)
		if err != nil {
			return sum, err
		}
		var page struct {
			Senders []counts `json:"senders"`
			Next    string   `json:"next"`
		}
		err = errors.Join(json.NewDecoder(got.Body).Decode(&page), got.Body.Close())
		if err != nil {
			return sum, err
		}
		for _, c := range page.Senders {
			sum.Completed += c.Completed
			sum.Bounced += c.Bounced
			sum.Opened += c.Opened
			sum.Clicked += c.Clicked
			sum.MachineOpened += c.MachineOpened
			sum.MachineClick += c.MachineClick
		}
		if after = page.Next; after == "" {
			return sum, nil
		}
	}
}
