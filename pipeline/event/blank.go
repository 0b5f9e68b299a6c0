package event

import "google.golang.org/protobuf/encoding/protowire"

// fieldPadding is of no meaning: it fills a record that must keep its length. Readers pass over it.
const fieldPadding protowire.Number = 1000

// paddingHead is the padding's tag and its length, which always takes three bytes.
const paddingHead = 2 + 3

// AppendBlank appends the stored form of an event that takes the place of one of n bytes whose contact was erased, and of
// which nothing may be left: a tick, or, with the key of a message, an erase of that message alone. It has exactly n bytes;
// ok is false if they are too few.
func AppendBlank(dst []byte, n int, at Millis, account string, key Key) (_ []byte, ok bool) {
	e := Event{Kind: Tick, Time: at}
	if key != (Key{}) {
		e = Event{Kind: Erase, Time: at, Key: key, KnownBy: ByKey, Ref: Ref{Account: account}}
	}
	had := len(dst)
	dst = e.AppendBinary(dst)
	pad := n - (len(dst) - had)
	if pad == 0 {
		return dst, true
	}
	if pad -= paddingHead; pad < 0 || pad >= 1<<21 {
		if e.Kind == Erase {
			return AppendBlank(dst[:had], n, at, "", Key{})
		}
		return dst[:had], false
	}
	dst = protowire.AppendTag(dst, fieldPadding, protowire.BytesType)
	dst = append(dst, byte(pad)|0x80, byte(pad>>7)|0x80, byte(pad>>14))
	return append(dst, make([]byte, pad)...), true
}
