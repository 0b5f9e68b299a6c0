// Package load drives clients, in an open or a closed loop, and times what they are answered. It knows no protocol.
//
//	Plan (stages of a rate) ─▶ intended starts ─▶ clients ─▶ answers ─▶ result.Result
//
// Guarantee: in an open loop, latency is counted from the moment at which the plan wanted a request to start, whether or
// not a client was free then. A server that stalls is charged for all who would have come meanwhile.
package load
