package ref

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"

	"carom/pipeline/event"
)

// A URL token is the base64url text, without padding, of
//
//	 0        1        2                       26                    n-16        n
//	+--------+--------+-----------------------+---------------------+-----------+
//	| version| key id | nonce, 24 random bytes| ciphertext          | tag       |
//	| 1      | 1-255  |                       | of a Ref, ref.proto |           |
//	+--------+--------+-----------------------+---------------------+-----------+
//
// sealed with XChaCha20-Poly1305; associated data are version, key id and the purpose byte.
const (
	tokenVersion = 1
	nonceAt      = 2
	sealedAt     = nonceAt + chacha20poly1305.NonceSizeX
	minToken     = sealedAt + chacha20poly1305.Overhead
	maxToken     = minToken + maxPlainFixed + MaxIDs + MaxURL
)

// MaxTokenLen is the longest text of a URL token, in bytes: a click's, with the longest ids and URL. Without a URL it
// is maxBareTokenLen. Whoever reads requests must accept lines of this length and a little more.
const MaxTokenLen = (maxToken*8 + 5) / 6

// maxBareTokenLen is the longest text of a token that isn't a click's.
const maxBareTokenLen = ((minToken+maxPlainFixed+MaxIDs)*8 + 5) / 6

var gif = []byte(".gif")

// Opened is what a URL token sealed. It can be used again and again, and then allocates nothing: keep it in a pool.
type Opened struct {
	// Ref is normalised and checked. Its strings alias a buffer of Opened and are valid until the next Open into it.
	Ref event.Ref
	// Key is the message key of Ref; of a Self token, which speaks of no message, it is zero.
	Key event.Key

	buf []byte
	ad  [3]byte // here and not on the stack, where it would escape
}

// Seal appends the text of a URL token to dst. Its errors are ErrInvalid and ErrURL, wrapped with what is wrong; dst is
// then returned as it was.
func (k *Keyring) Seal(dst []byte, p Purpose, r *event.Ref) ([]byte, error) {
	return k.sealWith(dst, p, r, nil)
}

// sealWith is Seal with a given nonce, which the test vectors need; nil: a random one.
func (k *Keyring) sealWith(dst []byte, p Purpose, r *event.Ref, nonce *[chacha20poly1305.NonceSizeX]byte) ([]byte, error) {
	if !p.forURL() {
		return dst, fmt.Errorf("%w: no URL token has the purpose %q", ErrInvalid, byte(p))
	}
	n := *r
	normalise(&n, p)
	if err := check(&n, p); err != nil {
		return dst, err
	}
	s := sealings.Get().(*sealing)
	s.begin(k.seal, &n, 1)
	if nonce != nil {
		copy(s.nonces[:], nonce[:])
	}
	dst = s.token(dst, p, &n)
	sealings.Put(s)
	return dst, nil
}

// sealing makes the tokens of one ref, and allocates nothing for them.
type sealing struct {
	key    *key
	ids    []byte // of the plaintext: what all tokens of the ref begin with
	raw    []byte // of a token
	ad     [3]byte
	nonces [16 * chacha20poly1305.NonceSizeX]byte
	drawn  []byte // of nonces: those that are not used yet
	wanted int    // tokens for which no nonce is drawn yet
}

var sealings = sync.Pool{New: func() any { return new(sealing) }}

// begin prepares so many tokens of a ref that is normalised and checked.
func (s *sealing) begin(k *key, r *event.Ref, tokens int) {
	s.key, s.wanted = k, tokens
	s.ids = appendIDs(s.ids[:0], r)
	s.draw()
}

// draw makes nonces for the tokens to come, many at once, and none for later refs: one that waits in memory could be
// used twice where a machine is copied with its memory.
func (s *sealing) draw() {
	n := max(1, min(s.wanted, len(s.nonces)/chacha20poly1305.NonceSizeX))
	s.wanted -= n
	s.drawn = s.nonces[:n*chacha20poly1305.NonceSizeX]
	_, _ = rand.Read(s.drawn) // never fails: it ends the program instead
}

// token appends the text of a token. Of the ref, its link, URL, time and flags are read anew.
func (s *sealing) token(dst []byte, p Purpose, r *event.Ref) []byte {
	if len(s.drawn) == 0 {
		s.draw()
	}
	raw := append(s.raw[:0], tokenVersion, s.key.id)
	raw = append(raw, s.drawn[:chacha20poly1305.NonceSizeX]...)
	s.drawn = s.drawn[chacha20poly1305.NonceSizeX:]
	raw = append(raw, s.ids...)
	raw = slices.Grow(appendRest(raw, r), chacha20poly1305.Overhead)
	s.raw = raw
	s.ad = [3]byte{tokenVersion, s.key.id, byte(p)}
	sealed := s.key.url.Seal(raw[sealedAt:sealedAt], raw[nonceAt:sealedAt], raw[sealedAt:], s.ad[:])
	return appendURLText(dst, raw[:sealedAt+len(sealed)])
}

// Open opens a URL token of a purpose into into, which is empty if it returns an error: ErrMalformed, ErrVersion,
// ErrUnknownKey, ErrRetired, ErrForged, or wrapped, for the authentic token of a faulty minter, ErrInvalid or ErrURL.
// After an OpenPixel token it passes over ".gif".
func (k *Keyring) Open(p Purpose, token []byte, into *Opened) error {
	into.Ref, into.Key = event.Ref{}, event.Key{}
	if p == OpenPixel {
		token = bytes.TrimSuffix(token, gif)
	}
	raw, ok := into.decode(token)
	if !ok {
		return ErrMalformed
	}
	key, err := k.forOpening(raw[0], raw[1])
	if err != nil {
		return err
	}
	into.ad = [3]byte{raw[0], raw[1], byte(p)}
	sealed := raw[sealedAt:]
	plain, err := key.url.Open(sealed[:0], raw[nonceAt:sealedAt], sealed, into.ad[:])
	if err != nil {
		return ErrForged
	}
	return into.read(p, plain)
}

// decode returns the bytes of a token's text in the buffer. Bounds come first, so a hostile text costs nothing.
func (o *Opened) decode(token []byte) (raw []byte, ok bool) {
	n := urlText.DecodedLen(len(token))
	if n < minToken || len(token) > MaxTokenLen {
		return nil, false
	}
	if cap(o.buf) < n {
		const least = 512 // holds almost every token, so that the buffer rarely grows twice
		o.buf = make([]byte, max(n, least))
	}
	o.buf = o.buf[:cap(o.buf)]
	// The standard decoder passes over line breaks.
	if bytes.IndexByte(token, '\n') >= 0 || bytes.IndexByte(token, '\r') >= 0 {
		return nil, false
	}
	m, err := urlText.Decode(o.buf, token)
	return o.buf[:m], err == nil
}

func (o *Opened) parse(p Purpose, plain []byte) error {
	if !parsePlain(plain, &o.Ref) {
		return fmt.Errorf("%w: not the wire form of a Ref", ErrInvalid)
	}
	normalise(&o.Ref, p)
	return check(&o.Ref, p)
}

// read makes Ref and Key of an authentic plaintext.
func (o *Opened) read(p Purpose, plain []byte) error {
	if err := o.parse(p, plain); err != nil {
		o.Ref = event.Ref{}
		return err
	}
	if p != Self {
		o.Key = event.KeyOf(o.Ref.Account, o.Ref.Message)
	}
	return nil
}
