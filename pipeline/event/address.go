package event

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// AddressFact is a refined event as far as it bears on an address: what may stop mail to it, and what shows that it
// lives. ADDRESSES.md of package refine says which events become one, and describes every member.
type AddressFact struct {
	// ID, Revision, Kind and Time are those of the refined event.
	ID       ID
	Revision uint32
	Kind     Kind
	Time     Millis
	// Ref is the identity of the message; Link and URL are unused, of the flags only Transactional counts. A fact about
	// an enrollment has no message.
	Ref
	// Recipient is the registered address as it was registered, empty while nobody has registered the message.
	Recipient string
	// Bounce and Reported are of a bounce: what was said, and of whom. Reported is evidence and nothing to act on.
	Bounce   Diagnosis
	Reported string
	// MailboxProvider of a bounce is that of the registered recipient's domain, see package provider; Bounce.Provider is
	// that of the system which reported.
	MailboxProvider string
	// FeedbackType of a complaint; "not-spam" takes it back.
	FeedbackType string
	// AliveAt, of a bounce, delivered, open, click and reply, is the latest event time of a delivery, a human open, click or
	// reply of the same message that is known by now; 0 for none. It replaces what was told of the message before.
	AliveAt Millis
	// ContactKey, the text of one, is what a contact fact tells.
	ContactKey string
	// Body is what an order, life or volume fact says: a JSON object, see CleanBody.
	Body []byte
	// Origin orders the facts about addresses of one partition; its N is of a count of their own.
	Origin Origin
}

// AppendKey appends the key of the fact's record: the recipient in the form in which addresses are compared, nothing
// without a recipient.
func (f *AddressFact) AppendKey(dst []byte) []byte { return append(dst, NormalAddress(f.Recipient)...) }

// AppendJSON appends the fact as a JSON object to dst, without a line end. Equal facts give equal bytes.
func (f *AddressFact) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"id":"`...)
	dst = f.ID.appendText(dst)
	dst = append(dst, `","revision":`...)
	dst = strconv.AppendUint(dst, uint64(f.Revision), 10)
	dst = append(dst, `,"kind":"`...)
	dst = append(dst, f.Kind.String()...)
	dst = append(dst, `","time":`...)
	dst = appendTime(dst, f.Time)
	dst = f.Ref.appendNames(dst)
	dst = appendMember(dst, `,"recipient":`, f.Recipient)
	dst = appendFlag(dst, `,"transactional":true`, f.Flags.Has(Transactional))
	if f.SentAt != 0 {
		dst = appendTime(append(dst, `,"sent_at":`...), f.SentAt)
	}
	if f.Kind == Bounce {
		dst = f.Bounce.appendJSON(dst, f.Reported)
	}
	if f.Kind == Bounce {
		dst = appendMember(dst, `,"mailbox_provider":`, f.MailboxProvider)
	}
	if f.AliveAt != 0 {
		dst = appendTime(append(dst, `,"alive_at":`...), f.AliveAt)
	}
	if f.Kind == Complaint {
		dst = appendMember(dst, `,"feedback_type":`, f.FeedbackType)
	}
	if f.Kind == Contact {
		dst = appendMember(dst, `,"contact_key":`, f.ContactKey)
	}
	if len(f.Body) > 0 {
		dst = append(append(dst, `,"body":`...), f.Body...)
	}
	dst = append(dst, `,"origin":`...)
	dst = f.Origin.appendJSON(dst)
	return append(dst, '}')
}

// DecodeJSON reads what AppendJSON wrote into f, replacing all of it; unknown members are passed over. A kind that this
// Carom does not know is an error. f keeps no part of src. After an error f holds nothing of use.
func (f *AddressFact) DecodeJSON(src []byte) error {
	*f = AddressFact{}
	in := NewJSONReader(string(src)) // one copy serves all strings
	for name := range in.Members() {
		switch name {
		case "id":
			f.ID = readID(&in)
		case "revision":
			f.Revision = uint32(in.Uint(math.MaxUint32))
		case "kind":
			f.Kind = readAddressKind(&in)
		case "time":
			f.Time = readTime(&in)
		case "account":
			f.Account = in.String()
		case "sender":
			f.Sender = in.String()
		case "sequence":
			f.Sequence = in.String()
		case "contact":
			f.Contact = in.String()
		case "message":
			f.Message = in.String()
		case "recipient":
			f.Recipient = in.String()
		case "transactional":
			f.Flags |= readFlag(&in, Transactional)
		case "sent_at":
			f.SentAt = readTime(&in)
		case "bounce":
			f.Bounce.readJSON(&in, &f.Reported)
		case "mailbox_provider":
			f.MailboxProvider = in.String()
		case "contact_key":
			f.ContactKey = in.String()
		case "body":
			f.Body = readBody(&in)
		case "alive_at":
			f.AliveAt = readTime(&in)
		case "feedback_type":
			f.FeedbackType = in.String()
		case "origin":
			f.Origin.readJSON(&in)
		default:
			in.Skip()
		}
	}
	if err := in.End(); err != nil {
		return fmt.Errorf("event: fact about an address: %w", err)
	}
	return nil
}

// NormalAddress returns an address in the form in which addresses are compared: its domain in A-labels and lower case,
// without a dot at the end. The local part stays as it is: its case, dots and plus signs are its host's business.
func NormalAddress(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	domain := strings.ToLower(strings.TrimSuffix(address[at+1:], "."))
	if !plainDomain(domain) {
		if a, err := idna.Lookup.ToASCII(domain); err == nil {
			domain = a
		}
	}
	if domain == address[at+1:] {
		return address
	}
	return address[:at+1] + domain
}

// plainDomain reports whether a domain has nothing that needs to become an A-label.
func plainDomain(domain string) bool {
	for i := 0; i < len(domain); i++ {
		if domain[i] >= 0x80 {
			return false
		}
	}
	return true
}

// Blank takes from f all that could tell whose it was.
func (f *AddressFact) Blank() {
	*f = AddressFact{
		ID: f.ID, Revision: f.Revision, Kind: f.Kind, Time: f.Time,
		Ref:    Ref{Account: f.Account, Sender: f.Sender, Sequence: f.Sequence, Contact: ErasedContact, Flags: f.Flags},
		Bounce: Diagnosis{Hard: f.Bounce.Hard, Category: f.Bounce.Category, Status: f.Bounce.Status, ReplyCode: f.Bounce.ReplyCode, Rule: f.Bounce.Rule},
		Origin: f.Origin, FeedbackType: f.FeedbackType,
	}
}
