package kv

import (
	"bytes"
	"errors"
)

// Within a name in a key 0x00 is written as 0x00 0xff; 0x00 0x01 ends it, and sorts before whatever could follow. So names
// sort as they are and end by themselves: no name runs into the next, whatever bytes it holds.
const (
	nameEscape byte = 0x00
	nameZero   byte = 0xff
	nameEnd    byte = 0x01
)

// NameEnd ends a name, and is nowhere within one: nameEscape, nameEnd.
const NameEnd = "\x00\x01"

// ErrName is returned for what AppendName did not write.
var ErrName = errors.New("kv: malformed name in a key")

// AppendName appends a name to a key.
func AppendName(key []byte, name string) []byte {
	for i := 0; i < len(name); i++ {
		key = append(key, name[i])
		if name[i] == nameEscape {
			key = append(key, nameZero)
		}
	}
	return append(key, nameEscape, nameEnd)
}

// CutName reads the name that key starts with, and returns what follows it.
func CutName(key []byte) (name string, rest []byte, err error) {
	var whole []byte // of a name that holds zeros
	for {
		i := bytes.IndexByte(key, nameEscape)
		if i < 0 || i+1 == len(key) {
			return "", nil, ErrName
		}
		if key[i+1] == nameEnd {
			return string(append(whole, key[:i]...)), key[i+2:], nil
		}
		if key[i+1] != nameZero {
			return "", nil, ErrName
		}
		whole = append(whole, key[:i+1]...)
		key = key[i+2:]
	}
}
