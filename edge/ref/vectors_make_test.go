package ref

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"carom/pipeline/event"
)

// makeVectors makes the vectors as the code has it now. Everything in it is fixed, so it makes the same each time.
func makeVectors(t *testing.T) vectors {
	v := vectors{About: []string{
		"Test vectors of Carom's tokens, version 1. MINTING.md explains them. Secrets are in base64 as in a keys file, tokens as text, all else in hexadecimal.",
		"url_tokens: sealing ref with that key, nonce and purpose must give that plaintext and token. opened, where it is there, is what opening gives instead of ref.",
		"address_tokens: the same without a nonce. Upper case must be read too.",
		"refused: these must not open for that purpose; error says why Carom refuses them.",
	}}
	for _, k := range []struct {
		id    byte
		state state
	}{{7, stateOpen}, {9, stateRetired}, {255, stateSeal}} {
		v.Keys = append(v.Keys, makeKey(t, k.id, k.state))
	}
	client := keyring(t, vectorKeys...).ClientKey()
	v.ClientKey = hex.EncodeToString(client[:])
	for _, m := range [][2]string{
		{"default", "m-1"},
		{"acme", "20261121174503.77123@mail.example.com"},
		{"acme", "<20261121174503.77123@mail.example.com>"},
		{"acme", " \t<20261121174503.77123@mail.example.com>\r\n"},
		{"bcme", "20261121174503.77123@mail.example.com"},
		{"käse", "grüße-✉@bücher.example"},
		{"acme", event.EnrollmentID("acme", "alice", "q4", "c-9812")},
	} {
		v.MessageKeys = append(v.MessageKeys, messageVector{m[0], m[1], event.KeyOf(m[0], m[1]).String()})
	}
	makeURLs(t, &v)
	makeAddresses(t, &v)
	refuseURLs(t, &v)
	refuseAddresses(t, &v)
	return v
}

func makeKey(t *testing.T, id byte, s state) keyVector {
	t.Helper()
	secret, err := base64.StdEncoding.DecodeString(secretOf(int(id)))
	if err != nil {
		t.Fatal(err)
	}
	hexKey := func(info string) string {
		k, err := derive(secret, info)
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(k[:])
	}
	return keyVector{id, string(s), secretOf(int(id)), hexKey(urlInfo), hexKey(addressInfo)}
}

func makeURLs(t *testing.T, v *vectors) {
	bare := typical
	bare.Link, bare.URL = 0, ""
	least := event.Ref{Account: "default", Sender: "alice", Message: "m-1"}
	click := func(url string) event.Ref {
		r := least
		r.URL = url
		return r
	}
	honeypot := click("https://track.example.com/")
	honeypot.Link, honeypot.Flags = 3, event.Honeypot
	most := event.Ref{
		Account: strings.Repeat("a", 128), Sender: strings.Repeat("s", 128), Sequence: strings.Repeat("q", 64),
		Contact: strings.Repeat("c", 64), Message: strings.Repeat("m", 128), Link: 1<<32 - 1,
		URL: "https://example.com/?" + strings.Repeat("x", MaxURL-21), SentAt: maxMillis, Flags: 1<<32 - 1,
	}
	unnamed, bracketed := least, least
	unnamed.Account = ""
	bracketed.Message = " <m-1> "
	for _, c := range []struct {
		name   string
		p      Purpose
		keyID  byte
		ref    event.Ref
		opened event.Ref // if another than ref
	}{
		{name: "open", p: OpenPixel, ref: bare},
		{name: "click", p: Click, ref: typical},
		{name: "unsubscribe", p: Unsubscribe, ref: bare},
		{name: "header", p: Header, ref: bare},
		{name: "a key that only opens by now", p: OpenPixel, keyID: 7, ref: bare},
		{name: "no more than needed", p: OpenPixel, ref: least},
		{name: "no account", p: OpenPixel, ref: unnamed, opened: least},
		{name: "angle brackets", p: Header, ref: bracketed, opened: least},
		{name: "link and URL outside a click", p: OpenPixel, ref: typical, opened: bare},
		{name: "link 0", p: Click, ref: click("http://example.com")},
		{name: "query, fragment, ampersands", p: Click, ref: click("https://example.com/a?b=c&d=e&amp;f=g#h?i&j")},
		{name: "percent-escapes, right and wrong", p: Click, ref: click("https://example.com/a%2Fb%2fc%20d%zz%?q=100%")},
		{name: "internationalised", p: Click, ref: click("https://bücher.example/straße?q=✉")},
		{name: "unusual characters", p: Click, ref: click(`HTTPS://user:pw@[2001:db8::1]:8443/{{a}}|"<b>'\^` + "`")},
		{name: "honeypot", p: Click, ref: honeypot},
		{name: "ids beyond ASCII", p: Header, ref: event.Ref{Account: "käse", Sender: "Ålice ✉", Sequence: "秋の大売出し", Contact: "😀", Message: "grüße-✉@bücher.example"}},
		{name: "the longest", p: Click, ref: most},
		{name: "self", p: Self, ref: event.Ref{Account: "acme", Sender: typical.Sender}},
		{name: "self, whatever else is told", p: Self, ref: typical, opened: event.Ref{Account: "acme", Sender: typical.Sender}},
		{name: "self, no account", p: Self, ref: event.Ref{Sender: "alice"}, opened: event.Ref{Account: "default", Sender: "alice"}},
	} {
		if c.keyID == 0 {
			c.keyID = 255
		}
		v.URLs = append(v.URLs, makeURL(t, len(v.URLs), c.name, c.p, c.keyID, c.ref, c.opened))
	}
}

func makeURL(t *testing.T, n int, name string, p Purpose, keyID byte, r, opened event.Ref) urlVector {
	t.Helper()
	nonce := fixedNonce(n)
	token, err := sealer(t, keyID).sealWith(nil, p, &r, nonce)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	u := urlVector{Name: name, Purpose: string(rune(p)), KeyID: keyID, Nonce: hex.EncodeToString(nonce[:]), Ref: vectorOf(r), Token: string(token)}
	if opened != (event.Ref{}) {
		u.Opened = vectorOf(opened)
	}
	normalise(&r, p)
	u.Plaintext = hex.EncodeToString(appendPlain(nil, &r))
	return u
}

func makeAddresses(t *testing.T, v *vectors) {
	for _, c := range []struct {
		p       Purpose
		keyID   byte
		account string
		message string
	}{
		{ReturnPath, 255, "acme", typical.Message},
		{ReplyTo, 255, "acme", typical.Message},
		{MailtoUnsubscribe, 255, "acme", typical.Message},
		{ReturnPath, 7, "acme", typical.Message},
		{ReturnPath, 255, "default", "<m-1>"},
		{ReplyTo, 255, "käse", "grüße-✉@bücher.example"},
	} {
		token := sealer(t, c.keyID).SealAddress(nil, c.p, event.KeyOf(c.account, c.message))
		v.Addresses = append(v.Addresses, addressVector{string(rune(c.p)), c.keyID, c.account, c.message, string(token)})
	}
}
