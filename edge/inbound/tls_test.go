package inbound

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair writes a self-signed certificate and its key, and returns a pool that trusts it.
func pair(t *testing.T, certFile, keyFile, name string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
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
	replaceFile(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	replaceFile(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// replaceFile does as a careful renewal does: a new file under the old name.
func replaceFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func withTLS(t *testing.T) (f *fixture, pool *x509.CertPool) {
	t.Helper()
	return withCertificate(t, overTCP)
}

// withCertificate starts a server in one of two ways, overTCP and overPipes.
func withCertificate(t *testing.T, start func(testing.TB, func(*Options)) *fixture) (f *fixture, pool *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool = pair(t, cert, key, "mx.example.com")
	return start(t, func(o *Options) { o.TLSCertFile, o.TLSKeyFile = cert, key }), pool
}

// startTLS changes a client over; the certificate must be of the pool.
func (c *client) startTLS(pool *x509.CertPool) (*client, error) {
	c.t.Helper()
	c.do("STARTTLS", "220 2.0.0 Ready")
	secure := tls.Client(c.Conn, &tls.Config{RootCAs: pool, ServerName: "mx.example.com"})
	return newClient(c.t, secure), secure.Handshake()
}

func TestStartTLS(t *testing.T) {
	f, pool := withTLS(t)
	c := f.dial()
	c.want("220")
	if got := c.do("EHLO client.example.net", "250"); !strings.Contains(got, "\n250-STARTTLS\n") {
		t.Errorf("not announced: %q", got)
	}
	c.do("STARTTLS now", "501")
	c.begin(f.returnPath())
	c, err := c.startTLS(pool)
	if err != nil {
		t.Fatal(err)
	}
	// All is forgotten, RFC 3207 §4.2.
	c.do("RCPT TO:<"+f.returnPath()+">", "503 5.5.1")
	c.do("MAIL FROM:<>", "503 5.5.1 Send EHLO first")
	if got := c.do("EHLO client.example.net", "250"); strings.Contains(got, "STARTTLS") {
		t.Errorf("announced again: %q", got)
	}
	c.do("STARTTLS", "503 5.5.1 TLS is on already")
	if got := c.deliver(dsn("bob@example.org", "5.1.1", ""), f.returnPath()); !strings.HasSuffix(got, "events=1") {
		t.Errorf("got %q", got)
	}
	// A mail over TLS that is larger than every buffer.
	if got := c.deliver(strings.Repeat("Lorem ipsum dolor sit amet\r\n", 100_000), "postmaster"); !strings.HasPrefix(got, "250") {
		t.Errorf("got %q", got)
	}
	if mails := kept(f); len(mails) != 1 || !strings.Contains(mails[0], " with ESMTPS id ") {
		t.Errorf("%d mails kept", len(mails))
	}
	c.do("QUIT", "221")
	c.wantEnd()
}

func TestNoCertificate(t *testing.T) {
	c := overTCP(t, nil).dial()
	c.want("220")
	if got := c.do("EHLO client.example.net", "250"); strings.Contains(got, "STARTTLS") {
		t.Errorf("announced: %q", got)
	}
	c.do("STARTTLS", "502 5.5.1")
}

// What comes in the clear behind STARTTLS must not be taken for said under TLS.
func TestStartTLSInjection(t *testing.T) {
	f, pool := withTLS(t)
	c := f.dial()
	c.want("220")
	c.do("EHLO client.example.net", "250")
	c.send("STARTTLS\r\nEHLO evil.example.net\r\nMAIL FROM:<>\r\nRCPT TO:<" + f.returnPath() + ">\r\n")
	c.want("220 2.0.0")
	secure := tls.Client(c.Conn, &tls.Config{RootCAs: pool, ServerName: "mx.example.com"})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	c = newClient(t, secure)
	c.do("MAIL FROM:<>", "503 5.5.1 Send EHLO first")
	c.do("EHLO client.example.net", "250")
	c.do("DATA", "503")
	if n := f.count(f.metrics.injected); n != 1 {
		t.Errorf("%v injections counted", n)
	}
}

// A server that stops wakes all connections; one with a mail on its way goes on, TLS or not.
func TestStopUnderTLS(t *testing.T) {
	f, pool := withTLS(t)
	idle, err := f.hello().startTLS(pool)
	if err != nil {
		t.Fatal(err)
	}
	idle.do("EHLO client.example.net", "250")
	busy, err := f.hello().startTLS(pool)
	if err != nil {
		t.Fatal(err)
	}
	busy.do("EHLO client.example.net", "250")
	busy.begin(f.returnPath())
	stopped := make(chan error)
	go func() { stopped <- f.stop() }()
	idle.want("421 4.3.2")
	idle.wantEnd()
	busy.do("DATA", "354")
	busy.send(dsn("bob@example.org", "5.1.1", ""))
	busy.do(".", "250 2.0.0 Ok")
	busy.want("421 4.3.2")
	busy.wantEnd()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if n := len(f.sink.all()); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestHandshakeFails(t *testing.T) {
	f, _ := withTLS(t)
	c := f.hello()
	c.do("STARTTLS", "220")
	c.send("this is no handshake\r\n")
	_, _ = c.reply()
	eventually(t, func() bool { return f.gate.count() == 0 })
	if n := f.count(f.metrics.handshakes.WithLabelValues("failed")); n != 1 {
		t.Errorf("%v handshakes failed", n)
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	f, first := withTLS(t)
	cert, key := f.options.TLSCertFile, f.options.TLSKeyFile
	handshake := func(pool *x509.CertPool) error {
		f.certificate.mu.Lock()
		f.certificate.checked = time.Time{} // as if the last look were long ago
		f.certificate.mu.Unlock()
		c, err := f.hello().startTLS(pool)
		c.Close()
		return err
	}
	if err := handshake(first); err != nil {
		t.Fatal(err)
	}
	// Half a change, or a broken one, leaves the first in use.
	for _, broken := range []string{cert, key} {
		old, err := os.ReadFile(broken)
		if err != nil {
			t.Fatal(err)
		}
		for _, content := range []string{"", "-----BEGIN CERTIFICATE-----\nxxxx\n-----END CERTIFICATE-----\n"} {
			replaceFile(t, broken, []byte(content))
			if err := handshake(first); err != nil {
				t.Errorf("with a broken file: %v", err)
			}
		}
		if err := os.Remove(broken); err != nil {
			t.Fatal(err)
		}
		if err := handshake(first); err != nil {
			t.Errorf("without a file: %v", err)
		}
		replaceFile(t, broken, old)
	}
	// A change of one file after the other.
	dir := t.TempDir()
	second := pair(t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), "mx.example.com")
	for i, name := range []string{"cert.pem", "key.pem"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		replaceFile(t, []string{cert, key}[i], content)
		if want := []*x509.CertPool{first, second}[i]; handshake(want) != nil {
			t.Errorf("%s changed: not the certificate that was expected", name)
		}
	}
	if err := handshake(second); err != nil {
		t.Errorf("after the change: %v", err)
	}
	if err := handshake(first); err == nil {
		t.Error("the first is still in use")
	}
	// Within a second of the last look the files are left alone.
	c, err := f.hello().startTLS(second)
	if err != nil {
		t.Fatal(err)
	}
	third := pair(t, cert, key, "mx.example.com")
	f.certificate.mu.Lock()
	f.certificate.checked = time.Now().Add(time.Hour)
	f.certificate.mu.Unlock()
	if _, err := f.hello().startTLS(third); err == nil {
		t.Error("read again at once")
	}
	c.do("EHLO client.example.net", "250") // a connection keeps what it began with
}

func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl here")
	}
	f, _ := withTLS(t)
	cmd := exec.Command(openssl, "s_client", "-connect", f.Addr().String(), "-starttls", "smtp", "-CAfile", f.options.TLSCertFile,
		"-verify_return_error", "-verify_hostname", "mx.example.com", "-quiet", "-crlf")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = in.Write([]byte("EHLO client.example.net\nMAIL FROM:<>\nRCPT TO:<" + f.returnPath() + ">\nDATA\nSubject: x\n\nx\n.\nQUIT\n"))
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"250 2.1.0 Sender ok", "250 2.1.5 Recipient ok", "354 ", "250 2.0.0 Ok", "221 2.0.0 Bye"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
