package event

import (
	"errors"
	"fmt"
	"math"
	"net/netip"

	"google.golang.org/protobuf/encoding/protowire"
)

// The stored form of an Event:
//
//	byte 0    format: 1
//	byte 1-   fields in protobuf wire format, in ascending order, each left out when it is zero
//
//	 1 kind      varint       13 ip           4 or 16 bytes   25 reply_code     bytes
//	 2 time      varint, ms   14 user_agent   bytes           26 action         bytes
//	 3 key       16 bytes     15 verdict      varint          27 remote_mta     bytes
//	 4 known_by  varint       16 flags        varint          28 diagnostic     bytes
//	 5 account   bytes        17 client_hash  fixed64         29 provider       bytes
//	 6 sender    bytes        18 recipient    bytes           30 mail id        bytes
//	 7 sequence  bytes        19 link target  bytes, each     31 mail from      bytes
//	 8 contact   bytes        20 reason       bytes, each     32 feedback_type  bytes
//	 9 message   bytes        21 via          bytes           33 reply_address  varint 1
//	10 link      varint       22 hard         varint 1        34 references     varint 1
//	11 url       bytes        23 category     bytes           35 address_hash   fixed64
//	12 sent_at   varint, ms   24 status       bytes           36 soon within    varint, ms
//	                                                          37 soon verdict   varint
//	                                                          38 rule           bytes
//	                                                          39 body           bytes
//
// What nearly every hit has stands below 16, where a tag takes one byte. Strings are bytes: any survive. A reader
// skips fields that it does not know, so a field may be added without a new format; a change of meaning needs one.
const binaryFormat = 1

// MaxBinaryBytes bounds a stored event. The edges bound what they take in far below it.
const MaxBinaryBytes = 4 << 20

const (
	fieldKind         protowire.Number = 1
	fieldTime         protowire.Number = 2
	fieldKey          protowire.Number = 3
	fieldKnownBy      protowire.Number = 4
	fieldAccount      protowire.Number = 5
	fieldSender       protowire.Number = 6
	fieldSequence     protowire.Number = 7
	fieldContact      protowire.Number = 8
	fieldMessage      protowire.Number = 9
	fieldLink         protowire.Number = 10
	fieldURL          protowire.Number = 11
	fieldSentAt       protowire.Number = 12
	fieldIP           protowire.Number = 13
	fieldUserAgent    protowire.Number = 14
	fieldVerdict      protowire.Number = 15
	fieldFlags        protowire.Number = 16
	fieldClientHash   protowire.Number = 17
	fieldRecipient    protowire.Number = 18
	fieldLinks        protowire.Number = 19
	fieldReasons      protowire.Number = 20
	fieldVia          protowire.Number = 21
	fieldHard         protowire.Number = 22
	fieldCategory     protowire.Number = 23
	fieldStatus       protowire.Number = 24
	fieldReplyCode    protowire.Number = 25
	fieldAction       protowire.Number = 26
	fieldRemoteMTA    protowire.Number = 27
	fieldDiagnostic   protowire.Number = 28
	fieldProvider     protowire.Number = 29
	fieldMailID       protowire.Number = 30
	fieldMailFrom     protowire.Number = 31
	fieldFeedbackType protowire.Number = 32
	fieldReplyAddress protowire.Number = 33
	fieldReferences   protowire.Number = 34
	fieldAddressHash  protowire.Number = 35
	fieldSoonWithin   protowire.Number = 36
	fieldSoonVerdict  protowire.Number = 37
	fieldRule         protowire.Number = 38
	fieldBody         protowire.Number = 39
)

// ErrMalformed is wrapped by every error about bytes that are no event.
var ErrMalformed = errors.New("event: malformed record")

// AppendBinary appends the stored form of e to dst. It does not allocate when dst has room.
func (e *Event) AppendBinary(dst []byte) []byte {
	dst = append(dst, binaryFormat)
	dst = appendUint(dst, fieldKind, uint64(e.Kind))
	dst = appendUint(dst, fieldTime, uint64(e.Time))
	if e.Key != (Key{}) {
		dst = protowire.AppendTag(dst, fieldKey, protowire.BytesType)
		dst = protowire.AppendBytes(dst, e.Key[:])
	}
	dst = appendUint(dst, fieldKnownBy, uint64(e.KnownBy))
	dst = appendText(dst, fieldAccount, e.Account)
	dst = appendText(dst, fieldSender, e.Sender)
	dst = appendText(dst, fieldSequence, e.Sequence)
	dst = appendText(dst, fieldContact, e.Contact)
	dst = appendText(dst, fieldMessage, e.Message)
	dst = appendUint(dst, fieldLink, uint64(e.Link))
	dst = appendText(dst, fieldURL, e.URL)
	dst = appendUint(dst, fieldSentAt, uint64(e.SentAt))
	dst = appendIP(dst, e.Client.IP)
	dst = appendText(dst, fieldUserAgent, e.Client.UserAgent)
	dst = appendUint(dst, fieldVerdict, uint64(e.Actor.Verdict))
	dst = appendUint(dst, fieldFlags, uint64(e.Flags))
	dst = appendHash(dst, fieldClientHash, e.Client.Hash)
	dst = appendText(dst, fieldRecipient, e.Recipient)
	dst = appendList(dst, fieldLinks, e.Links)
	dst = appendList(dst, fieldReasons, e.Actor.Reasons)
	dst = appendText(dst, fieldVia, e.Actor.Via)
	dst = e.Bounce.appendBinary(dst)
	dst = e.Mail.appendBinary(dst)
	dst = appendHash(dst, fieldAddressHash, e.Client.AddressHash)
	dst = appendUint(dst, fieldSoonWithin, uint64(e.Soon.Within))
	dst = appendUint(dst, fieldSoonVerdict, uint64(e.Soon.Verdict))
	dst = appendText(dst, fieldRule, e.Bounce.Rule)
	if len(e.Body) > 0 {
		dst = protowire.AppendBytes(protowire.AppendTag(dst, fieldBody, protowire.BytesType), e.Body)
	}
	return dst
}

