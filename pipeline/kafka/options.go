package kafka

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// The values of Options.SASLMechanism; empty is none.
const (
	Plain       = "plain"
	ScramSHA256 = "scram-sha-256"
	ScramSHA512 = "scram-sha-512"
)

// The values of Options.Compression.
const (
	Zstd   = "zstd"
	LZ4    = "lz4"
	Snappy = "snappy"
	None   = "none"
)

// Options are the settings of the brokers and of the topics: the section `kafka` of the configuration.
type Options struct {
	Brokers     []string `yaml:"brokers" doc:"Addresses host:port of some Kafka brokers, at most 64; they tell the others. Empty: no Kafka, all logs are kept in the data folder."`
	TopicPrefix string   `yaml:"topic_prefix" doc:"First part of the names of all topics and groups: letters, digits, dot, dash or underscore, 1 to 200."`
	ClientID    string   `yaml:"client_id" doc:"Name under which the brokers log and limit this client; default: carom."`

	TLS         bool   `yaml:"tls" doc:"Whether connections to brokers are encrypted."`
	TLSCAFile   string `yaml:"tls_ca_file" doc:"PEM file with the authorities that may sign the brokers' certificates; empty: those of the system."`
	TLSCertFile string `yaml:"tls_cert_file" doc:"PEM file with the certificate that this client shows; empty: none."`
	TLSKeyFile  string `yaml:"tls_key_file" doc:"PEM file with the private key of that certificate."`

	SASLMechanism    string `yaml:"sasl_mechanism" doc:"How this client proves who it is: plain, scram-sha-256 or scram-sha-512; empty: not at all. Plain shows the password to whoever listens, so use it with tls only."`
	SASLUsername     string `yaml:"sasl_username" doc:"User name for sasl_mechanism."`
	SASLPassword     string `yaml:"sasl_password" doc:"Password for sasl_mechanism; better kept in sasl_password_file."`
	SASLPasswordFile string `yaml:"sasl_password_file" doc:"File whose first line is the password; read at the start."`

	Partitions         int           `yaml:"partitions" doc:"Partitions of each topic except addresses, suppressions and controls, which have one, 1 to 4096. Fixed when the topics are made: every other number afterwards is refused, because messages would move between workers."`
	Replication        int           `yaml:"replication" doc:"On how many brokers each partition is kept, 1 to 16."`
	MinInsyncReplicas  int           `yaml:"min_insync_replicas" doc:"How many brokers must have a record before it counts as written, 1 to replication."`
	RawRetention       time.Duration `yaml:"raw_retention" doc:"How long raw records stay, 24h to 87600h; from them a worker with an empty disk rebuilds what it knew of messages."`
	EventsRetention    time.Duration `yaml:"events_retention" doc:"How long refined events stay, 24h to 87600h; from them a worker with an empty disk rebuilds the scores."`
	AddressesRetention time.Duration `yaml:"addresses_retention" doc:"How long facts about addresses stay, 24h to 87600h; from them suppressions are rebuilt."`
	RejectsRetention   time.Duration `yaml:"rejects_retention" doc:"How long rejected records stay and can be replayed, 24h to 87600h."`

	Workers       []string `yaml:"workers" doc:"Addresses host:port of the API of each worker, always in the same order on all nodes, at most partitions: worker i owns the partitions p with p mod the number of workers = i, and answers for them. Empty: one worker, which owns all."`
	RollupWorkers []string `yaml:"rollup_workers" doc:"Addresses host:port of the API of each node that rolls up, if rollup runs on other nodes than refine; then workers are those that refine, and both lists are told to all nodes. Empty: workers do both."`
	Worker        int      `yaml:"worker" doc:"Place of this node in workers, or in rollup_workers if it is there, from 0 on; -1: it is none of them, or the only one."`

	Compression string        `yaml:"compression" doc:"How record batches are compressed: zstd, lz4, snappy or none."`
	BatchBytes  int           `yaml:"batch_bytes" doc:"Bytes of records, before compression, at which a batch is sent, 1024 to 16777216; a larger record goes alone."`
	Linger      time.Duration `yaml:"linger" doc:"How long a batch that is not full waits for more records, 0s to 10s."`

	DialTimeout    time.Duration `yaml:"dial_timeout" doc:"How long a connection to a broker may take to be made, TLS and credentials included, 100ms to 5m."`
	RequestTimeout time.Duration `yaml:"request_timeout" doc:"How long a broker may take to answer, 1s to 10m; then the request is made again."`
}

