package ref

import (
	"math"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"carom/pipeline/event"
)

// The fields of ref.proto by number. They are sealed into mail that is out there: never renumber one.
const (
	fieldAccount  protowire.Number = 1
	fieldSender   protowire.Number = 2
	fieldSequence protowire.Number = 3
	fieldContact  protowire.Number = 4
	fieldMessage  protowire.Number = 5
	fieldLink     protowire.Number = 6
	fieldURL      protowire.Number = 7
	fieldSentAt   protowire.Number = 8
	fieldFlags    protowire.Number = 9
)

// maxPlainFixed bounds what a plaintext has besides the bytes of its ids and its URL: a tag for each of 9 fields, two
// bytes of length for each of 6, and numbers of 5 (link), 7 (time) and 5 bytes (flags).
const maxPlainFixed = 9 + 6*2 + 5 + 7 + 5

// appendPlain appends the protobuf wire form of a checked ref to dst: fields in ascending order, empty ones and the
// default account left out, so that there is one form.
func appendPlain(dst []byte, r *event.Ref) []byte { return appendRest(appendIDs(dst, r), r) }

// appendIDs appends the fields that all tokens of a message have in common.
func appendIDs(dst []byte, r *event.Ref) []byte {
	account := r.Account
	if account == DefaultAccount {
		account = ""
	}
	dst = appendText(dst, fieldAccount, account)
	dst = appendText(dst, fieldSender, r.Sender)
	dst = appendText(dst, fieldSequence, r.Sequence)
	dst = appendText(dst, fieldContact, r.Contact)
	return appendText(dst, fieldMessage, r.Message)
}

func appendRest(dst []byte, r *event.Ref) []byte {
	dst = appendNumber(dst, fieldLink, uint64(r.Link))
	dst = appendText(dst, fieldURL, r.URL)
	dst = appendNumber(dst, fieldSentAt, uint64(r.SentAt))
	return appendNumber(dst, fieldFlags, uint64(r.Flags))
}

func appendText(dst []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	return protowire.AppendString(dst, s)
}

func appendNumber(dst []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, field, protowire.VarintType)
	return protowire.AppendVarint(dst, n)
}

// parsePlain reads a plaintext into r, whose strings then alias b. Fields may come in any order, of a repeated one the
// last counts, and unknown ones are passed over, as protobuf has it; a known one of the wrong type is refused.
func parsePlain(b []byte, r *event.Ref) bool {
	for len(b) > 0 {
		field, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		if text := textField(r, field); text != nil && typ == protowire.BytesType {
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return false
			}
			*text = alias(v)
			b = b[n:]
			continue
		} else if text != nil {
			return false
		}
		if n = parseNumber(b, field, typ, r); n < 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// textField returns where in r a field's text belongs, nil if the field isn't one of text.
func textField(r *event.Ref, field protowire.Number) *string {
	switch field {
	case fieldAccount:
		return &r.Account
	case fieldSender:
		return &r.Sender
	case fieldSequence:
		return &r.Sequence
	case fieldContact:
		return &r.Contact
	case fieldMessage:
		return &r.Message
	case fieldURL:
		return &r.URL
	}
	return nil
}

// parseNumber reads the value of a field that isn't text and returns its length, negative if it is bad.
func parseNumber(b []byte, field protowire.Number, typ protowire.Type, r *event.Ref) int {
	if field != fieldLink && field != fieldSentAt && field != fieldFlags {
		return protowire.ConsumeFieldValue(field, typ, b)
	}
	v, n := protowire.ConsumeVarint(b)
	if typ != protowire.VarintType || n < 0 {
		return -1
	}
	if field == fieldSentAt {
		r.SentAt = event.Millis(v)
		return n
	}
	if v > math.MaxUint32 {
		return -1
	}
	if field == fieldLink {
		r.Link = uint32(v)
	} else {
		r.Flags = event.Flags(v)
	}
	return n
}

// alias returns b as a string without copying. Whoever gets the string is told how long it is valid: see Opened.
func alias(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}
