package main

import "slices"

// spread is what several rounds gave.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Rounds int     `json:"rounds"`
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return spread{Median: (v[(n-1)/2] + v[n/2]) / 2, Min: v[0], Max: v[n-1], Rounds: n}
}

// figure is one of the things that are compared.
type figure struct {
	name string
	of   func(c *cell) float64 // 0 if the cell doesn't tell
	// lower says that less is better.
	lower bool
}

// figures are what is compared, in the order of the table's columns.
func figures() []figure {
	return []figure{
		{name: "rate", of: func(c *cell) float64 { return c.rate() }},
		{name: "p99", of: func(c *cell) float64 { return c.P99 }, lower: true},
		{name: "cpu", of: func(c *cell) float64 { return c.serverEach() }, lower: true},
	}
}

// ratio compares two peers in one figure.
type ratio struct {
	Of          string  `json:"of"`
	To          string  `json:"to"`
	Figure      string  `json:"figure"`
	Connections int     `json:"connections"`
	Bar         float64 `json:"bar,omitempty"`
	Lower       bool    `json:"lower_is_better,omitempty"`
	spread
}

// met says whether the median reaches the bar.
func (r *ratio) met() bool {
	if r.Lower {
		return r.Median <= r.Bar
	}
	return r.Median >= r.Bar
}

// ratios compares Carom with every peer, at all numbers of connections at which both were measured, in the order of the
// peers.
func ratios(cells []cell, peers []peer) []ratio {
	var list []ratio
	for _, f := range figures() {
		for _, of := range peers {
			if of.promise != caromPromise {
				continue
			}
			for _, to := range peers {
				if to.protocol != of.protocol || to.name == of.name {
					continue
				}
				list = append(list, compare(cells, f, of.name, to.name)...)
			}
		}
	}
	return list
}

// compare pairs the cells of two peers by round and number of connections.
func compare(cells []cell, f figure, of, to string) []ratio {
	type pair struct{ round, connections int }
	values := map[pair]float64{}
	for i := range cells {
		if c := &cells[i]; c.Peer == to && c.Error == "" {
			values[pair{c.Round, c.Connections}] = f.of(c)
		}
	}
	quotients := map[int][]float64{}
	var connections []int // in the order in which they come
	for i := range cells {
		c := &cells[i]
		if c.Peer != of || c.Error != "" {
			continue
		}
		a, b := f.of(c), values[pair{c.Round, c.Connections}]
		if a <= 0 || b <= 0 {
			continue
		}
		if !slices.Contains(connections, c.Connections) {
			connections = append(connections, c.Connections)
		}
		quotients[c.Connections] = append(quotients[c.Connections], a/b)
	}
	slices.Sort(connections)
	var list []ratio
	for _, n := range connections {
		list = append(list, ratio{
			Of: of, To: to, Figure: f.name, Connections: n, Lower: f.lower, Bar: barOf(of, to, f.name, n), spread: spreadOf(quotients[n]),
		})
	}
	return list
}
