package bot

import (
	"fmt"
	"math/bits"
)

// automaton finds all patterns in a text in one pass over it (Aho and Corasick 1975), upper and lower case alike. It is
// a table: state * columns + column of the next letter -> next state.
//
//	states   0 the start │ … no pattern ends here │ outputs: patterns end here …
//	                                              ▲ firstOutput
type automaton struct {
	column      [256]uint8 // by letter; 0 for those that no pattern has
	shift       uint       // columns = 1 << shift
	next        []uint16
	firstOutput uint16
	outputs     [][]uint16 // by state - firstOutput: numbers of the patterns that end there, the longest first
}

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
	columns := a.chooseColumns(nodes)
	a.shift = uint(bits.Len(uint(columns - 1)))

	number := make([]uint16, len(nodes))
	n := uint16(0)
	for _, withOutputs := range []bool{false, true} {
		if withOutputs {
			a.firstOutput = n
		}
		for i := range nodes {
			if (len(nodes[i].outputs) > 0) != withOutputs {
				continue
			}
			number[i] = n
			n++
			if withOutputs {
				outputs := make([]uint16, 0, len(nodes[i].outputs))
				for _, o := range nodes[i].outputs {
					outputs = append(outputs, uint16(o))
				}
				a.outputs = append(a.outputs, outputs)
			}
		}
	}

	// A node's row is its fail link's, which is less deep and so done already, but for its own children.
	a.next = make([]uint16, len(nodes)<<a.shift)
	for _, at := range order {
		row := a.next[int(number[at])<<a.shift:][:1<<a.shift]
		if at != 0 {
			copy(row, a.next[int(number[nodes[at].fail])<<a.shift:][:1<<a.shift])
		}
		for c, to := range nodes[at].child {
			row[a.column[c]] = number[to]
		}
	}
	return a
}

// chooseColumns gives every letter that a pattern has a column of its own, and returns how many columns there are.
func (a *automaton) chooseColumns(nodes []trieNode) int {
	columns := 1
	for c := range 256 {
		for i := range nodes {
			if _, ok := nodes[i].child[byte(c)]; ok {
				a.column[c] = uint8(columns)
				columns++
				break
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		a.column[c] = a.column[c|0x20]
	}
	return columns
}

// step returns the state after c.
func (a *automaton) step(state uint16, c byte) uint16 {
	return a.next[int(state)<<a.shift|int(a.column[c])]
}

// ending returns the patterns that end where the automaton has come to, the longest first.
func (a *automaton) ending(state uint16) []uint16 {
	if state < a.firstOutput {
		return nil
	}
	return a.outputs[state-a.firstOutput]
}
