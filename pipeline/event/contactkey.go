package event

import (
	"crypto/sha256"
	"encoding/hex"
)

// ContactKey stands for a contact where his id must not stand: the first 16 bytes of SHA-256 over
//
//	"carom contact 1" 0x00 | account | 0x00 | contact
type ContactKey [16]byte

const contactTag = "carom contact 1\x00"

// ContactKeyOf returns the key of a contact. It does not allocate while the ids are of a usual length.
func ContactKeyOf(account, contact string) (k ContactKey) {
	var stack [256]byte
	b := append(stack[:0], contactTag...)
	b = append(b, account...)
	b = append(b, 0)
	h := sha256.Sum256(append(b, contact...))
	copy(k[:], h[:])
	return k
}

// AddressKeyOf stands for an address likewise: of an account, or with none of all. No contact has its key.
func AddressKeyOf(account, address string) ContactKey {
	return ContactKeyOf(account, "\x00address\x00"+NormalAddress(address))
}

// String returns the key in hexadecimal, 32 characters.
func (k ContactKey) String() string { return hex.EncodeToString(k[:]) }

// ParseContactKey is the inverse of String.
func ParseContactKey(s string) (k ContactKey, ok bool) {
	if len(s) != 2*len(k) {
		return k, false
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return k, false
	}
	copy(k[:], b)
	return k, k.String() == s
}
