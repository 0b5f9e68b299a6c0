package ref

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"carom/pipeline/event"
)

const (
	// DefaultAccount is the account of a ref that names none.
	DefaultAccount = "default"
	// MaxIDs bounds account, sender, sequence, contact and message together, in bytes: then the header and
	// List-Unsubscribe stay within the 998 characters of a line that RFC 5322 §2.1.1 allows.
	MaxIDs = 512
	// MaxURL bounds the target of a link in bytes.
	MaxURL = 8 << 10
	// maxMillis is the end of the year 9999: the last time that RFC 3339 can write.
	maxMillis event.Millis = 253402300799999
)

// normalise brings a ref into the one form that is sealed and believed for a purpose.
func normalise(r *event.Ref, p Purpose) {
	if r.Account == "" {
		r.Account = DefaultAccount
	}
	r.Message = event.CleanMessageID(r.Message)
	switch p {
	case Click:
	case Self:
		*r = event.Ref{Account: r.Account, Sender: r.Sender}
	default:
		r.Link, r.URL = 0, ""
		r.Flags &^= event.Honeypot
	}
}

// check reports what is wrong with a normalised ref. It runs at sealing and again at opening, because other programs
// seal too. It allocates only to complain.
func check(r *event.Ref, p Purpose) error {
	if r.Sender == "" {
		return fmt.Errorf("%w: sender is missing", ErrInvalid)
	}
	if r.Message == "" && p != Self {
		return fmt.Errorf("%w: message is missing", ErrInvalid)
	}
	if n := len(r.Account) + len(r.Sender) + len(r.Sequence) + len(r.Contact) + len(r.Message); n > MaxIDs {
		return fmt.Errorf("%w: account, sender, sequence, contact and message have %d bytes together: want at most %d",
			ErrInvalid, n, MaxIDs)
	}
	if !isText(r.Account) || !isText(r.Sender) || !isText(r.Sequence) || !isText(r.Contact) || !isText(r.Message) {
		return fmt.Errorf("%w: %s", ErrInvalid, whichText(r))
	}
	if r.SentAt < 0 || r.SentAt > maxMillis {
		return fmt.Errorf("%w: sent_at %d: want milliseconds since 1970, 0 to %d", ErrInvalid, r.SentAt, maxMillis)
	}
	if p == Click {
		return CheckURL(r.URL)
	}
	return nil
}

// isText reports whether s is UTF-8 without control characters. An id with a line break could split a header or a
// log line; one with NUL could pass for an enrollment id.
func isText(s string) bool {
	var all byte // the bits that any byte has set
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 0x20 || c == 0x7f {
			return false
		}
		all |= c
	}
	return all < utf8.RuneSelf || utf8.ValidString(s)
}

// whichText names the first field that isText refuses.
func whichText(r *event.Ref) string {
	for _, f := range []struct{ name, value string }{
		{"account", r.Account}, {"sender", r.Sender}, {"sequence", r.Sequence}, {"contact", r.Contact},
	} {
		if !isText(f.value) {
			return f.name + " has control characters or is not UTF-8"
		}
	}
	return "message has control characters or is not UTF-8"
}

// CheckURL reports why Carom would not redirect to u: anything but http and https, no host, blanks and control bytes
// (a line break would split the response), or more than MaxURL bytes. Everything else is left to the reader's browser,
// byte for byte: bytes from 0x80 on, percent-escapes right or wrong, quotes, fragments.
func CheckURL(u string) error {
	if len(u) > MaxURL {
		return fmt.Errorf("%w: %d bytes: want at most %d", ErrURL, len(u), MaxURL)
	}
	rest, ok := cutScheme(u)
	if !ok {
		return fmt.Errorf("%w: want http:// or https://", ErrURL)
	}
	if !hasHost(rest) {
		return fmt.Errorf("%w: the host is missing", ErrURL)
	}
	for i := 0; i < len(u); i++ {
		if c := u[i]; c <= 0x20 || c == 0x7f {
			return fmt.Errorf("%w: byte 0x%02x at %d: percent-encode it", ErrURL, c, i)
		}
	}
	return nil
}

// cutScheme removes http:// or https://, in any case (RFC 3986 §3.1).
func cutScheme(u string) (rest string, ok bool) {
	for _, scheme := range [...]string{"https://", "http://"} {
		if len(u) >= len(scheme) && (u[:len(scheme)] == scheme || strings.EqualFold(u[:len(scheme)], scheme)) {
			return u[len(scheme):], true
		}
	}
	return "", false
}

// hasHost looks for a host in what follows "//". Browsers end the authority at a backslash too, where RFC 3986 §3.2
// doesn't; without that, https://\example.net would have a host here and lead elsewhere there.
func hasHost(rest string) bool {
	host := 0 // where it begins, behind the last @
	for i := 0; i <= len(rest); i++ {
		if i == len(rest) || rest[i] == '/' || rest[i] == '?' || rest[i] == '#' || rest[i] == '\\' {
			return i > host && rest[host] != ':'
		}
		if rest[i] == '@' {
			host = i + 1
		}
	}
	return false
}
