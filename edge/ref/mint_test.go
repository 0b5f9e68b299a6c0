package ref

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"carom/pipeline/event"
)

var mintOptions = MinterOptions{
	TrackBaseURL: "https://track.example.com", BounceDomain: "bounce.example.com", ReplyDomain: "reply.example.com",
}

func newMinter(tb testing.TB, k *Keyring) *Minter {
	tb.Helper()
	m, err := NewMinter(k, mintOptions)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestMint(t *testing.T) {
	k := keyring(t, "3 seal")
	msg := mintedMessage()
	msg.Flags |= event.Honeypot // must not reach its tokens
	l, err := newMinter(t, k).Mint(msg)
	if err != nil {
		t.Fatal(err)
	}
	msg.Flags &^= event.Honeypot
	checkLinks(t, k, msg, l)
}

// checkLinks opens all that was minted for msg, which had been given to mintOptions.
func checkLinks(t *testing.T, k *Keyring, msg Message, l Links) {
	t.Helper()
	want := msg.Ref
	want.Message, want.Link, want.URL = strings.Trim(msg.Message, "<>"), 0, ""
	if l.Message != want.Message {
		t.Errorf("message %q", l.Message)
	}
	opens := func(what, token string, p Purpose, want event.Ref) {
		t.Helper()
		var o Opened
		if err := k.Open(p, []byte(token), &o); err != nil {
			t.Errorf("%s: %q: %v", what, token, err)
		} else if o.Ref != want {
			t.Errorf("%s: opened\n%+v, want\n%+v", what, o.Ref, want)
		}
	}
	after := func(s, prefix string) string {
		t.Helper()
		rest, ok := strings.CutPrefix(s, prefix)
		if !ok {
			t.Errorf("%q: want it to begin with %q", s, prefix)
		}
		return rest
	}
	base := mintOptions.TrackBaseURL
	if !strings.HasSuffix(l.OpenURL, ".gif") {
		t.Errorf("open URL %q", l.OpenURL)
	}
	opens("open", after(l.OpenURL, base+"/o/"), OpenPixel, want)
	opens("unsubscribe", after(l.UnsubscribeURL, base+"/u/"), Unsubscribe, want)
	opens("header", l.Headers.Ref, Header, want)
	if len(l.ClickURLs) != len(msg.Links) {
		t.Fatalf("%d click URLs for %d links", len(l.ClickURLs), len(msg.Links))
	}
	click := want
	for i, u := range l.ClickURLs {
		click.Link, click.URL = uint32(i), msg.Links[i]
		opens("click", after(u, base+"/c/"), Click, click)
	}
	click.Link, click.URL, click.Flags = uint32(len(msg.Links)), base+"/", click.Flags|event.Honeypot
	opens("honeypot", after(l.HoneypotURL, base+"/c/"), Click, click)

	checkAddress(t, k, l.ReturnPath, ReturnPath, mintOptions.BounceDomain, want)
	checkAddress(t, k, l.ReplyTo, ReplyTo, mintOptions.ReplyDomain, want)
	mailto := after(l.Headers.ListUnsubscribe, "<"+l.UnsubscribeURL+">, <mailto:")
	checkAddress(t, k, strings.TrimSuffix(mailto, ">"), MailtoUnsubscribe, mintOptions.BounceDomain, want)
	if !strings.HasSuffix(mailto, ">") || l.Headers.ListUnsubscribePost != "List-Unsubscribe=One-Click" {
		t.Errorf("headers %+v", l.Headers)
	}
}

func checkAddress(t *testing.T, k *Keyring, address string, p Purpose, domain string, want event.Ref) {
	t.Helper()
	local, d, _ := strings.Cut(address, "@")
	token, ok := strings.CutPrefix(local, string(rune(p))+"-")
	if !ok || d != domain || len(local) > 64 {
		t.Errorf("address %q", address)
	}
	key, err := k.OpenAddress(p, token)
	if err != nil || key != event.KeyOf(want.Account, want.Message) {
		t.Errorf("address %q: key %v, %v", address, key, err)
	}
}

func TestMintJSON(t *testing.T) {
	l, err := newMinter(t, keyring(t, "3 seal")).Mint(Message{Ref: event.Ref{Sender: "alice", Message: "m-1"}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if urls, ok := got["click_urls"].([]any); !ok || len(urls) != 0 {
		t.Errorf("click_urls %v, want an empty list", got["click_urls"])
	}
	// Without an account it is that of the default one.
	checkAddress(t, keyring(t, "3 seal"), l.ReturnPath, ReturnPath, mintOptions.BounceDomain, event.Ref{Account: "default", Message: "m-1"})
}

func TestMintRefuses(t *testing.T) {
	m := newMinter(t, keyring(t, "3 seal"))
	ok := event.Ref{Sender: "alice", Message: "m-1"}
	for _, c := range []struct {
		msg  Message
		is   error
		says string
	}{
		{Message{}, ErrInvalid, "sender is missing"},
		{Message{Ref: event.Ref{Sender: "alice", Message: "<>"}}, ErrInvalid, "message is missing"},
		{Message{Ref: event.Ref{Sender: "alice", Message: "a\nb"}}, ErrInvalid, "message has control characters"},
		{Message{Ref: event.Ref{Sender: "alice", Message: "m", Contact: "\xff"}}, ErrInvalid, "contact has control characters or is not UTF-8"},
		{Message{Ref: ok, Links: []string{"https://example.com/", "ftp://example.com/"}}, ErrURL, "links[1]: "},
		{Message{Ref: ok, Links: make([]string, MaxLinks+1)}, ErrInvalid, "1001 links"},
	} {
		l, err := m.Mint(c.msg)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.100v: %v, want %q", c.msg, err, c.says)
		}
		if !reflect.DeepEqual(l, Links{}) {
			t.Errorf("%.100v: links besides an error", c.msg)
		}
	}
}

// Whatever a base URL may have that JSON may not, and however many links there are.
func TestMintIsJSON(t *testing.T) {
	k := keyring(t, "3 seal")
	o := mintOptions
	o.TrackBaseURL = `https://track.example.com/a"b`
	m, err := NewMinter(k, o)
	if err != nil {
		t.Fatal(err)
	}
	msg := Message{Ref: event.Ref{Sender: "alice", Message: "m-1"}, Links: make([]string, 100)}
	for i := range msg.Links {
		msg.Links[i] = fmt.Sprintf(`https://example.com/"%d"`, i)
	}
	l, err := m.Mint(msg)
	if err != nil {
		t.Fatal(err)
	}
	nonces := map[string]bool{}
	for i, u := range append(l.ClickURLs, l.HoneypotURL) {
		token, ok := strings.CutPrefix(u, o.TrackBaseURL+"/c/")
		var opened Opened
		if err := k.Open(Click, []byte(token), &opened); !ok || err != nil || opened.Ref.Link != uint32(i) {
			t.Fatalf("%s: %v, link %d", u, err, opened.Ref.Link)
		}
		if i < len(msg.Links) && opened.Ref.URL != msg.Links[i] {
			t.Errorf("link %d leads to %s", i, opened.Ref.URL)
		}
		nonces[token[:(sealedAt*4)/3]] = true
	}
	if len(nonces) != len(msg.Links)+1 {
		t.Errorf("%d nonces for %d tokens", len(nonces), len(msg.Links)+1)
	}
}

// RFC 5322 §2.1.1: no line is longer than 998 characters, whatever was minted for whoever.
func TestHeaderLinesFit(t *testing.T) {
	longest := strings.Repeat("d.", maxDomain/2-1) + "dd"
	m, err := NewMinter(keyring(t, "3 seal"), MinterOptions{
		TrackBaseURL: "https://" + strings.Repeat("t", maxBaseURL-8), BounceDomain: longest, ReplyDomain: longest,
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := m.Mint(Message{Ref: event.Ref{
		Account: strings.Repeat("a", 128), Sender: strings.Repeat("s", 128), Sequence: "q", Contact: strings.Repeat("c", 127),
		Message: strings.Repeat("m", 128), SentAt: maxMillis, Flags: 1<<32 - 1,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Headers.Ref) > maxBareTokenLen {
		t.Errorf("the token has %d characters, more than %d", len(l.Headers.Ref), maxBareTokenLen)
	}
	unsubscribe := strings.SplitAfter(l.Headers.ListUnsubscribe, ", ")
	for _, line := range []string{"X-Carom-Ref: " + l.Headers.Ref, "List-Unsubscribe: " + unsubscribe[0], " " + unsubscribe[1]} {
		if len(line) > 998 {
			t.Errorf("%d characters: %.40s...", len(line), line)
		}
	}
	for _, address := range []string{l.ReturnPath, l.ReplyTo} {
		if local := strings.IndexByte(address, '@'); local > 64 || len(address) > 254 {
			t.Errorf("%d octets, %d of them before the @: %s", len(address), local, address)
		}
	}
}

func TestNewMinter(t *testing.T) {
	k := keyring(t, "3 seal")
	for _, c := range []struct {
		base string
		want string
	}{
		{"https://track.example.com/", "https://track.example.com/o/"},
		{"http://localhost:8080", "http://localhost:8080/o/"},
		{"https://example.com/mail//", "https://example.com/mail/o/"},
		{"http://[::1]:8080", "http://[::1]:8080/o/"},
	} {
		m, err := NewMinter(k, MinterOptions{c.base, "bounce.localhost", "localhost"})
		if err != nil {
			t.Errorf("%s: %v", c.base, err)
			continue
		}
		l, err := m.Mint(Message{Ref: event.Ref{Sender: "s", Message: "m"}})
		if err != nil || !strings.HasPrefix(l.OpenURL, c.want) {
			t.Errorf("%s: %s, %v", c.base, l.OpenURL, err)
		}
	}
	for _, c := range []struct {
		o    MinterOptions
		says string
	}{
		{MinterOptions{"", "b.example.com", "r.example.com"}, `track base URL ""`},
		{MinterOptions{"track.example.com", "b.example.com", "r.example.com"}, "want http:// or https://"},
		{MinterOptions{"https://", "b.example.com", "r.example.com"}, "the host is missing"},
		{MinterOptions{"https://u:p@example.com", "b.example.com", "r.example.com"}, "nothing else"},
		{MinterOptions{"https://example.com/?a", "b.example.com", "r.example.com"}, "nothing else"},
		{MinterOptions{"https://example.com/#", "b.example.com", "r.example.com"}, "nothing else"},
		{MinterOptions{"https://example.com/>", "b.example.com", "r.example.com"}, "nothing else"},
		{MinterOptions{"https://example.com:x", "b.example.com", "r.example.com"}, "invalid port"},
		{MinterOptions{"https://" + strings.Repeat("t", maxBaseURL), "b.example.com", "r.example.com"}, "want at most 190"},
		{MinterOptions{"https://example.com", "", "r.example.com"}, `bounce domain ""`},
		{MinterOptions{"https://example.com", "b.example.com", ""}, `reply domain ""`},
		{MinterOptions{"https://example.com", "b..example.com", "r.example.com"}, "want a domain name"},
		{MinterOptions{"https://example.com", "b.example.com.", "r.example.com"}, "want a domain name"},
		{MinterOptions{"https://example.com", "-b.example.com", "r.example.com"}, "want a domain name"},
		{MinterOptions{"https://example.com", "a@b.example.com", "r.example.com"}, "want a domain name"},
		{MinterOptions{"https://example.com", "b.example.com", "r\r.example.com"}, "want a domain name"},
		{MinterOptions{"https://example.com", "bücher.example", "r.example.com"}, "xn--"},
		{MinterOptions{"https://example.com", strings.Repeat("a.", 150) + "a", "r.example.com"}, "want a domain name"},
	} {
		if _, err := NewMinter(k, c.o); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.says)
		}
	}
}
