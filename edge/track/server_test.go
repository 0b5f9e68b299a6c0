package track

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"carom/edge/ref"
)

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for listen, want := range map[string]string{
		taken.Addr().String(): `track.listen: "` + taken.Addr().String() + `": another program listens there already`,
		"203.0.113.1:0":       `track.listen: "203.0.113.1:0": `,
		"no.such.invalid:0":   `track.listen: "no.such.invalid:0": `,
	} {
		o := testOptions()
		o.Listen = listen
		s, err := New(o, newKeys(t), &memorySink{}, zap.NewNop(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("the error is %v, want %s", err, want)
		}
		if s.Addr() != nil {
			t.Errorf("it listens on %s", s.Addr())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestCloseTwice(t *testing.T) {
	r := start(t, testOptions())
	r.hold(t)
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-r.done; err != nil {
		t.Errorf("Run returned %v", err)
	}
	if _, err := net.Dial("tcp", r.addr); err == nil {
		t.Error("the port is still open")
	}
	if err := r.Listen(); err == nil {
		t.Error("a closed server listens")
	}
}

// TestShutdown stops the server amid connections of all kinds: the request in flight is answered, the others are closed.
func TestShutdown(t *testing.T) {
	for _, bound := range []int{0, 100} { // of requests: with one, fasthttp has the connections from the start
		t.Run(fmt.Sprint(bound), func(t *testing.T) {
			o := testOptions()
			o.MaxRequestsPerConnection = bound
			testShutdown(t, o)
		})
	}
}

func testShutdown(t *testing.T, o Options) {
	t.Helper()
	r := start(t, o)
	called, release := make(chan struct{}), make(chan struct{})
	r.sink.before = func() {
		close(called)
		<-release
	}
	idle, unused := r.hold(t), r.dial(t)
	eventually(t, "both connections are accepted", func() bool { return r.listener.open() == 2 })

	answered := make(chan answer)
	url := r.url(t, ref.OpenPixel, typical)
	go func() {
		defer close(answered) // also when there is none
		answered <- do(t, "GET", url, "")
	}()
	<-called
	r.stop()
	eventually(t, "the port is closed", func() bool {
		c, err := net.Dial("tcp", r.addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	for name, c := range map[string]net.Conn{"idle": idle, "unused": unused} {
		if text := readAll(t, c); text != "" {
			t.Errorf("on the %s connection came %q", name, text)
		}
	}
	select {
	case err := <-r.done:
		t.Fatalf("Run returned %v with a request in flight", err)
	default:
	}
	close(release)
	a, ok := <-answered
	if !ok {
		return
	}
	wantPixel(t, a)
	if !a.Close {
		t.Error("the last answer doesn't say that the connection is closed")
	}
	if err := <-r.done; err != nil {
		t.Errorf("Run returned %v", err)
	}
	r.sink.take1(t)
	if n := r.metric(t, "carom_track_connections"); n != 0 {
		t.Errorf("%v connections are still counted", n)
	}
}

// TestShutdownCutsOff stops the server while a request doesn't end.
func TestShutdownCutsOff(t *testing.T) {
	o := testOptions()
	o.ShutdownTimeout = 50 * time.Millisecond
	r := start(t, o)
	c := r.dial(t)
	if _, err := io.WriteString(c, "GET /o/"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request has begun", func() bool {
		list := r.listener.list()
		return len(list) == 1 && list[0].phase.Load() == phaseBusy
	})
	r.stop()
	if err := <-r.done; err != nil {
		t.Errorf("Run returned %v", err)
	}
	if text := readAll(t, c); strings.Contains(text, "200 OK") {
		t.Errorf("the answer is %q", text)
	}
}

func TestRunBeforeListen(t *testing.T) {
	s, err := New(testOptions(), newKeys(t), &memorySink{}, zap.NewNop(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err == nil {
		t.Error("it runs without a port")
	}
}

func TestOptions(t *testing.T) {
	valid := []func(*Options){
		func(o *Options) {},
		func(o *Options) { o.Listen = "[::1]:0" },
		func(o *Options) { o.Listen = "localhost:65535" },
		func(o *Options) { o.BaseURL = "http://localhost:8080/" },
		func(o *Options) { o.BaseURL = "https://example.com/a/b" },
		func(o *Options) {
			o.TrustedProxies = []string{"10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1", "10.1.2.3/8"}
		},
		func(o *Options) { o.TrustedProxies, o.ProxyProtocol = []string{"10.0.0.0/8"}, true },
		func(o *Options) { o.ShutdownTimeout = 0 },
	}
	for i, change := range valid {
		o := testOptions()
		change(&o)
		if err := o.Validate(); err != nil {
			t.Errorf("valid options %d: %v", i, err)
		}
	}
	invalid := map[string]func(*Options){
		`listen: ":foo": want host:port, or :port`:             func(o *Options) { o.Listen = ":foo" },
		`listen: "8080": want host:port, or :port`:             func(o *Options) { o.Listen = "8080" },
		`listen: "": want host:port, or :port`:                 func(o *Options) { o.Listen = "" },
		`listen: ":65536": want host:port, or :port`:           func(o *Options) { o.Listen = ":65536" },
		`listen: ":+80": want host:port, or :port`:             func(o *Options) { o.Listen = ":+80" },
		`listen: ":080": want host:port, or :port`:             func(o *Options) { o.Listen = ":080" },
		`listen: "http://a:80": want host:port, or :port`:      func(o *Options) { o.Listen = "http://a:80" },
		`base_url: "": want the public URL of this listener`:   func(o *Options) { o.BaseURL = "" },
		`base_url: "track.example.com": want http://`:          func(o *Options) { o.BaseURL = "track.example.com" },
		`base_url: "ftp://example.com": want http://`:          func(o *Options) { o.BaseURL = "ftp://example.com" },
		`base_url: "https://": want http://`:                   func(o *Options) { o.BaseURL = "https://" },
		`base_url: "https://:80": want http://`:                func(o *Options) { o.BaseURL = "https://:80" },
		`base_url: "https://u@example.com": want http://`:      func(o *Options) { o.BaseURL = "https://u@example.com" },
		`base_url: "https://example.com/?": want http://`:      func(o *Options) { o.BaseURL = "https://example.com/?" },
		`base_url: "https://example.com/#a": want http://`:     func(o *Options) { o.BaseURL = "https://example.com/#a" },
		`base_url: "https://example.com/x`:                     func(o *Options) { o.BaseURL = "https://example.com/" + strings.Repeat("x", maxBaseURL) },
		`trusted_proxies: "10.0.0.0/33": want an address`:      func(o *Options) { o.TrustedProxies = []string{"::1", "10.0.0.0/33"} },
		`trusted_proxies: "proxy.example.com": want an addres`: func(o *Options) { o.TrustedProxies = []string{"proxy.example.com"} },
		`trusted_proxies: "fe80::1%eth0": want an address`:     func(o *Options) { o.TrustedProxies = []string{"fe80::1%eth0"} },
		`trusted_proxies: 65537 entries: want at most 65536`:   func(o *Options) { o.TrustedProxies = make([]string, maxTrustedPrefix+1) },
		`proxy_protocol: true: want the proxies in trusted`:    func(o *Options) { o.ProxyProtocol = true },
		`max_connections: 0: want 1 to 1000000`:                func(o *Options) { o.MaxConnections = 0 },
		`max_connections_per_client: -1: want 0 to 1000000`:    func(o *Options) { o.MaxConnectionsPerClient = -1 },
		`max_requests_per_connection: -1: want 0 to`:           func(o *Options) { o.MaxRequestsPerConnection = -1 },
		`max_header_bytes: 16383: want 16384 to 1048576`:       func(o *Options) { o.MaxHeaderBytes = 16383 },
		`max_body_bytes: 1048577: want 1024 to 1048576`:        func(o *Options) { o.MaxBodyBytes = 1048577 },
		`read_timeout: 99ms: want 100ms to 10m0s`:              func(o *Options) { o.ReadTimeout = 99 * time.Millisecond },
		`write_timeout: 0s: want 100ms to 10m0s`:               func(o *Options) { o.WriteTimeout = 0 },
		`idle_timeout: 1h0m0.001s: want 100ms to 1h0m0s`:       func(o *Options) { o.IdleTimeout = time.Hour + time.Millisecond },
		`shutdown_timeout: -1ns: want 0s to 10m0s`:             func(o *Options) { o.ShutdownTimeout = -1 },
	}
	for want, change := range invalid {
		o := testOptions()
		change(&o)
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("the error is %v, want %s", err, want)
		}
		if _, err := New(o, newKeys(t), &memorySink{}, zap.NewNop(), nil); err == nil {
			t.Errorf("New takes what is wrong: %s", want)
		}
	}
	if err := Default().Validate(); err == nil || !strings.HasPrefix(err.Error(), "base_url: ") {
		t.Errorf("the defaults lack the base URL alone, but: %v", err)
	}
}
