package main

// bar is what Carom wants to reach beside a peer.
type bar struct {
	of, to, figure string
	connections    int // 0: any number
	value          float64
}

var bars = []bar{
	{"carom", "fasthttp", "rate", 1024, 0.78},
	{"carom", "fasthttp", "rate", 256, 0.78},
	{"carom", "fasthttp", "rate", 64, 0.60},
	{"carom", "raw-file", "rate", 0, 1.0},
	{"carom", "nginx-buffered", "rate", 256, 0.68},
	{"carom", "fasthttp", "p99", 256, 0.9},
	{"carom-inbound", "smtp-sink", "rate", 50, 0.8},
	{"carom-inbound", "haraka", "rate", 50, 3},
}

// barOf returns the bar of a comparison, 0 if there is none.
func barOf(of, to, figure string, connections int) float64 {
	for _, b := range bars {
		if b.of == of && b.to == to && b.figure == figure && (b.connections == connections || b.connections == 0) {
			return b.value
		}
	}
	return 0
}
