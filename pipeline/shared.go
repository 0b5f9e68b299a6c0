package pipeline

import (
	"encoding/binary"
	"sync"

	"carom/pipeline/event"
)

// sharedAddresses finds addresses from which many messages are opened and clicked at once: a gateway's, or an office's
// and a mobile carrier's. That is a weight and no proof.
//
//	hash of the address ─▶ shard ─▶ set of 4 entries │ address(64) │ 8 × message(64) │ 8 × event time(64) │
//
// Its memory is constant. A full set forgets the address that was seen longest ago; then one has to be seen anew.
type sharedAddresses struct {
	least  int // messages that make an address shared; 0: nothing is looked for
	shards []sharedShard
}

type sharedShard struct {
	mu   sync.Mutex
	sets [sharedSets][sharedWays]sharedEntry
}

// sharedEntry is an address and its latest messages. The hashes of addresses are keyed, and those of messages are parts
// of their keys, so nobody fills one set on purpose.
type sharedEntry struct {
	address  uint64 // 0: never used
	last     event.Millis
	messages [maxShared]uint64
	at       [maxShared]event.Millis
}

const (
	// sharedAddress is the reason.
	sharedAddress = "shared_address"
	// sharedWindow is how close messages must be to count together. Source: none; offices at nine in the morning stay
	// below the default number, and gateways far above it.
	sharedWindow = event.Millis(60_000)
	// maxShared is the most that can be asked for.
	maxShared = 8

	sharedWays   = 4
	sharedSets   = 32
	sharedShards = 64 // 64 × 32 × 4 entries of 144 bytes: 8192 addresses in 1.2 MB
)

func newSharedAddresses(least int) *sharedAddresses {
	s := &sharedAddresses{least: least}
	if least > 0 {
		s.shards = make([]sharedShard, sharedShards)
	}
	return s
}

// add notes a hit and reports whether its address is shared by then. Proxies of mail providers are shared by nature, and
// tell nothing.
func (s *sharedAddresses) add(ev *event.Event) bool {
	address := ev.Client.AddressHash
	if s.least == 0 || address == 0 || ev.Actor.Via != "" || ev.Actor.Verdict == event.Self {
		return false
	}
	shard := &s.shards[address%sharedShards]
	set := &shard.sets[address/sharedShards%sharedSets]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	e := &set[0]
	for i := range set {
		if set[i].address == address {
			e = &set[i]
			break
		}
		if set[i].last < e.last {
			e = &set[i]
		}
	}
	if e.address != address {
		*e = sharedEntry{address: address}
	}
	e.last = max(e.last, ev.Time)
	return e.add(binary.BigEndian.Uint64(ev.Key[:]), ev.Time) >= s.least
}

// add notes a message and returns how many there are around its time.
func (e *sharedEntry) add(message uint64, at event.Millis) (near int) {
	oldest := 0
	for i := range e.messages {
		if e.messages[i] == message {
			oldest = i
			break
		}
		if e.at[i] < e.at[oldest] {
			oldest = i
		}
	}
	e.messages[oldest], e.at[oldest] = message, at
	for _, t := range e.at {
		if t-at < sharedWindow && at-t < sharedWindow {
			near++
		}
	}
	return near
}
