package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/kafka-go/compress/lz4"
)

// The compressions of record batches, as attributes number them.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

// inflater decompresses the records of batches, of one goroutine. What it returns is new memory of at most limit bytes.
type inflater struct {
	limit int
	zstd  *zstd.Decoder
	lz4   lz4.Codec
}

func newInflater(limit int) *inflater { return &inflater{limit: limit} }

func (f *inflater) close() {
	if f.zstd != nil {
		f.zstd.Close()
	}
}

func (f *inflater) inflate(codec uint16, src []byte) (dst []byte, err error) {
	switch codec {
	case codecNone:
		dst = bytes.Clone(src) // src is the buffer of the next fetch
	case codecGzip:
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(src)); err == nil {
			dst, err = f.readAll(r, len(src))
		}
	case codecSnappy:
		dst, err = f.snappy(src)
	case codecLZ4:
		r := f.lz4.NewReader(bytes.NewReader(src))
		dst, err = f.readAll(r, len(src))
		_ = r.Close()
	case codecZstd:
		dst, err = f.zstandard(src)
	default:
		return nil, fmt.Errorf("compression %d is not known", codec)
	}
	if err != nil {
		return nil, fmt.Errorf("decompress records: %w", err)
	}
	return dst, nil
}

var errInflated = errors.New("they are larger than is allowed")

// readAll reads r to its end.
func (f *inflater) readAll(r io.Reader, compressed int) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(min(4*compressed, f.limit))
	n, err := out.ReadFrom(io.LimitReader(r, int64(f.limit)+1))
	if err != nil {
		return nil, err
	}
	if n > int64(f.limit) {
		return nil, errInflated
	}
	return out.Bytes(), nil
}

func (f *inflater) zstandard(src []byte) (dst []byte, err error) {
	if f.zstd == nil {
		// One goroutine's: it decodes whole blocks of memory and starts none of its own.
		f.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(f.limit)), zstd.WithDecoderMaxWindow(uint64(f.limit)))
		if err != nil {
			return nil, err
		}
	}
	return f.zstd.DecodeAll(src, nil)
}

// xerial is what the Java library puts before its blocks, each of which follows its length; then come two version
// numbers. librdkafka, for one, sends a bare block.
const (
	xerial     = "\x82SNAPPY\x00"
	xerialHead = len(xerial) + 4 + 4
)

func (f *inflater) snappy(src []byte) ([]byte, error) {
	if len(src) < xerialHead || string(src[:len(xerial)]) != xerial {
		return f.snappyBlock(nil, src)
	}
	src = src[xerialHead:]
	dst := make([]byte, 0, min(3*len(src), f.limit))
	for len(src) > 0 {
		if len(src) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		size := int(binary.BigEndian.Uint32(src))
		if src = src[4:]; size > len(src) {
			return nil, io.ErrUnexpectedEOF
		}
		var err error
		if dst, err = f.snappyBlock(dst, src[:size]); err != nil {
			return nil, err
		}
		src = src[size:]
	}
	return dst, nil
}

// snappyBlock appends a block to dst.
func (f *inflater) snappyBlock(dst, src []byte) ([]byte, error) {
	size, err := snappy.DecodedLen(src)
	if err != nil {
		return nil, err
	}
	if size > f.limit-len(dst) {
		return nil, errInflated
	}
	// A byte makes 21 at most, so nobody is made to allocate what no data follow.
	if size > 64*(len(src)+1) {
		return nil, snappy.ErrCorrupt
	}
	block, err := snappy.Decode(make([]byte, size), src)
	if err != nil {
		return nil, err
	}
	if dst == nil {
		return block, nil
	}
	return append(dst, block...), nil
}
