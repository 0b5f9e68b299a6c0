package event

import "testing"

func TestSets(t *testing.T) {
	for _, name := range KindNames() {
		k, ok := ParseKind(name)
		if !ok || !Kinds(0).With(k).Has(k) {
			t.Errorf("%s: %v, %v", name, k, ok)
		}
		for _, other := range KindNames() {
			if o, _ := ParseKind(other); Kinds(0).With(k).Has(o) != (k == o) {
				t.Errorf("%s and %s", name, other)
			}
		}
	}
	if Kinds(0).With(Tick) != 0 || Kinds(0).Has(Erase) {
		t.Error("a tick is published")
	}
	for _, name := range VerdictNames() {
		v, ok := ChooseVerdict(name)
		if !ok || !Verdicts(0).With(v).Has(v) || Verdicts(0).Has(v) {
			t.Errorf("%s: %v, %v", name, v, ok)
		}
	}
	if _, ok := ChooseVerdict(""); ok {
		t.Error("an empty name is a verdict")
	}
}
