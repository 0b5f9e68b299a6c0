package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"carom/pipeline/event"
)

// Kind is what a control says of its name. The numbers are stored; more may come.
type Kind uint8

const (
	// Denied: opens and clicks of the contact Name are answered and not recorded.
	Denied Kind = iota + 1
	// DeniedKey: the same of a contact who was erased; Name is his event.ContactKey in hexadecimal.
	DeniedKey
	// Self: Values are the addresses, or ranges of addresses, of the sender Name.
	Self
	// Webhook: the account's events go to somebody's server; Values is one JSON object, which says where and how.
	Webhook
	// WebhookState: whether the webhook Name rests, and where it goes on; Values is one JSON object.
	WebhookState
)

var kindNames = [...]string{"", "denied", "denied_key", "self", "webhook", "webhook_state"}

// String returns the kind's name, as keys of the log have it; "" for a number that is none.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return ""
}

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Denied, DeniedKey, Self, Webhook, WebhookState} }

func parseKind(s string) (Kind, bool) {
	for i, name := range kindNames {
		if i > 0 && name == s {
			return Kind(i), true
		}
	}
	return 0, false
}

// Control is one entry: kind, account and name are its identity, the rest what is said.
type Control struct {
	Kind    Kind
	Account string
	Name    string
	// Since is when it was set.
	Since event.Millis
	// Values are those of the kind: of Self the addresses, of the two of webhooks an object, of others nothing.
	Values []string
}

// Bounds of an entry.
const (
	maxName   = 8 << 10
	maxValues = 64
	maxRecord = 512 << 10
	// maxObject bounds the object of a webhook. It is escaped in its record.
	maxObject = 64 << 10
)

var errControl = errors.New("control: malformed record")

// check refuses what no table can hold.
func (c *Control) check() error {
	switch {
	case c.Kind.String() == "":
		return fmt.Errorf("%w: kind %d", errControl, c.Kind)
	case c.Account == "" || c.Name == "" || len(c.Account)+len(c.Name) > maxName:
		return fmt.Errorf("%w: want an account and a name, together of at most %d bytes", errControl, maxName)
	case strings.IndexByte(c.Account, 0) >= 0 || strings.IndexByte(c.Name, 0) >= 0:
		return fmt.Errorf("%w: a name with a NUL", errControl)
	case len(c.Values) > maxValues:
		return fmt.Errorf("%w: %d values: want at most %d", errControl, len(c.Values), maxValues)
	case c.Kind == DeniedKey:
		if _, ok := event.ParseContactKey(c.Name); !ok {
			return fmt.Errorf("%w: the name is no contact key", errControl)
		}
	}
	switch c.Kind {
	case Self:
		_, err := prefixes(c.Values)
		return err
	case Webhook, WebhookState:
		if len(c.Values) > 1 || len(c.Values) == 1 && (len(c.Values[0]) > maxObject || !json.Valid([]byte(c.Values[0]))) {
			return fmt.Errorf("%w: want one JSON object of at most %d bytes", errControl, maxObject)
		}
	}
	return nil
}

// prefixes reads addresses and ranges of addresses. An IPv4 address within IPv6 is an IPv4 address.
func prefixes(values []string) ([]netip.Prefix, error) {
	list := make([]netip.Prefix, 0, len(values))
	for _, v := range values {
		p, err := event.ParseSelfAddress(v)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// appendLogKey appends the key of the log's record: kind/account/name, where a slash or percent sign of the account is
// escaped as in the keys of senders, so that no two entries share one.
func (c *Control) appendLogKey(dst []byte) []byte {
	dst = append(append(dst, c.Kind.String()...), '/')
	return event.AppendSenderKey(dst, c.Account, c.Name)
}

// parseLogKey is the inverse of appendLogKey.
func parseLogKey(key []byte) (c Control, err error) {
	kind, rest, ok := strings.Cut(string(key), "/")
	if !ok {
		return c, fmt.Errorf("%w: key", errControl)
	}
	account, name, ok := strings.Cut(rest, "/")
	if c.Kind, _ = parseKind(kind); !ok || c.Kind == 0 {
		return c, fmt.Errorf("%w: key of kind %.20q", errControl, kind)
	}
	c.Account, c.Name = strings.NewReplacer("%2F", "/", "%25", "%").Replace(account), name
	return c, nil
}

// value is what a record and a row hold: JSON, because consumers may read the topic.
type value struct {
	Kind    string   `json:"kind"`
	Account string   `json:"account"`
	Name    string   `json:"name"`
	Since   int64    `json:"since"` // milliseconds
	Values  []string `json:"values,omitempty"`
}

func (c *Control) appendValue(dst []byte) []byte {
	b, err := json.Marshal(value{c.Kind.String(), c.Account, c.Name, int64(c.Since), c.Values})
	if err != nil {
		panic("BUG: a control that JSON can't hold: " + err.Error())
	}
	return append(dst, b...)
}

// decodeValue reads what appendValue wrote, of an entry whose identity is known.
func (c *Control) decodeValue(b []byte) error {
	var v value
	if len(b) > maxRecord {
		return fmt.Errorf("%w: %d bytes", errControl, len(b))
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("%w: %w", errControl, err)
	}
	c.Since, c.Values = event.Millis(v.Since), v.Values
	return c.check()
}
