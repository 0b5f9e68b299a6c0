package ref

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"carom/pipeline/event"
)

// secretOf returns a secret that everybody can work out: its bytes count up from id.
func secretOf(id int) string {
	var b [secretLen]byte
	for i := range b {
		b[i] = byte(id + i)
	}
	return base64.StdEncoding.EncodeToString(b[:])
}

// keyFile writes a keys file with secretOf secrets from pairs like "1 open".
func keyFile(keys ...string) []byte {
	var b strings.Builder
	b.WriteString("version: 1\nkeys:\n")
	for _, k := range keys {
		var id int
		var state string
		if _, err := fmt.Sscan(k, &id, &state); err != nil {
			panic(err)
		}
		fmt.Fprintf(&b, "  - {id: %d, state: %s, secret: %s}\n", id, state, secretOf(id))
	}
	return []byte(b.String())
}

func keyring(tb testing.TB, keys ...string) *Keyring {
	tb.Helper()
	k, err := ParseKeyring(keyFile(keys...))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// typical is a ref of common size.
var typical = event.Ref{
	Account: "acme", Sender: "alice@example.com", Sequence: "q4-launch", Contact: "c-9812",
	Message: "20261121174503.77123.alice@mail.example.com",
	Link:    2, URL: "https://example.com/offers/autumn?utm_source=mail&utm_campaign=q4#prices",
	SentAt: 1795283103120, Flags: event.Shared,
}

// sealed returns the token of a ref, which must be sealable.
func sealed(tb testing.TB, k *Keyring, p Purpose, r event.Ref) []byte {
	tb.Helper()
	token, err := k.Seal(nil, p, &r)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// changed returns a copy of a token with another character at i, of both alphabets.
func changed(token []byte, i int) []byte {
	c := append([]byte(nil), token...)
	if c[i] = 'b'; token[i] == 'b' {
		c[i] = 'a'
	}
	return c
}
