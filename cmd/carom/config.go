package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"carom/edge/api"
	"carom/edge/inbound"
	"carom/edge/track"
	"carom/edge/webhook"
	"carom/pipeline"
	"carom/pipeline/control"
	"carom/pipeline/journal"
	"carom/pipeline/kafka"
	"carom/pipeline/log"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"
	"carom/pipeline/score"
	"carom/pipeline/suppress"
)

// Config is everything that can be set. Each section belongs to the package that it configures; its keys, defaults
// and checks stand there. The loader, the help and the reference page read the tags.
type Config struct {
	Node    string           `yaml:"node" doc:"name of this node in events and logs: letters, digits, dot, dash, underscore, 64 at most; default: the host's name"`
	Roles   []string         `yaml:"roles" doc:"what this node does, of track, inbound, api, relay, refine, rollup, suppress; default: all that there is to do. Who has rollup has suppress, too; of several workers the one with partition 0 decides about addresses. A node without refine and rollup needs Kafka, or it only keeps a journal. Every node opens its API, for metrics, health and other nodes; without the role api it answers nobody else."`
	Data    DataOptions      `yaml:"data"`
	Keys    KeysOptions      `yaml:"keys"`
	Log     LogOptions       `yaml:"log"`
	Runtime RuntimeOptions   `yaml:"runtime"`
	Track   track.Options    `yaml:"track"`
	Inbound inbound.Options  `yaml:"inbound"`
	API     api.Options      `yaml:"api"`
	Accept  pipeline.Options `yaml:"accept"`
	Journal journal.Options  `yaml:"journal"`
	Control control.Options  `yaml:"control"`
	Refine  refine.Options   `yaml:"refine"`
	Rollup  rollup.Options   `yaml:"rollup"`
	Score   score.Options    `yaml:"score"`

	Suppress suppress.Options `yaml:"suppress"`
	Kafka    kafka.Options    `yaml:"kafka"`

	Webhooks webhook.Options `yaml:"webhooks"`

	// How much is kept of each log. With Kafka the topics say that, and events that of the copy on a node that counts them.
	Events    log.Retention `yaml:"events"`
	Rejects   log.Retention `yaml:"rejects"`
	Addresses log.Retention `yaml:"addresses"`
}

// DataOptions say where the node keeps its stores.
type DataOptions struct {
	Dir        string `yaml:"dir" doc:"folder for everything that the node keeps; made if it is missing"`
	CacheBytes int64  `yaml:"cache_bytes" doc:"How much memory the blocks of the state store take at most, from 8388608 to 1099511627776. Refine looks for a message's state at every hit: if the states of the messages that are hit, some 200 bytes each, fit in here, it costs half as much."`
}

// KeysOptions say where the sealing keys are.
type KeysOptions struct {
	File string `yaml:"file" doc:"file with the keys that seal references, made by 'carom keys new'; default: keys.yaml in the data folder"`
}

// LogOptions are those of the node's own log, which goes to standard error.
type LogOptions struct {
	Level  string `yaml:"level" doc:"least level that is written: debug, info, warn or error"`
	Format string `yaml:"format" doc:"json, or console for people"`
}

const (
	maxNodeName   = 64
	minCacheBytes = 8 << 20
	maxCacheBytes = 1 << 40
)

// defaultConfig is what holds where nothing is said.
func defaultConfig() Config {
	return Config{
		Node:     defaultNode(),
		Data:     DataOptions{Dir: "/var/lib/carom", CacheBytes: 256 << 20},
		Log:      LogOptions{Level: "info", Format: "json"},
		Track:    track.Default(),
		Inbound:  inbound.Default(),
		API:      api.Default(),
		Accept:   pipeline.Default(),
		Journal:  journal.Default(),
		Control:  control.Default(),
		Refine:   refine.Default(),
		Rollup:   rollup.Default(),
		Score:    score.Default(),
		Suppress: suppress.Default(),
		Kafka:    kafka.Default(),

		Webhooks: webhook.Default(),

		Events:    log.Retention{Keep: 30 * 24 * time.Hour},
		Rejects:   log.Retention{Keep: 30 * 24 * time.Hour, MaxBytes: 1 << 30},
		Addresses: log.Retention{Keep: 30 * 24 * time.Hour},
	}
}

