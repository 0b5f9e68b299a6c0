package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// tunedRoot makes the test binary tune its runtime as a node does, on a machine whose /proc and cgroups lie below this
// folder, and tell what holds then. Go reads GOGC and its like when a process starts, so each case takes one of its own.
const tunedRoot = "CAROM_TEST_TUNED_ROOT"

// tuned is what Go itself says of its settings.
type tuned struct {
	Procs     uint64
	GCPercent int32 // -1: off
	HeapLimit int64
}

func tellTuned(root string) {
	c, err := loadConfig(defaultConfig(), "", os.Environ())
	if err != nil {
		panic(err)
	}
	keepTwoProcs()
	tuneRuntime(&c, root, zap.NewNop())
	s := []metrics.Sample{{Name: "/sched/gomaxprocs:threads"}, {Name: "/gc/gogc:percent"}, {Name: "/gc/gomemlimit:bytes"}}
	metrics.Read(s)
	_ = json.NewEncoder(os.Stdout).Encode(tuned{s[0].Value.Uint64(), int32(s[1].Value.Uint64()), int64(s[2].Value.Uint64())})
	os.Exit(0)
}

// TestTuneRuntime: what the operator says of Go's settings stands above ours, each by itself; but GOMAXPROCS
// is 2 at least.
func TestTuneRuntime(t *testing.T) {
	const gib = 1 << 30
	inCgroup, unknown := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"proc/meminfo": "MemTotal: 4194304 kB\n", "proc/self/cgroup": "0::/carom\n",
		"proc/self/mountinfo":            "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"sys/fs/cgroup/carom/memory.max": fmt.Sprint(2 * gib),
	} {
		file := filepath.Join(inCgroup, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const setting = "CAROM_RUNTIME_MEMORY_LIMIT=3221225472" // 3 GiB
	cache := defaultConfig().Data.CacheBytes
	for _, tt := range []struct {
		name, root, env string
		want            tuned
	}{
		{"by the cgroup", inCgroup, "GOMAXPROCS=1", tuned{2, gcPercent, heapLimit(2*gib, cache)}},
		{"by the setting", inCgroup, "GOMAXPROCS=2 " + setting, tuned{2, gcPercent, heapLimit(3*gib, cache)}},
		{"by nobody", unknown, "GOMAXPROCS=1", tuned{2, gcPercent, math.MaxInt64}},
		{"GOGC", inCgroup, "GOMAXPROCS=3 GOGC=50", tuned{3, 50, heapLimit(2*gib, cache)}},
		{"GOMEMLIMIT", inCgroup, "GOMAXPROCS=3 GOMEMLIMIT=300MiB " + setting, tuned{3, gcPercent, 300 << 20}},
		{"both off", inCgroup, "GOMAXPROCS=3 GOGC=off GOMEMLIMIT=off", tuned{3, -1, math.MaxInt64}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append([]string{tunedRoot + "=" + tt.root}, strings.Fields(tt.env)...)
			cmd.Stderr = os.Stderr
			told, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var got tuned
			if err := json.Unmarshal(told, &got); err != nil {
				t.Fatalf("%v: %s", err, told)
			}
			if got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestServeIsTuned: the command itself does so, before it makes its data folder, and its log says what holds.
func TestServeIsTuned(t *testing.T) {
	s := newServer(t)
	s.dir = writeFile(t, "") // below a file there can be no folder
	s.launch("GOMAXPROCS=1", "GOGC=70", "GOMEMLIMIT=500MiB")
	s.until("the server has ended", func() bool {
		select {
		case <-s.exited:
			return true
		default:
			return false
		}
	})
	if code := s.cmd.ProcessState.ExitCode(); code != exitFailed {
		t.Errorf("a node whose folder can't be made ends with %d: %s", code, s.output)
	}
	const want = `{"gomaxprocs": 2, "gc-percent": 70, "memory-by": "GOMEMLIMIT", "heap-limit-bytes": 524288000}`
	if !strings.Contains(s.output.String(), want) {
		t.Errorf("the log has no %s: %s", want, s.output)
	}
}
