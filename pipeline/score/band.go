package score

import "slices"

// Band is what a score means, in a word.
type Band string

// The bands, from the worst.
const (
	Poor      Band = "poor"
	Fair      Band = "fair"
	Good      Band = "good"
	Excellent Band = "excellent"
)

var bandsFromWorst = [...]Band{Poor, Fair, Good, Excellent}

// Bands returns all bands, from the worst.
func Bands() []Band { return slices.Clone(bandsFromWorst[:]) }

// Place returns b's place among them, -1 if it is none.
func (b Band) Place() int { return slices.Index(bandsFromWorst[:], b) }

// slack is what floating point may cost a sum of two curve heights, with a wide margin.
const slack = 1e-9

// band returns the index in bandsFromWorst of a value.
func (p *Profile) band(value float64) int {
	n := 0
	for _, from := range p.from {
		if value+slack >= from {
			n++
		}
	}
	return n
}

// bandsBetween lists every band from that of low to that of high.
func (p *Profile) bandsBetween(low, high float64) []Band {
	touched := bandsFromWorst[p.band(low) : p.band(high)+1]
	return append(make([]Band, 0, len(touched)), touched...)
}
