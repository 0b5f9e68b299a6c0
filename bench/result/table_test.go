package result

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTables(t *testing.T) {
	closed, hostile := closedLoop(t), typical(t)
	hostile.Name = "a\x1b[31m\n\u202eb 東京"
	hostile.Server.Process, hostile.Machine.Disk.FileSystem = "\x07bell", "\x1b[2Jtmpfs"
	hostile.Notes = []string{strings.Repeat("long ", 200)}
	nothing := &Result{Name: "nobody answers", Kind: "smtp", Target: "127.0.0.1:25", Load: Load{Mode: "open", Connections: 1}, Failed: 7, Errors: map[string]int64{"connection refused": 7}}
	one := rounds(t)[:2]
	for name, write := range map[string]func(*bytes.Buffer) error{
		"open":        func(b *bytes.Buffer) error { return openLoop(t).WriteTable(b) },
		"closed":      func(b *bytes.Buffer) error { return closed.WriteTable(b) },
		"search":      func(b *bytes.Buffer) error { return searched(t).WriteTable(b) },
		"steps":       func(b *bytes.Buffer) error { return stepped(t).WriteTable(b) },
		"hostile":     func(b *bytes.Buffer) error { return hostile.WriteTable(b) },
		"nothing":     func(b *bytes.Buffer) error { return nothing.WriteTable(b) },
		"rounds":      func(b *bytes.Buffer) error { return compared(t, rounds(t)...).WriteTable(b) },
		"one-round":   func(b *bytes.Buffer) error { return compared(t, one...).WriteTable(b) },
		"differences": func(b *bytes.Buffer) error { return compared(t, openLoop(t), closed, hostile, nothing).WriteTable(b) },
		"rounds-json": func(b *bytes.Buffer) error { return compared(t, one...).WriteJSON(b) },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				if w := textWidth(line); w > 420 && name != "rounds-json" {
					t.Errorf("a line is %d wide", w)
				}
			}
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Errorf("got\n%s\nwant\n%s", b.Bytes(), want)
			}
		})
	}
}

func compared(tb testing.TB, results ...*Result) *Comparison {
	tb.Helper()
	c, err := Compare(results)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestUnits(t *testing.T) {
	for got, want := range map[string]string{
		Micros(0): "0", Micros(0.0641): "0.06 µs", Micros(9.999): "10.0 µs", Micros(99.96): "100 µs", Micros(999.6): "1.00 ms", Micros(1234): "1.23 ms", Micros(1e6): "1.00 s", Micros(3.6e9): "3,600 s",
		Bytes(999): "999 B", Bytes(58_312_345): "58.3 MB", Bytes(1e18): "1,000,000 TB", Count(-1234): "-1,234", Count(123): "123", Count(1234567): "1,234,567",
		percent(0): "0 %", percent(0.00002): "0.002 %", percent(0.0123): "1.2 %", percent(0.5): "50 %", percent(1): "100 %", seconds(90): "90 s", seconds(600): "10 min", seconds(1.5): "1.5 s",
		plain("a\x1bb\u202ec\td\n", 10): "a�b�c d", plain("abcdef", 3): "abc…",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Two of one name on different file systems are no rounds of one thing; a server whose disk nobody knows is no other disk.
func TestDisksAreCompared(t *testing.T) {
	here, there, foreign := openLoop(t), openLoop(t), openLoop(t)
	there.Machine.Disk, foreign.Machine.Disk = &Disk{"tmpfs", 2}, nil
	if w := compared(t, here, here, foreign).Warnings; len(w) > 0 {
		t.Errorf("one disk: %q", w)
	}
	if w := compared(t, here, there).Warnings; !slices.Equal(w, []string{"different file systems: xfs; tmpfs"}) {
		t.Errorf("two disks: %q", w)
	}
	for d, want := range map[*Disk]bool{nil: false, {"xfs", 412}: false, {"", 3}: false, {"tmpfs", 2}: true, {"ramfs", 2}: true} {
		if d.InMemory() != want {
			t.Errorf("%v is in memory: %t", d, !want)
		}
	}
}
