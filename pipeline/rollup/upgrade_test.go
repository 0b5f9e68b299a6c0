package rollup

import "testing"

// TestStoreOfVersion1: what rules 1 have written is counted anew, with the numbers of hits that it didn't have.
func TestStoreOfVersion1(t *testing.T) {
	rng := newRand(t)
	o := Options{CompleteAfter: 36 * 3600e9, PublishEvery: 60e9, StepRecords: 40, CacheEnrollments: 8, CacheRows: 8}
	events := randomEvents(rng, 200)
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
			set(key, "\x01"+value[1:])
		case tableCohort:
			set(key, "\x01what rules 1 counted")
		}
	}
	old := f.p.position
	old.rules = 1
	set(string(f.p.metaKey(metaPosition)), string(old.append(nil)))
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
