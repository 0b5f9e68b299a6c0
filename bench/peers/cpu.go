package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// clockTick is the unit of CPU time in /proc: USER_HZ, which is 100 on every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuOf returns the CPU time, user and system, that a process, its descendants and those of them that it has waited for
// have used.
func cpuOf(pid int) (time.Duration, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	children := map[int][]procStat{}
	var root procStat
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended
		}
		s, err := parseStat(text)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		children[s.parent] = append(children[s.parent], s)
		if s.pid == pid {
			root = s
		}
	}
	if root.pid == 0 {
		return 0, fmt.Errorf("no process %d", pid)
	}
	var sum time.Duration
	for todo := []procStat{root}; len(todo) > 0; {
		s := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], children[s.pid]...)
		sum += time.Duration(s.ticks) * clockTick
	}
	return sum, nil
}

// procStat is a line of /proc/PID/stat.
type procStat struct {
	pid, parent int
	ticks       int64 // of itself and of the children that it has waited for
}

func parseStat(text []byte) (procStat, error) {
	// The name stands in parentheses and may hold anything, parentheses and blanks too.
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 1 || end < open {
		return procStat{}, fmt.Errorf("malformed: %.80q", text)
	}
	const parent, utime, cstime = 1, 11, 14 // proc(5): fields 4 and 14 to 17, the first behind the name being the third
	fields := bytes.Fields(text[end+1:])
	if len(fields) <= cstime {
		return procStat{}, fmt.Errorf("only %d fields: %.80q", len(fields), text)
	}
	var numbers []int64
	for _, field := range append([][]byte{bytes.TrimSpace(text[:open]), fields[parent]}, fields[utime:cstime+1]...) {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return procStat{}, fmt.Errorf("%w: %.80q", err, text)
		}
		numbers = append(numbers, n)
	}
	s := procStat{pid: int(numbers[0]), parent: int(numbers[1])}
	for _, n := range numbers[2:] {
		s.ticks += n
	}
	return s, nil
}
