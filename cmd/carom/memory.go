package main

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memoryAllowed returns how much memory the process may take by its cgroups and the machine, and which of the two it is; 0
// if nobody knows, as on systems other than Linux. root is where the file system begins.
func memoryAllowed(root string) (bytes int64, source string) {
	bytes, source = machineMemory(root), "machine"
	if bytes == 0 {
		source = "unknown"
	}
	for _, limit := range cgroupLimits(root) {
		if limit > 0 && (bytes == 0 || limit < bytes) {
			bytes, source = limit, "cgroup"
		}
	}
	return bytes, source
}

// machineMemory reads MemTotal, which is in KiB.
func machineMemory(root string) int64 {
	data, err := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(data, []byte("MemTotal:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return n << 10
}

// cgroupLimits returns the limits of the process's memory cgroups, version 1 or 2, and of those above them, as far as they
// can be seen.
//
//	/proc/self/cgroup     which cgroup:             0::/a/b              5:memory:/a/b
//	/proc/self/mountinfo  where it can be seen:     … /a /sys/fs/cgroup … - cgroup2 …
//	memory.max, memory.limit_in_bytes               in /sys/fs/cgroup/b, and in /sys/fs/cgroup
func cgroupLimits(root string) (limits []int64) {
	v1, v2 := ownCgroups(filepath.Join(root, "proc/self/cgroup"))
	linesOf(filepath.Join(root, "proc/self/mountinfo"), func(line string) {
		mount, super, _ := strings.Cut(line, " - ")
		m, s := strings.Fields(mount), strings.Fields(super)
		if len(m) < 5 || len(s) < 3 {
			return
		}
		switch {
		case s[0] == "cgroup2":
			limits = appendLimits(limits, root, m[3], m[4], v2, "memory.max")
		case s[0] == "cgroup" && hasController(s[2], "memory"):
			limits = appendLimits(limits, root, m[3], m[4], v1, "memory.limit_in_bytes")
		}
	})
	return limits
}

// ownCgroups returns the paths of the process's memory cgroups, empty if it has none.
func ownCgroups(file string) (v1, v2 string) {
	linesOf(file, func(line string) {
		parts := strings.SplitN(line, ":", 3)
		switch {
		case len(parts) < 3:
		case parts[0] == "0" && parts[1] == "":
			v2 = parts[2]
		case hasController(parts[1], "memory"):
			v1 = parts[2]
		}
	})
	return v1, v2
}

func hasController(list, name string) bool { return strings.Contains(","+list+",", ","+name+",") }

// appendLimits reads a cgroup's limit and those above it, up to the top of a mount that shows the hierarchy from top on.
func appendLimits(dst []int64, root, top, mount, cgroup, file string) []int64 {
	if cgroup == "" {
		return dst
	}
	inside, ok := strings.CutPrefix(cgroup, strings.TrimSuffix(top, "/"))
	if !ok {
		inside = "/" // a container sees its own cgroup as the top, under another name than the host
	}
	for dir := filepath.Join("/", inside); ; dir = filepath.Dir(dir) {
		if data, err := os.ReadFile(filepath.Join(root, mount, dir, file)); err == nil {
			// "max" is no number, and without a limit version 1 has one that no machine reaches.
			if n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil {
				dst = append(dst, n)
			}
		}
		if dir == "/" {
			return dst
		}
	}
}

func linesOf(file string, fn func(string)) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fn(lines.Text())
	}
}
