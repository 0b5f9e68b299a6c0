package event

// Kinds is a set of kinds that are published. The zero value is empty.
type Kinds uint64

// eraseBit stands for Erase, whose number is no bit's.
const eraseBit = 63

func (k Kind) bit() Kinds {
	switch {
	case k == Erase:
		return 1 << eraseBit
	case k < eraseBit:
		return 1 << k
	}
	return 0
}

// With returns s and k.
func (s Kinds) With(k Kind) Kinds { return s | k.bit() }

// Has reports whether k is in s.
func (s Kinds) Has(k Kind) bool { return s&k.bit() != 0 }

// Verdicts is a set of verdicts, of which NoVerdict is one: that of facts which nobody needs to judge. The zero value is
// empty.
type Verdicts uint8

// NoVerdictName is what NoVerdict is called where verdicts are chosen.
const NoVerdictName = "none"

// With returns s and v.
func (s Verdicts) With(v Verdict) Verdicts { return s | 1<<v }

// Has reports whether v is in s.
func (s Verdicts) Has(v Verdict) bool { return s&(1<<v) != 0 }

// ChooseVerdict returns the verdict of a name, NoVerdictName among them.
func ChooseVerdict(name string) (Verdict, bool) {
	if name == NoVerdictName {
		return NoVerdict, true
	}
	v, ok := ParseVerdict(name)
	return v, ok && v != NoVerdict
}

// KindNames lists the kinds that are published.
func KindNames() (names []string) {
	for _, name := range kindNames {
		if name != "" {
			names = append(names, name)
		}
	}
	return append(names, eraseName)
}

// VerdictNames lists what ChooseVerdict knows.
func VerdictNames() []string { return append([]string{NoVerdictName}, verdictNames[1:]...) }
