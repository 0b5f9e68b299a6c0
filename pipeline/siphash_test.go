package pipeline

import "testing"

// TestSipHash takes the published values of SipHash-2-4: the key is the bytes 0 to 15, the input the bytes 0 to n-1.
func TestSipHash(t *testing.T) {
	var key [16]byte
	for i := range key {
		key[i] = byte(i)
	}
	for n, want := range map[int]uint64{
		0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 7: 0xab0200f58b01d137, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5,
		63: 0x958a324ceb064572,
	} {
		var p []byte
		for i := range n {
			p = append(p, byte(i))
		}
		if got := sipHash(newSipKey(key), p); got != want {
			t.Errorf("of %d bytes: %#x, want %#x", n, got, want)
		}
	}
}