func (d *Diagnosis) appendBinary(dst []byte) []byte {
	dst = appendBool(dst, fieldHard, d.Hard)
	dst = appendText(dst, fieldCategory, d.Category)
	dst = appendText(dst, fieldStatus, d.Status)
	dst = appendText(dst, fieldReplyCode, d.ReplyCode)
	dst = appendText(dst, fieldAction, d.Action)
	dst = appendText(dst, fieldRemoteMTA, d.RemoteMTA)
	dst = appendText(dst, fieldDiagnostic, d.Diagnostic)
	return appendText(dst, fieldProvider, d.Provider)
}

func (m *Mail) appendBinary(dst []byte) []byte {
	dst = appendText(dst, fieldMailID, m.ID)
	dst = appendText(dst, fieldMailFrom, m.From)
	dst = appendText(dst, fieldFeedbackType, m.FeedbackType)
	dst = appendBool(dst, fieldReplyAddress, m.ReplyAddress)
	return appendBool(dst, fieldReferences, m.References)
}

func appendUint(dst []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), v)
}

func appendBool(dst []byte, n protowire.Number, v bool) []byte {
	return appendUint(dst, n, protowire.EncodeBool(v))
}

func appendHash(dst []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendFixed64(protowire.AppendTag(dst, n, protowire.Fixed64Type), v)
}

func appendText(dst []byte, n protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, n, protowire.BytesType), s)
}

// appendList keeps empty entries: the place of a link in the list is its index.
func appendList(dst []byte, n protowire.Number, list []string) []byte {
	for _, s := range list {
		dst = protowire.AppendString(protowire.AppendTag(dst, n, protowire.BytesType), s)
	}
	return dst
}

// appendIP drops an IPv6 zone, which means nothing on another host.
func appendIP(dst []byte, ip netip.Addr) []byte {
	switch {
	case ip.Is4():
		b := ip.As4()
		return protowire.AppendBytes(protowire.AppendTag(dst, fieldIP, protowire.BytesType), b[:])
	case ip.IsValid():
		b := ip.As16()
		return protowire.AppendBytes(protowire.AppendTag(dst, fieldIP, protowire.BytesType), b[:])
	}
	return dst
}

// DecodeBinary reads what AppendBinary wrote into e, replacing all of it. e keeps no part of src. After an error
// e holds nothing of use.
func (e *Event) DecodeBinary(src []byte) error {
	*e = Event{}
	switch {
	case len(src) == 0:
		return fmt.Errorf("%w: empty", ErrMalformed)
	case len(src) > MaxBinaryBytes:
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrMalformed, len(src), MaxBinaryBytes)
	case src[0] > binaryFormat:
		return fmt.Errorf("event: record of format %d, this Carom reads %d", src[0], binaryFormat)
	case src[0] != binaryFormat:
		return fmt.Errorf("%w: format %d", ErrMalformed, src[0])
	}
	// One copy serves all strings; they keep the whole record alive, which is little more than their sum.
	text := string(src[1:])
	rest := src[1:]
	for len(rest) > 0 {
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return fmt.Errorf("%w: tag: %w", ErrMalformed, protowire.ParseError(n))
		}
		rest = rest[n:]
		f := field{num: num, typ: typ}
		n = f.consume(rest, text[len(text)-len(rest):])
		if n < 0 {
			return fmt.Errorf("%w: field %d: %w", ErrMalformed, num, protowire.ParseError(n))
		}
		rest = rest[n:]
		if err := e.set(f); err != nil {
			return fmt.Errorf("%w: field %d: %w", ErrMalformed, num, err)
		}
	}
	return nil
}

// field is one decoded field: a number for varint and fixed64, text for bytes.
type field struct {
	num  protowire.Number
	typ  protowire.Type
	uint uint64
	text string
}

// consume reads the field's value from b, of which text is a copy, and returns its length, negative on error.
func (f *field) consume(b []byte, text string) (n int) {
	switch f.typ {
	case protowire.VarintType:
		f.uint, n = protowire.ConsumeVarint(b)
	case protowire.Fixed64Type:
		f.uint, n = protowire.ConsumeFixed64(b)
	case protowire.BytesType:
		var v []byte
		v, n = protowire.ConsumeBytes(b)
		if n >= 0 {
			f.text = text[n-len(v) : n]
		}
	default:
		n = protowire.ConsumeFieldValue(f.num, f.typ, b)
	}
	return n
}

