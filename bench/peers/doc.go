// Peers measures Carom side by side with servers that do a part of its work: `make bench-peers`. deploy/BENCH.md tells
// how to read what it prints.
//
//	peers × connections ─▶ rounds, in another order each ─▶ cells
//	                         │ start the server, check what it answers
//	                         │ warm up, measure              ◀── load: carom bench, or wrk and smtp-source
//	                         │ stop it, count what it kept
//	                         ▼
//	      table, JSON, page ◀── ratios within each round: median, and the least and the greatest
//
// It guarantees: a figure is counted only if the server answered rightly before, every request of it was answered
// rightly, and, of a server that promises to keep what it answered, as many records lie in its folder afterwards as
// answers were given.
//
// Not obvious:
//
//   - What disturbs a machine for minutes disturbs all peers of a round alike. So ratios are taken within a round; a
//     ratio of medians would compare different minutes.
//   - With -calm a measurement begins when disk and processors are quiet. That is looked at before it, for all peers alike, so
//     no result has a say in whether it counts.
//   - A server that keeps less than it answers was asked the same thing twice, or it cheats. One that keeps a little more
//     was asked by wrk, which hangs up on a request of every connection when its time is over.
//   - The Go peers are this binary, run again: see serve.go.
//   - The dirty pages of one peer are written out before the next one begins, or they would be charged to it.
package main
