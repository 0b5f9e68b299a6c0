// Growth measures what size does to a node: rates on a full journal beside an empty one, starts after a crash, and memory
// and disk over a long time.
//
//	fill   ─▶ journal folder ──┬─▶ node on it        ◀── load ── rates, CPU a request ─▶ ratio full / empty
//	(Accept, Append: in here)  └─▶ trim in here      ◀── load ── latency while all of it goes
//	start  ─▶ fill, load, kill -9, start             ─────────── seconds to each stage, by size
//	stages ─▶ a node with all roles ◀── a platform's traffic ─── rate to the scores, CPU an event by stage, its profile
//	soak   ─▶ the same, for an hour at half that rate ────────── samples, slopes, what was acknowledged and is counted
//
// Nodes are processes of their own, `carom serve`, on loopback. What is filled goes through the real Accept and journal,
// with as many records a batch as a node under load has, but without sockets.
//
// Not obvious:
//
//   - Both nodes of a comparison run all the time, and rounds alternate between them in the order ABBA: what else the machine
//     does falls on both.
//   - A soak makes the node forget in minutes what it forgets in days. What it keeps for longer, such as enrollments, grows all
//     the same: the state's disk is told, not judged.
//   - Every request of edge and start is a new event: its token is sealed for a message of its own. A platform registers
//     messages by the bulk, and each message counts as an event, as do its open, its click and its bounce.
//   - A rate to the scores leaves out what no stage has got to when the last person stops; clicks that wait for what may
//     still come of their message are in it.
package main
