package bot

import "testing"

// TestCacheOfTwoWriters: a slot that has the words of two findings is nobody's, also where the words are alike.
func TestCacheOfTwoWriters(t *testing.T) {
	findings := []finding{nothing}
	for i := range 70 {
		findings = append(findings, finding{best: [hits]int{i, none}}, finding{best: [hits]int{none, i}}, finding{best: [hits]int{i, i}})
	}
	for i := range maxParts {
		findings = append(findings, finding{best: nothing.best, parts: 1 << i}, finding{best: [hits]int{2, none}, parts: 1 << i})
	}
	c, words := newCache(), newCache()
	for i, f := range findings {
		hash := uint64(i) * cacheSlots // all in slot 0
		for j, other := range findings {
			c.put(hash, f)
			words.put(uint64(j)*cacheSlots, other)
			c.slots[0].parts.Store(words.slots[0].parts.Load())
			c.slots[0].best.Store(words.slots[0].best.Load())
			if got, ok := c.get(hash); ok && got != f {
				t.Fatalf("%+v is taken for %+v", got, f)
			}
		}
	}
}
