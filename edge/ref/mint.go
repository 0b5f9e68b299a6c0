package ref

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"carom/pipeline/event"
)

const (
	// MaxLinks bounds the links of a message.
	MaxLinks = 1000
	// maxBaseURL and maxDomain bound what goes round the tokens, in bytes: List-Unsubscribe then fits into two lines
	// of 998 characters (RFC 5322 §2.1.1), and addresses into a path of 256 octets (RFC 5321 §4.5.3.1.3).
	maxBaseURL = 190
	maxDomain  = 200
)

// MinterOptions is where what is minted leads to.
type MinterOptions struct {
	TrackBaseURL string // of the HTTP edge, as the public sees it, for example https://track.example.com
	BounceDomain string // of return paths and mailto unsubscribes
	ReplyDomain  string // of Reply-To addresses
}

// Minter makes everything that a message needs to be tracked. It is safe for concurrent use.
type Minter struct {
	keys   *Keyring
	base   string // without a slash at its end
	bounce string
	reply  string
}

// NewMinter checks the options and returns a Minter that seals with k.
func NewMinter(k *Keyring, o MinterOptions) (*Minter, error) {
	base, err := checkBase(o.TrackBaseURL)
	if err != nil {
		return nil, fmt.Errorf("track base URL %q: %w", o.TrackBaseURL, err)
	}
	if !isDomain(o.BounceDomain) {
		return nil, fmt.Errorf("bounce domain %q: %s", o.BounceDomain, wantDomain)
	}
	if !isDomain(o.ReplyDomain) {
		return nil, fmt.Errorf("reply domain %q: %s", o.ReplyDomain, wantDomain)
	}
	return &Minter{keys: k, base: base, bounce: o.BounceDomain, reply: o.ReplyDomain}, nil
}

// checkBase returns a base URL without the slash at its end.
func checkBase(base string) (string, error) {
	if err := CheckURL(base); err != nil {
		return "", err
	}
	if len(base) > maxBaseURL {
		return "", fmt.Errorf("%d bytes: want at most %d", len(base), maxBaseURL)
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	if u.User != nil || strings.ContainsAny(base, "?#<>") {
		return "", errors.New("want a scheme, a host and perhaps a path, nothing else")
	}
	return strings.TrimRight(base, "/"), nil
}

const wantDomain = "want a domain name such as mail.example.com, in its xn-- form where it isn't ASCII"

// isDomain reports whether s can stand behind the @ of an address as it is: RFC 5321 §4.1.2, Domain.
func isDomain(s string) bool {
	if s == "" || len(s) > maxDomain {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, notLDH) {
			return false
		}
	}
	return true
}

// notLDH reports whether c is none of the letters, digits and the hyphen of a host name.
func notLDH(c rune) bool {
	letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	return !letter && (c < '0' || c > '9') && c != '-'
}

// Message is what links are minted for. Of its Ref, Link, URL and Honeypot are ignored.
type Message struct {
	event.Ref
	// Links are the targets of its links, by index from 0.
	Links []string
}

// Links is what goes into a message: the answer of POST /v1/messages and of carom link.
type Links struct {
	Message        string   `json:"message"`
	OpenURL        string   `json:"open_url"`
	ClickURLs      []string `json:"click_urls"` // one per link, never nil
	HoneypotURL    string   `json:"honeypot_url"`
	UnsubscribeURL string   `json:"unsubscribe_url"`
	ReturnPath     string   `json:"return_path"`
	ReplyTo        string   `json:"reply_to"`
	Headers        Headers  `json:"headers"`
}

// Headers are the header fields to be added to a message. Those of RFC 8058 only work if the sending MTA covers them
// with its DKIM signature.
type Headers struct {
	Ref                 string `json:"X-Carom-Ref"`
	ListUnsubscribe     string `json:"List-Unsubscribe"`      // RFC 2369 §3.2; may be folded behind its comma
	ListUnsubscribePost string `json:"List-Unsubscribe-Post"` // RFC 8058 §3.1
}

// Mint makes the links, addresses and header fields of a message. Its errors wrap ErrInvalid or ErrURL and name the
// field as POST /v1/messages does.
//
// The open URL ends in ".gif", because some mail programs and gateways go by it. The honeypot URL is a click's, with the
// index behind the last link, that leads to the base URL.
func (m *Minter) Mint(msg Message) (Links, error) {
	if len(msg.Links) > MaxLinks {
		return Links{}, fmt.Errorf("%w: %d links: want at most %d", ErrInvalid, len(msg.Links), MaxLinks)
	}
	w := mintWriter{m: m, ref: msg.Ref}
	normalise(&w.ref, Header)
	key := event.KeyOf(w.ref.Account, w.ref.Message)
	l := Links{
		Message:        w.ref.Message,
		OpenURL:        w.token(OpenPixel, m.base+"/o/", string(gif)),
		UnsubscribeURL: w.token(Unsubscribe, m.base+"/u/", ""),
		ReturnPath:     w.address(ReturnPath, key, m.bounce),
		ReplyTo:        w.address(ReplyTo, key, m.reply),
	}
	l.Headers.Ref = w.token(Header, "", "")
	l.Headers.ListUnsubscribe = "<" + l.UnsubscribeURL + ">, <mailto:" + w.address(MailtoUnsubscribe, key, m.bounce) + ">"
	l.Headers.ListUnsubscribePost = "List-Unsubscribe=One-Click"
	if w.err != nil {
		return Links{}, w.err
	}
	l.ClickURLs = make([]string, len(msg.Links))
	for i, target := range msg.Links {
		l.ClickURLs[i] = w.click(i, target)
		if w.err != nil {
			return Links{}, fmt.Errorf("links[%d]: %w", i, w.err)
		}
	}
	w.ref.Flags |= event.Honeypot
	l.HoneypotURL = w.click(len(msg.Links), m.base+"/")
	return l, w.err
}

// SelfURL makes the link by which a sender marks a browser as its own: what is then opened and clicked with that browser
// in the sender's mail has the verdict self. Its errors wrap ErrInvalid.
func (m *Minter) SelfURL(account, sender string) (string, error) {
	w := mintWriter{m: m, ref: event.Ref{Account: account, Sender: sender}}
	url := w.token(Self, m.base+"/self/", "")
	if w.err != nil {
		return "", w.err
	}
	return url, nil
}

// mintWriter makes the tokens of one message in one buffer. After an error it makes nothing more.
type mintWriter struct {
	m   *Minter
	ref event.Ref
	buf []byte
	err error
}

// token returns a URL token between two texts.
func (w *mintWriter) token(p Purpose, before, after string) string {
	if w.err != nil {
		return ""
	}
	w.buf, w.err = w.m.keys.Seal(append(w.buf[:0], before...), p, &w.ref)
	w.buf = append(w.buf, after...)
	return string(w.buf)
}

// click returns the URL of the i-th link.
func (w *mintWriter) click(i int, target string) string {
	w.ref.Link, w.ref.URL = uint32(i), target
	return w.token(Click, w.m.base+"/c/", "")
}

// address returns a mail address with a token.
func (w *mintWriter) address(p Purpose, key event.Key, domain string) string {
	w.buf = append(w.buf[:0], byte(p), '-')
	w.buf = w.m.keys.SealAddress(w.buf, p, key)
	w.buf = append(w.buf, '@')
	return string(append(w.buf, domain...))
}
