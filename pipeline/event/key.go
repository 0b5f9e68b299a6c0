package event

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Key brings the facts of one message together, DESIGN §4:
//
//	bytes 0-3    first 4 of SHA-256(message id)                  choose the partition
//	bytes 4-15   first 12 of SHA-256(account, 0x00, message id)  keep accounts apart
type Key [16]byte

// KeyOf returns the key of a message. The id is taken without surrounding angle brackets and blanks.
func KeyOf(account, message string) Key {
	message = CleanMessageID(message)
	k := PartialKey(message)
	var stack [256]byte
	b := append(stack[:0], account...)
	b = append(b, 0)
	b = append(b, message...)
	h := sha256.Sum256(b)
	copy(k[4:], h[:12])
	return k
}

// PartialKey returns the key of a message whose account is not known: four bytes and twelve zeros.
func PartialKey(message string) Key {
	var stack [256]byte
	h := sha256.Sum256(append(stack[:0], CleanMessageID(message)...))
	var k Key
	copy(k[:4], h[:4])
	return k
}

// OrderKey returns the key of orders about an address. Only its first four bytes mean anything: all orders about one
// address of one account, in whichever spelling, are in one partition and keep their order.
func OrderKey(account, address string) Key {
	h := sha256.Sum256([]byte("carom order 1\x00" + account + "\x00" + NormalAddress(address)))
	var k Key
	copy(k[:4], h[:])
	return k
}

// EnrollmentID stands in for the message id of a fact about an enrollment and no message.
func EnrollmentID(account, sender, sequence, contact string) string {
	return strings.Join([]string{"enrollment", account, sender, sequence, contact}, "\x00")
}

// IsEnrollmentID reports whether a message id was made by EnrollmentID.
func IsEnrollmentID(message string) bool { return strings.HasPrefix(message, "enrollment\x00") }

// CleanMessageID removes surrounding blanks and angle brackets, in which form ids are hashed and compared.
func CleanMessageID(id string) string {
	return strings.Trim(id, " \t\r\n<>")
}

// Partition returns which of n partitions the message belongs to.
func (k Key) Partition(n int) int {
	return int(binary.BigEndian.Uint32(k[:4]) % uint32(n))
}

// String returns the key in hexadecimal.
func (k Key) String() string { return hex.EncodeToString(k[:]) }
