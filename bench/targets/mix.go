package targets

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// The kinds of mail that are generated, as events are called.
const (
	Bounce      = "bounce"
	Delay       = "delay"
	Complaint   = "complaint"
	Reply       = "reply"
	AutoReply   = "auto_reply"
	Unsubscribe = "unsubscribe"
)

var mailKinds = []string{Bounce, Delay, Complaint, Reply, AutoReply, Unsubscribe}

// Mix says which share of the mails is of which kind.
type Mix struct {
	kinds []string
	upTo  []float64 // the sum of the shares up to each kind's
}

// DefaultMix is what comes back to a platform whose lists are not the best.
func DefaultMix() Mix {
	m, err := ParseMix("bounce=0.7,complaint=0.1,reply=0.15,auto_reply=0.05")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return m
}

// ParseMix reads kinds and their weights: bounce=0.7,reply=0.3. Weights need not add up to 1.
func ParseMix(text string) (Mix, error) {
	var m Mix
	sum := 0.0
	for part := range strings.SplitSeq(text, ",") {
		kind, weight, _ := strings.Cut(strings.TrimSpace(part), "=")
		if !slices.Contains(mailKinds, kind) {
			return Mix{}, fmt.Errorf("mix %q: %q is no kind of mail: want %s", text, kind, strings.Join(mailKinds, ", "))
		}
		w, err := strconv.ParseFloat(weight, 64)
		if err != nil || !(w >= 0 && w <= 1e9) {
			return Mix{}, fmt.Errorf("mix %q: %s: want a weight such as 0.7", text, kind)
		}
		if w == 0 {
			continue
		}
		if slices.Contains(m.kinds, kind) {
			return Mix{}, fmt.Errorf("mix %q: %s is there twice", text, kind)
		}
		sum += w
		m.kinds, m.upTo = append(m.kinds, kind), append(m.upTo, sum)
	}
	if sum == 0 {
		return Mix{}, fmt.Errorf("mix %q: want a weight above 0", text)
	}
	for i := range m.upTo {
		m.upTo[i] /= sum
	}
	return m, nil
}

// Has reports whether some mails are of a kind.
func (m Mix) Has(kind string) bool { return slices.Contains(m.kinds, kind) }

// draw returns the kind of the next mail.
func (m Mix) draw(r *rand.Rand) string {
	at := r.Float64()
	for i, upTo := range m.upTo {
		if at < upTo {
			return m.kinds[i]
		}
	}
	return m.kinds[len(m.kinds)-1]
}

// Sizes are the least and the greatest number of bytes that mails are filled up to; both 0: as short as they are.
type Sizes struct{ From, To int }

// maxMailSize bounds a generated mail.
const maxMailSize = 64 << 20

// ParseSizes reads one size or a range: 8k, 2k..64k, 1m.
func ParseSizes(text string) (Sizes, error) {
	from, to, isRange := strings.Cut(text, "..")
	if !isRange {
		to = from
	}
	var s Sizes
	for _, part := range []struct {
		text string
		into *int
	}{{from, &s.From}, {to, &s.To}} {
		number, unit := strings.ToLower(part.text), 1
		if n, ok := strings.CutSuffix(number, "k"); ok {
			number, unit = n, 1<<10
		} else if n, ok := strings.CutSuffix(number, "m"); ok {
			number, unit = n, 1<<20
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n > maxMailSize/unit {
			return Sizes{}, fmt.Errorf("size %q: want bytes up to 64m, such as 8k or 2k..64k", text)
		}
		*part.into = n * unit
	}
	if s.From > s.To {
		return Sizes{}, fmt.Errorf("size %q: the range ends before it begins", text)
	}
	return s, nil
}

func (s Sizes) draw(r *rand.Rand) int {
	if s.From == s.To {
		return s.From
	}
	return s.From + r.IntN(s.To-s.From+1)
}
