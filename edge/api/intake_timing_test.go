package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"carom/edge/ref"
	"carom/kv"
	"carom/pipeline"
	"carom/pipeline/bot"
	"carom/pipeline/journal"
	"carom/pipeline/log"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"
	"carom/pipeline/score"
	"carom/pipeline/suppress"
)

// intakeShapes are registrations as sending systems have them, each on its line: all of a mail with three links, and the
// least that brings answers about a recipient. %[1]d is the number of the line, %[2]d that of its sender, one of 50.
var intakeShapes = map[string]string{
	"full": `{"account":"acme","sender":"s%[2]d@example.com","sequence":"q4-launch","contact":"c-%[1]d","message":"20261121174503.%[1]d.alice@mail.example.com",` +
		`"recipient":"bob.%[1]d@example.net","links":["https://example.com/offers?utm_source=mail&id=%[1]d#a","https://example.com/imprint",` +
		`"https://example.com/preferences?c=%[1]d"],"sent_at":"2026-11-21T12:00:00Z"}` + "\n",
	"least": `{"sender":"s%[2]d@example.com","message":"20261121174503.%[1]d.alice@mail.example.com","recipient":"bob.%[1]d@example.net"}` + "\n",
}

// BenchmarkIntake is what a node accepts that does nothing else: a client in a process of its own sends bulks of 10,000
// lines over four connections, and reads the answers; the journal is on a real disk, in TMPDIR, and synced before each
// answer. server-cpu-ns is the processor time of the node for a line, all of it; two cores have 20,000 ns a line at
// 100,000 lines/s, of which the client takes client-cpu-ns.
//
//	go test -run '^$' -bench Intake -benchtime 300000x ./edge/api
func BenchmarkIntake(b *testing.B) {
	for _, shape := range []string{"full", "least"} {
		b.Run("shape="+shape, func(b *testing.B) {
			n := newAccepting(b)
			server, elapsed, cpu := n.send(b, shape, b.N)
			b.ReportMetric(float64(b.N)/elapsed.Seconds(), "lines/s")
			b.ReportMetric(each(cpu, b.N), "client-cpu-ns")
			b.ReportMetric(each(server, b.N), "server-cpu-ns")
			b.ReportMetric(float64(b.N)/server.Seconds(), "lines/cpu-s")
		})
	}
}

// BenchmarkSustained is what an embedded node sustains: registrations are accepted as in BenchmarkIntake, and then go through
// one stage after the other, so that the processor time of each can be told. Nothing is asked meanwhile, and both stores are
// on a real disk, with what they compact.
//
//	go test -run '^$' -bench Sustained -benchtime 300000x ./edge/api
func BenchmarkSustained(b *testing.B) {
	n := newAccepting(b)
	sum, _, _ := n.send(b, "full", b.N)
	b.ReportMetric(each(sum, b.N), "accept-cpu-ns")
	stage := func(name string, run func(context.Context) error, done func() bool) {
		before := cpuTime(b, syscall.RUSAGE_SELF)
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- run(ctx) }()
		for !done() {
			select {
			case err := <-ended:
				b.Fatalf("%s: %v", name, err)
			case <-time.After(10 * time.Millisecond):
			}
		}
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			b.Fatalf("%s: %v", name, err)
		}
		took := cpuTime(b, syscall.RUSAGE_SELF) - before
		b.ReportMetric(each(took, b.N), name+"-cpu-ns")
		sum += took
	}
	events, err := log.NewLocal(n.state, kv.LogEvents, 0)
	must(b, err)
	rejects, err := log.NewLocal(n.state, kv.LogRejects, 0)
	must(b, err)
	addresses, err := log.NewLocal(n.state, kv.LogAddresses, 0)
	must(b, err)
	refiner, err := refine.Open(refine.Default(), n.state, n.journal, refine.Outputs{Events: events, Addresses: addresses, Rejects: rejects}, n.journal, zap.NewNop(), prometheus.NewRegistry())
	must(b, err)
	stage("refine", refiner.Run, func() bool { _, next := n.journal.Bounds(); return refiner.Passed() >= next && next >= int64(b.N) })
	scores, err := rollup.Open(rollup.Default(), score.Default(), n.state, events, nil, zap.NewNop(), nil)
	must(b, err)
	stage("rollup", scores.Run, func() bool { _, next := events.Bounds(); return scores.Passed() >= next })
	decider, err := suppress.Open(suppress.Default(), suppress.Deps{Store: n.state, In: addresses, Out: n.suppressions, Teller: n.accept, Logger: zap.NewNop()})
	must(b, err)
	stage("suppress", decider.Run, func() bool { _, next := addresses.Bounds(); return decider.Passed() >= next })
	if _, next := events.Bounds(); next != int64(b.N) {
		b.Fatalf("%d events of %d registrations", next, b.N)
	}
	b.ReportMetric(each(sum, b.N), "all-cpu-ns")
	b.ReportMetric(float64(b.N)/sum.Seconds(), "lines/cpu-s")
}

