package wire

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"carom/bench/load"
	"carom/bench/targets"
)

// APIOptions say where messages are registered.
type APIOptions struct {
	URL   string // of the API: http://127.0.0.1:8081
	Token string // empty: none
	TLS   *tls.Config
	// Timeout of one request, with the connecting where that is needed.
	Timeout time.Duration
}

const (
	apiKind = "messages"
	apiRead = 64 << 10
	// The most bytes of a message's answer, and of what it has for each link.
	answerLine = 32 << 10
	answerLink = 4 << 10
	// maxHeaders bounds the header lines of an answer.
	maxHeaders = 200
	// maxWritten is up to which size a request goes out before its answer is read. Bulk requests are answered while they
	// are sent, and a client that doesn't read would wait for a server that waits for it.
	maxWritten = 32 << 10
)

// errUnanswered says that a connection ended before anything was answered.
var errUnanswered = errors.New("the server ended the connection")

// API registers messages over one connection. It implements load.Client.
type API struct {
	o     APIOptions
	feed  *targets.RegistrationFeed
	batch int
	host  string // host:port
	head  string // of the request, up to its length
	tls   *tls.Config

	connection

	in    *bufio.Reader
	lines *bufio.Reader // of the answer
	out   []byte
	wrote chan error
	read  int // bytes
}

// NewAPI returns a client that connects when it has something to register.
func NewAPI(o APIOptions, messages *targets.Registrations) (*API, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("URL of the API %q: want one such as http://127.0.0.1:8081", o.URL)
	}
	if o.Timeout <= 0 {
		return nil, fmt.Errorf("timeout %s: want more than nothing", o.Timeout)
	}
	if strings.ContainsFunc(o.Token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, errors.New("token of the API: want printable ASCII characters")
	}
	c := &API{o: o, feed: messages.Feed(), batch: messages.Batch(), host: u.Host, wrote: make(chan error, 1)}
	if u.Port() == "" {
		c.host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	if u.Scheme == "https" {
		if c.tls = o.TLS; c.tls == nil {
			c.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
		}
	}
	media := "application/json"
	if c.batch > 1 {
		media = "application/x-ndjson"
	}
	c.head = "POST " + strings.TrimSuffix(u.EscapedPath(), "/") + "/v1/messages HTTP/1.1\r\nHost: " + u.Host + "\r\nUser-Agent: carom-bench\r\nContent-Type: " + media + "\r\n"
	if o.Token != "" {
		c.head += "Authorization: Bearer " + o.Token + "\r\n"
	}
	c.in = bufio.NewReaderSize(nil, apiRead)
	c.lines = bufio.NewReaderSize(nil, answerLine+messages.Links()*answerLink)
	return c, nil
}

// Probe connects, if there is no connection.
func (c *API) Probe(ctx context.Context) error {
	if !c.begin() {
		return net.ErrClosed
	}
	defer c.end()
	return c.connected(ctx, time.Now().Add(c.o.Timeout))
}

// Do registers the next messages.
func (c *API) Do(ctx context.Context) load.Answer {
	a := load.Answer{Kind: apiKind}
	if !c.begin() {
		a.Err = net.ErrClosed
		return a
	}
	defer c.end()
	body := c.feed.Next()
	by := time.Now().Add(c.o.Timeout)
	c.read = 0
	used := c.conn != nil
	a.Code, a.Items, a.Err = c.tryOnce(ctx, by, body)
	if used && errors.Is(a.Err, errUnanswered) { // it had been ended: to register twice does no harm
		a.Code, a.Items, a.Err = c.tryOnce(ctx, by, body)
	}
	a.Bytes = len(c.head) + len(body) + c.read
	return a
}

func (c *API) tryOnce(ctx context.Context, by time.Time, body []byte) (code, items int, err error) {
	if err := c.connected(ctx, by); err != nil {
		return 0, 0, err
	}
	_ = c.conn.SetDeadline(by)
	writing, err := c.send(body)
	if err != nil {
		c.drop()
		return 0, 0, c.explain(err, false)
	}
	code, items, keep, err := c.answer()
	if !keep {
		c.drop() // which ends the writing too
	}
	if writing {
		// A server that has answered every line has read them all.
		if writeErr := <-c.wrote; writeErr != nil {
			c.drop()
		}
	}
	return code, items, err
}

// connected makes a connection if there is none.
func (c *API) connected(ctx context.Context, by time.Time) error {
	if c.conn != nil {
		return nil
	}
	if err := c.connect(ctx, by); err != nil {
		c.drop()
		return fmt.Errorf("connect: %w", plain(err))
	}
	return nil
}

func (c *API) connect(ctx context.Context, by time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, by)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", c.host)
	if err != nil {
		return err
	}
	if err := c.use(conn); err != nil {
		return err
	}
	if c.tls != nil {
		secure := tls.Client(conn, c.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		c.secure(secure)
	}
	c.in.Reset(c.conn)
	return nil
}

// send sends a request. A large one is still being sent when it returns, which wrote tells the end of.
func (c *API) send(body []byte) (writing bool, err error) {
	c.out = append(c.out[:0], c.head...)
	c.out = append(strconv.AppendInt(append(c.out, "Content-Length: "...), int64(len(body)), 10), "\r\n\r\n"...)
	c.out = append(c.out, body...)
	if len(c.out) <= maxWritten {
		_, err := c.conn.Write(c.out)
		return false, err
	}
	go func(conn net.Conn, out []byte) {
		_, err := conn.Write(out)
		c.wrote <- err
	}(c.conn, c.out)
	return true, nil
}

