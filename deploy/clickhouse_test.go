package deploy_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"carom/pipeline/event"
)

// An embedded ClickHouse: runs the statements of its input, a JSON array, in a database of its own, and prints what the
// last one returns. {"sql", "error"} is one that must fail so.
const inClickHouse = `
import json, sys, tempfile
from chdb import session
with tempfile.TemporaryDirectory() as folder:
    s = session.Session(folder)
    s.query("CREATE DATABASE test ENGINE = Atomic")
    s.query("USE test")
    out = ""
    for step in json.load(sys.stdin):
        if isinstance(step, str):
            out = str(s.query(step, "JSONEachRow"))
            continue
        try:
            s.query(step["sql"])
        except Exception as e:
            if step["error"] not in str(e):
                raise
        else:
            sys.exit("it must fail: " + step["sql"])
    sys.stdout.write(out)
    s.close()
`

// clickHouse runs statements, and returns the rows of the last.
func clickHouse(t *testing.T, steps ...any) []map[string]any {
	t.Helper()
	python := os.Getenv("CAROM_TEST_CHDB")
	if python == "" {
		t.Skip("CAROM_TEST_CHDB is not set: there is no embedded ClickHouse; 'make test-clickhouse' installs it")
	}
	in, err := json.Marshal(steps)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(testContext(t), python, "-c", inClickHouse)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, stderr.Bytes(), out)
	}
	var rows []map[string]any
	for line := range strings.Lines(string(out)) {
		rows = append(rows, parse(t, []byte(line)).(map[string]any))
	}
	return rows
}

// eventsSQL returns the statements of the example, after a change.
func eventsSQL(t *testing.T, old, with string) (list []any) {
	t.Helper()
	sql := regexp.MustCompile(`--.*`).ReplaceAllString(readFile(t, "examples/clickhouse/events.sql"), "")
	changed := regexp.MustCompile(old).ReplaceAllString(sql, with)
	if changed == sql {
		t.Fatalf("events.sql has no %s", old)
	}
	for statement := range strings.SplitSeq(changed, ";") {
		if strings.TrimSpace(statement) != "" {
			list = append(list, statement)
		}
	}
	return list
}

// noKafka returns them with a queue that rows are inserted into.
func noKafka(t *testing.T) []any {
	t.Helper()
	return eventsSQL(t, `ENGINE = Kafka\s+SETTINGS[^;]*`, "ENGINE = Null")
}

// revised are events of which every third comes in three revisions.
func revised(t *testing.T) (all, newest []event.Refined) {
	t.Helper()
	newest = stream(t, 30)
	for i := range newest {
		e := &newest[i]
		all = append(all, *e)
		if i%3 == 0 {
			for range 2 {
				e.Revision++
				e.Origin.Offset += 100
				e.Actor = event.Actor{Verdict: event.Scanner, Reasons: []string{"burst"}}
				all = append(all, *e)
			}
		}
	}
	return all, newest
}

const selectEvents = `SELECT id, revision, verdict, value FROM events ORDER BY id`

func wantNewest(t *testing.T, rows []map[string]any, newest []event.Refined) {
	t.Helper()
	if len(rows) != len(newest) {
		t.Fatalf("%d rows, want %d", len(rows), len(newest))
	}
	want := map[string]string{}
	for i := range newest {
		want[newest[i].ID.String()] = string(newest[i].AppendJSON(nil))
	}
	got := map[string]string{}
	for _, row := range rows {
		got[row["id"].(string)] = row["value"].(string)
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// insert returns a statement that puts values into the queue, which stands in for Kafka.
func insert(events []event.Refined) string {
	var b strings.Builder
	b.WriteString("INSERT INTO events_queue FORMAT JSONAsString\n")
	for i := range events {
		b.Write(events[i].AppendJSON(nil))
		b.WriteByte('\n')
	}
	return b.String()
}

// The newest revision stays, in whatever order revisions and repeats come, merged or not.
func TestClickHouse(t *testing.T) {
	all, newest := revised(t)
	steps := noKafka(t)
	back := make([]event.Refined, len(all))
	for i := range all {
		back[len(all)-1-i] = all[i]
	}
	steps = append(steps, insert(all[:20]), insert(back), insert(all[10:]))
	wantNewest(t, clickHouse(t, append(steps, selectEvents)...), newest)
	wantNewest(t, clickHouse(t, append(steps, "OPTIMIZE TABLE events_stored FINAL", strings.Replace(selectEvents, "events", "events_stored", 1))...), newest)
}

// Each member comes into its column.
func TestClickHouseColumns(t *testing.T) {
	var events []event.Refined
	for _, example := range document(t, "schemas/event.schema.json")["examples"].([]any) {
		var e event.Refined
		if err := e.DecodeJSON(encoded(t, example)); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	events[0].Actor.Reasons = []string{"fast"}
	rows := clickHouse(t, append(noKafka(t), insert(events), "SELECT * EXCEPT value FROM events ORDER BY kind")...)
	want := []string{
		`{"account":"acme","category":"invalid_recipient","contact":"c-9813","feedback_type":"","first":true,"hard":true,"id":"aebagaaaaaaaaaaaaaaaaaaaae","inferred":false,"ip":"","kind":"bounce","link":null,"message":"m-77124","provider":"google","reasons":[],"recipient":"bob@example.com","revision":1,"sender":"alice","sent_at":"2026-11-21 17:45:00.000","sequence":"q4","status":"5.1.1","time":"2026-11-21 17:45:04.000","url":"","user_agent":"","verdict":"","via":""}`,
		`{"account":"acme","category":"","contact":"c-9812","feedback_type":"","first":true,"hard":false,"id":"aebagaaaaaaaaaaaaaaaaaaaaa","inferred":false,"ip":"203.0.113.0","kind":"click","link":2,"message":"m-77123","provider":"","reasons":["fast"],"recipient":"","revision":0,"sender":"alice","sent_at":null,"sequence":"q4","status":"","time":"2026-11-21 17:45:03.120","url":"https://example.com/a","user_agent":"Mozilla/5.0","verdict":"human","via":"gmail"}`,
	}
	for i, row := range rows {
		if got := string(encoded(t, row)); got != want[i] {
			t.Errorf("got  %s\nwant %s", got, want[i])
		}
	}
	if len(rows) != len(want) {
		t.Errorf("%d rows", len(rows))
	}
}

// The embedded ClickHouse has no consumers, but it understands what is asked of them: it refuses a setting that there is
// not, and of what is right it says that it can't begin.
func TestClickHouseQueue(t *testing.T) {
	var queue string
	for _, statement := range eventsSQL(t, "broker.example.com", "127.0.0.1") {
		if strings.Contains(statement.(string), "ENGINE = Kafka") {
			queue = statement.(string)
		}
	}
	const begins = "Shutdown was called"
	clickHouse(t, fails{queue, begins}, "SELECT 1")
	clickHouse(t, fails{strings.Replace(queue, "kafka_group_name", "kafka_group", 1), "UNKNOWN_SETTING"}, "SELECT 1")
}

// fails is a statement, and what its error says.
type fails struct {
	SQL   string `json:"sql"`
	Error string `json:"error"`
}
