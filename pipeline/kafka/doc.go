// Package kafka keeps the logs as topics of a Kafka cluster, and is the only package that speaks to one.
//
//	New(Options)          reads the files that the settings name; connects to nothing
//	     │
//	   Check              connects, proves who we are ─▶ SettingError: which setting does not fit the cluster
//	     │                                               ErrUnreachable: it may come back by itself
//	  Plan, Apply         what the topics should be, against what they are
//	     │
//	   Topics             the topics as they are, with their ids and partitions
//
//	journal ─▶ Relay ──┐
//	stage ─▶ Writer ───┼─▶ Producer: a lane for each partition ─▶ record batches ─▶ topics
//	silence ─▶ Ticker ─┘
//
//	topics ─▶ feeder: fetch, check, decompress, decode; one chunk ahead ─▶ Reader ─▶ refine; log.Mirror ─▶ rollup
//	                                                stages' progress ─▶ Group ─▶ offsets that lag monitors see
//
// It guarantees: an error that a setting can mend names that setting; a cluster that is away, and only that, is
// ErrUnreachable; no read or write waits for ever; partitions of a topic are never added or taken away;
// what a writer or the relay calls written has been acknowledged by all brokers that keep it, in order, perhaps twice.
//
// Not obvious:
//
//   - kafka-go answers metadata requests from a cache, knows no topic ids, and retries its first connection only every
//     few seconds: describe writes a metadata request of its own, past the cache.
//   - kafka-go reports the failure of the last bootstrap broker that it tried, and of TLS only an end of the stream. So
//     our dialer makes the connections, tries the brokers in random order with a share of the time each, and does TLS.
//   - kafka-go sets no deadline while it authenticates, and none for requests whose context has none: conn does.
//   - A broker that demands credentials answers the version request of a client without any, and then hangs up; one that
//     speaks TLS sends an alert, which read as a length would be 352 MB. Both are looked for.
//   - A produce request that was given up may still be written by kafka-go, or be answered by a broker: nothing that it
//     reads from is used again.
//   - The relay's cursor may lag behind what is acknowledged, never the other way round: first the position of reading is
//     looked at, then the lanes (Relay.move).
//   - What a broker refuses for good is tried for ever, too: nothing is dropped. Producer.Trouble tells of it.
//   - An outage is told once for a client, by whoever meets it first (outages); the metrics count every failure.
//   - A fetch that was given up may still be read by kafka-go: its buffer is not used again. So a Read whose deadline
//     passes costs neither a connection nor a record; the feeder goes on.
//   - LogAppendTime is in the head of a batch alone, as its greatest timestamp; the records keep what their producer wrote.
//   - Brokers forget the offsets of a group after a week without a commit: Group commits them again.
//   - A topic that is deleted and made again keeps its name, and all positions in it become wrong. Keep its id.
package kafka
