package kafka

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func valid() Options {
	o := Default()
	o.Brokers = []string{"broker-1.example.com:9092", "[::1]:9092"}
	return o
}

func TestValidate(t *testing.T) {
	for name, mend := range map[string]func(*Options){
		"default":     func(*Options) {},
		"embedded":    func(o *Options) { o.Brokers = nil },
		"development": func(o *Options) { o.Development() },
		"tls":         func(o *Options) { o.TLS = true },
		"client certificate": func(o *Options) {
			o.TLS, o.TLSCAFile, o.TLSCertFile, o.TLSKeyFile = true, "ca.pem", "cert.pem", "key.pem"
		},
		"plain":       func(o *Options) { o.SASLMechanism, o.SASLUsername, o.SASLPassword = Plain, "carom", "x" },
		"scram":       func(o *Options) { o.SASLMechanism, o.SASLUsername, o.SASLPasswordFile = ScramSHA512, "carom", "file" },
		"compression": func(o *Options) { o.Compression = None },
		"workers":     func(o *Options) { o.Workers, o.Worker = []string{"a.example.com:1", "b.example.com:1"}, 1 },
		"only worker": func(o *Options) { o.Worker = 0 },
		"no worker":   func(o *Options) { o.Workers = []string{"a.example.com:1", "b.example.com:1"} },
	} {
		o := valid()
		mend(&o)
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	const day = 24 * time.Hour
	for _, test := range []struct {
		mend func(*Options)
		want string
	}{
		{func(o *Options) { o.Brokers = []string{"broker"} }, `brokers: "broker": want host:port`},
		{func(o *Options) { o.Brokers = []string{"broker:0"} }, `brokers: "broker:0": want host:port`},
		{func(o *Options) { o.Brokers = []string{"broker:65536"} }, `brokers: "broker:65536": want host:port`},
		{func(o *Options) { o.Brokers = []string{":9092"} }, `brokers: ":9092": want host:port`},
		{func(o *Options) { o.Brokers = []string{"kafka://broker:9092"} }, `brokers: "kafka://broker:9092": want host:port`},
		{func(o *Options) { o.Brokers = []string{"a:1", "a:1"} }, `brokers: "a:1": is given twice`},
		{func(o *Options) { o.Brokers = make([]string, maxBrokers+1) }, `brokers: 65 addresses: want at most 64`},
		{func(o *Options) { o.TopicPrefix = "" }, `topic_prefix: "": want 1 to 200 letters`},
		{func(o *Options) { o.TopicPrefix = "a b" }, `topic_prefix: "a b": want`},
		{func(o *Options) { o.TopicPrefix = strings.Repeat("a", 201) }, `topic_prefix: "aaa`},
		{func(o *Options) { o.ClientID = "a/b" }, `client_id: "a/b": want`},
		{func(o *Options) { o.TLSCAFile = "ca.pem" }, `tls_ca_file: "ca.pem": is of use only with tls: true`},
		{func(o *Options) { o.TLS, o.TLSCertFile = true, "c.pem" }, `tls_key_file: is empty`},
		{func(o *Options) { o.TLS, o.TLSKeyFile = true, "k.pem" }, `tls_cert_file: is empty`},
		{func(o *Options) { o.SASLMechanism = "PLAIN" }, `sasl_mechanism: "PLAIN": want plain, scram-sha-256, scram-sha-512`},
		{func(o *Options) { o.SASLMechanism = Plain }, `sasl_username: is empty`},
		{func(o *Options) { o.SASLMechanism, o.SASLUsername = Plain, "carom" }, `sasl_password_file: is empty`},
		{func(o *Options) { o.SASLMechanism, o.SASLUsername, o.SASLPassword = Plain, "a\x00b", "x" }, `sasl_username: "a\x00b"`},
		{func(o *Options) {
			o.SASLMechanism, o.SASLUsername, o.SASLPassword, o.SASLPasswordFile = Plain, "carom", "hush", "file"
		}, `sasl_password_file: "file": want this or sasl_password, not both`},
		{func(o *Options) { o.SASLUsername = "carom" }, `sasl_username: "carom": is of use only with sasl_mechanism`},
		{func(o *Options) { o.SASLPassword = "hush" }, `sasl_password: is of use only with sasl_mechanism`},
		{func(o *Options) { o.SASLPasswordFile = "file" }, `sasl_password_file: "file": is of use only with sasl_mechanism`},
		{func(o *Options) { o.Partitions = 0 }, `partitions: 0: want 1 to 4096`},
		{func(o *Options) { o.Partitions = 4097 }, `partitions: 4097: want 1 to 4096`},
		{func(o *Options) { o.Replication = 17 }, `replication: 17: want 1 to 16`},
		{func(o *Options) { o.MinInsyncReplicas = 4 }, `min_insync_replicas: 4: want 1 to replication, which is 3`},
		{func(o *Options) { o.RawRetention = time.Hour }, `raw_retention: 1h0m0s: want whole milliseconds from 24h0m0s to`},
		{func(o *Options) { o.EventsRetention = day + 1 }, `events_retention: `},
		{func(o *Options) { o.AddressesRetention = -day }, `addresses_retention: `},
		{func(o *Options) { o.RejectsRetention = 4000 * day }, `rejects_retention: `},
		{func(o *Options) { o.Workers = []string{"a.example.com"} }, `workers: "a.example.com": want host:port`},
		{func(o *Options) { o.Workers, o.Partitions = []string{"a:1", "b:1"}, 1 }, `workers: 2 addresses: want at most partitions, which is 1`},
		{func(o *Options) { o.Worker = 1 }, `worker: 1: want -1 to 0`},
		{func(o *Options) { o.RollupWorkers = []string{"a:1"} }, `rollup_workers: 1 addresses, but workers is empty`},
		{func(o *Options) { o.Workers, o.RollupWorkers = []string{"a:1"}, []string{"b"} }, `rollup_workers: "b": want host:port`},
		{func(o *Options) { o.Worker = -2 }, `worker: -2: want -1 to 0`},
		{func(o *Options) { o.Workers, o.Worker = []string{"a:1", "b:1"}, 2 }, `worker: 2: want -1 to 1`},
		{func(o *Options) { o.Compression = "gzip" }, `compression: "gzip": want zstd, lz4, snappy or none`},
		{func(o *Options) { o.BatchBytes = 1023 }, `batch_bytes: 1023: want 1024 to 16777216`},
		{func(o *Options) { o.Linger = -1 }, `linger: -1ns: want 0s to 10s`},
		{func(o *Options) { o.DialTimeout = 0 }, `dial_timeout: 0s: want 100ms to 5m0s`},
		{func(o *Options) { o.RequestTimeout = time.Hour }, `request_timeout: 1h0m0s: want 1s to 10m0s`},
	} {
		o := valid()
		test.mend(&o)
		err := o.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("got %v, want %s", err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%v tells the password", err)
		}
	}
}

// Every partition has one owner, whatever the number of workers.
func TestOwned(t *testing.T) {
	o := valid()
	o.Partitions = 7
	for workers := range 8 {
		o.Workers = nil
		for i := range workers {
			o.Workers = append(o.Workers, string(rune('a'+i))+".example.com:1")
		}
		owners := make(map[int32]int)
		for i := range max(1, workers) {
			o.Worker = i
			owned, err := o.Refines()
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range owned {
				owners[p]++
				if o.RefineOwner(p) != i || int(p)%max(1, workers) != i {
					t.Errorf("%d workers: partition %d is with %d, RefineOwner says %d", workers, p, i, o.RefineOwner(p))
				}
			}
		}
		if len(owners) != 7 {
			t.Errorf("%d workers own %d partitions, want 7", workers, len(owners))
		}
		o.Worker = -1
		_, err := o.Refines()
		if (err != nil) != (workers > 1) {
			t.Errorf("%d workers, place not given: %v", workers, err)
		}
	}
}

// Where rollup has nodes of its own, they follow the others in the directory, and each side divides the partitions by
// its own number.
func TestRollupWorkers(t *testing.T) {
	o := options("127.0.0.1:9")
	o.Partitions = 7
	o.Workers, o.RollupWorkers = []string{"a:1", "b:1"}, []string{"c:1", "d:1", "e:1"}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	directory := o.Directory()
	for p := range int32(o.Partitions) {
		if got, want := directory[o.RefineOwner(p)], o.Workers[p%2]; got != want {
			t.Errorf("partition %d is refined by %s, want %s", p, got, want)
		}
		if got, want := directory[o.RollupOwner(p)], o.RollupWorkers[p%3]; got != want {
			t.Errorf("partition %d is rolled up by %s, want %s", p, got, want)
		}
	}
	o.Worker = 2
	if owned, err := o.RollsUp(); err != nil || !slices.Equal(owned, []int32{2, 5}) {
		t.Errorf("the third rolls up %v, %v", owned, err)
	}
	if owned, err := o.Refines(); err == nil {
		t.Errorf("there is no third that refines, and it owns %v", owned)
	}
}