// devConfig is what `--dev` starts from: everything on loopback and below ./data.
func devConfig() Config {
	c := defaultConfig()
	c.Data.Dir = "data"
	c.Log = LogOptions{Level: "info", Format: "console"}
	c.Track.Listen = "127.0.0.1:8080"
	c.Track.Self = true
	c.Inbound.Listen = "127.0.0.1:2525"
	c.Inbound.BounceDomain = "bounce.localhost"
	c.Inbound.ReplyDomain = "reply.localhost"
	c.Inbound.FeedbackAddresses = []string{"fbl@bounce.localhost"}
	c.Inbound.ReplyAddresses = []string{"replies@reply.localhost"}
	c.Kafka.Development()
	c.Webhooks.Development()
	return c
}

func defaultNode() string {
	host, err := os.Hostname()
	if err != nil || checkNode(host) != nil {
		return "carom"
	}
	return host
}

func checkNode(name string) error {
	if name == "" || len(name) > maxNodeName || strings.Trim(name, nodeLetters) != "" {
		return fmt.Errorf("node: %q: want 1 to %d letters, digits, dots, dashes or underscores", name, maxNodeName)
	}
	return nil
}

const nodeLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

// keysFile is where the keys are, named or by default.
func (c *Config) keysFile() string {
	if c.Keys.File != "" {
		return c.Keys.File
	}
	return filepath.Join(c.Data.Dir, keysName)
}

// fill sets what follows from other settings. With --dev the public reaches the tracking edge where it listens.
func (c *Config) fill(dev bool) {
	if c.Inbound.PostmasterDir == "" {
		c.Inbound.PostmasterDir = filepath.Join(c.Data.Dir, "postmaster")
	}
	if !dev || c.Track.BaseURL != "" {
		return
	}
	host, port, err := net.SplitHostPort(c.Track.Listen)
	if err != nil {
		return // validate will name it
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost"
	}
	c.Track.BaseURL = "http://" + net.JoinHostPort(host, port)
}

// needs reports whether the node's roles have a use for a section. The API mints links and addresses, which lead to the
// edges; a worker need not know where those are.
func (c *Config) needs(section string) bool {
	switch section {
	case roleTrack, roleInbound:
		return c.has(section) || c.has(roleAPI)
	}
	return true
}

// validate checks what can be checked without touching anything, section by section.
func (c *Config) validate() error {
	if err := checkNode(c.Node); err != nil {
		return err
	}
	if c.Data.Dir == "" {
		return fmt.Errorf("data.dir: is empty: want a folder")
	}
	if c.Data.CacheBytes < minCacheBytes || c.Data.CacheBytes > maxCacheBytes {
		return fmt.Errorf("data.cache_bytes: %d: want %d to %d", c.Data.CacheBytes, minCacheBytes, int64(maxCacheBytes))
	}
	if _, err := c.Log.level(); err != nil {
		return fmt.Errorf("log.%w", err)
	}
	if c.Log.Format != "json" && c.Log.Format != "console" {
		return fmt.Errorf("log.format: %q: want json or console", c.Log.Format)
	}
	for _, section := range []struct {
		name  string
		check interface{ Validate() error }
	}{
		{"runtime", c.Runtime},
		{"track", c.Track},
		{"inbound", c.Inbound},
		{"api", c.API},
		{"accept", c.Accept},
		{"journal", c.Journal},
		{"control", c.Control},
		{"refine", c.Refine},
		{"rollup", c.Rollup},
		{"score", c.Score},
		{"suppress", c.Suppress},
		{"kafka", c.Kafka},
		{"webhooks", c.Webhooks},
		{"events", c.Events},
		{"rejects", c.Rejects},
		{"addresses", c.Addresses},
	} {
		if !c.needs(section.name) {
			continue
		}
		if err := section.check.Validate(); err != nil {
			return fmt.Errorf("%s.%w", section.name, err)
		}
	}
	if err := c.validateRoles(); err != nil {
		return err
	}
	if c.API.TokensFile != "" && c.API.Token == "" && len(c.Kafka.Workers) > 1 {
		return fmt.Errorf("api.token: is empty: want one, the same on all nodes, because with kafka.workers and api.tokens_file nodes ask each other with it")
	}
	if c.Accept.Repeat > c.Refine.Repeat {
		// Accept would drop what refine would count.
		return fmt.Errorf("accept.repeat: %v: want at most refine.repeat, which is %v", c.Accept.Repeat, c.Refine.Repeat)
	}
	return nil
}
