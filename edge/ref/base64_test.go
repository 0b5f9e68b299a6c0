package ref

import (
	"math/rand/v2"
	"testing"
)

func TestURLTextIsBase64(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	raw := make([]byte, 300)
	for i := range raw {
		raw[i] = byte(rng.Uint32())
	}
	for n := range len(raw) {
		for at := range min(8, len(raw)-n) {
			part := raw[at : at+n]
			if got, want := string(appendURLText([]byte("kept"), part)), "kept"+urlText.EncodeToString(part); got != want {
				t.Fatalf("%x: %s, want %s", part, got, want)
			}
		}
	}
}