func each(d time.Duration, n int) float64 { return float64(d.Nanoseconds()) / float64(n) }

// send has a client of its own send lines, and returns the processor time that this process took, how long it was, and the
// processor time of the client.
func (n *accepting) send(b *testing.B, shape string, lines int) (server, elapsed, client time.Duration) {
	b.Helper()
	before := cpuTime(b, syscall.RUSAGE_SELF)
	process := exec.Command(os.Args[0], "-test.run=^TestIntakeClient$")
	process.Env = append(os.Environ(), intakeURL+"="+n.base+"/v1/messages", intakeShape+"="+shape, intakeLines+"="+strconv.Itoa(lines))
	process.Stderr = os.Stderr
	out, err := process.Output()
	server = cpuTime(b, syscall.RUSAGE_SELF) - before
	must(b, err)
	_, err = fmt.Sscanf(string(out), "%d %d", &elapsed, &client)
	must(b, err)
	return server, elapsed, client
}

// The environment of the client's process.
const (
	intakeURL   = "CAROM_INTAKE_URL"
	intakeShape = "CAROM_INTAKE_SHAPE"
	intakeLines = "CAROM_INTAKE_LINES"

	intakeConnections = 4
	intakeBulk        = 10_000
)

// TestIntakeClient is BenchmarkIntake's client and no test: it says how long it took, and its own processor time.
func TestIntakeClient(t *testing.T) {
	url := os.Getenv(intakeURL)
	if url == "" {
		t.Skip("is the client of BenchmarkIntake")
	}
	format := intakeShapes[os.Getenv(intakeShape)]
	n, err := strconv.Atoi(os.Getenv(intakeLines))
	must(t, err)
	client := &fasthttp.Client{StreamResponseBody: true, MaxConnsPerHost: intakeConnections}
	var running sync.WaitGroup
	bulks := make(chan [2]int)
	began, before := time.Now(), cpuTime(t, syscall.RUSAGE_SELF)
	for range intakeConnections {
		running.Go(func() {
			for span := range bulks {
				if err := sendBulk(client, url, &numbered{format: format, next: span[0], end: span[1]}, span[1]-span[0]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for at := 0; at < n; at += intakeBulk {
		bulks <- [2]int{at, min(at+intakeBulk, n)}
	}
	close(bulks)
	running.Wait()
	if !t.Failed() {
		_, _ = fmt.Printf("%d %d\n", time.Since(began), cpuTime(t, syscall.RUSAGE_SELF)-before)
	}
}

// sendBulk sends lines and counts the answers, of which none may be a problem.
func sendBulk(client *fasthttp.Client, url string, body io.Reader, n int) error {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(url)
	req.Header.SetMethod("POST")
	req.Header.SetContentType(linesType)
	req.SetBodyStream(body, -1)
	if err := client.Do(req, resp); err != nil {
		return err
	}
	answers, buf := 0, make([]byte, 64<<10)
	for {
		k, err := resp.BodyStream().Read(buf)
		answers += bytes.Count(buf[:k], []byte("\n"))
		if bytes.Contains(buf[:k], []byte(problemType)) {
			return errors.New("a problem among the answers")
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if resp.StatusCode() != 200 || answers != n {
		return fmt.Errorf("status %d, %d answers to %d lines", resp.StatusCode(), answers, n)
	}
	return resp.CloseBodyStream()
}

// numbered reads lines of a format. It copies, because it shares the cores.
type numbered struct {
	format    string
	next, end int
	rest      []byte
}

func (l *numbered) Read(p []byte) (int, error) {
	for len(l.rest) < len(p) && l.next < l.end {
		before, after, more := strings.Cut(l.format, "%[")
		for more {
			n := l.next
			if after[0] == '2' {
				n = l.next / 2000 % 50
			}
			l.rest = strconv.AppendInt(append(l.rest, before...), int64(n), 10)
			before, after, more = strings.Cut(after[len("1]d"):], "%[")
		}
		l.rest = append(l.rest, before...)
		l.next++
	}
	if len(l.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, l.rest)
	l.rest = l.rest[:copy(l.rest, l.rest[n:])]
	return n, nil
}

// accepting is a node that accepts and does nothing else.
type accepting struct {
	base         string // of its API
	journal      *journal.Journal
	state        *kv.Store
	suppressions *log.Local
	accept       *pipeline.Acceptor
}

// newAccepting starts one. Its book of suppressions knows nobody of those who are mailed.
func newAccepting(b *testing.B) *accepting {
	b.Helper()
	heard, err := kv.Open(b.TempDir(), kv.Options{Role: kv.RoleJournal})
	must(b, err)
	b.Cleanup(func() { must(b, heard.Close()) })
	state, err := kv.Open(b.TempDir(), kv.Options{Role: kv.RoleState, CacheBytes: 256 << 20})
	must(b, err)
	b.Cleanup(func() { must(b, state.Close()) })
	j, err := journal.Open(heard, journal.Default(), journal.Deps{Node: "edge-1", Readers: []string{"refine"}})
	must(b, err)
	b.Cleanup(func() { must(b, j.Close()) })
	keys := testKeys(b)
	accept, err := pipeline.New(pipeline.Default(), j, bot.Default(), keys.ClientKey(), zap.NewNop(), prometheus.NewRegistry())
	must(b, err)
	suppressions, err := log.NewLocal(state, kv.LogSuppressions, 0)
	must(b, err)
	book, err := suppress.OpenBook(suppress.Default(), suppress.Secret{}, state, suppress.Log{In: suppressions}, zap.NewNop(), nil)
	must(b, err)
	minter, err := ref.NewMinter(keys, ref.MinterOptions{
		TrackBaseURL: "https://track.example.com", BounceDomain: "bounce.example.com", ReplyDomain: "reply.example.com",
	})
	must(b, err)
	o := Default()
	o.Listen = "127.0.0.1:0"
	s, err := New(o, Dependencies{
		Sink: accept, Minter: minter, Journal: j, Suppressions: book, Log: zap.NewNop(),
		Gatherer: prometheus.NewRegistry(), Registerer: prometheus.NewRegistry(), Clock: func() time.Time { return testNow },
	})
	must(b, err)
	must(b, s.Listen())
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{book.Run, s.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				b.Error(err)
			}
		})
	}
	b.Cleanup(running.Wait)
	b.Cleanup(stop)
	return &accepting{base: "http://" + s.Addr().String(), journal: j, state: state, suppressions: suppressions, accept: accept}
}

// cpuTime returns the processor time that a process has used.
func cpuTime(t testing.TB, who int) time.Duration {
	t.Helper()
	var u syscall.Rusage
	must(t, syscall.Getrusage(who, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
