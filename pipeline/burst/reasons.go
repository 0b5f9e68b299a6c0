package burst

import "slices"

// Reasons are a set of the codes that explain a verdict. The bits are stored.
type Reasons uint16

// The codes that Judge adds, and those of the request (the last two) to which an operator may give a weight.
const (
	BurstAddress     Reasons = 1 << iota // another link was clicked from the same address, nearly at once
	BurstLinks                           // too many links were clicked within a few seconds, wherever from
	Honeypot                             // the link that no human sees was clicked
	HoneypotNear                         // it was, seconds before or after
	Early                                // event.Soon holds
	EarlyOpen                            // weight: an open soon after delivery
	EarlyClick                           // weight: a click soon after delivery
	TwoLinks                             // weight: another link was clicked seconds before or after
	ClickWithoutOpen                     // weight: a click that no open precedes
	Weights                              // the weights reach the threshold
	AcceptNoHTML                         // weight, of the request
	SharedAddress                        // weight, of the request

	hints = AcceptNoHTML | SharedAddress
)

// codes names each bit. They are contract: consumers read them.
var codes = [...]string{
	"burst_address", "burst_links", "honeypot", "honeypot_near", "early", "early_open", "early_click", "two_links",
	"click_without_open", "weights", "accept_no_html", "shared_address",
}

// Has reports whether any of want is set.
func (r Reasons) Has(want Reasons) bool { return r&want != 0 }

// Append appends the codes to dst in a fixed order, except those of the request, which has told them itself.
func (r Reasons) Append(dst []string) []string {
	for i, code := range codes {
		if bit := Reasons(1) << i; r.Has(bit &^ hints) {
			dst = append(dst, code)
		}
	}
	return dst
}

// HintsOf returns those of a request's reasons that have a weight.
func HintsOf(reasons []string) (r Reasons) {
	for i, code := range codes {
		if bit := Reasons(1) << i; hints.Has(bit) && slices.Contains(reasons, code) {
			r |= bit
		}
	}
	return r
}

// Strip removes from the reasons of a judged hit, in place, those that Append adds: what is left are the request's.
func Strip(reasons []string) []string {
	return slices.DeleteFunc(reasons, func(reason string) bool {
		i := slices.Index(codes[:], reason)
		return i >= 0 && !hints.Has(1<<i)
	})
}
