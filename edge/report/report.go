package report

import "time"

// Kind is what a mail says, in the words of DESIGN §3 and "other" for a mail that tells nothing.
type Kind string

// The kinds of fact.
const (
	Bounce      Kind = "bounce"      // delivery failed for good
	Delay       Kind = "delay"       // delivery is late; the other side keeps trying
	Delivered   Kind = "delivered"   // the mail arrived, or went on to a system that reports no further
	Complaint   Kind = "complaint"   // the recipient called it spam; FeedbackType "not-spam" takes that back
	Unsubscribe Kind = "unsubscribe" // the recipient opted out through a feedback loop
	AutoReply   Kind = "auto_reply"  // a machine answered: vacation, receipt, calendar
	Reply       Kind = "reply"       // a human wrote
	Other       Kind = "other"       // nothing that Carom counts; Why says why
)

// Fact is one thing that a mail or an SMTP reply says about one recipient.
type Fact struct {
	Kind      Kind
	Recipient string // addr-spec, decoded; "" where the mail names none
	Status    string // enhanced status, RFC 3463: "5.1.1"
	ReplyCode string // SMTP reply code: "550"
	Action    string // RFC 3464 §2.3.3, lower case: failed delayed delivered relayed expanded
	Category  string // why, in the list of DESIGN §7; set for bounces, delays and deliveries
	Hard      bool   // the address is bad and must not be mailed again

	Diagnostic   string // the other side's words: one line, UTF-8, at most maxDiagnostic bytes
	RemoteMTA    string // the host that refused, as the report names it
	Provider     string // mailbox provider that refused: "google", "microsoft", ...; "" if not known
	FeedbackType string // RFC 5965 §3.1, lower case

	OriginalMessageID string // of the mail that this is about, without brackets
	ArrivalDate       time.Time
	LastAttempt       time.Time
	SourceIP          string // RFC 5965: the address that the mail came from

	Decoder string // which decoder read it
	Rule    string // which rule gave Category: "text:user-unknown", "status:5.1.1", ...
	Why     string // of kind other: why nothing was told
}

// Report is all that a mail says.
type Report struct {
	// Facts holds at least one: one of kind Other if the mail tells nothing.
	Facts []Fact
	// MessageID is the mail's own, without brackets; "" if it has none.
	MessageID string
	// Digest identifies a mail without a Message-ID; it is zero where MessageID is set.
	Digest [16]byte
	// From is the address of the mail's author, its domain in lower case; "" if it names none.
	From string
	// References holds the ids of In-Reply-To and References, nearest first, each once.
	References []string
	// OriginalMessageID is that of the returned message; "" if none was returned.
	OriginalMessageID string
	// OriginalRef is the token of the X-Carom-Ref header of the returned message, or of the mail itself.
	OriginalRef string
	// Subject is decoded and bounded.
	Subject string
}

// Read tells what a mail says. It takes any bytes, never fails and keeps nothing of mail.
func Read(mail []byte) Report {
	return Report{Facts: []Fact{{Kind: Other, Why: "empty mail"}}}
}

// ReadReply tells what one SMTP reply says, single or multi-line.
func ReadReply(text string) Fact {
	return Fact{Kind: Other, Why: "no SMTP reply"}
}
