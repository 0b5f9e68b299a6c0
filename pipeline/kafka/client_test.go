package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/zap"
)

func TestNewRefuses(t *testing.T) {
	authority := newAuthority(t)
	cert, _ := files(t, authority.sign(t, time.Now().Add(time.Hour)))
	_, key := files(t, authority.sign(t, time.Now().Add(time.Hour)))
	for _, test := range []struct {
		key  string
		mend func(*Options)
		want string
	}{
		{"kafka.brokers", func(o *Options) { o.Brokers = nil }, "is empty"},
		{"kafka.tls_ca_file", func(o *Options) { o.TLS, o.TLSCAFile = true, "/nowhere/ca.pem" }, "no such file"},
		{"kafka.tls_ca_file", func(o *Options) { o.TLS, o.TLSCAFile = true, writeFile(t, "no PEM") }, "want certificates in PEM"},
		{"kafka.tls_cert_file", func(o *Options) { o.TLS, o.TLSCertFile, o.TLSKeyFile = true, cert, key }, "does not match"},
		{"kafka.sasl_password_file", func(o *Options) { o.SASLPassword, o.SASLPasswordFile = "", "/nowhere/password" }, "no such file"},
		{"kafka.sasl_password_file", func(o *Options) { o.SASLPassword, o.SASLPasswordFile = "", t.TempDir() }, "want a file"},
		{"kafka.sasl_password_file", func(o *Options) { o.SASLPassword, o.SASLPasswordFile = "", writeFile(t, "\nx") }, "first line is empty"},
		{"kafka.sasl_password_file", func(o *Options) { o.SASLPassword, o.SASLPasswordFile = "", writeFile(t, strings.Repeat("x", 1<<17)) }, "at most 65536 bytes"},
		{"kafka.sasl_username", func(o *Options) { o.SASLUsername = "a\u0007b" }, "can't be used"},
	} {
		o := options("127.0.0.1:1")
		o.SASLMechanism, o.SASLUsername, o.SASLPassword = ScramSHA256, "carom", secret
		test.mend(&o)
		_, err := New(o, zap.NewNop(), prometheus.NewRegistry())
		wantSetting(t, err, test.key, test.want)
	}
	o := options("127.0.0.1")
	if _, err := New(o, zap.NewNop(), prometheus.NewRegistry()); err == nil || !strings.HasPrefix(err.Error(), "kafka.brokers: ") {
		t.Errorf("got %v", err)
	}
}

