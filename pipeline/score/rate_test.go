package score

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestWilson compares with values computed in 40-digit decimal arithmetic.
func TestWilson(t *testing.T) {
	for _, tt := range []struct {
		k, n int64
		want Rate
	}{
		{0, 0, Rate{0, 0, 1}},
		{0, 1, Rate{0, 0, 0.793450685623}},
		{1, 1, Rate{1, 0.206549314377, 1}},
		{1, 3, Rate{1.0 / 3, 0.061491944720, 0.792340399198}},
		{3, 100, Rate{0.03, 0.010254524024, 0.084519364291}},
		{10, 100, Rate{0.1, 0.055229137061, 0.174365661505}},
		{50, 100, Rate{0.5, 0.403831530366, 0.596168469634}},
		{0, 100, Rate{0, 0, 0.036993498207}},
		{100, 100, Rate{1, 0.963006501793, 1}},
		{200, 10000, Rate{0.02, 0.017434711675, 0.022933926761}},
		// Counts that can't be: the nearer end, never a NaN that JSON can't carry.
		{5, 0, Rate{0, 0, 1}},
		{-1, 100, Rate{0, 0, 0.036993498207}},
		{101, 100, Rate{1, 0.963006501793, 1}},
		{0, -3, Rate{0, 0, 1}},
	} {
		got := Wilson(tt.k, tt.n)
		if got.Value != tt.want.Value || !near(got.Low, tt.want.Low) || !near(got.High, tt.want.High) {
			t.Errorf("Wilson(%d, %d) = %v, want %v", tt.k, tt.n, got, tt.want)
		}
	}
}

func TestWilsonOrder(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 100_000 {
		n := 1 + rng.Int64N(1<<rng.IntN(62))
		k := rng.Int64N(n + 1)
		r := Wilson(k, n)
		if !(0 <= r.Low && r.Low <= r.Value && r.Value <= r.High && r.High <= 1) {
			t.Fatalf("Wilson(%d, %d) = %v is out of order (seed %d)", k, n, r, seed)
		}
	}
}

// near reports that a and b agree to the 12 digits of the tables.
func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
