package inbound

import (
	"crypto/tls"
	"time"

	"go.uber.org/zap"
)

// handshakeTimeout bounds a TLS handshake.
const handshakeTimeout = 30 * time.Second

// handleStartTLS begins the change to TLS, RFC 3207. All that is known of the session is forgotten (§4.2).
func (c *conn) handleStartTLS(arg string) {
	switch {
	case c.server.certificate == nil:
		c.say(replyNotOffered)
	case c.tls != nil:
		c.say(replyTLSAlready)
	case arg != "":
		c.say(replyBadArgument)
	default:
		c.mail.reset()
		c.say(replyStartTLS)
		c.upgrading = true
	}
}

// upgrade puts TLS between the filter and the transport. What the client, or somebody on the way, sent behind STARTTLS
// without waiting for the reply is thrown away: it came in the clear, and must not count as said under TLS.
func (c *conn) upgrade() {
	c.upgrading = false
	if c.flush(time.Now()) != nil {
		return
	}
	if n := c.in.Buffered(); n > 0 {
		c.server.metrics.injected.Inc()
		c.log.Debug("plaintext after STARTTLS", zap.Int("bytes", n))
		_, _ = c.in.Discard(n)
	}
	t := tls.Server(c.raw, c.server.certificate.config)
	_ = c.raw.SetDeadline(earlier(time.Now().Add(handshakeTimeout), c.expires))
	c.readBy, c.writeBy = time.Time{}, time.Time{}
	if err := t.Handshake(); err != nil {
		c.server.metrics.handshakes.WithLabelValues("failed").Inc()
		c.log.Debug("TLS handshake failed", zap.Error(err))
		// The client can't read a plain reply any more, nor we what it says.
		c.ending = true
		return
	}
	c.server.metrics.handshakes.WithLabelValues("done").Inc()
	c.rw, c.tls = t, t
	c.helo, c.esmtp = "", false
}
