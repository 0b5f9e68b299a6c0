package kafka

import (
	"math/bits"
	"sync"
)

// buffers keeps buffers for use again, by their capacity: powers of two. So a batch of a few records does not hold
// the memory of a full one.
type buffers struct{ classes [maxBufferBits + 1]sync.Pool }

const (
	minBufferBits = 12
	maxBufferBits = 25 // beyond the largest batch_bytes; what is larger is left to the garbage collector
)

// get returns an empty buffer with room for at least n bytes.
func (p *buffers) get(n int) []byte {
	class := max(minBufferBits, bits.Len(uint(max(n, 1)-1)))
	if class > maxBufferBits {
		return make([]byte, 0, n)
	}
	if b, _ := p.classes[class].Get().(*[]byte); b != nil {
		return (*b)[:0]
	}
	return make([]byte, 0, 1<<class)
}

// put takes back a buffer that nobody uses any more.
func (p *buffers) put(b []byte) {
	class := bits.Len(uint(cap(b))) - 1
	if class < minBufferBits || class > maxBufferBits {
		return
	}
	p.classes[class].Put(&b)
}

// grow returns b with room for n more bytes.
func (p *buffers) grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	larger := append(p.get(max(len(b)+n, 2*cap(b))), b...)
	p.put(b)
	return larger
}
