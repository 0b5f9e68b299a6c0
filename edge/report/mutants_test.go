package report

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"
)

// mutant is a mail that came to harm, in one of the ways in which mails do.
func mutant(random *rand.Rand, mail []byte, others [][]byte) []byte {
	m := bytes.Clone(mail)
	if len(m) == 0 {
		return m
	}
	at := random.IntN(len(m))
	start, end := lineAround(m, at)
	switch random.IntN(8) {
	case 0: // cut
		return m[:at]
	case 1: // beheaded
		return m[at:]
	case 2: // bits flipped
		for range 1 + random.IntN(16) {
			m[random.IntN(len(m))] ^= 1 << random.IntN(8)
		}
		return m
	case 3: // a line dropped
		return append(m[:start:start], m[end:]...)
	case 4: // a line doubled
		return append(m[:end:end], m[start:]...)
	case 5: // another mail behind a part of it
		return append(m[:at:at], others[random.IntN(len(others))]...)
	case 6: // the end of another mail for its own
		other := others[random.IntN(len(others))]
		return append(m[:at:at], other[min(at, len(other)):]...)
	default: // a line moved to another place
		line := bytes.Clone(m[start:end])
		rest := append(m[:start:start], m[end:]...)
		to, _ := lineAround(append(rest, '\n'), random.IntN(len(rest)+1))
		return append(append(rest[:to:to], line...), rest[to:]...)
	}
}

// TestMutants reads a hundred mutants of each of our mails, and of each mail of the corpus if there is one. All must
// hold that holds for any mail, and a mutant read twice says the same.
func TestMutants(t *testing.T) {
	var mails [][]byte
	for _, mail := range goldenMails(t) {
		mails = append(mails, mail)
	}
	if os.Getenv("CAROM_CORPUS") != "" {
		mails = append(mails, corpusMails(t)...)
	}
	n := 100
	if testing.Short() || raceDetector {
		n = 10
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for _, mail := range mails {
		for range n {
			m := mutant(random, mail, mails)
			before := bytes.Clone(m)
			r := Read(m)
			check(t, r)
			if !bytes.Equal(before, m) {
				t.Error("Read changed the mail")
			}
			if again := Read(m); len(again.Facts) != len(r.Facts) || again.Facts[0] != r.Facts[0] || again.Digest != r.Digest {
				t.Errorf("first %+v, then %+v", r, again)
			}
			if t.Failed() {
				t.Fatalf("seed %d:\n%q", seed, before)
			}
		}
	}
}
