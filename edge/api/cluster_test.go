package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"
	"carom/pipeline/score"

	"go.uber.org/zap"
)

// fleet is some workers and a node that is none, each with a store and an API of its own. Every worker is reached
// through a door, which a test may shut.
type fleet struct {
	t       *testing.T
	workers []*worker
	front   *world // of the node that is no worker
	parts   []*partition
	doors   []*door
}

// worker is a node that has some of the partitions.
type worker struct {
	*world
	store *kv.Store
}

// partition is one of events, where it is kept.
type partition struct {
	*log.Local
	store  *kv.Store
	rollup *rollup.Partition
	n      int64
}

// door passes requests on, or does with them what a test wants.
type door struct {
	*httptest.Server
	instead atomic.Pointer[http.HandlerFunc]
}

func newDoor(t *testing.T) (d *door, open func(target string)) {
	d = &door{}
	var pass atomic.Pointer[httputil.ReverseProxy]
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if instead := d.instead.Load(); instead != nil {
			(*instead)(w, r)
			return
		}
		pass.Load().ServeHTTP(w, r)
	}))
	t.Cleanup(d.Server.Close)
	return d, func(target string) {
		to, err := url.Parse(target)
		must(t, err)
		pass.Store(httputil.NewSingleHostReverseProxy(to))
	}
}

func (d *door) address() string { return strings.TrimPrefix(d.URL, "http://") }

// do has the door do something else; nil: pass requests on again.
func (d *door) do(f http.HandlerFunc) {
	if f == nil {
		d.instead.Store(nil)
		return
	}
	d.instead.Store(&f)
}

// patience sets how long the nodes wait for each other. Short is for tests in which one never answers: on a busy
// machine the others may not be quick either.
func (f *fleet) patience(d time.Duration) {
	for _, w := range f.workers {
		w.server.peers.timeout = d
	}
	f.front.server.peers.timeout = d
}

func hashOf(text string, n int) int {
	h := fnv.New32a()
	_, _ = io.WriteString(h, text)
	return int(h.Sum32() % uint32(n))
}

// newFleet starts workers with so many partitions in all. change may be nil.
func newFleet(t *testing.T, workers, partitions int, change func(place int, o *Options, d *Dependencies)) *fleet {
	t.Helper()
	f := &fleet{t: t, parts: make([]*partition, partitions)}
	var addresses []string
	var opens []func(string)
	for range workers {
		d, open := newDoor(t)
		f.doors, opens = append(f.doors, d), append(opens, open)
		addresses = append(addresses, d.address())
	}
	start := func(place int, events []log.Reader, scores Scores) *world {
		return newWorld(t, func(o *Options, d *Dependencies) {
			d.Events, d.Scores = events, scores
			d.Cluster = &Cluster{
				Workers: slices.Clone(addresses), Self: place,
				OwnerOfMessage: func(message string) int { return hashOf(message, workers) },
				OwnerOfSender:  func(account, sender string) int { return hashOf(account+"/"+sender, partitions) % workers },
				OwnerOfEvents:  func(partition int32) int { return int(partition) % workers },
			}
			if place < 0 {
				d.Messages = nil
			}
			if change != nil {
				change(place, o, d)
			}
		})
	}
	for i := range workers {
		w := &worker{store: openStore(t, "state")}
		events := make([]log.Reader, partitions)
		var here []Scores
		places := make(map[int]int)
		for p := i; p < partitions; p += workers {
			f.parts[p] = newPartition(t, w.store, int32(p))
			events[p] = f.parts[p]
			places[p] = len(here)
			here = append(here, f.parts[p].rollup)
		}
		w.world = start(i, events, MergeScores(here, func(account, sender string) int { return places[hashOf(account+"/"+sender, partitions)] }))
		opens[i](w.base)
		f.workers = append(f.workers, w)
	}
	f.front = start(-1, make([]log.Reader, partitions), nil)
	return f
}

func newPartition(t testing.TB, store *kv.Store, number int32) *partition {
	t.Helper()
	local, err := log.NewLocal(store, kv.LogEvents, number)
	must(t, err)
	r, err := rollup.Open(rollup.Default(), score.Default(), store, local, nil, zap.NewNop(), nil)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return &partition{Local: local, store: store, rollup: r}
}

// add appends an event.
func (p *partition) add(t testing.TB, e event.Refined, at event.Millis) {
	t.Helper()
	e.Origin = event.Origin{Node: "edge-1", Partition: p.Partition(), Offset: p.n}
	p.n++
	b := p.store.NewBatch()
	must(t, p.Write(t.Context(), b, []log.Record{{Time: at, Key: event.AppendSenderKey(nil, e.Account, e.Sender), Value: e.AppendJSON(nil)}}))
	must(t, p.store.Commit(b))
	must(t, b.Close())
	p.Committed()
}

