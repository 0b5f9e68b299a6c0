package journal

// Class is how dear a record is when the journal fills up. The first is given up first.
type Class uint8

// The classes. Essential records (mail, API calls, sends) are never shed: when even they have no room, their
// senders are refused and try again.
const (
	MachineOpen Class = iota
	HumanOpen
	MachineClick
	HumanClick
	Essential
	classes
	uncounted = classes // of ticks: nobody misses one that is refused
)

var classNames = [classes]string{"machine_open", "human_open", "machine_click", "human_click", "essential"}

// String returns the class's name, as metrics show it.
func (c Class) String() string {
	if c < classes {
		return classNames[c]
	}
	return ""
}

// level is how full the journal is.
type level int32

const (
	levelFine level = iota
	levelUnready
	levelShed // the first class is shed; from here on every level takes one class more
	levelFull = levelShed + level(Essential)
)

// The levels start at these percentages of the capacity. One is left again only hysteresisPercent below its start, so that
// trimming does not make a node flap between ready and not. The node is unready well before it sheds: a load balancer
// needs some seconds to take it out, and at 70 % of the default 16 GiB these are minutes of full load.
var levelPercent = [...]int64{0, 70, 100 * ShedsFrom, 85, 90, 95, 100}

// ShedsFrom is the part of the capacity from which on the first class is shed.
const ShedsFrom = 0.8

const hysteresisPercent = 5

// admits reports whether a record of class c is still recorded.
func (l level) admits(c Class) bool { return l < levelShed+level(c) }

// next returns the level that follows l, now that size of capacity bytes are used.
func (l level) next(size, capacity int64) level {
	percent := int64(levelPercent[levelFull])
	if capacity > 0 && size < capacity {
		percent = int64(float64(size) / float64(capacity) * 100)
	}
	reached := levelFull
	for percent < levelPercent[reached] {
		reached--
	}
	for l > reached && percent < levelPercent[l]-hysteresisPercent {
		l--
	}
	return max(l, reached)
}
