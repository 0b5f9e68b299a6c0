package event

// Refined is one judged, deduplicated and attributed fact: what consumers get, DESIGN §9.
type Refined struct {
	ID       ID
	Revision uint32
	Kind     Kind
	Time     Millis
	// Ref is the registered identity of the message. Of a nameless open or click it names no message, and the
	// contact is "someone".
	Ref
	// First is set on the first counted event of its kind on its message.
	First bool
	// Inferred is set on an open that nobody saw, but a click or a reply implies.
	Inferred bool
	Actor    Actor
	Client   Client
	Bounce   Diagnosis // bounce, delay and delivered only
	// Recipient is the address that the report named; bounce, delay and delivered only.
	Recipient string
	// FeedbackType of a complaint; "not-spam" takes it back.
	FeedbackType string
	// Provider of a sent event is the mailbox provider of the registered recipient, see package provider.
	Provider string
	// Alert is what an alert says: a JSON object, see CleanBody.
	Alert []byte
	// Messages are those that an erase speaks of: some of the contact's, of one sender and sequence.
	Messages []string
	// ContactKey, the text of one, is left of an erase whose log was scrubbed: who reads it late must still know whom he has
	// to forget.
	ContactKey string
	// Erased is set on what is left of an event whose contact was erased: see Blank.
	Erased bool
	Origin Origin
}

// ErasedContact stands where the id of an erased contact stood.
const ErasedContact = "erased"

// Blank takes from r all that names whose it was, and leaves what it was, when, and of which sender; of an erase, the
// contact's key too.
func (r *Refined) Blank() {
	var key string
	if r.Kind == Erase {
		key = ContactKeyOf(r.Account, r.Contact).String()
	}
	*r = Refined{
		ID: r.ID, Revision: r.Revision, Kind: r.Kind, Time: r.Time, First: r.First, Inferred: r.Inferred, Erased: true, ContactKey: key,
		Ref:    Ref{Account: r.Account, Sender: r.Sender, Sequence: r.Sequence, Contact: ErasedContact},
		Actor:  Actor{Verdict: r.Actor.Verdict, Reasons: r.Actor.Reasons, Via: r.Actor.Via},
		Bounce: Diagnosis{Hard: r.Bounce.Hard, Category: r.Bounce.Category, Status: r.Bounce.Status, ReplyCode: r.Bounce.ReplyCode, Rule: r.Bounce.Rule},
		Origin: r.Origin, FeedbackType: r.FeedbackType,
	}
}

// Someone is the contact of an open or click that must not name one.
const Someone = "someone"

// Head is what routers see of a refined event without reading it.
type Head struct {
	ID     ID
	Kind   Kind
	Time   Millis
	Origin Origin
}

// Head returns the event's.
func (r *Refined) Head() Head { return Head{ID: r.ID, Kind: r.Kind, Time: r.Time, Origin: r.Origin} }

// Origin is where a refined event was released. Origins of one partition only grow, so a consumer drops what it
// has seen by comparing with the last.
type Origin struct {
	Node      string // that heard the fact
	Partition int32
	Offset    int64 // of the input whose processing released the event
	N         int32 // its number within that step, from 0
}

// After reports whether o was released after p; both must be of the same partition.
func (o Origin) After(p Origin) bool {
	return o.Offset > p.Offset || o.Offset == p.Offset && o.N > p.N
}
