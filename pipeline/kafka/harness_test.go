package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/zap/zaptest"
)

// testWait bounds what a test waits for, on a machine that does much else.
const testWait = 2 * time.Minute

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testWait)
	t.Cleanup(cancel)
	return ctx
}

// fake starts a cluster in this process.
func fake(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// options are those of one broker, of few partitions.
func options(brokers ...string) Options {
	o := Default()
	o.Development()
	o.Brokers = brokers
	o.Partitions = 4
	o.DialTimeout, o.RequestTimeout = time.Minute, time.Minute
	return o
}

func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := New(o, zaptest.NewLogger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// wantSetting checks that err names the setting and holds all words.
func wantSetting(t testing.TB, err error, key string, words ...string) {
	t.Helper()
	var setting *SettingError
	if !errors.As(err, &setting) {
		t.Errorf("got %v (%T), want an error of %s", err, err, key)
		return
	}
	text := setting.Error()
	if setting.Key != key || !strings.HasPrefix(text, key+": ") || strings.Contains(text, "\n") {
		t.Errorf("got %q, want one line about %s", text, key)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("got %q, want it to tell %q", text, word)
		}
	}
	if strings.Contains(text, secret) {
		t.Errorf("%q tells the password", text)
	}
}

const secret = "hush-hush"

func deleteTopics(t testing.TB, c *Client, names ...string) {
	t.Helper()
	answer, err := c.api.DeleteTopics(testContext(t), &kafkago.DeleteTopicsRequest{Topics: names})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range answer.Errors {
		if err != nil && !errors.Is(err, kafkago.UnknownTopicOrPartition) {
			t.Fatalf("delete topic %s: %v", name, err)
		}
	}
}

func createTopic(t testing.TB, c *Client, name string, partitions int) {
	t.Helper()
	answer, err := c.api.CreateTopics(testContext(t), &kafkago.CreateTopicsRequest{
		Topics: []kafkago.TopicConfig{{Topic: name, NumPartitions: partitions, ReplicationFactor: 1}},
	})
	if err == nil {
		err = answer.Errors[name]
	}
	if err != nil {
		t.Fatal(err)
	}
}

// eventually calls try until it succeeds.
func eventually(t testing.TB, try func(context.Context) error) {
	t.Helper()
	ctx := testContext(t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB) *authority {
	a := &authority{}
	a.cert, a.key = certificate(t, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour),
	})
	a.file = writePEM(t, "CERTIFICATE", a.cert.Raw)
	return a
}

func certificate(t testing.TB, by *authority, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// sign makes a certificate for 127.0.0.1, or for names, that is good until then.
func (a *authority) sign(t testing.TB, until time.Time, names ...string) tls.Certificate {
	template := &x509.Certificate{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, DNSNames: names}
	if len(names) == 0 {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	cert, key := certificate(t, a, template)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// files writes a certificate and its key.
func files(t testing.TB, cert tls.Certificate) (certFile, keyFile string) {
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "CERTIFICATE", cert.Certificate[0]), writePEM(t, "PRIVATE KEY", key)
}

func writePEM(t testing.TB, kind string, der []byte) string {
	return writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

func writeFile(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func counted(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
