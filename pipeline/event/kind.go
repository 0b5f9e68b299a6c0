package event

// Kind is what happened. The numbers are stored.
type Kind uint8

// The kinds of DESIGN §3; and Tick, which is no fact: it only moves log time on while a log is silent.
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

	// Erase is no fact about a message either: all that is kept of a contact goes. A raw one names him by his ContactKey
	// alone, in the place of the contact.
	Erase Kind = 254
	Tick  Kind = 255
)

var kindNames = [...]string{
	Sent: "sent", Delivered: "delivered", Open: "open", Click: "click", Bounce: "bounce", Delay: "delay",
	Complaint: "complaint", Unsubscribe: "unsubscribe", Reply: "reply", AutoReply: "auto_reply",
	Dropped: "dropped", Completed: "completed",
}

// String returns the kind's name, "tick" for a tick and "" for a number that is no kind.
func (k Kind) String() string {
	switch k {
	case Erase:
		return eraseName
	case Tick:
		return "tick"
	}
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return ""
}

const eraseName = "erase"

// ParseKind is the inverse of String for what is published; ok is false for anything else, a tick included.
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