// explain tells a connection that had ended before the request came from one that ended midway.
func (c *API) explain(err error, answered bool) error {
	late := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed)
	if !answered && !late {
		return fmt.Errorf("%w: %w", errUnanswered, plain(err))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the answer was cut short")
	}
	return plain(err)
}

// answer reads the answer. keep says that the connection can be used again.
func (c *API) answer() (code, items int, keep bool, err error) {
	if _, err := c.in.Peek(1); err != nil {
		return 0, 0, false, c.explain(err, false)
	}
	var h answerHead
	for code < 200 { // 1xx come before the answer
		if h, err = c.readHead(); err != nil {
			return 0, 0, false, c.explain(err, true)
		}
		code = h.code
	}
	body := h.body(c.in)
	if code != 200 {
		text, err := io.ReadAll(io.LimitReader(body, apiRead))
		if err != nil {
			return code, 0, false, c.explain(err, true)
		}
		return code, 0, false, fmt.Errorf("answered %d: %s", code, problem(text))
	}
	c.lines.Reset(body)
	items, bad, err := c.readLines()
	if err == nil && h.chunked {
		err = c.readTrailer()
	}
	switch {
	case err != nil:
		return code, items, false, c.explain(err, true)
	case bad != nil:
		return code, items, !h.close, bad
	case items != c.batch:
		return code, items, false, fmt.Errorf("%d of %d messages were answered", items, c.batch)
	}
	return code, items, !h.close, nil
}

// answerHead is what the head of an answer says of the rest.
type answerHead struct {
	code    int
	length  int64 // -1: until the connection ends
	chunked bool
	close   bool
}

func (h *answerHead) body(in *bufio.Reader) io.Reader {
	switch {
	case h.chunked:
		return httputil.NewChunkedReader(in)
	case h.length >= 0:
		return &exactly{in, h.length}
	}
	return in
}

// exactly reads so many bytes, and fails if there are less.
type exactly struct {
	in   io.Reader
	left int64
}

func (e *exactly) Read(b []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.in.Read(b[:min(int64(len(b)), e.left)])
	e.left -= int64(n)
	if errors.Is(err, io.EOF) && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *API) readHead() (h answerHead, err error) {
	h.length = -1
	line, err := c.headLine()
	if err != nil {
		return h, err
	}
	version, rest, _ := bytes.Cut(line, []byte(" "))
	status, _, _ := bytes.Cut(rest, []byte(" "))
	if h.code, err = strconv.Atoi(string(status)); err != nil || !bytes.HasPrefix(version, []byte("HTTP/1.")) || h.code < 100 || h.code > 599 {
		return h, fmt.Errorf("no HTTP answer: %s", words(line))
	}
	h.close = string(version) == "HTTP/1.0"
	for range maxHeaders {
		line, err := c.headLine()
		if err != nil {
			return h, err
		}
		if len(line) == 0 {
			h.close = h.close || h.length < 0 && !h.chunked
			return h, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if h.length, err = strconv.ParseInt(string(value), 10, 64); err != nil || h.length < 0 {
				return h, errors.New("no HTTP answer: its length is no number")
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Connection")):
			h.close = bytes.EqualFold(value, []byte("close"))
		}
	}
	return h, fmt.Errorf("no HTTP answer: more than %d header lines", maxHeaders)
}

// headLine returns a line of the head without its end.
func (c *API) headLine() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	c.read += len(line)
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errors.New("no HTTP answer: a line without end")
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// readTrailer reads what follows the last chunk.
func (c *API) readTrailer() error {
	for range maxHeaders {
		line, err := c.headLine()
		if err != nil || len(line) == 0 {
			return err
		}
	}
	return errors.New("no HTTP answer: a trailer without end")
}

var sends = []byte(`"send":true`)

// readLines counts the lines that answer a message as they should; bad says what the first other one was.
func (c *API) readLines() (good int, bad, err error) {
	for n := 0; ; n++ {
		line, err := c.lines.ReadSlice('\n')
		c.read += len(line)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return good, nil, errors.New("no answer to a message: a line without end")
		case err != nil && !errors.Is(err, io.EOF):
			return good, nil, err
		case len(bytes.TrimSpace(line)) > 0 && bytes.Contains(line, sends):
			good++
		case len(bytes.TrimSpace(line)) > 0 && bad == nil:
			bad = fmt.Errorf("a message was answered by %s", problem(line))
		}
		if err != nil {
			return good, bad, nil
		}
		if n > c.batch+1 {
			return good, nil, errors.New("more lines were answered than asked")
		}
	}
}

// problem is what an error says, in the few words that are the same for all of its kind (RFC 9457).
func problem(text []byte) string {
	var p struct {
		Status int
		Title  string
		Send   *bool
	}
	switch err := json.Unmarshal(text, &p); {
	case err != nil:
		return words(text)
	case p.Send != nil && !*p.Send:
		return `"send":false`
	case p.Title != "":
		return strings.TrimSpace(fmt.Sprintf("%d %s", p.Status, words([]byte(p.Title))))
	}
	return words(text)
}

// Close ends the connection.
func (c *API) Close() error {
	c.close(func(net.Conn) {})
	return nil
}