var (
	errType  = errors.New("wrong wire type")
	errRange = errors.New("value out of range")
)

// set stores f in e. Fields of a later Carom are passed over.
func (e *Event) set(f field) error {
	if s := e.textField(f.num); s != nil {
		if f.typ != protowire.BytesType {
			return errType
		}
		*s = f.text
		return nil
	}
	switch f.num {
	case fieldKey, fieldIP, fieldLinks, fieldReasons, fieldBody:
		if f.typ != protowire.BytesType {
			return errType
		}
		return e.setBytes(f)
	case fieldClientHash, fieldAddressHash:
		if f.typ != protowire.Fixed64Type {
			return errType
		}
		e.setHash(f)
		return nil
	case fieldKind, fieldTime, fieldKnownBy, fieldLink, fieldSentAt, fieldVerdict, fieldFlags, fieldHard,
		fieldReplyAddress, fieldReferences, fieldSoonWithin, fieldSoonVerdict:
		if f.typ != protowire.VarintType {
			return errType
		}
		return e.setUint(f)
	}
	return nil
}

// textField returns where the text field num is kept, nil if num is none.
func (e *Event) textField(num protowire.Number) *string {
	switch num {
	case fieldAccount:
		return &e.Account
	case fieldSender:
		return &e.Sender
	case fieldSequence:
		return &e.Sequence
	case fieldContact:
		return &e.Contact
	case fieldMessage:
		return &e.Message
	case fieldURL:
		return &e.URL
	case fieldUserAgent:
		return &e.Client.UserAgent
	case fieldRecipient:
		return &e.Recipient
	case fieldVia:
		return &e.Actor.Via
	case fieldCategory:
		return &e.Bounce.Category
	case fieldStatus:
		return &e.Bounce.Status
	case fieldReplyCode:
		return &e.Bounce.ReplyCode
	case fieldAction:
		return &e.Bounce.Action
	case fieldRemoteMTA:
		return &e.Bounce.RemoteMTA
	case fieldDiagnostic:
		return &e.Bounce.Diagnostic
	case fieldProvider:
		return &e.Bounce.Provider
	case fieldRule:
		return &e.Bounce.Rule
	case fieldMailID:
		return &e.Mail.ID
	case fieldMailFrom:
		return &e.Mail.From
	case fieldFeedbackType:
		return &e.Mail.FeedbackType
	}
	return nil
}

func (e *Event) setBytes(f field) error {
	switch f.num {
	case fieldKey:
		if len(f.text) != len(e.Key) {
			return errRange
		}
		copy(e.Key[:], f.text)
	case fieldIP:
		switch len(f.text) {
		case 4:
			e.Client.IP = netip.AddrFrom4([4]byte([]byte(f.text)))
		case 16:
			e.Client.IP = netip.AddrFrom16([16]byte([]byte(f.text)))
		default:
			return errRange
		}
	case fieldLinks:
		e.Links = append(e.Links, f.text)
	case fieldReasons:
		e.Actor.Reasons = append(e.Actor.Reasons, f.text)
	case fieldBody:
		if len(f.text) > MaxBodyBytes {
			return errRange
		}
		e.Body = nil
		if f.text != "" {
			e.Body = []byte(f.text)
		}
	}
	return nil
}

func (e *Event) setHash(f field) {
	if f.num == fieldClientHash {
		e.Client.Hash = f.uint
	} else {
		e.Client.AddressHash = f.uint
	}
}

func (e *Event) setUint(f field) error {
	limit := uint64(math.MaxUint64)
	switch f.num {
	case fieldKind, fieldKnownBy, fieldVerdict, fieldSoonVerdict:
		limit = math.MaxUint8
	case fieldLink, fieldFlags:
		limit = math.MaxUint32
	case fieldHard, fieldReplyAddress, fieldReferences:
		limit = 1
	}
	if f.uint > limit {
		return errRange
	}
	switch f.num {
	case fieldKind:
		e.Kind = Kind(f.uint)
	case fieldTime:
		e.Time = Millis(f.uint)
	case fieldKnownBy:
		e.KnownBy = KnownBy(f.uint)
	case fieldLink:
		e.Link = uint32(f.uint)
	case fieldSentAt:
		e.SentAt = Millis(f.uint)
	case fieldVerdict:
		e.Actor.Verdict = Verdict(f.uint)
	case fieldFlags:
		e.Flags = Flags(f.uint)
	case fieldHard:
		e.Bounce.Hard = f.uint == 1
	case fieldReplyAddress:
		e.Mail.ReplyAddress = f.uint == 1
	case fieldReferences:
		e.Mail.References = f.uint == 1
	case fieldSoonWithin:
		e.Soon.Within = Millis(f.uint)
	case fieldSoonVerdict:
		e.Soon.Verdict = Verdict(f.uint)
	}
	return nil
}
