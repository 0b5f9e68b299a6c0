// Package machine tells where a measurement runs, and what it uses there.
//
//	this machine ─▶ Describe ─▶ result.Machine     CPU, memory, system
//	folder ─▶ Syncs ─▶ LookAtDisk ─▶ result.Disk   its file system, and how long a small synced write takes on it
//	process ─▶ Meter ─▶ result.CPU                 CPU time and memory, with those of its children
//	harness, node ─▶ Usage ─▶ one of each          the same of both at once, though the node is killed meanwhile
//
// A node answers when its event is synced, so what it can do depends on that time more than on most else. On a tmpfs a
// sync costs nothing, and figures of a node that keeps its data there promise what no disk holds.
//
// What a process uses is measured on Linux only. Elsewhere that of the harness is 0, and that of another is an error.
package machine
