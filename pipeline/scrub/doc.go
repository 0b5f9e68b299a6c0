// Package scrub rewrites what logs on this node's disk say of contacts who were erased, so that it is gone physically.
//
//	refine ─ erases that are done ─▶ Scrubber ─▶ every log, from its beginning: a batch, a pause, a batch, …
//	                                     │          └ records of these contacts are blanked; offsets stay
//	                                     ▼
//	                                   place, in the state store: a restart goes on there
//
// It guarantees: when an erase is told to be scrubbed, no log that it was given holds a record of the contact that was
// sent before the erase and was written before the pass began. Pebble drops the old bytes when it compacts next.
//
// Not obvious:
//
//   - One pass serves all erases that wait at its beginning; those that come meanwhile wait for the next.
//   - A record is rewritten only after whoever reads the log has passed it: each Log says up to where.
//   - Records of a topic can't be rewritten. They age out.
package scrub