// Default returns the settings of a cluster of three brokers or more, of which one may fail without a stop.
func Default() Options {
	const day = 24 * time.Hour
	return Options{
		TopicPrefix:        "carom",
		ClientID:           "carom",
		Partitions:         32,
		Replication:        3,
		MinInsyncReplicas:  2,
		RawRetention:       45 * day,
		EventsRetention:    45 * day, // windows of 30 days, of enrollments that take 3 to complete
		AddressesRetention: 90 * day, // a global suppression looks 60 days back
		RejectsRetention:   45 * day,
		Worker:             -1,
		Compression:        Zstd,
		BatchBytes:         1 << 20,
		Linger:             5 * time.Millisecond,
		DialTimeout:        10 * time.Second,
		RequestTimeout:     30 * time.Second,
	}
}

// Development sets o to one broker, for a machine on which nothing is to be kept.
func (o *Options) Development() { o.Replication, o.MinInsyncReplicas = 1, 1 }

// Bounds of the settings.
const (
	maxBrokers     = 64
	maxTopicPrefix = 200 // a topic's name has 249 characters at most
	maxClientID    = 200
	maxPartitions  = 4096
	maxReplication = 16
	minRetention   = 24 * time.Hour
	maxRetention   = 87600 * time.Hour
	minBatchBytes  = 1 << 10
	maxBatchBytes  = 16 << 20
	maxLinger      = 10 * time.Second
	minDial        = 100 * time.Millisecond
	maxDial        = 5 * time.Minute
	minRequest     = time.Second
	maxRequest     = 10 * time.Minute
)

// Validate names the first setting that is not allowed.
func (o Options) Validate() error {
	for _, check := range []func() error{o.checkNames, o.checkTLS, o.checkSASL, o.checkTopics, o.checkWorkers, o.checkBatches} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (o Options) checkNames() error {
	if len(o.Brokers) > maxBrokers {
		return fmt.Errorf("brokers: %d addresses: want at most %d", len(o.Brokers), maxBrokers)
	}
	if err := checkAddresses("brokers", o.Brokers, "broker.example.com:9092"); err != nil {
		return err
	}
	if !isName(o.TopicPrefix, maxTopicPrefix) {
		return fmt.Errorf("topic_prefix: %q: want 1 to %d letters, digits, dots, dashes or underscores", o.TopicPrefix, maxTopicPrefix)
	}
	if !isName(o.ClientID, maxClientID) {
		return fmt.Errorf("client_id: %q: want 1 to %d letters, digits, dots, dashes or underscores", o.ClientID, maxClientID)
	}
	return nil
}

// checkAddresses wants every address once, with a host and a port.
func checkAddresses(key string, list []string, example string) error {
	seen := make(map[string]bool)
	for _, address := range list {
		host, port, err := net.SplitHostPort(address)
		n, notPort := strconv.ParseUint(port, 10, 16)
		if err != nil || notPort != nil || n == 0 || host == "" || strings.ContainsAny(host, ", /") {
			return fmt.Errorf("%s: %q: want host:port, such as %s", key, address, example)
		}
		if seen[address] {
			return fmt.Errorf("%s: %q: is given twice", key, address)
		}
		seen[address] = true
	}
	return nil
}

// isName reports whether s can be part of a topic's name.
func isName(s string, longest int) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	return s != "" && len(s) <= longest && strings.Trim(s, letters) == ""
}

func (o Options) checkTLS() error {
	for _, file := range []struct{ key, value string }{
		{"tls_ca_file", o.TLSCAFile}, {"tls_cert_file", o.TLSCertFile}, {"tls_key_file", o.TLSKeyFile},
	} {
		if file.value != "" && !o.TLS {
			return fmt.Errorf("%s: %q: is of use only with tls: true", file.key, file.value)
		}
	}
	switch {
	case o.TLSCertFile != "" && o.TLSKeyFile == "":
		return fmt.Errorf("tls_key_file: is empty: want the private key of tls_cert_file %q", o.TLSCertFile)
	case o.TLSCertFile == "" && o.TLSKeyFile != "":
		return fmt.Errorf("tls_cert_file: is empty: want the certificate of tls_key_file %q", o.TLSKeyFile)
	}
	return nil
}

