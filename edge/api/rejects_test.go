package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/refine"
)

// rejectLog is a log of rejects that a test writes.
type rejectLog struct {
	*log.Local
	store *kv.Store
}

func newRejectLogs(t *testing.T, n int) (logs []rejectLog, readers []log.Reader) {
	t.Helper()
	for i := range n {
		store := openStore(t, "state")
		local, err := log.NewLocal(store, kv.LogRejects, int32(i))
		must(t, err)
		logs, readers = append(logs, rejectLog{local, store}), append(readers, local)
	}
	return logs, readers
}

func (l rejectLog) add(t *testing.T, at event.Millis, values ...[]byte) {
	t.Helper()
	b := l.store.NewBatch()
	for _, v := range values {
		must(t, l.Write(t.Context(), b, []log.Record{{Time: at, Value: v}}))
	}
	must(t, l.store.Commit(b))
	must(t, b.Close())
	l.Committed()
}

// rejectOf is a reject of a fact about a message, or of bytes that are none.
func rejectOf(t *testing.T, reason, node, message string, at event.Millis) []byte {
	t.Helper()
	r := refine.Reject{Reason: reason, Node: node, Incarnation: strings.Repeat("0a", 16), Time: int64(at), Bytes: []byte{0xff, 1}}
	if message != "" {
		e := event.Event{
			Kind: event.Unsubscribe, Time: at, Key: event.KeyOf("default", message), KnownBy: event.ByKey,
			Ref: event.Ref{Account: "default", Message: message},
		}
		r.Bytes = e.AppendBinary(nil)
	}
	b, err := json.Marshal(r)
	must(t, err)
	return b
}

func TestRejects(t *testing.T) {
	logs, readers := newRejectLogs(t, 2)
	w := newWorld(t, func(_ *Options, d *Dependencies) { d.Rejects = readers })
	if a := w.get("/v1/rejects"); len(a.lines(t)) != 0 || a.Header.Get(headerNext) == "" {
		t.Errorf("%v", a.Header)
	}
	logs[1].add(t, 10, rejectOf(t, "unattributed", "edge-1", "m-1", 10))
	logs[0].add(t, 20, rejectOf(t, "undecodable", "edge-2", "", 20), []byte("not ours\n"))
	logs[1].add(t, 30, rejectOf(t, "unattributed", "edge-2", "m-2", 30))

	positions := func(query string) (got []string) {
		for _, line := range w.get("/v1/rejects?" + query).lines(t) {
			got = append(got, line["position"].(string))
		}
		return got
	}
	for query, want := range map[string][]string{
		"": {"1/0", "0/0", "0/1", "1/1"}, "reason=unattributed": {"1/0", "1/1"}, "node=edge-2": {"0/0", "1/1"},
		"reason=unattributed&node=edge-2": {"1/1"}, "reason=not_a_reject": {"0/1"}, "reason=x": nil, "limit=2": {"1/0", "0/0"},
	} {
		if got := positions(query); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
	}
	var all []string
	for after := ""; ; {
		a := w.get("/v1/rejects?limit=1&after=" + after)
		for _, line := range a.lines(t) {
			all = append(all, line["position"].(string))
			if line["cursor"] != a.Header.Get(headerNext) {
				t.Errorf("%v", line)
			}
		}
		if next := a.Header.Get(headerNext); next == after {
			break
		} else {
			after = next
		}
	}
	if !slices.Equal(all, positions("")) {
		t.Errorf("page by page: %v", all)
	}
	w.get("/v1/rejects?kind=x").problem(t, 400)
	w.get("/v1/rejects?after="+url.QueryEscape(cursor{log: logEvents, offsets: []int64{0, 0}}.String())).problem(t, 400)
	none := newWorld(t, func(_ *Options, d *Dependencies) { d.Rejects = nil })
	none.get("/v1/rejects").problem(t, 503)
	none.post("/v1/rejects/replay", "{}").problem(t, 503)
}

func mustReject(t *testing.T, value []byte) refine.Reject {
	t.Helper()
	r, err := refine.ReadReject(value)
	must(t, err)
	return r
}

func (w *world) replay(body string) (r replayed) {
	w.t.Helper()
	w.post("/v1/rejects/replay", body).ok(w.t, &r)
	return r
}

