package scenario

import "fmt"

// fact names one fact: a message, what happened, who did it, to which link.
//
//	bit 63-16 number of the message    15-12 kind    11-8 who    7-0 link
type fact uint64

type kind uint8

const (
	sent kind = 1 + iota
	open
	click
	bounce
	delay
	complaint
	unsubscribe
	reply
	autoReply
	inferredOpen // told by a click or a reply; nobody sends it
	kinds        // how many there are
)

var kindNames = [kinds]string{
	sent: "sent", open: "open", click: "click", bounce: "bounce", delay: "delay", complaint: "complaint",
	unsubscribe: "unsubscribe", reply: "reply", autoReply: "auto_reply", inferredOpen: "inferred open",
}

func (k kind) String() string { return kindNames[k] }

// kindNamed is the kind of an event that can be sent.
func kindNamed(name string) (kind, bool) {
	for k := sent; k < inferredOpen; k++ {
		if kindNames[k] == name {
			return k, true
		}
	}
	return 0, false
}

func newFact(message int, k kind, w who, link int) fact {
	return fact(message)<<16 | fact(k)<<12 | fact(w)<<8 | fact(link)&0xff
}

func (f fact) message() int { return int(f >> 16) }
func (f fact) kind() kind   { return kind(f >> 12 & 0xf) }
func (f fact) who() who     { return who(f >> 8 & 0xf) }
func (f fact) link() int    { return int(f & 0xff) }

// name says it to people.
func (f fact) name(p *plan) string {
	text := f.kind().String()
	if f.kind() == click {
		text += fmt.Sprintf(" on link %d", f.link())
	}
	if f.who() != nobody {
		text += " by " + f.who().String()
	}
	return fmt.Sprintf("%s of %s, sender %s", text, p.messageID(f.message()), p.senderOf(f.message()))
}
