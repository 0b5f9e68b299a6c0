package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	kafkago "github.com/segmentio/kafka-go"
)

// ErrUnreachable is wrapped by errors of a cluster that does not answer just now: trying again may help. What else a
// client fails with lasts until somebody changes a setting or the cluster.
var ErrUnreachable = errors.New("kafka: unreachable")

// SettingError says which setting does not fit the cluster.
type SettingError struct {
	// Key is the setting, such as kafka.brokers.
	Key string
	// Err says what is wrong with it.
	Err error

	away bool // the cluster may come back by itself
}

func (e *SettingError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SettingError) Unwrap() error { return e.Err }

// Is makes the error of a cluster that is away an ErrUnreachable.
func (e *SettingError) Is(target error) bool { return e.away && target == ErrUnreachable }

// wrong is a SettingError of key, which comes without its section.
func wrong(key, format string, args ...any) *SettingError {
	return &SettingError{Key: "kafka." + key, Err: fmt.Errorf(format, args...)}
}

// away is one of a cluster that can't be reached just now.
func away(key, format string, args ...any) *SettingError {
	e := wrong(key, format, args...)
	e.away = true
	return e
}

// connectError: a broker's address could not be connected to.
type connectError struct {
	address string
	err     error
}

func (e *connectError) Error() string { return e.address + ": " + plainNetError(e.err) }
func (e *connectError) Unwrap() error { return e.err }

// plainNetError leaves out the address that net's errors repeat.
func plainNetError(err error) string {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

// handshakeError: the TLS handshake with a broker failed.
type handshakeError struct {
	address string
	err     error
}

func (e *handshakeError) Error() string { return e.address + ": TLS handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// closedError: a broker closed the connection.
type closedError struct {
	address  string
	answered bool // it had answered something before
}

// It is no io.EOF: kafka-go would replace that by one that tells neither of the two.
func (e *closedError) Error() string { return e.address + ": the broker closed the connection" }

// protocolError: who answers at a broker's address does not speak the protocol that the settings say.
type protocolError struct {
	address string
	tls     bool // it speaks TLS
}

func (e *protocolError) Error() string {
	if e.tls {
		return e.address + " speaks TLS"
	}
	return e.address + " does not answer as a Kafka broker does"
}

// explain turns what kafka-go or our dialer failed with into an error that names the setting, if one is to blame.
// An error that is explained already, or that is the caller's own cancellation, is returned as it is.
func (c *Client) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if done := (*SettingError)(nil); errors.As(err, &done) {
		return err
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	for _, look := range []func(error) *SettingError{c.explainTLS, c.explainSASL, c.explainNetwork} {
		if found := look(err); found != nil {
			c.metrics.errors.WithLabelValues(strings.TrimPrefix(found.Key, "kafka.")).Inc()
			return found
		}
	}
	return err
}

func (c *Client) explainTLS(err error) *SettingError {
	if other := (*protocolError)(nil); errors.As(err, &other) && other.tls {
		return wrong("tls", "false, but %w", err)
	}
	failed := (*handshakeError)(nil)
	if !errors.As(err, &failed) {
		// With TLS 1.3 a client learns only after its handshake that its certificate is refused.
		if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "remote error" {
			return c.explainClientCertificate(err)
		}
		return nil
	}
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		op      *net.OpError
	)
	switch {
	case errors.As(err, &unknown):
		authorities := fmt.Sprintf("%q", c.options.TLSCAFile)
		if c.options.TLSCAFile == "" {
			authorities = "empty"
		}
		return wrong("tls_ca_file", "%s: does not vouch for the broker's certificate: %w", authorities, err)
	case errors.As(err, &name):
		return wrong("brokers", "the broker's certificate is for another name: %w", err)
	case errors.As(err, &invalid):
		return wrong("tls", "the broker's certificate can't be used: %w", err)
	case errors.As(err, &record), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isReset(err):
		return wrong("tls", "true, but the broker does not speak TLS there: %w", err)
	case errors.As(err, &op) && op.Op == "remote error":
		return c.explainClientCertificate(err)
	case isTimeout(err):
		return away("brokers", "can't be reached: %w", err)
	}
	return wrong("tls", "true, but the handshake fails: %w", err)
}

func (c *Client) explainClientCertificate(err error) *SettingError {
	if c.options.TLSCertFile == "" {
		return wrong("tls_cert_file", "is empty, but the broker wants a certificate: %w", err)
	}
	return wrong("tls_cert_file", "%q: the broker refuses it: %w", c.options.TLSCertFile, err)
}

func (c *Client) explainSASL(err error) *SettingError {
	closed := (*closedError)(nil)
	switch {
	case errors.Is(err, kafkago.UnsupportedSASLMechanism):
		return wrong("sasl_mechanism", "%q: the broker does not offer it", c.options.SASLMechanism)
	case errors.Is(err, kafkago.IllegalSASLState):
		return wrong("sasl_mechanism", "%q: the broker takes no credentials there: %w", c.options.SASLMechanism, err)
	case errors.Is(err, kafkago.SASLAuthenticationFailed), errors.Is(err, errScram):
		return wrong("sasl_username", "%q: the broker refuses this user or its password: %w", c.options.SASLUsername, err)
	case errors.Is(err, kafkago.TopicAuthorizationFailed), errors.Is(err, kafkago.GroupAuthorizationFailed),
		errors.Is(err, kafkago.ClusterAuthorizationFailed), errors.Is(err, kafkago.BrokerAuthorizationFailed):
		return wrong("sasl_username", "%q: the broker does not allow this user to do that: %w", c.options.SASLUsername, err)
	case !errors.As(err, &closed) || !closed.answered || c.met.Load():
		return nil
	case c.options.SASLMechanism == "":
		// A broker that demands credentials tells its versions to everyone, then hangs up.
		return wrong("sasl_mechanism", "is empty, but the broker seems to demand credentials: %w", err)
	default:
		return away("sasl_username", "%q: the broker hung up at the credentials: %w", c.options.SASLUsername, err)
	}
}

func (c *Client) explainNetwork(err error) *SettingError {
	var (
		connect *connectError
		closed  *closedError
		other   *protocolError
	)
	switch {
	case errors.As(err, &other):
		return wrong("brokers", "%w", err)
	case errors.As(err, &connect):
		return away("brokers", "can't be reached: %w", err)
	case errors.As(err, &closed) && !closed.answered && !c.options.TLS && !c.met.Load():
		return away("tls", "false, but the broker hangs up at the greeting, as one that speaks TLS may: %w", err)
	case errors.As(err, &closed), errors.Is(err, io.ErrUnexpectedEOF), isReset(err), errors.Is(err, kafkago.BrokerNotAvailable):
		return away("brokers", "the connection broke: %w", err)
	case isTimeout(err):
		return away("brokers", "no answer in time: %w", err)
	}
	return nil
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
