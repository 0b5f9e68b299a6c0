package suppress

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"carom/pipeline/event"
)

// What the front of a row says is what its JSON says, and so does a row of version 1.
func TestStopIsTheLeadingCause(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		w := &wireSuppression{Address: bob}
		for i := range 1 + r.IntN(4) {
			c := wireCause{
				Reason: reasons[r.IntN(len(reasons))], Category: []string{"", "a", "b"}[r.IntN(3)], Quarantined: r.IntN(4) == 0,
				Since: stamp(10 + r.IntN(10)), Until: stamp(r.IntN(2) * (15 + r.IntN(10))), Ended: stamp(r.IntN(2) * (15 + r.IntN(10))),
			}
			if i == 0 {
				w.wireCause = c
			} else {
				w.Others = append(w.Others, c)
			}
		}
		row := appendEntryRow(7, w)
		if generationOf(row) != 7 {
			t.Fatal("the generation is lost")
		}
		old := appendBookRow(7, encode(w))
		for at := event.Millis(8); at < 28; at++ {
			s, err := readEntry(row)
			if err != nil {
				t.Fatal(err)
			}
			if was, err := readEntry(old); err != nil || !reflect.DeepEqual(was, s) {
				t.Fatalf("%+v, %v, want %+v", was, err, s)
			}
			want, stops := Stop{}, s.asOf(at) && s.Active
			if stops {
				want = Stop{Reason: s.Reason, Category: s.Category, Since: s.Since, Until: s.Until}
			}
			for _, row := range [][]byte{row, old} {
				if got, ok, err := readStop(row, at, false); err != nil || ok != stops || got != want {
					t.Fatalf("at %d: %+v, %v, %v, want %+v: %s", at, got, ok, err, want, encode(w))
				}
			}
			spared := !stops || s.Reason.SparesTransactional()
			for _, c := range s.Others {
				spared = spared && (!c.Active || c.Reason.SparesTransactional())
			}
			if _, ok, err := readStop(row, at, true); err != nil || ok == spared {
				t.Fatalf("at %d: transactional mail: %v, %v: %s", at, ok, err, encode(w))
			}
		}
		for cut := range row[:bookHeader+8] {
			if _, _, err := readStop(row[:cut], 20, false); err == nil {
				t.Fatalf("%d bytes of a row are read", cut)
			}
		}
	}
}
