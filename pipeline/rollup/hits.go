package rollup

// hits are numbers of opens and clicks, by what they count as: of openedHuman, openedMachine, clickedHuman and
// clickedMachine, in this order.
//
// Unlike a tally they do care about repetition: an enrollment counts each of its facts once, by the event's id, and
// what it forgets it keeps the numbers of.
type hits [clickedMachine - openedHuman + 1]uint32

// of returns the number for w, nil if that is no hit.
func (n *hits) of(w what) *uint32 {
	if w < openedHuman || w > clickedMachine {
		return nil
	}
	return &n[w-openedHuman]
}

// add counts one more.
func (n *hits) add(w what) {
	if at := n.of(w); at != nil {
		*at++
	}
}

// again returns how many there are beyond the first of each.
func (n hits) again() hits {
	for i := range n {
		n[i] -= min(n[i], 1)
	}
	return n
}
