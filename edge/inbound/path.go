package inbound

import (
	"strings"
	"unicode/utf8"
)

// readPath returns the address in a path of MAIL or RCPT (RFC 5321 §4.1.2), without brackets, source route (appendix C)
// and quotes. bad refuses what is no address, or too long (§4.5.3.1). What is not ASCII needs SMTPUTF8 (RFC 6531 §3.5).
func readPath(path string, allowUTF8 bool, bad *reply) (address string, refusal *reply) {
	if path[0] == '<' {
		path = path[1 : len(path)-1]
	}
	if strings.HasPrefix(path, "@") {
		_, mailbox, ok := strings.Cut(path, ":")
		if !ok {
			return "", replyBadPath
		}
		path = mailbox
	}
	local, domain, ok := splitMailbox(path)
	switch {
	case !ok:
		return "", replyBadPath
	case len(local) > maxLocalPart || len(domain) > maxDomain:
		return "", bad
	case !allowUTF8 && !(isASCII(local) && isASCII(domain)):
		return "", replyNeedsUTF8
	case len(path) == len(local)+1+len(domain):
		return path, nil
	}
	return local + "@" + domain, nil
}

// splitMailbox takes a mailbox apart. The local part comes without the quotes that it may have.
func splitMailbox(s string) (local, domain string, ok bool) {
	at := 0
	if strings.HasPrefix(s, `"`) {
		if local, at, ok = unquote(s); !ok {
			return "", "", false
		}
	} else if at = strings.IndexByte(s, '@'); at >= 0 {
		local = s[:at]
		if strings.ContainsAny(local, "()<>[]:;\\,\" \t") {
			return "", "", false
		}
	}
	if local == "" || at == len(s) || s[at] != '@' {
		return "", "", false
	}
	domain = s[at+1:]
	return local, domain, domain != "" && domain[len(domain)-1] != '@' && !strings.ContainsAny(domain, "> ")
}

// unquote reads the quoted string at the beginning of s; end is where it ends.
func unquote(s string) (text string, end int, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), i + 1, true
		case '\\':
			if i++; i == len(s) {
				return "", 0, false
			}
		}
		b.WriteByte(s[i])
	}
	return "", 0, false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