// await waits until all of it is counted.
func (p *partition) await() {
	for {
		if _, next := p.Bounds(); p.rollup.Passed() == next {
			return
		}
	}
}

func sentEvent(account, sender, message string, at event.Millis) event.Refined {
	return event.Refined{
		ID: event.ID{1}, Kind: event.Sent, Time: at,
		Ref: event.Ref{Account: account, Sender: sender, Contact: "c-" + message, Message: message, SentAt: at},
	}
}

// same checks that an answer is what the owner itself answers, byte for byte.
func same(t *testing.T, got, want answer) {
	t.Helper()
	if got.StatusCode != want.StatusCode || got.Header.Get("Content-Type") != want.Header.Get("Content-Type") || !bytes.Equal(got.body, want.body) {
		t.Errorf("%s: %d %s\nthe owner itself: %d %s", got.Request.URL, got.StatusCode, got.body, want.StatusCode, want.body)
	}
}

func (f *fleet) all() []*world {
	all := []*world{f.front}
	for _, w := range f.workers {
		all = append(all, w.world)
	}
	return all
}

func TestAnyNodeAnswers(t *testing.T) {
	f := newFleet(t, 3, 5, nil)
	base := event.FromTime(testNow)
	for i := range 30 {
		message, sender := fmt.Sprint("m-", i), fmt.Sprint("s/", i%7)
		owner := f.workers[hashOf(message, 3)]
		owner.post("/v1/messages", fmt.Sprintf(`{"sender":%q,"message":%q}`, sender, message)).ok(t, nil)
		owner.await(func() bool { return owner.get("/v1/messages/"+message).StatusCode == 200 })
		p := f.parts[hashOf("default/"+sender, 5)]
		p.add(t, sentEvent("default", sender, message, base), base)
		p.await()
	}
	for i := range 30 {
		message := fmt.Sprint("m-", i)
		want := f.workers[hashOf(message, 3)].get("/v1/messages/" + message)
		want.ok(t, nil)
		for _, w := range f.all() {
			same(t, w.get("/v1/messages/"+message), want)
			same(t, w.get("/v1/messages/%3C"+message+"%3E?account=default"), want)
		}
	}
	for i := range 7 {
		sender := fmt.Sprint("s%2F", i)
		owner := f.workers[hashOf(fmt.Sprint("default/s/", i), 5)%3]
		for _, path := range []string{"/score?as_of=2099-01-01T00:00:00Z&window=30d", "/sequences?as_of=2026-11-21T12:00:00Z", "/score?sequence=x"} {
			want := owner.get("/v1/senders/" + sender + path)
			want.ok(t, nil)
			for _, w := range f.all() {
				same(t, w.get("/v1/senders/"+sender+path), want)
			}
		}
	}
	for _, w := range f.all() {
		w.get("/v1/messages/nobody").problem(t, 404)
		w.get("/v1/senders/s/score?as_of=1900-01-01T00:00:00Z").problem(t, 400)
		w.get("/v1/senders?sort=nothing").problem(t, 400)
		if h := w.do("HEAD", "/v1/messages/m-1", ""); h.StatusCode != 200 || len(h.body) != 0 {
			t.Errorf("HEAD: %d %q", h.StatusCode, h.body)
		}
	}
}

// One rollup with everything lists the same senders, page by page, as many nodes do.
func TestSendersAreGathered(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	f := newFleet(t, 3, 5, nil)
	one := newPartition(t, openStore(t, "state"), 0)
	whole := newWorld(t, func(_ *Options, d *Dependencies) { d.Scores = one.rollup })
	base := event.FromTime(testNow.Add(-5 * 24 * time.Hour))
	for i := range 600 {
		account, sender := []string{"default", "b"}[random.IntN(2)], fmt.Sprint("s", random.IntN(40))
		e := sentEvent(account, sender, fmt.Sprint("m-", i), base+event.Millis(i))
		p := f.parts[hashOf(account+"/"+sender, 5)]
		p.add(t, e, base)
		one.add(t, e, base)
		if random.IntN(4) == 0 {
			e.Kind, e.ID = event.Reply, event.ID{2}
			e.Actor.Verdict = event.Human
			p.add(t, e, base)
			one.add(t, e, base)
		}
	}
	one.await()
	for _, p := range f.parts {
		p.await()
	}
	for _, account := range []string{"default", "b", "nobody"} {
		for _, sort := range rollup.SortKeys() {
			for _, direction := range []string{"", "-"} {
				limit := 1 + random.IntN(25)
				query := fmt.Sprintf("/v1/senders?account=%s&sort=%s%s&window=30d&limit=%d&after=", account, direction, sort, limit)
				for after, page := "", 0; ; page++ {
					want := whole.get(query + after)
					want.ok(t, nil)
					same(t, f.all()[random.IntN(4)].get(query+after), want)
					var told struct {
						Next string `json:"next"`
					}
					must(t, json.Unmarshal(want.body, &told))
					if after = told.Next; after == "" {
						if account != "nobody" && page == 0 && limit < 25 {
							t.Errorf("%s: one page", query)
						}
						break
					}
				}
			}
		}
	}
	f.front.get("/v1/senders?limit=1001").problem(t, 400)
	f.front.get("/v1/senders?after=x").problem(t, 400)
}

