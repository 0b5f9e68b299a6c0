package bot

import "fmt"

// automaton finds all patterns in a text in one pass over it (Aho and Corasick 1975), upper and lower case alike. It is
// a table of rows, one a state, with a column for every letter that patterns have. A state is written as the place
// where its row begins, which saves a multiplication a letter:
//
//	next[state + column[letter]] = next state
//	states   0 the start │ … no pattern ends here │ outputs: patterns end here …
//	                                              ▲ firstOutput
type automaton struct {
	column      [256]uint8 // by letter; 0 for those that no pattern has
	columns     uint32
	next        []state
	firstOutput state
	outputs     [][]uint16 // by row from firstOutput: numbers of the patterns that end there, the longest first
}

// state is where the automaton has come to; it starts at 0.
type state uint32

// maxStates bounds the table: a state is a different beginning of a pattern.
const maxStates = 1 << 14

// trieNode is a state while the automaton is built.
type trieNode struct {
	child   map[byte]int
	fail    int
	outputs []int
}

// newAutomaton builds the automaton for patterns in lower case, none of them empty. Of the patterns that end in the
// same place, an exception hides those that are shorter.
func newAutomaton(patterns []string, exception func(i int) bool) (*automaton, error) {
	nodes := []trieNode{{child: map[byte]int{}}}
	for i, p := range patterns {
		at := 0
		for _, c := range []byte(p) {
			to, ok := nodes[at].child[c]
			if !ok {
				to = len(nodes)
				if to == maxStates {
					return nil, fmt.Errorf("the patterns are too long: want at most %d different beginnings", maxStates)
				}
				nodes[at].child[c] = to
				nodes = append(nodes, trieNode{child: map[byte]int{}})
			}
			at = to
		}
		nodes[at].outputs = append(nodes[at].outputs, i)
	}
	order := link(nodes)
	for i := range nodes {
		nodes[i].outputs = hide(nodes[i].outputs, patterns, exception)
	}
	return tabulate(nodes, order), nil
}

// link sets every node's fail link, which is the longest proper suffix that is a node too, and adds the suffix's
// outputs to the node's own. It returns the nodes in the order of their depth.
func link(nodes []trieNode) (order []int) {
	order = append(order, 0)
	for n := 0; n < len(order); n++ {
		at := order[n]
		for c := range 256 {
			to, ok := nodes[at].child[byte(c)]
			if !ok {
				continue
			}
			order = append(order, to)
			if at != 0 {
				nodes[to].fail = follow(nodes, nodes[at].fail, byte(c))
			}
			nodes[to].outputs = append(nodes[to].outputs, nodes[nodes[to].fail].outputs...)
		}
	}
	return order
}

// follow returns the state after c, by way of the fail links.
func follow(nodes []trieNode, at int, c byte) int {
	for {
		if to, ok := nodes[at].child[c]; ok {
			return to
		}
		if at == 0 {
			return 0
		}
		at = nodes[at].fail
	}
}

// hide removes the outputs that an exception among them hides. The outputs come longest first.
func hide(outputs []int, patterns []string, exception func(i int) bool) []int {
	longest := 0
	for _, o := range outputs {
		if exception(o) {
			longest = max(longest, len(patterns[o]))
		}
	}
	var kept []int
	for _, o := range outputs {
		if !exception(o) && len(patterns[o]) >= longest {
			kept = append(kept, o)
		}
	}
	return kept
}

// tabulate turns the nodes into the table, those with outputs last.
func tabulate(nodes []trieNode, order []int) *automaton {
	a := &automaton{}
	a.chooseColumns(nodes)
	rows := a.chooseRows(nodes)

	// A node's row is its fail link's, which is less deep and so done already, but for its own children.
	a.next = make([]state, len(nodes)*int(a.columns))
	for _, at := range order {
		row := a.next[rows[at]:][:a.columns]
		if at != 0 {
			copy(row, a.next[rows[nodes[at].fail]:])
		}
		for c, to := range nodes[at].child {
			row[a.column[c]] = rows[to]
		}
	}
	return a
}

// chooseColumns gives every letter that a pattern has a column of its own.
func (a *automaton) chooseColumns(nodes []trieNode) {
	a.columns = 1
	for c := range 256 {
		for i := range nodes {
			if _, ok := nodes[i].child[byte(c)]; ok {
				a.column[c] = uint8(a.columns)
				a.columns++
				break
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		a.column[c] = a.column[c|0x20]
	}
}

// chooseRows gives every node a row, and returns where it begins.
func (a *automaton) chooseRows(nodes []trieNode) []state {
	rows := make([]state, len(nodes))
	row := state(0)
	for i := range nodes {
		if len(nodes[i].outputs) == 0 {
			rows[i] = row
			row += state(a.columns)
		}
	}
	a.firstOutput = row
	for i := range nodes {
		if len(nodes[i].outputs) == 0 {
			continue
		}
		rows[i] = row
		row += state(a.columns)
		outputs := make([]uint16, 0, len(nodes[i].outputs))
		for _, o := range nodes[i].outputs {
			outputs = append(outputs, uint16(o))
		}
		a.outputs = append(a.outputs, outputs)
	}
	return rows
}

// skip follows text from at until patterns end, and returns the state and the number of letters read by then. It reads
// on from where it stopped.
func (a *automaton) skip(text string, from int, at state) (state, int) {
	next, first := a.next, a.firstOutput
	for i := from; i < len(text); i++ {
		at = next[at+state(a.column[text[i]])]
		if at >= first {
			return at, i + 1
		}
	}
	return at, len(text)
}

// ending returns the patterns that end where the automaton has come to, the longest first.
func (a *automaton) ending(at state) []uint16 {
	if at < a.firstOutput {
		return nil
	}
	return a.outputs[uint32(at-a.firstOutput)/a.columns]
}
