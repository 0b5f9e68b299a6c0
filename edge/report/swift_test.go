package report

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// What looks at eight bytes at a time is held against what looks at one.

// samples calls f with random texts, in which the bytes that matter are frequent.
func samples(t *testing.T, f func(b []byte)) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	const common = "  \t\r\n:@@AZaz[`{!~\x00\x1f\x7f\x80\xa0\xc0\xff<>5-"
	b := make([]byte, 0, 64)
	for range 20_000 {
		b = b[:0]
		for range random.IntN(40) {
			if random.IntN(3) == 0 {
				b = append(b, common[random.IntN(len(common))])
			} else {
				b = append(b, byte(random.IntN(256)))
			}
			if random.IntN(2) == 0 {
				b = append(b, "user unknown"[:random.IntN(13)]...)
			}
		}
		if random.IntN(4) == 0 {
			name := []byte(fieldNames[random.IntN(len(fieldNames))].name + ":")
			name[random.IntN(len(name))] ^= 0x20
			if b = append(name, b...); random.IntN(2) == 0 {
				b[random.IntN(len(name))] ^= 1 << random.IntN(8)
			}
		}
		if f(b); t.Failed() {
			t.Fatalf("seed %d: %q", seed, b)
		}
	}
}

func TestEightBytesAtATime(t *testing.T) {
	samples(t, func(b []byte) {
		name, printable := 0, true
		for name < len(b) && b[name] > ' ' && b[name] < 0x7f && b[name] != ':' {
			name++
		}
		for _, c := range b {
			printable = printable && c > ' ' && c < 0x7f
		}
		run := 0
		for run < len(b) && (b[run] > ' ' && b[run] < 0x7f || b[run] == ' ' && run > 0 && run+1 < len(b) && b[run+1] > ' ') {
			run++
		}
		if got := nameEnd(b); got != name {
			t.Errorf("nameEnd: %d, want %d", got, name)
		}
		if got := isPrintable(b); got != printable {
			t.Errorf("isPrintable: %v", got)
		}
		if got := visible(b); got != run {
			t.Errorf("visible: %d, want %d", got, run)
		}
		if len(b) >= 8 {
			var want [8]byte
			for i := range want {
				want[i] = lower(b[i])
			}
			if got := lowerLetters(binary.LittleEndian.Uint64(b)); got != binary.LittleEndian.Uint64(want[:]) {
				t.Errorf("lowerLetters: %x, want %x", got, want)
			}
		}
		lowered, lowerSlowly := bytes.Clone(b), bytes.Clone(b)
		toLower(lowered)
		for i, c := range b {
			lowerSlowly[i] = lower(c)
		}
		if !bytes.Equal(lowered, lowerSlowly) {
			t.Errorf("toLower: %q, want %q", lowered, lowerSlowly)
		}
		var r reader
		told, want := r.address(b), appendAddress(nil, b)
		if !isClean(want) {
			want = nil
		}
		if !bytes.Equal(r.out[told.from:told.to], want) {
			t.Errorf("address: %q, want %q", r.out[told.from:told.to], want)
		}
		if name := b[:nameEnd(b)]; len(name) > 0 {
			_, known := lookup(name, nameHead(b, len(name)))
			if want := isKnownSlowly(name); known != want {
				t.Errorf("lookup of %q: %v", name, known)
			}
		}
		for _, code := range []string{"", "550"} {
			if got, want := normalize(nil, b, []byte(code)), normalizeSlowly(b, []byte(code)); !bytes.Equal(got, want) {
				t.Errorf("normalize: %q, want %q", got, want)
			}
		}
	})
}

// isKnownSlowly reports whether a name is that of a field, by one look at each.
func isKnownSlowly(name []byte) bool {
	for _, f := range fieldNames {
		if bytes.EqualFold(name, []byte(f.name)) {
			return true
		}
	}
	return false
}

// TestDelimiterIsFound holds the search for a boundary against one that looks at each line.
func TestDelimiterIsFound(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	var d delimiter
	const letters = "--=ab\n\r "
	for range 20_000 {
		boundary := make([]byte, 1+random.IntN(100))
		for i := range boundary {
			boundary[i] = letters[random.IntN(5)]
		}
		d.set(boundary)
		var text []byte
		for range random.IntN(8) {
			for range random.IntN(120) {
				text = append(text, letters[random.IntN(len(letters))])
			}
			if random.IntN(2) == 0 {
				text = append(text, '\n')
			}
			text = append(append(text, "--"...), boundary[:len(boundary)-random.IntN(2)]...)
		}
		for from := 0; from <= len(text); from += 1 + random.IntN(50) {
			want := -1
			for i := from; i < len(text) && want < 0; i++ {
				if (i == 0 || text[i-1] == '\n') && bytes.HasPrefix(text[i:], d.text) {
					want = i
				}
			}
			if got := d.index(text, from); got != want {
				t.Fatalf("seed %d: %q in %q from %d: %d, want %d", seed, d.text, text, from, got, want)
			}
		}
	}
}

// TestDays holds the count of days against that of package time, over 800 years and for days that a month does not have.
func TestDays(t *testing.T) {
	for year := 1700; year < 2500; year++ {
		for month := time.January; month <= time.December; month++ {
			want := time.Date(year, month, 31, 0, 0, 0, 0, time.UTC)
			if got := time.Unix((daysBefore(year, month)+30)*86400, 0).UTC(); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		}
	}
}

// normalizeSlowly is normalize, byte by byte.
func normalizeSlowly(text, code []byte) []byte {
	dst, token := []byte{' '}, 1
	said := len(code) > 0 && bytes.HasPrefix(text, code)
	for i := 0; i < len(text); i++ {
		switch c := normalized[text[i]]; c {
		default:
			dst = append(dst, c)
		case ' ':
			if dst[len(dst)-1] != ' ' {
				dst = append(dst, ' ')
			}
			token = len(dst)
			if n := codeLength(text[i+1:], code); n > 0 {
				if said {
					i += n
				}
				said = true
			}
		case normalDrop:
		case normalEnd:
			dst = append(dst, text[i])
			token = len(dst)
		case '@':
			if len(dst) == token {
				dst = append(dst, c)
				continue
			}
			dst = append(dst[:token], '@')
			for i+1 < len(text) && !addressEnd(text[i+1]) {
				i++
			}
		}
	}
	return append(dst, ' ')
}

// TestMatcherFindsAll looks for every pattern of one fragment in texts made of two of them, with a stride and without.
func TestMatcherFindsAll(t *testing.T) {
	var short, long []string
	for _, row := range compiled().rules {
		short = append(short, row.row.Pattern)
		if len(row.row.Pattern) >= anchorLength+maxStride-1 && !strings.Contains(row.row.Pattern, "*") {
			long = append(long, row.row.Pattern)
		}
	}
	findsAll(t, short, 1)
	findsAll(t, long, maxStride)
}

func findsAll(t *testing.T, patterns []string, stride int) {
	t.Helper()
	m, err := newMatcher(patterns)
	if err != nil || m.stride != stride {
		t.Fatalf("%v, a stride of %d, want %d", err, m.stride, stride)
	}
	var h hits
	for i, p := range patterns {
		text := []byte(" xyz"[:1+i%4] + p + patterns[(i*7+3)%len(patterns)] + " ")
		m.scan(text, &h)
		for j, q := range patterns {
			if !strings.Contains(q, "*") && h.has(uint16(j)) != bytes.Contains(text, []byte(q)) {
				t.Errorf("%q in %q: %v", q, text, h.has(uint16(j)))
			}
		}
	}
}
