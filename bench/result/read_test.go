package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// typical has every part of a result.
func typical(tb testing.TB) *Result {
	tb.Helper()
	h := NewHistogram()
	for i := range 200 {
		h.Record(time.Duration(i) * time.Microsecond)
	}
	d, err := h.Distribution()
	if err != nil {
		tb.Fatal(err)
	}
	return &Result{
		Format: Format, Name: "carom <track>", Kind: "http", Target: "http://127.0.0.1:8080/o/", Began: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC), Seconds: 2,
		Load:    Load{Mode: "open", Connections: 64, Stages: []Stage{{100, 100, 2}}, Warmup: 1, Timeout: 5},
		Options: map[string]string{"--clicks": "0.1"}, Requests: 200, Items: 200, Bytes: 40_000, Failed: 1, Rate: 100,
		Answers: []Answers{{"open", 200, 180}, {"click", 302, 20}}, Errors: map[string]int64{"connection refused": 1},
		Latency: d, Service: d, Lateness: d,
		Series: []Point{{1, 100, 100, 100, 0, 90, 180, 199, 0.3, 0.6, 1 << 25}, {2, 100, 100, 100, 1, 90, 180, 199, 0.3, 0.6, 1 << 25}},
		Steps:  []Step{{Stage{100, 100, 1}, 100, 0, d}, {Stage{100, 200, 1}, 100, 1, d}},
		Search: []Try{{100, 100, "p99<10ms", 180, 40, 0.3, 0, true}}, Harness: CPU{0.6, 0.3, 0.15, 3000, 1 << 24, "10 carom", 1},
		Server: &CPU{1.2, 0.6, 0.3, 6000, 1 << 25, "11 carom", 1}, Machine: Machine{"a CPU", 2, 8 << 30, "linux", "v1", &Disk{"ext4", 120}}, Notes: []string{"short"},
	}
}

func TestWriteAndRead(t *testing.T) {
	want := typical(t)
	var b bytes.Buffer
	if err := want.Write(&b); err != nil {
		t.Fatal(err)
	}
	if bytes.Count(b.Bytes(), []byte("\n")) != 1 {
		t.Error("a result is one line")
	}
	got, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nis read back as\n%+v", want, got)
	}
}

func TestWriteRefusesWhatIsNoFigure(t *testing.T) {
	r := typical(t)
	r.Series[1].P99 = math.NaN()
	if err := r.Write(&bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "series.p99_us: NaN") {
		t.Error(err)
	}
}

func TestReadRefuses(t *testing.T) {
	var whole bytes.Buffer
	if err := typical(t).Write(&whole); err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSpace(whole.String())
	// with returns the result with one figure replaced.
	with := func(old, new string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("there is no %s", old)
		}
		return strings.Replace(text, old, new, 1)
	}
	many := func(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	for name, c := range map[string]struct{ text, want string }{
		"empty":           {" \n", "empty"},
		"cut":             {text[:len(text)/2], "cut short"},
		"another":         {`{"a":1}`, "no \"format\""},
		"manifest":        {`{"apiVersion":"v1","kind":"Pod"}`, "no result of carom bench http, smtp or api: it has no \"format\""},
		"another's":       {with(`"kind":"http"`, `"kind":"e2e"`), "a result of carom bench e2e: only those of carom bench http, smtp or api"},
		"later another's": {`{"format":2,"kind":"verdicts"}`, "a result of carom bench verdicts"},
		"disk":            {with(`"sync_us":120`, `"sync_us":-1`), "machine.disk.sync_us: -1 is no figure"},
		"list":            {`[1]`, "a JSON array, not an object"},
		"text":            {`name: x`, "no JSON at byte 2"},
		"two":             {text + text, "no JSON at byte"},
		"newer":           {with(`"format":1`, `"format":2`), "take a newer carom"},
		"none":            {with(`"format":1`, `"format":0`), "format 0 is none"},
		"wrong type":      {with(`"rate":100`, `"rate":"100"`), "rate: a JSON string where a float64 belongs"},
		"infinite":        {with(`"rate":100`, `"rate":1e999`), "rate: a JSON number 1e999"},
		"huge":            {with(`"rate":100`, `"rate":1e200`), "rate: 1e+200 is no figure"},
		"negative":        {with(`"failed":1`, `"failed":-1`), "failed: -1 is no count"},
		"mode":            {with(`"open"`, `"ajar"`), `load.mode: "ajar" is neither open nor closed`},
		"time":            {with(`2026-11-22`, `2026-13-22`), "month out of range"},
		"percentiles":     {with(`"percentiles":[{"p":0,`, `"percentiles":[{"p":60,`), "latency.percentiles: p10"},
		"beyond 100":      {with(`{"p":100,`, `{"p":101,`), "latency.percentiles: p101"},
		"histogram":       {with(`"latency":{"count":200`, `"latency":{"count":201`), "latency: hdr holds 200 times, count says 201"},
		"seconds go back": {with(`{"at":2,`, `{"at":0.5,`), "series.at: 0.5 after 1"},
		"steps":           {with(`"reached":100`, `"reached":-100`), "steps.reached: -100 is no figure"},
		"steps' times":    {with(`"failed":1,"latency":{"count":200`, `"failed":1,"latency":{"count":201`), "steps.latency: hdr holds 200 times, count says 201"},
		"tries":           {with(`"lateness_us":40`, `"lateness_us":-40`), "search.lateness_us: -40 is no figure"},
		"long list":       {with(`"notes":["short"]`, `"notes":[`+many(maxList+1, `"x"`)+`]`), "notes: 1001 of them"},
		"huge list":       {with(`"series":[`, `"series":[`+many(maxPoints, "{}")+","), "a list of more than 100000"},
		"long text":       {with(`"short"`, `"`+strings.Repeat("x", maxText+1)+`"`), "notes: a text of 4097 bytes"},
		"deep":            {strings.Repeat("[", 100), "32 levels deep"},
	} {
		if _, err := Read(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := Read(strings.NewReader(with(`"format":1`, `"format":1,"of a later carom":[{}]`))); err != nil {
		t.Errorf("what a later carom adds: %v", err)
	}
}

// What builds wrote that knew no disk is read and shown as ever.
func TestReadWithoutADisk(t *testing.T) {
	r := typical(t)
	r.Machine.Disk = nil
	var text, table bytes.Buffer
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), `"disk"`) {
		t.Fatalf("it has one: %s", text.Bytes())
	}
	got, err := Read(&text)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := errors.Join(got.WriteTable(&table), WritePage(&table, got)); err != nil || strings.Contains(table.String(), "disk") {
		t.Errorf("%v: a disk is shown: %s", err, table.Bytes())
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := typical(f).Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"format":1,"load":{"mode":"closed"},"latency":{"count":3,"percentiles":[{"p":50,"us":1}]}}`))
	f.Add([]byte(`{"format":1,"load":{"mode":"open","stages":[{"from":1e15}]},"series":[{"at":1},{"at":1}],"server":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := r.Write(&out); err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		again, err := Read(&out)
		if err != nil {
			t.Fatalf("what was written can't be read: %v", err)
		}
		a, _ := json.Marshal(r)
		if b, _ := json.Marshal(again); !bytes.Equal(a, b) {
			t.Fatalf("%s\nis read back as\n%s", a, b)
		}
	})
}
