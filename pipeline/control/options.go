package control

import "fmt"

// Options are the settings of the controls: the section `control` of the configuration.
type Options struct {
	MaxDenied int `yaml:"max_denied" doc:"How many contacts may be denied, in all accounts, 0 to 16777216; each takes some 48 bytes of every node's memory. More are refused."`
	MaxSelf   int `yaml:"max_self" doc:"Of how many senders the own addresses may be told by API, 0 to 1048576. More are refused."`

	MaxWebhooks int `yaml:"max_webhooks" doc:"How many webhooks may be told by API, in all accounts, 0 to 4096; each takes a goroutine and up to its max_bytes of memory on every node that delivers. More are refused."`
}

const (
	maxDenied = 1 << 24
	maxSelf   = 1 << 20

	maxWebhooks = 1 << 12
)

// Default returns the settings that hold where nothing else is said.
func Default() Options { return Options{MaxDenied: 1 << 20, MaxSelf: 1 << 14, MaxWebhooks: 256} }

// Validate names the first setting that is not allowed.
func (o Options) Validate() error {
	switch {
	case o.MaxDenied < 0 || o.MaxDenied > maxDenied:
		return fmt.Errorf("max_denied: %d: want 0 to %d", o.MaxDenied, maxDenied)
	case o.MaxSelf < 0 || o.MaxSelf > maxSelf:
		return fmt.Errorf("max_self: %d: want 0 to %d", o.MaxSelf, maxSelf)
	case o.MaxWebhooks < 0 || o.MaxWebhooks > maxWebhooks:
		return fmt.Errorf("max_webhooks: %d: want 0 to %d", o.MaxWebhooks, maxWebhooks)
	}
	return nil
}
