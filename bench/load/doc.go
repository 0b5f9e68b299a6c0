// Package load drives clients, in an open or a closed loop, and times what they are answered. It knows no protocol.
//
//	Plan (stages of a rate) ─▶ intended starts ─▶ clients ─▶ answers ─▶ result.Result
//
// Guarantee: in an open loop, latency is counted from the moment at which the plan wanted a request to start, whether or
// not a client was free then. A server that stalls is charged for all who would have come meanwhile.
//
// Not obvious:
//
//   - What the warm-up could not send is not made up for behind it. What the stages could not send until their end is a
//     failure, with the latency that it had by then.
//   - Of failures, those that ran out of time have a latency too: without them, a server would look the faster the more it
//     drops.
//   - The seconds of a closed loop are the mean of its clients': from a client's first request that counts to its last answer.
package load
