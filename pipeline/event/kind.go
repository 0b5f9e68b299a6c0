package event

// Kind is what happened. The numbers are stored.
type Kind uint8

// The kinds of DESIGN §3, alerts; and those that are no facts about a message.
const (
	Sent Kind = iota + 1
	Delivered
	Open
	Click
	Bounce
	Delay
	Complaint
	Unsubscribe
	Reply
	AutoReply
	Dropped
	Completed
	// Alert says that a figure crossed a threshold, or that something wants a person's look: see AlertID.
	Alert

	// What only the log of addresses holds, see ADDRESSES.md of package refine.
	Volume  Kind = 249 // how many messages were sent, by hour and mailbox provider
	Contact Kind = 250 // an account's contact, told for the first time
	Life    Kind = 251 // a partition's answer to an inquiry

	// Inquiry asks every partition when a contact last showed life, Order asks something of suppression: see Event.Body.
	Inquiry Kind = 252
	Order   Kind = 253
	// Erase is no fact about a message either: all that is kept of a contact goes. A raw one names him by his ContactKey
	// alone, in the place of the contact.
	Erase Kind = 254
	// Tick is no fact at all: it only moves log time on while a log is silent.
	Tick Kind = 255
)

var kindNames = [...]string{
	Sent: "sent", Delivered: "delivered", Open: "open", Click: "click", Bounce: "bounce", Delay: "delay",
	Complaint: "complaint", Unsubscribe: "unsubscribe", Reply: "reply", AutoReply: "auto_reply",
	Dropped: "dropped", Completed: "completed", Alert: "alert",
}

// String returns the kind's name, "" for a number that is no kind.
func (k Kind) String() string {
	switch k {
	case Erase:
		return eraseName
	case Tick:
		return "tick"
	case Order:
		return "order"
	case Inquiry:
		return "inquiry"
	case Life:
		return "life"
	case Contact:
		return "contact"
	case Volume:
		return "volume"
	}
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return ""
}

const eraseName = "erase"

// ParseKind is the inverse of String for what the log of events holds; ok is false for anything else, such as a tick.
func ParseKind(s string) (k Kind, ok bool) {
	if s == eraseName {
		return Erase, true
	}
	for i, name := range kindNames {
		if name != "" && name == s {
			return Kind(i), true
		}
	}
	return 0, false
}

// parseAddressKind is the inverse of String for what the log of addresses holds.
func parseAddressKind(s string) (k Kind, ok bool) {
	for _, k := range [...]Kind{Volume, Contact, Life, Order} {
		if s == k.String() {
			return k, true
		}
	}
	return ParseKind(s)
}

// Verdict is who acted. The numbers are stored.
type Verdict uint8

// The verdicts of DESIGN §3. Facts that nobody needs to judge (a bounce, a send) have NoVerdict.
const (
	NoVerdict Verdict = iota
	Human
	Proxy
	Scanner
	Self
	Unknown
)

var verdictNames = [...]string{"", "human", "proxy", "scanner", "self", "unknown"}

// String returns the verdict's name, "" for none.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return ""
}

// ParseVerdict is the inverse of String.
func ParseVerdict(s string) (v Verdict, ok bool) {
	for i, name := range verdictNames {
		if name == s {
			return Verdict(i), true
		}
	}
	return 0, false
}

// Machine reports whether the hit came from software that acts on its own: a scanner or a prefetching proxy.
func (v Verdict) Machine() bool { return v == Proxy || v == Scanner }
