// Package disk tells what a folder stands on: how long a small synced write takes there, and on which file system.
//
//	folder ─▶ Syncs ─▶ Look ─▶ result.Disk ─▶ the machine of a result
//
// A node answers when its event is synced, so what it can do depends on that time more than on most else. On a tmpfs a
// sync costs nothing, and figures of a node that keeps its data there promise what no disk holds.
package disk
