package ref

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"hash"

	"carom/pipeline/event"
)

// An address token is the lower-case base32 text (RFC 4648 §6), without padding, of
//
//	 0        1        2                       18                 28
//	+--------+--------+-----------------------+------------------+
//	| version| key id | message key           | MAC, first 10 of |
//	| 1      | 1-255  |                       | HMAC-SHA256      |
//	+--------+--------+-----------------------+------------------+
//
// where the MAC covers the purpose byte and bytes 0 to 17. Its 45 characters and "b-" leave room in the 64 octets of a
// local part (RFC 5321 §4.5.3.1.1), and survive the MTAs that fold its case.
const (
	keyAt      = 2
	macAt      = keyAt + len(event.Key{})
	addressLen = macAt + 10
)

// AddressTokenLen is the length of the text of every address token.
const AddressTokenLen = (addressLen*8 + 4) / 5

const base32Alphabet = "abcdefghijklmnopqrstuvwxyz234567"

var (
	addressText = base32.NewEncoding(base32Alphabet).WithPadding(base32.NoPadding)
	// base32Value gives each character's five bits in either case, notBase32 if it has none.
	base32Value = base32Values()
)

const notBase32 = 0xff

func base32Values() (v [256]byte) {
	for i := range v {
		v[i] = notBase32
	}
	for i, c := range []byte(base32Alphabet) {
		v[c] = byte(i)
		if 'a' <= c && c <= 'z' {
			v[c-'a'+'A'] = byte(i)
		}
	}
	return v
}

// SealAddress appends the text of an address token to dst: what follows "b-", "r-" or "u-" in a local part.
func (k *Keyring) SealAddress(dst []byte, p Purpose, key event.Key) []byte {
	if !p.forAddress() {
		panic("BUG: an address token for a purpose that has none")
	}
	var raw [addressLen]byte
	raw[0], raw[1] = tokenVersion, k.seal.id
	copy(raw[keyAt:], key[:])
	mac := k.seal.mac(p, raw[:macAt])
	copy(raw[macAt:], mac[:])
	return addressText.AppendEncode(dst, raw[:])
}

// OpenAddress opens an address token of a purpose, in any case. Its errors are ErrMalformed, ErrVersion,
// ErrUnknownKey, ErrRetired and ErrForged.
func (k *Keyring) OpenAddress(p Purpose, token string) (event.Key, error) {
	raw, ok := decodeAddress(token)
	if !ok {
		return event.Key{}, ErrMalformed
	}
	key, err := k.forOpening(raw[0], raw[1])
	if err != nil {
		return event.Key{}, err
	}
	mac := key.mac(p, raw[:macAt])
	if !hmac.Equal(mac[:], raw[macAt:]) { // in constant time
		return event.Key{}, ErrForged
	}
	return event.Key(raw[keyAt:macAt]), nil
}

// mac authenticates the bytes of an address token before the MAC. It allocates nothing.
func (k *key) mac(p Purpose, body []byte) (mac [addressLen - macAt]byte) {
	m, ok := k.macs.Get().(*addressMAC)
	if !ok {
		m = &addressMAC{h: hmac.New(sha256.New, k.address[:])}
	}
	m.in[0] = byte(p)
	copy(m.in[1:], body)
	m.h.Reset() // to what it is with the key hashed, from the second time on without hashing it
	m.h.Write(m.in[:])
	copy(mac[:], m.h.Sum(m.sum[:0]))
	k.macs.Put(m)
	return mac
}

// addressMAC is an HMAC with a key's address secret, and what is on its way through it.
type addressMAC struct {
	h   hash.Hash
	in  [1 + macAt]byte
	sum [sha256.Size]byte
}

// decodeAddress reads base32 in either case and refuses set bits after the last byte, so that there is one text, but
// for its case, per token.
func decodeAddress(token string) (raw [addressLen]byte, ok bool) {
	if len(token) != AddressTokenLen {
		return raw, false
	}
	var bits uint64 // the lowest have are yet to be put into raw
	have, n := 0, 0
	for i := 0; i < len(token); i++ {
		v := base32Value[token[i]]
		if v == notBase32 {
			return raw, false
		}
		bits, have = bits<<5|uint64(v), have+5
		if have >= 8 {
			have -= 8
			raw[n] = byte(bits >> have)
			n++
		}
	}
	return raw, bits&(1<<have-1) == 0
}
