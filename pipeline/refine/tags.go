package refine

import "carom/kv"

// A tag stands in keys for a text of any length: its FNV-1a of 32 bits. Two texts may have the same one, so whoever finds
// an entry by it compares what is kept of the message.
const tagBytes = 4

const (
	fnvBasis uint32 = 2166136261
	fnvPrime uint32 = 16777619
)

func tagOf(text string) uint32 { return addTag(fnvBasis, text) }

// senderTag is the tag of a sender of an account.
func senderTag(account, sender string) uint32 {
	return addTag(addTag(tagOf(account), "\x00"), sender)
}

func addTag(tag uint32, text string) uint32 {
	for i := range len(text) {
		tag = (tag ^ uint32(text[i])) * fnvPrime
	}
	return tag
}

func appendTag(dst []byte, tag uint32) []byte { return kv.AppendUint32(dst, tag) }
