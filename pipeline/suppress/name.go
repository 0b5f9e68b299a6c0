package suppress

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"carom/pipeline/event"
)

// maxName bounds the addresses that are kept: RFC 5321 §4.5.3.1 allows 64 + 1 + 255 octets, and A-labels may be longer than
// what was written.
const maxName = 1024

// isName reports whether a name can be that of an entry: an address, or a hash of one.
func isName(name string) bool {
	return len(name) <= maxName && (strings.IndexByte(name, '@') > 0 || len(name) > 1 && name[0] == hashMark)
}

// hashes makes the names of addresses that are kept as hashes alone.
type hashes struct{ secret Secret }

// name returns '#' and the HMAC-SHA256 of an address in the form in which addresses are compared, in base64url.
func (h hashes) name(normal string) string {
	if len(normal) > 0 && normal[0] == hashMark {
		return normal
	}
	mac := hmac.New(sha256.New, h.secret[:])
	mac.Write([]byte(normal))
	return string(hashMark) + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// digest stands for a text. It is none that name makes: addresses do not begin so.
func (h hashes) digest(text []byte) (d [8]byte) {
	mac := hmac.New(sha256.New, h.secret[:])
	mac.Write([]byte("digest\x00"))
	mac.Write(text)
	copy(d[:], mac.Sum(nil))
	return d
}

// normalName is the name of an address that is kept as it is.
func normalName(address string) string {
	if len(address) > 0 && address[0] == hashMark {
		return address
	}
	return event.NormalAddress(strings.TrimSpace(address))
}

// splitName returns a name's domain, which is empty of a hash, and the rest.
func splitName(name string) (domain, local string) {
	at := strings.LastIndexByte(name, '@')
	if name[0] == hashMark || at < 0 {
		return "", name
	}
	return name[at+1:], name[:at]
}