// checkSASL never says a password.
func (o Options) checkSASL() error {
	switch o.SASLMechanism {
	case "":
		switch {
		case o.SASLUsername != "":
			return fmt.Errorf("sasl_username: %q: is of use only with sasl_mechanism, which is empty: want %s, %s or %s", o.SASLUsername, Plain, ScramSHA256, ScramSHA512)
		case o.SASLPassword != "":
			return fmt.Errorf("sasl_password: is of use only with sasl_mechanism, which is empty: want %s, %s or %s", Plain, ScramSHA256, ScramSHA512)
		case o.SASLPasswordFile != "":
			return fmt.Errorf("sasl_password_file: %q: is of use only with sasl_mechanism, which is empty: want %s, %s or %s", o.SASLPasswordFile, Plain, ScramSHA256, ScramSHA512)
		}
		return nil
	case Plain, ScramSHA256, ScramSHA512:
	default:
		return fmt.Errorf("sasl_mechanism: %q: want %s, %s, %s or nothing", o.SASLMechanism, Plain, ScramSHA256, ScramSHA512)
	}
	switch {
	case o.SASLUsername == "":
		return fmt.Errorf("sasl_username: is empty: want the user for sasl_mechanism %s", o.SASLMechanism)
	case strings.ContainsRune(o.SASLUsername, 0): // RFC 4616 §2 separates by NUL
		return fmt.Errorf("sasl_username: %q: want a name without NUL", o.SASLUsername)
	case o.SASLPassword == "" && o.SASLPasswordFile == "":
		return fmt.Errorf("sasl_password_file: is empty: want a file with the password of %s", o.SASLUsername)
	case o.SASLPassword != "" && o.SASLPasswordFile != "":
		return fmt.Errorf("sasl_password_file: %q: want this or sasl_password, not both", o.SASLPasswordFile)
	}
	return nil
}

func (o Options) checkTopics() error {
	switch {
	case o.Partitions < 1 || o.Partitions > maxPartitions:
		return fmt.Errorf("partitions: %d: want 1 to %d", o.Partitions, maxPartitions)
	case o.Replication < 1 || o.Replication > maxReplication:
		return fmt.Errorf("replication: %d: want 1 to %d", o.Replication, maxReplication)
	case o.MinInsyncReplicas < 1 || o.MinInsyncReplicas > o.Replication:
		return fmt.Errorf("min_insync_replicas: %d: want 1 to replication, which is %d", o.MinInsyncReplicas, o.Replication)
	}
	for _, retention := range []struct {
		key   string
		value time.Duration
	}{
		{"raw_retention", o.RawRetention},
		{"events_retention", o.EventsRetention},
		{"addresses_retention", o.AddressesRetention},
		{"rejects_retention", o.RejectsRetention},
	} {
		if retention.value < minRetention || retention.value > maxRetention || retention.value%time.Millisecond != 0 {
			return fmt.Errorf("%s: %v: want whole milliseconds from %v to %v", retention.key, retention.value, minRetention, maxRetention)
		}
	}
	return nil
}

func (o Options) checkWorkers() error {
	for _, list := range []struct {
		key       string
		addresses []string
	}{{"workers", o.Workers}, {"rollup_workers", o.RollupWorkers}} {
		if len(list.addresses) > o.Partitions {
			return fmt.Errorf("%s: %d addresses: want at most partitions, which is %d", list.key, len(list.addresses), o.Partitions)
		}
		if err := checkAddresses(list.key, list.addresses, "worker-1.example.com:8081"); err != nil {
			return err
		}
	}
	if len(o.RollupWorkers) > 0 && len(o.Workers) == 0 {
		return fmt.Errorf("rollup_workers: %d addresses, but workers is empty: want there who refines", len(o.RollupWorkers))
	}
	if most := max(1, len(o.Workers), len(o.RollupWorkers)) - 1; o.Worker < -1 || o.Worker > most {
		return fmt.Errorf("worker: %d: want -1 to %d, a place in workers", o.Worker, most)
	}
	return nil
}

func (o Options) checkBatches() error {
	switch o.Compression {
	case Zstd, LZ4, Snappy, None:
	default:
		return fmt.Errorf("compression: %q: want %s, %s, %s or %s", o.Compression, Zstd, LZ4, Snappy, None)
	}
	switch {
	case o.BatchBytes < minBatchBytes || o.BatchBytes > maxBatchBytes:
		return fmt.Errorf("batch_bytes: %d: want %d to %d", o.BatchBytes, minBatchBytes, maxBatchBytes)
	case o.Linger < 0 || o.Linger > maxLinger:
		return fmt.Errorf("linger: %v: want 0s to %v", o.Linger, maxLinger)
	case o.DialTimeout < minDial || o.DialTimeout > maxDial:
		return fmt.Errorf("dial_timeout: %v: want %v to %v", o.DialTimeout, minDial, maxDial)
	case o.RequestTimeout < minRequest || o.RequestTimeout > maxRequest:
		return fmt.Errorf("request_timeout: %v: want %v to %v", o.RequestTimeout, minRequest, maxRequest)
	}
	return nil
}
