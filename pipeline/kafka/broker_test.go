package kafka

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The tests named TestBroker… need a real broker, which `make test-kafka` starts; the variables say where.

// broker returns the settings for a listener of the real broker, and a topic prefix of this test's own. listener is
// empty, or _SASL, _TLS or _SASL_TLS.
func broker(t testing.TB, listener string) Options {
	t.Helper()
	if os.Getenv("CAROM_TEST_KAFKA") == "" {
		t.Skip("CAROM_TEST_KAFKA is not set: there is no Kafka broker; 'make test-kafka' starts one")
	}
	address := os.Getenv("CAROM_TEST_KAFKA" + listener)
	if address == "" {
		t.Fatalf("CAROM_TEST_KAFKA%s is not set", listener)
	}
	o := options(address)
	o.TopicPrefix = "carom-test-" + strings.ToLower(rand.Text())
	return o
}

// secretFile returns a file that the broker's start made.
func secretFile(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(os.Getenv("CAROM_TEST_KAFKA_SECRETS"), name)
}

func TestBrokerTopics(t *testing.T) {
	testTopics(t, broker(t, ""))
}

func TestBrokerSASL(t *testing.T) {
	for _, mechanism := range []string{Plain, ScramSHA256, ScramSHA512} {
		o := broker(t, "_SASL")
		o.SASLMechanism, o.SASLUsername, o.SASLPasswordFile = mechanism, "carom", secretFile(t, "password")
		if err := newClient(t, o).Check(testContext(t)); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
		o.SASLUsername = "eve"
		wantSetting(t, newClient(t, o).Check(testContext(t)), "kafka.sasl_username", `"eve": the broker refuses`)
		o.SASLUsername, o.SASLPasswordFile, o.SASLPassword = "carom", "", secret
		wantSetting(t, newClient(t, o).Check(testContext(t)), "kafka.sasl_username", `"carom": the broker refuses`)
	}
	wantSetting(t, newClient(t, broker(t, "_SASL")).Check(testContext(t)), "kafka.sasl_mechanism", "is empty, but")
	o := broker(t, "")
	o.SASLMechanism, o.SASLUsername, o.SASLPassword = Plain, "carom", secret
	wantSetting(t, newClient(t, o).Check(testContext(t)), "kafka.sasl_mechanism", `"plain": the broker takes no credentials there`)
}

func TestBrokerTLS(t *testing.T) {
	o := broker(t, "_TLS")
	wantSetting(t, newClient(t, o).Check(testContext(t)), "kafka.tls", "false, but")
	o.TLS = true
	wantSetting(t, newClient(t, o).Check(testContext(t)), "kafka.tls_ca_file", "empty: does not vouch")
	o.TLSCAFile = secretFile(t, "stranger.pem")
	wantSetting(t, newClient(t, o).Check(testContext(t)), "kafka.tls_ca_file", "stranger.pem")
	o.TLSCAFile = secretFile(t, "ca.pem")
	if err := newClient(t, o).Check(testContext(t)); err != nil {
		t.Error(err)
	}
	plain := broker(t, "")
	plain.TLS = true
	wantSetting(t, newClient(t, plain).Check(testContext(t)), "kafka.tls", "true, but the broker does not speak TLS")
}

// This listener wants TLS, a certificate and SCRAM-SHA-512.
func TestBrokerSASLTLS(t *testing.T) {
	full := broker(t, "_SASL_TLS")
	full.TLS, full.TLSCAFile, full.TLSCertFile, full.TLSKeyFile = true, secretFile(t, "ca.pem"), secretFile(t, "client.pem"), secretFile(t, "client.key")
	full.SASLMechanism, full.SASLUsername, full.SASLPasswordFile = ScramSHA512, "carom", secretFile(t, "password")
	for _, test := range []struct {
		key, want string
		mend      func(*Options)
	}{
		{"kafka.tls_cert_file", "is empty, but the broker wants", func(o *Options) { o.TLSCertFile, o.TLSKeyFile = "", "" }},
		{"kafka.tls_cert_file", "stranger.pem", func(o *Options) {
			o.TLSCertFile, o.TLSKeyFile = secretFile(t, "stranger.pem"), secretFile(t, "stranger.key")
		}},
		{"kafka.sasl_mechanism", `"plain": the broker does not offer it`, func(o *Options) { o.SASLMechanism = Plain }},
		{"kafka.sasl_mechanism", "is empty, but", func(o *Options) { o.SASLMechanism, o.SASLUsername, o.SASLPasswordFile = "", "", "" }},
		{"kafka.sasl_username", `"carom": the broker refuses`, func(o *Options) { o.SASLPasswordFile, o.SASLPassword = "", secret }},
		{"kafka.tls", "false, but", func(o *Options) { o.TLS, o.TLSCAFile, o.TLSCertFile, o.TLSKeyFile = false, "", "", "" }},
	} {
		o := full
		test.mend(&o)
		wantSetting(t, newClient(t, o).Check(testContext(t)), test.key, test.want)
	}
	testTopics(t, full)
}

// The ports of the broker's controller and of nobody.
func TestBrokerUnreachable(t *testing.T) {
	o := broker(t, "")
	o.Brokers = []string{nobody(t), o.Brokers[0]}
	eventually(t, func(ctx context.Context) error { return newClient(t, o).Check(ctx) })
}
