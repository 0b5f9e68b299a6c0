package rollup

import (
	"encoding/base64"
	"encoding/binary"
	"math"

	"carom/pipeline/event"
)

// cursor is where a page of senders ended. In text it is base64url of
//
//	┌─────────┬─────────────┬──────┬────────┬──────────┬────────────────────┐
//	│ version │ length of   │ sort │ as of  │ value(8) │ sender, to the end │
//	│ 1       │ sort(1)     │      │ varint │          │                    │
//	└─────────┴─────────────┴──────┴────────┴──────────┴────────────────────┘
type cursor struct {
	sort   string
	asOf   event.Millis
	value  float64
	sender string
}

const cursorVersion byte = 1

// maxCursor bounds the text of a cursor: the longest name of a sender that any door lets in, and a lot more.
const maxCursor = 64 << 10

func (c cursor) String() string {
	b := append([]byte{cursorVersion, byte(len(c.sort))}, c.sort...)
	b = binary.AppendVarint(b, int64(c.asOf))
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(c.value))
	return base64.RawURLEncoding.EncodeToString(append(b, c.sender...))
}

func parseCursor(text string) (c cursor, ok bool) {
	if len(text) > maxCursor {
		return cursor{}, false
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return cursor{}, false
	}
	s := openValue(b, cursorVersion, "cursor")
	n := int(s.byte())
	if n > len(s.rest) {
		return cursor{}, false
	}
	c.sort, s.rest = string(s.rest[:n]), s.rest[n:]
	c.asOf = s.millis()
	c.value = math.Float64frombits(s.uint(8))
	c.sender = string(s.rest)
	return c, s.err == nil
}
