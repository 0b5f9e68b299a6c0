package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"carom/pipeline/control"
	"carom/pipeline/event"
)

// Formats of a request's body.
const (
	FormatJSON  = "json"   // an array
	FormatLines = "ndjson" // one event a line
)

// Hook is one webhook: account and name are its identity.
type Hook struct {
	Account string `json:"-"`
	Name    string `json:"-"`
	// ID is made when the webhook is: one that was deleted and made anew is another.
	ID       string   `json:"id"`
	URL      string   `json:"url"`
	Kinds    []string `json:"kinds,omitempty"`    // empty: all
	Verdicts []string `json:"verdicts,omitempty"` // empty: all
	Format   string   `json:"format"`
	// Zero is what the settings say.
	MaxEvents int            `json:"max_events,omitempty"`
	MaxBytes  int            `json:"max_bytes,omitempty"`
	MaxWait   *time.Duration `json:"max_wait,omitempty"` // nil is what the settings say
	Created   event.Millis   `json:"created"`
	Updated   event.Millis   `json:"updated"`
	Sealed    []byte         `json:"sealed,omitempty"`
	// Configured is set on what the settings say; then the API can't change it.
	Configured       bool `json:"-"`
	configuredSecret string
}

// Bounds of a hook.
const (
	maxName = 64
	maxURL  = 2048
	idBytes = 8
)

// FieldError says which field of a webhook is wrong.
type FieldError struct{ Field, Reason string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

func wrong(field, reason string) error { return &FieldError{field, reason} }

// check names the first field that is not allowed.
func (h *Hook) check(o *Options, g guard) error {
	if err := CheckName(h.Name); err != nil {
		return err
	}
	if err := checkURL(h.URL, o, g); err != nil {
		return err
	}
	for _, k := range h.Kinds {
		if !slices.Contains(event.KindNames(), k) {
			return wrong("kinds", strconv.Quote(cutShort(k))+": want some of "+strings.Join(event.KindNames(), " "))
		}
	}
	for _, v := range h.Verdicts {
		if !slices.Contains(event.VerdictNames(), v) {
			return wrong("verdicts", strconv.Quote(cutShort(v))+": want some of "+strings.Join(event.VerdictNames(), " "))
		}
	}
	switch {
	case h.Format != FormatJSON && h.Format != FormatLines:
		return wrong("format", "want json or ndjson")
	case h.MaxEvents < 0 || h.MaxEvents > mostEvents:
		return wrong("max_events", fmt.Sprintf("want 1 to %d", mostEvents))
	case h.MaxBytes != 0 && (h.MaxBytes < leastBytes || h.MaxBytes > mostBytes):
		return wrong("max_bytes", fmt.Sprintf("want %d to %d", leastBytes, mostBytes))
	case h.MaxWait != nil && (*h.MaxWait < 0 || *h.MaxWait > mostWait):
		return wrong("max_wait", fmt.Sprintf("want 0s to %v", mostWait))
	}
	return nil
}

// CheckName says what is wrong with the name of a webhook.
func CheckName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	if name == "" || len(name) > maxName || strings.Trim(name, letters) != "" || strings.Trim(name, ".") == "" {
		return wrong("name", fmt.Sprintf("want 1 to %d letters, digits, dots, dashes or underscores, not dots alone", maxName))
	}
	return nil
}

func checkURL(text string, o *Options, g guard) error {
	if text == "" {
		return wrong("url", "is missing")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURL || u.Host == "" || u.Hostname() == "":
		return wrong("url", fmt.Sprintf("want an absolute URL of at most %d bytes, such as https://hooks.example.com/carom", maxURL))
	case u.Scheme == "http" && !o.PlainHTTP:
		return wrong("url", "want https://; the setting webhooks.plain_http allows http://")
	case u.Scheme != "https" && u.Scheme != "http":
		return wrong("url", "want https://")
	case u.User != nil:
		return wrong("url", "want no user and password in it: it is shown to whoever lists webhooks; the signature tells who sends")
	case u.Fragment != "":
		return wrong("url", "want no fragment")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil { // names are checked whenever they are resolved
		if err := g.check(a); err != nil {
			return wrong("url", err.Error())
		}
	}
	return nil
}

// control is the hook as the log of controls has it.
func (h *Hook) control() control.Control {
	return control.Control{Kind: control.Webhook, Account: h.Account, Name: h.Name, Since: h.Updated, Values: []string{h.text()}}
}

func (h *Hook) text() string {
	b, err := json.Marshal(h)
	if err != nil {
		panic("BUG: a webhook that JSON can't hold: " + err.Error())
	}
	return string(b)
}

// hookOf reads what control wrote.
func hookOf(c control.Control) (h Hook, err error) {
	if len(c.Values) != 1 {
		return h, fmt.Errorf("webhook %s: no object", c.Name)
	}
	if err := json.Unmarshal([]byte(c.Values[0]), &h); err != nil {
		return h, fmt.Errorf("webhook %s: %w", c.Name, err)
	}
	h.Account, h.Name = c.Account, c.Name
	if b, err := hex.DecodeString(h.ID); err != nil || len(b) != idBytes {
		return h, fmt.Errorf("webhook %s: no id", c.Name)
	}
	return h, nil
}

// tag stands for this definition of the webhook.
func (h *Hook) tag() string {
	sum := sha256.Sum256([]byte(h.text() + "\x00" + h.configuredSecret))
	return hex.EncodeToString(sum[:idBytes])
}

func (h *Hook) maxEvents(o *Options) int {
	if h.MaxEvents != 0 {
		return h.MaxEvents
	}
	return o.BatchEvents
}

func (h *Hook) maxBytes(o *Options) int {
	if h.MaxBytes != 0 {
		return h.MaxBytes
	}
	return o.BatchBytes
}

func (h *Hook) maxWait(o *Options) time.Duration {
	if h.MaxWait != nil {
		return *h.MaxWait
	}
	return o.BatchWait
}

// selection is which of its account's events a webhook wants.
type selection struct {
	prefix   []byte // of the keys of the account's records
	account  string
	kinds    event.Kinds    // empty: all
	verdicts event.Verdicts // empty: all
}

func (h *Hook) selection() selection {
	s := selection{account: h.Account, prefix: event.AppendSenderKey(nil, h.Account, "")}
	for _, name := range h.Kinds {
		k, _ := event.ParseKind(name)
		s.kinds = s.kinds.With(k)
	}
	for _, name := range h.Verdicts {
		v, _ := event.ChooseVerdict(name)
		s.verdicts = s.verdicts.With(v)
	}
	return s
}

func (s *selection) match(e *event.Refined) bool {
	return e.Account == s.account && (s.kinds == 0 || s.kinds.Has(e.Kind)) &&
		(s.verdicts == 0 || s.verdicts.Has(e.Actor.Verdict))
}
