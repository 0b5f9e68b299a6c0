package inbound

import (
	"crypto/tls"
	"io/fs"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// recheckAfter is how often the certificate's files are looked at, at most.
const recheckAfter = time.Second

// certificate is what STARTTLS shows. It reads its files again when they have changed; files that don't make a
// certificate (one of the pair is still the old one, say) leave the last in use.
type certificate struct {
	certFile, keyFile string
	config            *tls.Config
	log               *zap.Logger
	metrics           *metrics

	mu      sync.Mutex
	current *tls.Certificate
	files   [2]fs.FileInfo // as they were when last read
	checked time.Time
}

func openCertificate(certFile, keyFile string, log *zap.Logger, m *metrics) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, metrics: m}
	c.config = &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}
	files, err := c.stat()
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	c.current, c.files, c.checked = &pair, files, time.Now()
	return c, nil
}

func (c *certificate) stat() (files [2]fs.FileInfo, err error) {
	for i, name := range [2]string{c.certFile, c.keyFile} {
		if files[i], err = os.Stat(name); err != nil {
			return files, err
		}
	}
	return files, nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= recheckAfter {
		c.checked = now
		c.reload()
	}
	return c.current, nil
}

// reload reads the files if they are others than those last read. They are looked at before they are read: if they
// change in between, the next look finds that.
func (c *certificate) reload() {
	files, err := c.stat()
	if err == nil && same(files[0], c.files[0]) && same(files[1], c.files[1]) {
		return
	}
	if err == nil {
		c.files = files
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err == nil {
			c.current = &pair
			c.metrics.reloads.WithLabelValues("done").Inc()
			c.log.Info("certificate read again", zap.String("file", c.certFile))
			return
		}
	}
	c.metrics.reloads.WithLabelValues("failed").Inc()
	c.log.Warn("certificate can't be read again, the last one stays in use", zap.String("file", c.certFile), zap.Error(err))
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}
