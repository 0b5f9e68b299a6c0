package rollup

import "testing"

// TestStoresOfOlderRules: what rules 1 and 2 have written is counted anew, with what they didn't have: numbers of hits,
// rows by provider and category, completions.
func TestStoresOfOlderRules(t *testing.T) {
	for version := byte(1); version < rules; version++ {
		testStoreOf(t, version)
	}
}

func testStoreOf(t *testing.T, version byte) {
	t.Helper()
	rng := newRand(t)
	o := Options{CompleteAfter: 36 * 3600e9, PublishEvery: 60e9, Domains: 10, StepRecords: 40, CacheEnrollments: 8, CacheRows: 8}
	events := randomEvents(rng, 200)
	for i := range events {
		events[i].Provider, events[i].Bounce.Category = "", ""
	}
	f, m := newFixture(t, o), newModel(36*hour)
	f.tell(events...)
	m.tell(events...)
	b := f.store.NewBatch()
	set := func(key, value string) {
		if err := b.Set([]byte(key), []byte(value), nil); err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range dump(t, f) {
		switch key[headerSize-1] {
		case tableEnrollment: // nothing was forgotten, so only the version differs
			var e enrollment
			if err := e.decode([]byte(value)); err != nil || e.gone != (forgotten{}) {
				t.Fatalf("%v, %+v", err, e.gone)
			}
			set(key, string(old(version, &e)))
		case tableCohort:
			set(key, string(version)+"what older rules counted")
		case tableCompletion, tableProvider, tableDomains: // there were none
			if err := b.Delete([]byte(key), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := f.p.position
	before.rules = uint64(version)
	set(string(f.p.metaKey(metaPosition)), string(before.append(nil)))
	if err := f.store.Commit(b); err != nil {
		t.Fatal(err)
	}
	f.open(o)
	compareWithModel(t, rng, f, m)
	more := randomEvents(rng, 100)
	f.tell(more...)
	m.tell(more...)
	compareWithModel(t, rng, f, m)
}
