package wire

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
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/bench/targets"
	"carom/edge/inbound"
	"carom/edge/ref"
	"carom/kv"
	"carom/pipeline"
	"carom/pipeline/bot"
	"carom/pipeline/journal"
)

// patience bounds every wait of the tests.
const patience = 30 * time.Second

// realServer is a mail edge with a journal on disk.
type realServer struct {
	*inbound.Server
	journal *journal.Journal
	keys    *ref.Keyring
	trust   *x509.CertPool // knows its certificate
}

const serverName = "localhost"

func startReal(t *testing.T, change func(*inbound.Options)) *realServer {
	t.Helper()
	dir := t.TempDir()
	file, err := ref.NewKeyFile()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ref.ParseKeyring(file)
	if err != nil {
		t.Fatal(err)
	}
	log, reg := zap.NewNop(), prometheus.NewRegistry()
	store, err := kv.Open(filepath.Join(dir, "journal"), kv.Options{Role: kv.RoleJournal, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(store, journal.Default(), journal.Deps{Node: "n", Logger: log, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	accept, err := pipeline.New(pipeline.Default(), j, bot.Default(), keys.ClientKey(), log, reg)
	if err != nil {
		t.Fatal(err)
	}
	o := inbound.Default()
	o.Listen, o.Hostname, o.PostmasterDir = "127.0.0.1:0", serverName, dir
	o.BounceDomain, o.ReplyDomain, o.FeedbackAddresses = "bounce.example.com", "reply.example.com", []string{"fbl@bounce.example.com"}
	o.TLSCertFile, o.TLSKeyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	trust := writePair(t, o.TLSCertFile, o.TLSKeyFile)
	if change != nil {
		change(&o)
	}
	server, err := inbound.New(o, keys, accept, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, j.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return &realServer{server, j, keys, trust}
}

// writePair writes a self-signed certificate and its key, and returns a pool that trusts it.
func writePair(t *testing.T, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: serverName}, DNSNames: []string{serverName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

func (s *realServer) generator(t *testing.T, recipients int, sizes targets.Sizes) *targets.Generator {
	t.Helper()
	o := targets.DefaultMails()
	o.Keys, o.BounceDomain, o.ReplyDomain, o.Feedback = s.keys, "bounce.example.com", "reply.example.com", "fbl@bounce.example.com"
	o.Recipients, o.Sizes = recipients, sizes
	g, err := targets.NewGenerator(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return g
}

// As many events are in the journal as the answers told of, however the mails are sent.
func TestSMTPEventsInTheJournal(t *testing.T) {
	// A client is told to go after so many mails, which costs no mail.
	s := startReal(t, func(o *inbound.Options) { o.MaxMessagesPerConnection = 7 })
	for _, group := range []bool{true, false} {
		for _, chunk := range []bool{true, false} {
			for _, secure := range []bool{true, false} {
				for perConnection, recipients := range map[int]int{0: 1, 3: 4} {
					sizes := targets.Sizes{To: (recipients - 1) * maxCopied}
					name := fmt.Sprintf("group %v, chunk %v, secure %v, %d a connection, %d recipients", group, chunk, secure, perConnection, recipients)
					t.Run(name, func(t *testing.T) {
						o := SMTPDefault()
						o.Address, o.Pipelining, o.Chunking, o.StartTLS, o.MailsPerConnection = s.Addr().String(), group, chunk, secure, perConnection
						o.TLS = &tls.Config{RootCAs: s.trust, ServerName: serverName}
						sendAll(t, s, o, s.generator(t, recipients, sizes), recipients)
					})
				}
			}
		}
	}
}

func sendAll(t *testing.T, s *realServer, o SMTPOptions, g *targets.Generator, recipients int) {
	t.Helper()
	_, before := s.journal.Bounds()
	const clients, mails = 3, 10
	var counts SMTPCounts
	var items atomic.Int64
	var all sync.WaitGroup
	for range clients {
		c, err := NewSMTP(o, g.Feed(), &counts)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for range mails {
				a := do(c)
				if a.Err != nil || a.Code != 250 || a.Items != recipients || a.Bytes < 500 {
					t.Errorf("%+v", a)
				}
				items.Add(int64(a.Items))
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if _, after := s.journal.Bounds(); after-before != items.Load() || items.Load() != clients*mails*int64(recipients) {
		t.Errorf("%d events in the journal, %d told", after-before, items.Load())
	}
	connections := int64(clients * 2)
	if o.MailsPerConnection > 0 {
		connections = clients * int64((mails+o.MailsPerConnection-1)/o.MailsPerConnection)
	} else if counts.Ended.Load() != clients {
		t.Errorf("%d connections were ended by the server, not %d", counts.Ended.Load(), clients)
	}
	if counts.Connections.Load() != connections {
		t.Errorf("%d connections, not %d", counts.Connections.Load(), connections)
	}
}

// A mail of one's own is delivered as it is.
func TestSMTPOwnMails(t *testing.T) {
	s := startReal(t, nil)
	text := "From: bob@example.net\nSubject: Re: x\nMessage-ID: <1@example.net>\n\n.\n..\n.hidden\n\nÄ\n."
	name := filepath.Join(t.TempDir(), "own.eml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, chunk := range []bool{true, false} {
		corpus, err := targets.ReadCorpus(name, targets.CorpusOptions{To: []string{"postmaster@bounce.example.com", "fbl@bounce.example.com"}, Recipients: 2})
		if err != nil {
			t.Fatal(err)
		}
		o := SMTPDefault()
		o.Address, o.Chunking = s.Addr().String(), chunk
		c, err := NewSMTP(o, corpus.Feed(), new(SMTPCounts))
		if err != nil {
			t.Fatal(err)
		}
		if a := do(c); a.Err != nil || a.Code != 250 || a.Kind != "mail" || a.Items != 0 {
			t.Errorf("%+v", a)
		}
		_ = c.Close()
	}
}

func TestSMTPCertificate(t *testing.T) {
	s := startReal(t, nil)
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		tls  *tls.Config
		ok   bool
	}{
		{"not trusted", nil, false},
		{"another name", &tls.Config{RootCAs: s.trust, ServerName: "mx.example.net"}, false},
		{"trusted", &tls.Config{RootCAs: s.trust, ServerName: serverName}, true},
		{"unchecked", &tls.Config{InsecureSkipVerify: true}, true},
	} {
		o := SMTPDefault()
		o.Address, o.StartTLS, o.TLS = "127.0.0.1:"+port, true, tt.tls
		c, err := NewSMTP(o, s.generator(t, 1, targets.Sizes{}).Feed(), new(SMTPCounts))
		if err != nil {
			t.Fatal(err)
		}
		if a := do(c); (a.Err == nil) != tt.ok {
			t.Errorf("%s: %+v", tt.name, a)
		}
		_ = c.Close()
	}
}
