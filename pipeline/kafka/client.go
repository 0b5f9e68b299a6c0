package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
	"go.uber.org/zap"
)

const (
	// idleTimeout closes connections that nobody uses; brokers do after 10 minutes.
	idleTimeout = 5 * time.Minute
	// metadataTTL is how long a new leader may stay unknown; it is also how long a request for them may take.
	metadataTTL = 6 * time.Second
	// maxSecretFile bounds the password file.
	maxSecretFile = 64 << 10
)

// Client speaks to one cluster. It is safe for concurrent use.
type Client struct {
	options   Options
	log       *zap.Logger
	metrics   *clientMetrics
	outages   *outages
	dialer    *dialer
	transport *kafkago.Transport
	api       *kafkago.Client
	stop      context.CancelFunc
	met       atomic.Bool // the cluster has answered a request once, so the settings fit
}

// New returns a client. It reads the files that the settings name and connects to nothing.
func New(o Options, log *zap.Logger, reg prometheus.Registerer) (*Client, error) {
	if len(o.Brokers) == 0 {
		return nil, wrong("brokers", "is empty: want the address of a Kafka broker, such as broker.example.com:9092")
	}
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("kafka.%w", err)
	}
	config, err := o.tlsConfig()
	if err != nil {
		return nil, err
	}
	mechanism, err := o.mechanism()
	if err != nil {
		return nil, err
	}
	c := &Client{options: o, log: log, metrics: newClientMetrics(reg), outages: newOutages(log)}
	c.dialer = &dialer{brokers: o.Brokers, tls: config, stall: o.RequestTimeout, metrics: c.metrics}
	background, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.transport = &kafkago.Transport{
		Dial:           c.dialer.dial,
		DialTimeout:    o.DialTimeout,
		IdleTimeout:    idleTimeout,
		MetadataTTL:    metadataTTL,
		MetadataTopics: o.topicNames(), // of a large shared cluster, the others would be megabytes
		ClientID:       o.ClientID,
		SASL:           mechanism,
		Context:        background,
	}
	c.api = &kafkago.Client{Addr: kafkago.TCP(bootstrap), Timeout: o.RequestTimeout, Transport: c}
	return c, nil
}

// RoundTrip makes c the kafkago.RoundTripper of its own requests: it notes that the settings fit the cluster. (A broker
// tells its versions to everyone.)
func (c *Client) RoundTrip(ctx context.Context, address net.Addr, request kafkago.Request) (kafkago.Response, error) {
	response, err := c.transport.RoundTrip(ctx, address, request)
	if _, greeting := request.(*apiversions.Request); err == nil && !greeting {
		c.met.Store(true)
	}
	return response, err
}