// misdeeds are what a worker may do in place of an answer.
func misdeeds() map[string]http.HandlerFunc {
	say := func(status int, mediaType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	return map[string]http.HandlerFunc{
		"cuts":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"hangs":     func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"html":      say(200, "text/html", "<p>hello"),
		"not JSON":  say(200, "application/json", "{"),
		"list":      say(200, "application/json", "[1]"),
		"empty":     say(200, "application/json", ""),
		"failure":   say(500, "application/problem+json", `{"type":"urn:carom:problem:internal","title":"t","status":500}`),
		"not found": say(404, "text/plain", "404 page not found"),
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://example.com/", http.StatusFound)
		},
		"refuses": say(401, "application/problem+json", "{}"),
		"drips": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
			}
		},
		"10 GB": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			chunk := bytes.Repeat([]byte(" "), 1<<20)
			for range 10 << 10 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
		"long header": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", maxPeerHeader))
			w.WriteHeader(200)
		},
		"many bounds": say(200, "application/json", `{"known":"0000000000000000","bounds":[[1,-1,5]]}`),
		"no bounds":   say(200, "application/json", `{"known":"0000000000000000","bounds":[]}`),
	}
}

func TestOwnerAway(t *testing.T) {
	f := newFleet(t, 2, 2, nil)
	message, sender := "m-0", "s0"
	for i := 0; hashOf(message, 2) != 1; i++ {
		message = fmt.Sprint("m-", i)
	}
	for i := 0; hashOf("default/"+sender, 2) != 1; i++ {
		sender = fmt.Sprint("s", i)
	}
	paths := []string{"/v1/messages/" + message, "/v1/senders/" + sender + "/score", "/v1/senders/" + sender + "/sequences", "/v1/senders", "/v1/events"}
	for name, do := range misdeeds() {
		f.doors[1].do(do)
		f.patience(peerTimeout)
		if name == "hangs" || name == "drips" {
			f.patience(500 * time.Millisecond)
		}
		for _, path := range paths {
			if (strings.Contains(name, "list") || strings.Contains(name, "bounds")) && path != "/v1/senders" && path != "/v1/events" {
				continue // JSON is passed on as it is
			}
			for _, w := range []*world{f.front, f.workers[0].world} {
				a := w.get(path)
				p := a.problem(t, 503)
				if p.Type != problemType+"owner-away" && name != "no bounds" || !strings.Contains(p.Detail, f.doors[1].address()) || a.Header.Get("Retry-After") == "" {
					t.Errorf("%s, %s: %+v", name, path, p)
				}
			}
		}
		// What the other has is answered all the same.
		f.patience(peerTimeout)
		for i := range 20 {
			if m := fmt.Sprint("m-", i); hashOf(m, 2) == 0 {
				f.front.get("/v1/messages/"+m).problem(t, 404)
			}
		}
	}
	f.doors[1].do(nil)
	f.patience(peerTimeout)
	for _, path := range paths[1:] {
		if a := f.front.get(path); a.StatusCode != 200 {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
	f.doors[1].Close()
	for _, path := range paths {
		if p := f.front.get(path).problem(t, 503); !strings.Contains(p.Detail, f.doors[1].address()) {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

// Nodes that do not agree on the workers say so, and never go in circles.
func TestWorkersDiffer(t *testing.T) {
	for name, change := range map[string]func(f *fleet, c *Cluster){
		"swapped": func(f *fleet, c *Cluster) { slices.Reverse(c.Workers) },
		"fewer":   func(f *fleet, c *Cluster) { c.Workers = c.Workers[:1] },
		"more":    func(f *fleet, c *Cluster) { c.Workers = append(c.Workers, "127.0.0.1:1") },
		"owners":  func(f *fleet, c *Cluster) { c.OwnerOfEvents = func(int32) int { return 1 } },
	} {
		f := newFleet(t, 2, 3, nil)
		d := f.front.server.d
		c := *d.Cluster
		c.Workers = slices.Clone(c.Workers)
		change(f, &c)
		d.Cluster, d.Registerer, d.Gatherer = &c, nil, nil
		other := newWorld(t, func(_ *Options, to *Dependencies) { *to = d })
		for _, path := range []string{"/v1/senders", "/v1/events", "/v1/messages/m", "/v1/messages/n", "/v1/senders/s/score", "/v1/senders/t/sequences"} {
			a := other.get(path)
			if p := a.problem(t, 503); p.Type != problemType+"workers-differ" || !strings.Contains(p.Detail, "kafka.workers") {
				t.Errorf("%s: %s: %+v", name, path, p)
			}
		}
	}
}

// A node that a list names as its own owner asks itself once.
func TestNoCircles(t *testing.T) {
	d, open := newDoor(t)
	var asked atomic.Int64
	w := newWorld(t, func(_ *Options, deps *Dependencies) {
		deps.Cluster = &Cluster{
			Workers: []string{d.address()}, Self: -1,
			OwnerOfMessage: func(string) int { return 0 }, OwnerOfSender: func(string, string) int { return 0 },
			OwnerOfEvents: func(int32) int { return 0 },
		}
		deps.Events = make([]log.Reader, 2)
	})
	open(w.base)
	pass := w.base
	d.do(func(rw http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		to, _ := url.Parse(pass)
		httputil.NewSingleHostReverseProxy(to).ServeHTTP(rw, r)
	})
	for i, path := range []string{"/v1/messages/m", "/v1/senders/s/score", "/v1/senders", "/v1/events"} {
		if p := w.get(path).problem(t, 503); p.Type != problemType+"workers-differ" {
			t.Errorf("%s: %+v", path, p)
		}
		if n := asked.Load(); n != int64(i+1) {
			t.Errorf("%s: asked %d times", path, n-int64(i))
		}
	}
	w.do("GET", "/v1/senders", "", headerPeer, "x").problem(t, 400)
}

// A node without the role api answers nodes, and whoever watches it.
func TestPeersOnly(t *testing.T) {
	const token = "correct-horse-battery"
	f := newFleet(t, 2, 2, func(place int, o *Options, d *Dependencies) {
		o.Token = token
		d.PeersOnly = place >= 0
	})
	auth := []string{"Authorization", "Bearer " + token}
	f.front.do("GET", "/v1/senders", "", auth...).ok(t, nil)
	f.front.do("GET", "/v1/events", "", auth...).lines(t)
	w := f.workers[0]
	for _, path := range []string{"/v1/senders", "/v1/events", "/v1/messages/m", "/v1/journal", "/v1/rejects", "/v1/peer/events"} {
		if p := w.do("GET", path, "", auth...).problem(t, 503); p.Type != problemType+"no-role" {
			t.Errorf("%s: %+v", path, p)
		}
		w.get(path).problem(t, 401)
	}
	w.do("POST", "/v1/messages", `{"sender":"s","message":"m"}`, append(auth, headerPeer, "-1 0 2 "+w.server.peers.tag)...).problem(t, 503)
	for _, path := range []string{"/livez", "/readyz"} {
		w.get(path).ok(t, nil)
	}
	if a := w.do("GET", "/metrics", "", auth...); a.StatusCode != 200 {
		t.Errorf("metrics: %d", a.StatusCode)
	}
	if p := w.do("GET", "/v1/nothing", "", auth...).problem(t, 503); p.Type != problemType+"no-role" {
		t.Errorf("%+v", p)
	}
}

func TestWhatIsNotReady(t *testing.T) {
	f := newFleet(t, 2, 2, func(place int, _ *Options, d *Dependencies) {
		if place == 1 {
			d.Messages, d.Scores, d.Events[1] = notReady{}, notReady{}, nil
		}
	})
	for _, path := range []string{"/v1/messages/m-0", "/v1/messages/m-1", "/v1/senders", "/v1/events"} {
		for i, w := range f.all() {
			a := w.get(path)
			if a.StatusCode == 404 && hashOf(strings.TrimPrefix(path, "/v1/messages/"), 2) == 0 {
				continue
			}
			if a.problem(t, 503); a.Header.Get("Retry-After") == "" {
				t.Errorf("node %d, %s: %s", i, path, a.body)
			}
		}
	}
}

type notReady struct{ broken }

func (notReady) Message(string, string) (refine.Message, bool, error) {
	return refine.Message{}, false, ErrNotReady
}

func (notReady) Senders(rollup.SendersQuery) ([]rollup.Score, string, error) {
	return nil, "", fmt.Errorf("test: %w", ErrNotReady)
}
