package event

import (
	"net/netip"
	"time"
)

// Millis is a point in time: milliseconds since 1970-01-01T00:00:00Z. 0 means "not known".
type Millis int64

// Now returns the current time of the wall clock.
func Now() Millis { return FromTime(time.Now()) }

// FromTime rounds t down to the millisecond.
func FromTime(t time.Time) Millis {
	if t.IsZero() {
		return 0
	}
	return Millis(t.UnixMilli())
}

// Time returns m in UTC; the zero time if m is not known.
func (m Millis) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}

// Add returns m moved by d.
func (m Millis) Add(d time.Duration) Millis { return m + Millis(d.Milliseconds()) }

// Event is one fact as the node that heard it tells it. It is what the journal keeps; refine makes of it
// zero, one or several Refined events.
type Event struct {
	Kind Kind
	// Time is the event time, set by the node that heard the fact, or told by the system that knew it.
	Time Millis
	// Key names the message that the fact is about; how far it can be trusted to be whole says KnownBy.
	Key     Key
	KnownBy KnownBy
	// Ref is as much of the identity as the bearer told: all of it for a URL token, nothing for an address token.
	Ref
	// Recipient is the address that the fact names: of a sent event the registered one, of a bounce the
	// failed one. Lower layers must not act on it before it is checked against the registered one.
	Recipient string
	// Links are the link targets of a sent event, by index from 0.
	Links []string

	Actor  Actor
	Soon   Soon
	Client Client
	Bounce Diagnosis
	Mail   Mail
	// Body is what an order, inquiry or alert says: a JSON object of at most MaxBodyBytes, see CleanBody. Neither Accept
	// nor refine reads it. Such an event has, beside it:
	//
	//	order    Account (empty: of all), Recipient: the address; Message: the order's id, as ID.String writes it; Key: OrderKey; ByKey
	//	inquiry  Account, Contact, Recipient: the address; Message: the inquiry's id, likewise; one to each partition: the
	//	         first four bytes of Key choose it, the others are of no meaning; ByKey
	//	alert    Account, Sender, Sequence as far as they apply; Key: AlertID, which becomes the event's id; ByKey
	Body []byte
}

// Soon is a verdict on condition: it takes the place of the actor's where the hit came within so long of its message's
// delivery. Who judges the request knows the rule, but only refine knows when the message was delivered.
type Soon struct {
	Within  Millis // 0: there is no such rule
	Verdict Verdict
}

// Ref is what a token seals: who a URL or a return path speaks of.
type Ref struct {
	Account  string
	Sender   string
	Sequence string
	Contact  string
	// Message is the platform's id of the message, without surrounding angle brackets and blanks.
	Message string
	// Link is the index of a clicked link, from 0; meaningful for clicks only.
	Link uint32
	// URL is a click's target, byte for byte.
	URL string
	// SentAt is when the message was sent, 0 if not known.
	SentAt Millis
	Flags  Flags
}

// Flags are properties of a message.
type Flags uint32

// The flags. Their bits are stored and sealed into tokens.
const (
	Transactional Flags = 1 << iota // a complaint or unsubscribe does not suppress
	Anonymous                       // no legal basis: opens and clicks name no contact
	Shared                          // several recipients share one pixel: opens and clicks name no contact
	Untracked                       // opens and clicks are answered and not recorded
	Honeypot                        // a link that no human sees
	NotSent                         // of a sent event: it was not, because its address is suppressed; no token has it
)

// Has reports whether all of want are set.
func (f Flags) Has(want Flags) bool { return f&want == want }

// Nameless reports whether opens and clicks count as those of "someone".
func (f Flags) Nameless() bool { return f&(Anonymous|Shared) != 0 }

// KnownBy says how the fact was tied to a message.
type KnownBy uint8

const (
	// ByRef: a full ref was at hand; Key and Ref are complete. Such a fact registers its message provisionally.
	ByRef KnownBy = iota + 1
	// ByKey: Key is complete, the rest is not (an address token; an API call with account and message).
	ByKey
	// ByMessageID: only Ref.Message is known; Key holds its first four bytes, the rest are zero.
	ByMessageID
)

var knownByNames = [...]string{"", "ref", "key", "message_id"}

// String returns "ref", "key" or "message_id", "" for a number that is none of them.
func (k KnownBy) String() string {
	if int(k) < len(knownByNames) {
		return knownByNames[k]
	}
	return ""
}

// Actor is who acted, and why we think so.
type Actor struct {
	Verdict Verdict
	// Reasons are short stable codes, for example "agent_scanner".
	Reasons []string
	// Via is the mail provider's proxy that the hit came through, for example "gmail".
	Via string
}

// Client is where a hit came from, as far as the privacy settings let it be kept.
type Client struct {
	IP        netip.Addr
	UserAgent string
	// Hash is a keyed hash of the whole address and agent that changes daily: enough to tell clients
	// of one message apart, not to recognise them later. 0 if there was no client.
	Hash uint64
	// AddressHash is one of the address alone: gateways share an address, and change their agent with every request.
	AddressHash uint64
}

// Diagnosis is what a bounce, a delay or a delivery report says about one recipient.
type Diagnosis struct {
	Hard       bool
	Category   string // DESIGN §7, for example "invalid_recipient"
	Status     string // enhanced status, RFC 3463, for example "5.1.1"
	ReplyCode  string // SMTP reply code, for example "550"
	Action     string // RFC 3464 §2.3.3: failed delayed delivered relayed expanded
	RemoteMTA  string
	Diagnostic string
	Provider   string // mailbox provider, for example "google"
	Rule       string // which of our rules gave the category, for example "google-5.1.1"
}

// Mail is what is known of the mail that told the fact.
type Mail struct {
	// ID is the mail's own Message-ID, or a hash of the mail where it has none: the identity of replies,
	// auto-replies, complaints and delays.
	ID string
	// From is the address of the mail's author; refine compares it with the registered recipient.
	From string
	// FeedbackType of a complaint, RFC 5965; "not-spam" takes a complaint back.
	FeedbackType string
	// ReplyAddress reports that the mail came to a reply address of ours; References, that it names the message.
	ReplyAddress bool
	References   bool
}

// Request is what one HTTP request tells about who sent it. Strings are valid during the call only.
type Request struct {
	Method    string
	IP        netip.Addr
	UserAgent string
	Referer   string
	Accept    string
	// Purpose joins the values of Sec-Purpose, Purpose, X-Purpose and X-Moz, or is empty.
	Purpose string
	// Self is set where the request came with the cookie of the sender's own browser.
	Self bool
}

// Source is where a raw record was journaled: the third names it among all records of the second.
type Source struct {
	Node        string
	Incarnation [16]byte // random, made with the journal's folder
	Sequence    uint64
}
