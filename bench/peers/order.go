package main

import "slices"

// order returns the peers in the order of a round, from 0 on. It begins with another peer each time, and every second
// round goes backwards: otherwise a peer would always come after the same one, and bear what that one leaves behind.
func order(peers []peer, round int) []peer {
	if len(peers) == 0 {
		return nil
	}
	first := round % len(peers)
	turned := append(slices.Clone(peers[first:]), peers[:first]...)
	if round%2 == 1 {
		slices.Reverse(turned)
	}
	return turned
}
