package event

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Peek returns the key and the kind of an event in its binary form, without reading the rest of it. It relies on the
// ascending order of the fields. What DecodeBinary refuses further on may pass here.
func Peek(src []byte) (key Key, kind Kind, err error) {
	switch {
	case len(src) == 0:
		return Key{}, 0, fmt.Errorf("%w: empty", ErrMalformed)
	case src[0] != binaryFormat:
		return Key{}, 0, fmt.Errorf("%w: format %d", ErrMalformed, src[0])
	}
	for rest := src[1:]; len(rest) > 0; {
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return Key{}, 0, fmt.Errorf("%w: tag: %w", ErrMalformed, protowire.ParseError(n))
		}
		if num > fieldKey {
			break
		}
		rest = rest[n:]
		if n = protowire.ConsumeFieldValue(num, typ, rest); n < 0 {
			return Key{}, 0, fmt.Errorf("%w: field %d: %w", ErrMalformed, num, protowire.ParseError(n))
		}
		switch {
		case num == fieldKind && typ == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(rest)
			if v > uint64(Tick) {
				return Key{}, 0, fmt.Errorf("%w: field %d: %w", ErrMalformed, num, errRange)
			}
			kind = Kind(v)
		case num == fieldKey && typ == protowire.BytesType:
			v, _ := protowire.ConsumeBytes(rest)
			if len(v) != len(key) {
				return Key{}, 0, fmt.Errorf("%w: field %d: %w", ErrMalformed, num, errRange)
			}
			copy(key[:], v)
		case num == fieldKind || num == fieldKey:
			return Key{}, 0, fmt.Errorf("%w: field %d: %w", ErrMalformed, num, errType)
		}
		rest = rest[n:]
	}
	return key, kind, nil
}