func TestPasswordFile(t *testing.T) {
	for _, text := range []string{secret, secret + "\n", secret + "\r\n", secret + "\nmore"} {
		got, err := Options{SASLPasswordFile: writeFile(t, text)}.password()
		if err != nil || got != secret {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

func TestCheck(t *testing.T) {
	c := newClient(t, options(fake(t, kfake.NumBrokers(3)).ListenAddrs()...))
	if err := c.Check(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if n := counted(t, c.metrics.connections); n < 4 {
		t.Errorf("%v connections are counted, want one and one for each broker at least", n)
	}
}

// nobody returns an address at which nothing listens.
func nobody(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestCheckUnreachable(t *testing.T) {
	first, second := nobody(t), nobody(t)
	c := newClient(t, options(first, second))
	err := c.Check(testContext(t))
	wantSetting(t, err, "kafka.brokers", first+": connect: connection refused", second+": connect: connection refused")
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v is not ErrUnreachable", err)
	}
	if n := counted(t, c.metrics.errors.WithLabelValues("brokers")); n != 1 {
		t.Errorf("%v errors are counted, want 1", n)
	}
	err = newClient(t, options("no-such-host.invalid:9092")).Check(testContext(t))
	wantSetting(t, err, "kafka.brokers", "no-such-host.invalid")
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v is not ErrUnreachable", err)
	}
	if _, err := Dial(testContext(t), options(first), zap.NewNop(), prometheus.NewRegistry()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("Dial: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := newClient(t, options(first)).Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// One broker that is away does not matter, whichever is tried first.
func TestCheckOneOfMany(t *testing.T) {
	there := fake(t).ListenAddrs()[0]
	for range 5 {
		if err := newClient(t, options(nobody(t), there, nobody(t))).Check(testContext(t)); err != nil {
			t.Error(err)
		}
	}
}

// Who connects at the first address is told of another, which must be right too.
func TestCheckAdvertised(t *testing.T) {
	cluster := fake(t)
	away := nobody(t)
	cluster.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		response := request.ResponseKind().(*kmsg.MetadataResponse)
		broker := kmsg.NewMetadataResponseBroker()
		address, err := net.ResolveTCPAddr("tcp", away)
		if err != nil {
			t.Error(err)
		}
		broker.NodeID, broker.Host, broker.Port = 7, address.IP.String(), int32(address.Port)
		response.Brokers = append(response.Brokers, broker)
		return response, nil, true
	})
	err := newClient(t, options(cluster.ListenAddrs()...)).Check(testContext(t))
	wantSetting(t, err, "kafka.brokers", "advertised.listeners", "broker 7: "+away)
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v is not ErrUnreachable", err)
	}
}

func TestCheckOldBrokers(t *testing.T) {
	err := newClient(t, options(fake(t, kfake.MaxVersions(kversion.V2_7_0())).ListenAddrs()...)).Check(testContext(t))
	wantSetting(t, err, "kafka.brokers", "want Kafka 3.1 or newer")
}

// stranger accepts connections and serves them with serve.
func stranger(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			go serve(conn)
		}
	}()
	return l.Addr().String()
}

func TestCheckStrangers(t *testing.T) {
	hangUp := func(c net.Conn) { _ = c.Close() }
	silent := func(net.Conn) {}
	web := func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	}
	alert := func(c net.Conn) {
		_, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 10}) // unexpected_message
		_ = c.Close()
	}
	secured := newAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{secured.sign(t, time.Now().Add(time.Hour))}}
	speaksTLS := func(c net.Conn) {
		_ = tls.Server(c, server).Handshake()
		_ = c.Close()
	}
	for _, test := range []struct {
		name  string
		serve func(net.Conn)
		tls   bool
		key   string
		want  string
		away  bool
	}{
		{"hangs up", hangUp, false, "kafka.tls", "false, but the broker hangs up", true},
		{"silent", silent, false, "kafka.brokers", "no answer in time", true},
		{"web", web, false, "kafka.brokers", "does not answer as a Kafka broker does", false},
		{"alert", alert, false, "kafka.tls", "false, but", false},
		{"speaks TLS", speaksTLS, false, "kafka.tls", "false, but", true}, // Go's server sends no alert
		{"hangs up on TLS", hangUp, true, "kafka.tls", "true, but the broker does not speak TLS", false},
		{"silent on TLS", silent, true, "kafka.brokers", "can't be reached", true},
		{"web on TLS", web, true, "kafka.tls", "true, but the broker does not speak TLS", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := options(stranger(t, test.serve))
			o.TLS = test.tls
			if strings.HasPrefix(test.name, "silent") {
				o.DialTimeout = minDial
			}
			err := newClient(t, o).Check(testContext(t))
			wantSetting(t, err, test.key, test.want, o.Brokers[0])
			if errors.Is(err, ErrUnreachable) != test.away {
				t.Errorf("%v: unreachable is %v, want %v", err, !test.away, test.away)
			}
		})
	}
}

func TestCheckTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	cert, key := files(t, ours.sign(t, later))
	otherCert, otherKey := files(t, theirs.sign(t, later))
	clients := x509.NewCertPool()
	clients.AddCert(ours.cert)
	for _, test := range []struct {
		name   string
		server tls.Certificate
		asks   bool // for a client's certificate
		mend   func(*Options)
		key    string // of the error; empty: none
		want   string
	}{
		{"fine", ours.sign(t, later), false, nil, "", ""},
		{"client certificate", ours.sign(t, later), true, func(o *Options) { o.TLSCertFile, o.TLSKeyFile = cert, key }, "", ""},
		{"unknown authority", theirs.sign(t, later), false, nil, "kafka.tls_ca_file", "does not vouch"},
		{"system's authorities", ours.sign(t, later), false, func(o *Options) { o.TLSCAFile = "" }, "kafka.tls_ca_file", "empty: does not vouch"},
		{"other name", ours.sign(t, later, "broker.example.com"), false, nil, "kafka.brokers", "is for another name"},
		{"expired", ours.sign(t, time.Now().Add(-time.Hour)), false, nil, "kafka.tls", "expired"},
		{"no client certificate", ours.sign(t, later), true, nil, "kafka.tls_cert_file", "is empty, but the broker wants"},
		{"wrong client certificate", ours.sign(t, later), true, func(o *Options) { o.TLSCertFile, o.TLSKeyFile = otherCert, otherKey }, "kafka.tls_cert_file", "refuses it"},
		{"plain client", ours.sign(t, later), false, func(o *Options) { o.TLS, o.TLSCAFile = false, "" }, "kafka.tls", "false, but"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{test.server}}
			if test.asks {
				config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clients
			}
			o := options(fake(t, kfake.TLS(config)).ListenAddrs()...)
			o.TLS, o.TLSCAFile = true, ours.file
			if test.mend != nil {
				test.mend(&o)
			}
			err := newClient(t, o).Check(testContext(t))
			if test.key == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantSetting(t, err, test.key, test.want)
			if errors.Is(err, ErrUnreachable) && o.TLS {
				t.Errorf("%v: trying again does not help", err)
			}
		})
	}
}

func TestCheckSASL(t *testing.T) {
	open := fake(t).ListenAddrs()
	secured := fake(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "carom", secret),
		kfake.Superuser("SCRAM-SHA-256", "carom", secret), kfake.Superuser("SCRAM-SHA-512", "carom", secret)).ListenAddrs()
	for _, mechanism := range []string{Plain, ScramSHA256, ScramSHA512} {
		o := options(secured...)
		o.SASLMechanism, o.SASLUsername, o.SASLPassword = mechanism, "carom", secret
		if err := newClient(t, o).Check(testContext(t)); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
		o.SASLPassword += "!"
		wantSetting(t, newClient(t, o).Check(testContext(t)), "kafka.sasl_username", `"carom": the broker `)
		o.SASLUsername = "eve"
		wantSetting(t, newClient(t, o).Check(testContext(t)), "kafka.sasl_username", `"eve": the broker `)
	}
	wantSetting(t, newClient(t, options(secured...)).Check(testContext(t)), "kafka.sasl_mechanism", "is empty, but the broker seems to demand")
	o := options(open...)
	o.SASLMechanism, o.SASLUsername, o.SASLPassword = Plain, "carom", secret
	wantSetting(t, newClient(t, o).Check(testContext(t)), "kafka.sasl_username", "hung up at the credentials") // which this one wants not
}

// A user that may not see the topics is told so.
func TestForbidden(t *testing.T) {
	o := options(fake(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "x"), kfake.User("PLAIN", "carom", secret)).ListenAddrs()...)
	o.SASLMechanism, o.SASLUsername, o.SASLPassword = Plain, "carom", secret
	c := newClient(t, o)
	if err := c.Check(testContext(t)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Topics(testContext(t))
	wantSetting(t, err, "kafka.sasl_username", `"carom": the broker does not allow`, "carom.raw")
	_, err = c.Plan(testContext(t))
	wantSetting(t, err, "kafka.sasl_username", `"carom": the broker does not allow`)
}

// A client outlives an outage of its cluster.
func TestOutage(t *testing.T) {
	var address string
	listen := func(network, _ string) (net.Listener, error) {
		if address == "" {
			address = nobody(t)
		}
		return net.Listen(network, address)
	}
	cluster := fake(t, kfake.ListenFn(listen))
	c := newClient(t, options(address))
	if err := c.Check(testContext(t)); err != nil {
		t.Fatal(err)
	}
	cluster.Close()
	err := c.Check(testContext(t))
	wantSetting(t, err, "kafka.brokers", address)
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v is not ErrUnreachable", err)
	}
	fake(t, kfake.ListenFn(listen))
	eventually(t, c.Check)
}