// Dial returns a client of a cluster that has answered and fits the settings. See Check for its errors.
func Dial(ctx context.Context, o Options, log *zap.Logger, reg prometheus.Registerer) (*Client, error) {
	c, err := New(o, log, reg)
	if err != nil {
		return nil, err
	}
	if err := c.Check(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close ends all connections. It can be called twice.
func (c *Client) Close() error {
	c.stop()
	c.transport.CloseIdleConnections()
	return nil
}

// minMetadata is the version of the metadata request that names topics and their ids, from Kafka 3.1 on.
const minMetadata = 12

// Check connects to the cluster, proves who we are, and looks whether the brokers are new enough and can be reached
// where they say that they are. Its error names the setting that is to blame; it is an ErrUnreachable if the cluster
// may come back by itself.
func (c *Client) Check(ctx context.Context) error {
	versions, err := c.api.ApiVersions(ctx, &kafkago.ApiVersionsRequest{})
	if err == nil {
		err = versions.Error
	}
	if err != nil {
		return c.explain(ctx, err)
	}
	newest := -1
	for _, v := range versions.ApiKeys {
		if v.ApiKey == int(protocol.Metadata) {
			newest = v.MaxVersion
		}
	}
	if newest < minMetadata {
		return wrong("brokers", "%s: want Kafka 3.1 or newer, which gives topics an id", strings.Join(c.options.Brokers, ", "))
	}
	cluster, err := c.describe(ctx, []string{})
	if err != nil {
		return err
	}
	return c.checkAdvertised(ctx, cluster.Brokers)
}

// checkAdvertised connects to each broker under the address that the cluster gives out: whoever can't reach any there
// would get as far as this and then fail at every record.
func (c *Client) checkAdvertised(ctx context.Context, brokers []Broker) error {
	var failed []error
	for _, broker := range brokers {
		within, cancel := context.WithTimeout(ctx, c.options.DialTimeout)
		conn, err := c.dialer.dialOne(within, broker.Address)
		cancel()
		if err == nil {
			_ = conn.Close()
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed = append(failed, fmt.Errorf("broker %d: %w", broker.ID, err))
		c.log.Warn("broker unreachable", zap.Int32("broker", broker.ID), zap.String("address", broker.Address), zap.Error(err))
	}
	if len(failed) == 0 || len(failed) < len(brokers) {
		return nil // some may be away
	}
	return away("brokers", "the cluster answers, but none of its brokers can be reached where their advertised.listeners say: %w", joined(failed))
}

// tlsConfig reads the certificates; nil without TLS.
func (o Options) tlsConfig() (*tls.Config, error) {
	if !o.TLS {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLSCAFile != "" {
		data, err := os.ReadFile(o.TLSCAFile)
		if err != nil {
			return nil, wrong("tls_ca_file", "%w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, wrong("tls_ca_file", "%q: want certificates in PEM", o.TLSCAFile)
		}
	}
	if o.TLSCertFile != "" {
		pair, err := tls.LoadX509KeyPair(o.TLSCertFile, o.TLSKeyFile)
		if err != nil {
			return nil, wrong("tls_cert_file", "%q, with tls_key_file %q: %w", o.TLSCertFile, o.TLSKeyFile, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// mechanism reads the password; nil without credentials.
func (o Options) mechanism() (sasl.Mechanism, error) {
	if o.SASLMechanism == "" {
		return nil, nil
	}
	password, err := o.password()
	if err != nil {
		return nil, err
	}
	if o.SASLMechanism == Plain {
		return plain.Mechanism{Username: o.SASLUsername, Password: password}, nil
	}
	algorithm := scram.SHA256
	if o.SASLMechanism == ScramSHA512 {
		algorithm = scram.SHA512
	}
	mechanism, err := scram.Mechanism(algorithm, o.SASLUsername, password)
	if err != nil { // a name or password that RFC 4013 forbids
		return nil, wrong("sasl_username", "%q: it or its password can't be used with %s: %w", o.SASLUsername, o.SASLMechanism, err)
	}
	return scramMechanism{mechanism}, nil
}

func (o Options) password() (string, error) {
	if o.SASLPasswordFile == "" {
		return o.SASLPassword, nil
	}
	info, err := os.Stat(o.SASLPasswordFile)
	if err != nil {
		return "", wrong("sasl_password_file", "%w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxSecretFile {
		return "", wrong("sasl_password_file", "%q: want a file of at most %d bytes", o.SASLPasswordFile, maxSecretFile)
	}
	data, err := os.ReadFile(o.SASLPasswordFile)
	if err != nil {
		return "", wrong("sasl_password_file", "%w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", wrong("sasl_password_file", "%q: its first line is empty: want the password there", o.SASLPasswordFile)
	}
	return line, nil
}

// errScram marks what goes wrong in an exchange that the broker has begun: its signature, for one, shows that it does
// not know the password.
var errScram = errors.New("SCRAM")

// scramMechanism gives the library's errors a mark.
type scramMechanism struct{ sasl.Mechanism }

func (m scramMechanism) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	session, first, err := m.Mechanism.Start(ctx)
	return scramSession{session}, first, markScram(err)
}

type scramSession struct{ sasl.StateMachine }

func (s scramSession) Next(ctx context.Context, challenge []byte) (bool, []byte, error) {
	done, next, err := s.StateMachine.Next(ctx, challenge)
	return done, next, markScram(err)
}

func markScram(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errScram, err)
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
