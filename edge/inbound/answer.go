package inbound

import (
	"bytes"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/pires/go-proxyproto"
)

// proxyTimeout bounds the wait for a PROXY protocol header, which the proxy sends before anything else.
const proxyTimeout = 10 * time.Second

// answered takes a reply that the library wrote; all have one line. Successes are worded here, because the library
// repeats the client's words in them.
func (c *conn) answered(line []byte) {
	switch {
	case c.command == cmdGreeting:
		c.greet()
	case c.command == cmdQUIT:
		c.say(replyBye)
	case c.command == cmdEHLO && bytes.HasPrefix(line, []byte("250 ")):
		c.out = c.server.appendCapabilities(c.out, c.tls == nil)
	case c.command == cmdHELO && bytes.HasPrefix(line, []byte("250 ")):
		// Neither this reply nor the last has an enhanced code, RFC 2034 §4.
		c.out = append(append(append(c.out, "250 "...), c.server.options.Hostname...), crlf...)
	default:
		c.out = append(c.out, line...)
		code, _ := strconv.Atoi(string(line[:min(3, len(line))]))
		c.count(code)
	}
}

// count keeps the account of refusals. 4xx are our trouble, or the client's good right.
func (c *conn) count(code int) {
	switch {
	case code < 500:
	case c.command == cmdRCPT:
		c.refused++
	default:
		c.errors++
	}
}

// appendCapabilities appends the reply to EHLO, RFC 5321 §4.1.1.1.
func (s *Server) appendCapabilities(dst []byte, plain bool) []byte {
	line := func(sep byte, text string) { dst = append(append(append(dst, '2', '5', '0', sep), text...), crlf...) }
	line('-', s.options.Hostname)
	line('-', "PIPELINING")
	line('-', "SIZE "+strconv.FormatInt(s.options.MaxMessageBytes, 10))
	if plain && s.certificate != nil {
		line('-', "STARTTLS")
	}
	line('-', "8BITMIME")
	line('-', "SMTPUTF8")
	line('-', "CHUNKING")
	line(' ', "ENHANCEDSTATUSCODES")
	return dst
}

// greet lets a client in, or not. The greeting is the first thing that the library writes, in the connection's own
// goroutine, so a proxy that is slow to say who calls keeps nobody else waiting.
func (c *conn) greet() {
	client, err := c.caller()
	switch {
	case err != nil:
		c.end(replyBadProxy, "proxy_header")
	case c.server.gate.draining.Load():
		c.hangUp(replyStopping, "stopping")
	case !c.server.gate.admit(c, client):
		c.end(replyTooManyConns, "client_connections")
	default:
		c.out = append(append(append(c.out, "220 "...), c.server.options.Hostname...), " ESMTP Carom\r\n"...)
	}
}

// caller returns the address of the client, which a trusted proxy tells in the PROXY protocol.
func (c *conn) caller() (netip.Addr, error) {
	peer := ipOf(c.raw.RemoteAddr())
	if !c.server.isProxy(peer) {
		return peer, nil
	}
	c.by = time.Now().Add(proxyTimeout)
	header, err := proxyproto.Read(c.in)
	if err != nil {
		return peer, err
	}
	if header.Command.IsLocal() { // the proxy itself calls, to see whether we live
		return peer, nil
	}
	return ipOf(header.SourceAddr), nil
}

// isProxy reports whether a peer is a proxy that must tell who calls.
func (s *Server) isProxy(peer netip.Addr) bool {
	if !s.options.ProxyProtocol {
		return false
	}
	for _, p := range s.proxies {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

func ipOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
