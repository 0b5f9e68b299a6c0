package event

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"strings"
)

// ID names a refined event: a hash of what makes it the same fact when told again. Its text form has 26 characters.
type ID [16]byte

// idText is lower-case base32 without padding. The last of the 26 characters carries three bits only.
var idText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const idTextLen = 26

var errID = errors.New("event: an id has 26 characters of a-z and 2-7")

// String returns the id's 26 characters.
func (id ID) String() string { return string(id.appendText(make([]byte, 0, idTextLen))) }

// MarshalText is encoding.TextMarshaler's.
func (id ID) MarshalText() ([]byte, error) { return id.appendText(nil), nil }

// UnmarshalText is encoding.TextUnmarshaler's.
func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// AppendText is encoding.TextAppender's.
func (id ID) AppendText(dst []byte) ([]byte, error) { return id.appendText(dst), nil }

func (id ID) appendText(dst []byte) []byte { return idText.AppendEncode(dst, id[:]) }

// ParseID is the inverse of String. It takes no other spelling: two texts never name one id.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != idTextLen {
		return ID{}, errID
	}
	// base32 passes over line ends, and over the unused bits of the last character: both fail the comparison.
	var in, back [idTextLen]byte
	copy(in[:], s)
	if n, err := idText.Decode(id[:], in[:]); err != nil || n != len(id) {
		return ID{}, errID
	}
	if idText.Encode(back[:], id[:]); back != in {
		return ID{}, errID
	}
	return id, nil
}

// What is hashed to an ID. Facts:
//
//	"carom fact 1" 0x00 | kind(1) | key(16) | parts, each: length(4, big-endian) bytes
//
// Hits:
//
//	"carom hit 1" 0x00 | incarnation(16) | sequence(8, big-endian)
//
// The ID is the first 16 bytes of SHA-256 over that.
const (
	factTag = "carom fact 1\x00"
	hitTag  = "carom hit 1\x00"
	// Erases: "carom erase 1" 0x00 | incarnation(16) | sequence(8) | partition(4) | n(4), big-endian
	eraseTag = "carom erase 1\x00"
	// Alerts: "carom alert 1" 0x00 | parts, as those of a fact: account, sender, rule, crossing
	alertTag = "carom alert 1\x00"
	// What the log of addresses alone holds: "carom told 1" 0x00 | kind(1) | partition(4) | offset(8) | n(4), big-endian
	toldTag = "carom told 1\x00"
)

// IdentityOf returns the id of the refined event that e becomes: two tellings of one fact have one id. e.Key must be
// whole. ok is false for opens and clicks, which may well happen twice and are named by HitID, and for what is no fact.
func IdentityOf(e *Event) (id ID, ok bool) {
	var stack [512]byte
	b := append(stack[:0], factTag...)
	b = append(b, byte(e.Kind))
	b = append(b, e.Key[:]...)
	switch e.Kind {
	case Sent, Unsubscribe, Dropped, Completed:
		// The message, which the key names.
	case Delivered:
		b = appendPart(b, FoldDomain(e.Recipient))
	case Bounce:
		b = appendPart(b, FoldDomain(e.Recipient))
		b = appendPart(b, e.Bounce.Status)
	case Delay:
		b = appendPart(b, FoldDomain(e.Recipient))
		b = appendPart(b, e.Mail.ID)
	case Reply, AutoReply, Complaint:
		b = appendPart(b, e.Mail.ID)
	default:
		return ID{}, false
	}
	return shortHash(b), true
}

// HitID returns the id of the refined event that the open or click journaled at src becomes.
func HitID(src Source) ID {
	var stack [64]byte
	b := append(stack[:0], hitTag...)
	b = append(b, src.Incarnation[:]...)
	return shortHash(binary.BigEndian.AppendUint64(b, src.Sequence))
}

// EraseID returns the id of the n-th event that the erase journaled at src becomes in a partition.
func EraseID(src Source, partition, n int32) ID {
	var stack [64]byte
	b := append(stack[:0], eraseTag...)
	b = append(b, src.Incarnation[:]...)
	b = binary.BigEndian.AppendUint64(b, src.Sequence)
	b = binary.BigEndian.AppendUint32(b, uint32(partition))
	return shortHash(binary.BigEndian.AppendUint32(b, uint32(n)))
}

// AlertID returns the id of an alert. The crossing is what makes it one: told again with the same, it is the same alert.
func AlertID(account, sender, rule, crossing string) ID {
	var stack [256]byte
	b := append(stack[:0], alertTag...)
	for _, part := range [...]string{account, sender, rule, crossing} {
		b = appendPart(b, part)
	}
	return shortHash(b)
}

// ToldID returns the id of the n-th fact of a kind that the log of addresses alone holds, released by the input at an
// offset of a partition.
func ToldID(k Kind, partition int32, offset int64, n int32) ID {
	var stack [64]byte
	b := append(append(stack[:0], toldTag...), byte(k))
	b = binary.BigEndian.AppendUint32(b, uint32(partition))
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	return shortHash(binary.BigEndian.AppendUint32(b, uint32(n)))
}

// appendPart writes the length first, so that the parts "a", "bc" and "ab", "c" differ.
func appendPart(b []byte, part string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
	return append(b, part...)
}

func shortHash(b []byte) (id ID) {
	h := sha256.Sum256(b)
	copy(id[:], h[:])
	return id
}

// FoldDomain returns an address in the form in which addresses are compared: its domain in lower case. The local part
// keeps its case, which is its host's business (RFC 5321 §2.4).
func FoldDomain(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	domain := strings.ToLower(address[at:])
	if domain == address[at:] {
		return address
	}
	return address[:at] + domain
}
