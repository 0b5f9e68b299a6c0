package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestMemoryAllowed lays out what Linux shows of cgroups, in the ways in which services and containers see them.
func TestMemoryAllowed(t *testing.T) {
	const (
		machine = "MemFree: 1 kB\nMemTotal:       2048 kB\n" // 2 MiB
		mount2  = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
		mount1  = "29 23 0:25 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
	)
	tests := []struct {
		name   string
		files  map[string]string
		want   int64
		source string
	}{
		{"nothing is known", nil, 0, "unknown"},
		{"no cgroups", map[string]string{"proc/meminfo": machine}, 2 << 20, "machine"},
		{"junk", map[string]string{"proc/meminfo": "MemTotal:", "proc/self/cgroup": "0\n::\n0::", "proc/self/mountinfo": "a - b\n - \ncgroup2"}, 0, "unknown"},
		{"version 2, no limit", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mount2, "sys/fs/cgroup/a/memory.max": "max\n",
		}, 2 << 20, "machine"},
		{"version 2, a service", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/system.slice/carom.service\n", "proc/self/mountinfo": mount2,
			"sys/fs/cgroup/system.slice/carom.service/memory.max": "1000000\n",
		}, 1000000, "cgroup"},
		{"version 2, the slice above has less", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b/c\n", "proc/self/mountinfo": mount2,
			"sys/fs/cgroup/a/b/c/memory.max": "1000000\n", "sys/fs/cgroup/a/memory.max": "900000\n",
		}, 900000, "cgroup"},
		{"version 2, a container with a namespace", map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mount2, "sys/fs/cgroup/memory.max": "1000000\n",
		}, 1000000, "cgroup"},
		{"version 2, more than the machine has", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mount2, "sys/fs/cgroup/memory.max": "100000000\n",
		}, 2 << 20, "machine"},
		{"version 1", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "2:cpu:/x\n4:blkio,memory:/a\n0::/\n", "proc/self/mountinfo": mount1,
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1000000\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 1000000, "cgroup"},
		{"version 1, a container without a namespace", map[string]string{
			"proc/self/cgroup":                           "4:memory:/docker/abc\n",
			"proc/self/mountinfo":                        "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "1000000\n",
		}, 1000000, "cgroup"},
		{"version 1, another part of the hierarchy", map[string]string{
			"proc/self/cgroup":                           "4:memory:/a\n",
			"proc/self/mountinfo":                        "35 31 0:32 /b /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "1000000\n",
		}, 1000000, "cgroup"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range tt.files {
				file := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, source := memoryAllowed(root); got != tt.want || source != tt.source {
				t.Errorf("%d by %s, want %d by %s", got, source, tt.want, tt.source)
			}
		})
	}
}

func TestHeapLimit(t *testing.T) {
	for memory, want := range map[int64]int64{256 << 20: 64 << 20, 1 << 30: 256 << 20, 4 << 30: 2560 << 20} {
		if got := heapLimit(memory, 256<<20); got != want {
			t.Errorf("of %d bytes the heap gets %d, want %d", memory, got, want)
		}
	}
}
