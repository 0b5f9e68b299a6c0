package ref

import (
	"encoding/json"
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
	text   mintText
}

// mintText is what stands before tokens, as JSON has it, and where honeypots lead.
type mintText struct{ open, click, unsubscribe, home string }

func newMintText(base string) mintText {
	quoted := string(event.AppendJSONString(nil, base))
	quoted = quoted[1 : len(quoted)-1]
	return mintText{open: quoted + "/o/", click: quoted + "/c/", unsubscribe: quoted + "/u/", home: base + "/"}
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
	return &Minter{keys: k, base: base, bounce: o.BounceDomain, reply: o.ReplyDomain, text: newMintText(base)}, nil
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
	// Key is the message key; zero: it is made.
	Key event.Key
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
	b, err := m.AppendMembers([]byte{'{'}, &msg)
	if err != nil {
		return Links{}, err
	}
	l := Links{Message: event.CleanMessageID(msg.Message)}
	if err := json.Unmarshal(append(b, '}'), &l); err != nil {
		panic("BUG: links that are no JSON: " + err.Error())
	}
	return l, nil
}

// AppendMembers appends what Mint makes to dst as members of a JSON object, all of Links but Message: "open_url":... With
// room in dst it allocates nothing. With an error, dst is returned as it was.
func (m *Minter) AppendMembers(dst []byte, msg *Message) ([]byte, error) {
	if len(msg.Links) > MaxLinks {
		return dst, fmt.Errorf("%w: %d links: want at most %d", ErrInvalid, len(msg.Links), MaxLinks)
	}
	r := msg.Ref
	normalise(&r, Header)
	if err := check(&r, Header); err != nil {
		return dst, err
	}
	for i, target := range msg.Links {
		if err := CheckURL(target); err != nil {
			return dst, fmt.Errorf("links[%d]: %w", i, err)
		}
	}
	key := msg.Key
	if key == (event.Key{}) {
		key = event.KeyOf(r.Account, r.Message)
	}
	s := sealings.Get().(*sealing)
	s.begin(m.keys.seal, &r, len(msg.Links)+4)
	dst = s.token(append(append(dst, `"open_url":"`...), m.text.open...), OpenPixel, &r)
	dst = append(dst, `.gif","click_urls":[`...)
	for i, target := range msg.Links {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(m.appendClick(append(dst, '"'), s, r, i, target), '"')
	}
	dst = append(dst, `],"honeypot_url":"`...)
	honeypot := r
	honeypot.Flags |= event.Honeypot
	dst = m.appendClick(dst, s, honeypot, len(msg.Links), m.text.home)
	dst = append(dst, `","unsubscribe_url":"`...)
	begin := len(dst)
	dst = s.token(append(dst, m.text.unsubscribe...), Unsubscribe, &r)
	end := len(dst)
	dst = m.appendAddress(append(dst, `","return_path":"`...), ReturnPath, key, m.bounce)
	dst = m.appendAddress(append(dst, `","reply_to":"`...), ReplyTo, key, m.reply)
	dst = s.token(append(dst, `","headers":{"X-Carom-Ref":"`...), Header, &r)
	dst = append(append(dst, `","List-Unsubscribe":"<`...), dst[begin:end]...)
	dst = m.appendAddress(append(dst, `>, <mailto:`...), MailtoUnsubscribe, key, m.bounce)
	sealings.Put(s)
	return append(dst, `>","List-Unsubscribe-Post":"List-Unsubscribe=One-Click"}`...), nil
}

// appendClick appends the URL of the i-th link.
func (m *Minter) appendClick(dst []byte, s *sealing, r event.Ref, i int, target string) []byte {
	r.Link, r.URL = uint32(i), target
	return s.token(append(dst, m.text.click...), Click, &r)
}

// appendAddress appends a mail address with a token.
func (m *Minter) appendAddress(dst []byte, p Purpose, key event.Key, domain string) []byte {
	dst = m.keys.SealAddress(append(dst, byte(p), '-'), p, key)
	return append(append(dst, '@'), domain...)
}

// SelfURL makes the link by which a sender marks a browser as its own: what is then opened and clicked with that browser
// in the sender's mail has the verdict self. Its errors wrap ErrInvalid.
func (m *Minter) SelfURL(account, sender string) (string, error) {
	b, err := m.keys.Seal([]byte(m.base+"/self/"), Self, &event.Ref{Account: account, Sender: sender})
	if err != nil {
		return "", err
	}
	return string(b), nil
}
