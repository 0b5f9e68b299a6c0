package log

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
)

const hour = event.Millis(time.Hour / time.Millisecond)

// hourly is a log with ten records of each hour from 1 to n.
func hourly(t *testing.T, n int) *Local {
	t.Helper()
	s := openStore(t, vfs.NewMem())
	l := openLocal(t, s, kv.LogEvents, 0)
	for h := range n {
		write(t, s, l, event.Millis(h+1)*hour, strings.Split("abcdefghij", "")...)
	}
	return l
}

func TestRetainByAge(t *testing.T) {
	r := Retention{Keep: 5 * time.Hour}
	for _, c := range []struct {
		now    event.Millis
		passed int64
		oldest int64
	}{
		{6 * hour, 1000, 0}, // those of hour 1 are just as old as may be
		{6*hour + 1, 1000, 10},
		{6*hour + 1, 7, 7}, // a stage has not passed them
		{6*hour + 1, 0, 0},
		{15 * hour, 1000, 90},
		{100 * hour, 1000, 99}, // the newest stays
		{100 * hour, 55, 55},
	} {
		l := hourly(t, 10)
		oldest, trimmed, err := l.Retain(r, c.now, c.passed)
		if err != nil || oldest != c.oldest || trimmed != (c.oldest > 0) {
			t.Errorf("at hour %.1f, passed %d: oldest %d, %v, %v, want %d", float64(c.now)/float64(hour), c.passed, oldest, trimmed, err, c.oldest)
		}
		if got, _ := l.Bounds(); got != c.oldest || len(readLog(t, l, got, 7)) != 100-int(got) {
			t.Errorf("%d records from %d on", len(readLog(t, l, got, 7)), got)
		}
		if _, trimmed, err := l.Retain(r, c.now, c.passed); trimmed || err != nil {
			t.Errorf("trimmed again: %v", err)
		}
		if oldest, _, err := l.Retain(Retention{}, 1000*hour, 1000); err != nil || oldest != c.oldest {
			t.Errorf("what keeps for ever trimmed up to %d, %v", oldest, err)
		}
	}
}

// What is kept is as many bytes as may be, and always what was not passed.
func TestRetainByBytes(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	l := openLocal(t, s, kv.LogEvents, 0)
	noise := rand.NewChaCha8([32]byte{1})
	value := make([]byte, 10<<10)
	for range 800 {
		_, _ = noise.Read(value)
		write(t, s, l, hour, string(value))
	}
	if err := s.DB().Flush(); err != nil {
		t.Fatal(err)
	}
	r := Retention{MaxBytes: 2 << 20}
	if oldest, _, err := l.Retain(r, hour, 100); err != nil || oldest != 100 {
		t.Errorf("passed 100: oldest %d, %v", oldest, err)
	}
	oldest, _, err := l.Retain(r, hour, 800)
	if err != nil {
		t.Fatal(err)
	}
	if left := (800 - oldest) * int64(len(value)); left > 2<<20 || left < 1<<20 {
		t.Errorf("%d bytes are left", left)
	}
	if _, trimmed, err := l.Retain(r, hour, 800); trimmed || err != nil {
		t.Errorf("trimmed again: %v", err)
	}
}

func TestRetention(t *testing.T) {
	for want, r := range map[string]Retention{
		"":           {Keep: time.Hour, MaxBytes: 1 << 20},
		"keep: 59m":  {Keep: 59 * time.Minute},
		"keep: -1h":  {Keep: -time.Hour},
		"max_bytes:": {MaxBytes: 1 << 19},
	} {
		if err := r.Validate(); (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if err := (Retention{}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestKeeper(t *testing.T) {
	l := hourly(t, 10)
	ctx, cancel := context.WithCancel(t.Context())
	k := NewKeeper([]Kept{{Name: "events", Log: l, Retention: Retention{Keep: time.Hour}, Passed: func() int64 {
		cancel()
		return 42
	}}}, zap.NewNop(), nil)
	if err := k.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if oldest, _ := l.Bounds(); oldest != 42 {
		t.Errorf("the oldest is %d, want 42", oldest)
	}
}

// A log that has jumped is read on behind the gap, by who stands before it and by who stands in it.
func TestLocalJump(t *testing.T) {
	const far = 1 << 40
	fs := vfs.NewMem()
	s := openStore(t, fs)
	write(t, s, openLocal(t, s, kv.LogEvents, 0), hour, "a", "b")
	for _, id := range []byte{kv.LogEvents, kv.LogRejects} {
		if err := Jump(s, id, 0, far); err != nil {
			t.Fatal(err)
		}
	}
	l, empty := openLocal(t, s, kv.LogEvents, 0), openLocal(t, s, kv.LogRejects, 0)
	for _, l := range []*Local{l, empty} {
		want := int64(2)
		if l == empty {
			want = 0
		}
		l.Committed() // of a batch that has nothing for the log
		if oldest, next := l.Bounds(); oldest != 0 || next != want {
			t.Errorf("bounds %d, %d, want 0, %d", oldest, next, want)
		}
	}
	write(t, s, l, hour, "c", "d")
	write(t, s, empty, hour, "x")
	for _, reopen := range []bool{false, true} {
		if reopen {
			l, empty = openLocal(t, s, kv.LogEvents, 0), openLocal(t, s, kv.LogRejects, 0)
		}
		for from, want := range map[int64]string{0: "0a 1b 1099511627778c 1099511627779d", 2: "1099511627778c 1099511627779d", far / 2: "1099511627778c 1099511627779d", far + 3: "1099511627779d"} {
			if got := placed(t, l, from); got != want {
				t.Errorf("reopened %v: from %d: %s", reopen, from, got)
			}
		}
		if _, next := l.Bounds(); next != far+4 {
			t.Errorf("reopened %v: next is %d", reopen, next)
		}
		if got := placed(t, empty, 0); got != "1099511627776x" {
			t.Errorf("reopened %v: %s", reopen, got)
		}
	}
	// It jumps again from where it is, and ages as any log.
	if err := Jump(s, kv.LogEvents, 0, far); err != nil {
		t.Fatal(err)
	}
	l = openLocal(t, s, kv.LogEvents, 0)
	write(t, s, l, 9*hour, "e")
	if oldest, _, err := l.Retain(Retention{Keep: time.Hour}, 9*hour, far+3); err != nil || oldest != far+3 {
		t.Errorf("oldest %d, %v", oldest, err)
	}
	if got := placed(t, l, far+3); got != fmt.Sprintf("1099511627779d %de", int64(2*far+4)) {
		t.Error(got)
	}
}

// placed reads a log from an offset on, as offset and value.
func placed(t *testing.T, l *Local, from int64) string {
	t.Helper()
	recs, err := l.Read(context.Background(), from, 100, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, r := range recs {
		fmt.Fprintf(&b, "%d%s ", r.Offset, r.Value)
	}
	return strings.TrimSpace(b.String())
}
