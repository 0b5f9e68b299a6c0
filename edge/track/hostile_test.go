package track

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
	"google.golang.org/protobuf/encoding/protowire"

	"go.uber.org/zap"

	"carom/edge/ref"
)

// hostileMinter holds the keys and seals what it likes: a program in another language with a bug, or worse.
type hostileMinter struct{ secret [32]byte }

func (m hostileMinter) keysFile() []byte {
	return []byte("version: 1\nkeys:\n  - {id: 1, state: seal, secret: " + base64.StdEncoding.EncodeToString(m.secret[:]) + "}\n")
}

// click seals a click on a URL without looking at it: version, key id, nonce, XChaCha20-Poly1305 of sender (2),
// message (5) and URL (7).
func (m hostileMinter) click(t *testing.T, url string) string {
	t.Helper()
	key, err := hkdf.Key(sha256.New, m.secret[:], nil, "carom url v1", 32)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		t.Fatal(err)
	}
	var plain []byte
	for _, f := range []struct {
		number protowire.Number
		value  string
	}{{2, "alice"}, {5, "m-1"}, {7, url}} {
		plain = protowire.AppendTag(plain, f.number, protowire.BytesType)
		plain = protowire.AppendString(plain, f.value)
	}
	var nonce [chacha20poly1305.NonceSizeX]byte
	raw := append([]byte{1, 1}, nonce[:]...)
	raw = append(raw, aead.Seal(nil, nonce[:], plain, []byte{1, 1, byte(ref.Click)})...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// TestRedirectCannotBeAbused opens authentic tokens with targets that no redirect may have.
func TestRedirectCannotBeAbused(t *testing.T) {
	minter := hostileMinter{secret: [32]byte{7}}
	keys, err := ref.ParseKeyring(minter.keysFile())
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, testOptions())
	s, err := New(testOptions(), keys, r.sink, zap.NewNop(), nil)
	if err != nil {
		t.Fatal(err)
	}
	get := func(url string) answer {
		ctx := inProcess(t, browserRequest("/c/"+minter.click(t, url)))
		s.handle(ctx)
		return parse(t, ctx.Response.String(), "GET")[0]
	}
	if a := get("https://example.com/good"); a.StatusCode != 302 || a.Header.Get("Location") != "https://example.com/good" {
		t.Fatalf("a good one: %s to %q", a.Status, a.Header.Get("Location"))
	}
	r.sink.take1(t)
	for _, url := range []string{
		"",
		"/",
		"//example.com/",
		"example.com",
		"https:example.com",
		"https:///x",
		"https://",
		"javascript:alert(1)",
		"data:text/html,x",
		"file:///etc/passwd",
		"ftp://example.com/",
		" https://example.com/",
		"https://example.com/\r\nSet-Cookie: a=b",
		"https://example.com/\nSet-Cookie: a=b",
		"https://example.com/\r\n\r\n<script>",
		"https://example.com/\rx",
		"https://example.com/\x00",
		"https://example.com/\tx",
		"https://example.com/\x7f",
		"https://example.com/ x",
		"https://example.com/" + strings.Repeat("x", ref.MaxURL),
	} {
		a := get(url)
		if a.StatusCode != 404 || len(a.Header.Values("Location")) > 0 || len(a.Header.Values("Set-Cookie")) > 0 {
			t.Errorf("%.60q: %s with %v", url, a.Status, a.Header)
		}
		r.sink.wantNone(t)
	}
}
