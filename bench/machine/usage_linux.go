package machine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ticksPerSecond is the unit of /proc/PID/stat, which the kernel has fixed for user space on all of Go's platforms.
const ticksPerSecond = 100

// ownUsage is that of this process.
func ownUsage() (usage, error) {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return usage{}, fmt.Errorf("ask for the CPU time used: %w", err)
	}
	u, err := readStat(os.Getpid())
	return usage{cpu: time.Duration(r.Utime.Nano() + r.Stime.Nano()), rss: u.rss, processes: 1}, err
}

// maxProcesses bounds the children that are looked at.
const maxProcesses = 1000

// processUsage is that of a process and its children, and of their children.
func processUsage(pid int) (usage, error) {
	total, err := readStat(pid)
	if err != nil {
		return usage{}, fmt.Errorf("read the usage of process %d: %w", pid, err)
	}
	for queue := children(pid); len(queue) > 0 && total.processes < maxProcesses; queue = queue[1:] {
		u, err := readStat(queue[0])
		if err != nil {
			continue // it has just ended
		}
		total.cpu += u.cpu
		total.rss += u.rss
		total.processes++
		queue = append(queue, children(queue[0])...)
	}
	return total, nil
}

// readStat reads proc_pid_stat(5): its own time and that of the children that it waited for, which have ended.
func readStat(pid int) (usage, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, err
	}
	return parseStat(text)
}

func parseStat(text []byte) (usage, error) {
	// The second field is the name in parentheses, which may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const utime, cstime, rss = 11, 14, 21 // counted from the state, the third field
	if len(fields) <= rss {
		return usage{}, errors.New("/proc has another form than proc_pid_stat(5) says")
	}
	u := usage{processes: 1}
	for _, field := range fields[utime : cstime+1] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return usage{}, err
		}
		u.cpu += time.Duration(ticks) * time.Second / ticksPerSecond
	}
	pages, err := strconv.ParseInt(fields[rss], 10, 64)
	u.rss = pages * int64(os.Getpagesize())
	return u, err
}

// children are the processes that the threads of a process have started.
func children(pid int) (pids []int) {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	for _, thread := range threads {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, thread.Name()))
		if err != nil {
			continue
		}
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// processName is what a process calls itself.
func processName(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return strconv.Itoa(pid)
	}
	return fmt.Sprintf("%d %s", pid, strings.TrimSpace(string(name)))
}