func TestReplay(t *testing.T) {
	logs, readers := newRejectLogs(t, 2)
	w := newWorld(t, func(_ *Options, d *Dependencies) {
		d.Rejects = readers
		d.OpenEnvelope = func(value []byte) ([]byte, error) {
			event, ok := bytes.CutPrefix(value, []byte("envelope:"))
			if !ok {
				return nil, errTest
			}
			return event, nil
		}
	})
	base := event.FromTime(testNow)
	for i := range 10 {
		w.post("/v1/messages", fmt.Sprintf(`{"sender":"s","message":"m-%d"}`, i)).ok(t, nil)
		logs[i%2].add(t, base+event.Millis(i), rejectOf(t, "unattributed", "edge-1", fmt.Sprint("m-", i), base+event.Millis(i)))
	}
	logs[0].add(t, base+100, rejectOf(t, "undecodable", "edge-1", "", base+100), []byte("not ours"))

	if got := w.replay(`{"dry_run":true}`); got != (replayed{Matched: 12, Unreadable: 2}) {
		t.Errorf("%+v", got)
	}
	if _, facts := w.sink.count(); facts != 10 {
		t.Errorf("a dry run journaled: %d facts", facts)
	}
	// What is still in its envelope is taken out.
	enveloped := refine.Reject{Reason: "undecodable", Incarnation: strings.Repeat("0", 32), Bytes: append([]byte("envelope:"), mustReject(t, rejectOf(t, "x", "n", "m-1", base)).Bytes...)}
	value, err := json.Marshal(enveloped)
	must(t, err)
	logs[1].add(t, base+150, value)
	if got := w.replay(`{"positions":["1/5"],"dry_run":true}`); got != (replayed{Matched: 1}) {
		t.Errorf("enveloped: %+v", got)
	}
	from, to := (base + 2).Time().Format(timeLayout), (base + 5).Time().Format(timeLayout)
	for body, want := range map[string]replayed{
		`{"reason":"x"}`:                           {},
		`{"node":"edge-2"}`:                        {},
		`{"reason":"undecodable","node":"edge-1"}`: {Matched: 1, Unreadable: 1},
		`{"from":"` + from + `","to":"` + to + `","reason":"unattributed"}`: {Matched: 3, Replayed: 3},
		`{"positions":["1/0","0/5"]}`:                                       {Matched: 2, Replayed: 1, Unreadable: 1},
		`{"positions":["1/0"],"dry_run":true}`:                              {Matched: 1},
	} {
		if got := w.replay(body); got != want {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
	}
	// Bit by bit; rejects that come meanwhile are not among them.
	var sum replayed
	calls := 0
	for after := ""; ; calls++ {
		got := w.replay(`{"limit":5,"after":"` + after + `"}`)
		sum.Matched, sum.Replayed, sum.Unreadable = sum.Matched+got.Matched, sum.Replayed+got.Replayed, sum.Unreadable+got.Unreadable
		logs[1].add(t, base+200, rejectOf(t, "unattributed", "edge-1", "m-1", base+200))
		if after = got.Next; after == "" {
			break
		}
	}
	if sum != (replayed{Matched: 13, Replayed: 11, Unreadable: 2}) || calls != 2 {
		t.Errorf("%+v in %d calls", sum, calls+1)
	}
	// However often they are replayed, they count once.
	for i := range 10 {
		path := fmt.Sprint("/v1/messages/m-", i)
		w.await(func() bool {
			var m struct {
				Status string
				Events []struct{ Kind string }
			}
			w.get(path).ok(t, &m)
			return m.Status == "unsubscribed"
		})
	}
	w.post("/v1/messages", `{"sender":"s","message":"last"}`).ok(t, nil)
	w.await(func() bool { return w.get("/v1/messages/last").StatusCode == 200 })
	if replies := w.get("/v1/events?kind=unsubscribe").lines(t); len(replies) != 10 {
		t.Errorf("%d unsubscribes", len(replies))
	}

	for body, field := range map[string]string{
		`{"x":1}`: "x", `{"limit":10001}`: "limit", `{"positions":["1"]}`: "positions[0]", `{"positions":["1/00"]}`: "positions[0]",
		`{"positions":["0/1000"]}`: "positions[0]", `{"positions":["9/0"]}`: "positions[0]", `{"positions":["1/0"],"reason":"x"}`: "positions",
		`{"after":"x"}`: "after", `{"after":"x.y"}`: "after", `{"from":"now"}`: "from",
	} {
		if p := w.post("/v1/rejects/replay", body).problem(t, 400); p.Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	w.bulk("/v1/rejects/replay", "{}").problem(t, 415)
	w.get("/v1/rejects/replay").problem(t, http.StatusMethodNotAllowed)
	w.sink.set(errTest, nil)
	w.post("/v1/rejects/replay", "{}").problem(t, 503)
}
