package rollup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"carom/pipeline/event"
)

// Every value starts with the version of its layout.
const (
	enrollmentVersion byte = 3
	rowVersion        byte = 3 // rows before are of older rules, and computed anew
	nameVersion       byte = 1
	namelessVersion   byte = 1
	positionVersion   byte = 1
	rebuildVersion    byte = 1
	publishedVersion  byte = 1
	domainsVersion    byte = 1
	completionVersion byte = 1
	sweepVersion      byte = 1
	alertVersion      byte = 1
)

var errValue = errors.New("rollup: malformed value")

// source reads a value from its start. The first thing that is not there ends it; err says so at the end.
type source struct {
	rest []byte
	err  error
}

// openValue checks the version of a value of which there is one version to read.
func openValue(value []byte, version byte, name string) source {
	_, s := openVersions(value, version, version, name)
	return s
}

// openVersions checks that the version of a value is one from oldest to newest, and returns it.
func openVersions(value []byte, oldest, newest byte, name string) (version byte, s source) {
	if len(value) == 0 {
		return 0, source{err: errValue}
	}
	version = value[0]
	switch {
	case version > newest:
		s.err = fmt.Errorf("rollup: %s has version %d, this Carom reads %d: use a newer Carom", name, version, newest)
	case version < oldest:
		s.err = fmt.Errorf("rollup: %s has version %d, this Carom reads %d", name, version, newest)
	default:
		s.rest = value[1:]
	}
	return version, s
}

func (s *source) fail() {
	s.rest = nil
	if s.err == nil {
		s.err = errValue
	}
}

func (s *source) byte() byte {
	if len(s.rest) == 0 {
		s.fail()
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b
}

func (s *source) uvarint() uint64 {
	v, n := binary.Uvarint(s.rest)
	if n <= 0 {
		s.fail()
		return 0
	}
	s.rest = s.rest[n:]
	return v
}

// uint32 reads a uvarint that fits.
func (s *source) uint32() uint32 {
	v := s.uvarint()
	if v > math.MaxUint32 {
		s.fail()
	}
	return uint32(v)
}

func (s *source) varint() int64 {
	v, n := binary.Varint(s.rest)
	if n <= 0 {
		s.fail()
		return 0
	}
	s.rest = s.rest[n:]
	return v
}

// count reads a number of things that take at least one byte each, so that a lie can't make us allocate.
func (s *source) count(most int) int {
	n := s.uvarint()
	if n > uint64(most) || n > uint64(len(s.rest)) {
		s.fail()
		return 0
	}
	return int(n)
}

// text reads a length and so many bytes, which are valid as long as the value is.
func (s *source) text() []byte {
	n := s.uvarint()
	if n > uint64(len(s.rest)) {
		s.fail()
		return nil
	}
	b := s.rest[:n]
	s.rest = s.rest[n:]
	return b
}

// uint reads n bytes, big-endian.
func (s *source) uint(n int) uint64 {
	if len(s.rest) < n {
		s.fail()
		return 0
	}
	var v uint64
	for _, b := range s.rest[:n] {
		v = v<<8 | uint64(b)
	}
	s.rest = s.rest[n:]
	return v
}

// end returns what went wrong, trailing bytes included.
func (s *source) end() error {
	if len(s.rest) > 0 {
		s.fail()
	}
	return s.err
}

func (s *source) millis() event.Millis { return event.Millis(s.varint()) }

func appendText[T string | []byte](dst []byte, text T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func appendUint(dst []byte, v uint64, n int) []byte {
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, byte(v>>(8*i)))
	}
	return dst
}
