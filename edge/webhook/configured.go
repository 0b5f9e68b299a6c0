package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxConfigured bounds the webhooks that the settings may have.
const maxConfigured = 256

// configured reads the webhooks of the settings.
func (o Options) configured() ([]Hook, error) {
	allowed, err := o.allowed()
	if err != nil {
		return nil, err
	}
	var list []Hook
	for _, item := range o.Hooks {
		path, value, ok := strings.Cut(item, "=")
		parts := strings.Split(path, "/")
		if !ok || len(parts) != 3 {
			return nil, fmt.Errorf("hooks: %q: want ACCOUNT/NAME/FIELD=VALUE", cutShort(path))
		}
		account, err := url.PathUnescape(parts[0])
		if err != nil || account == "" {
			return nil, fmt.Errorf("hooks: %q: the account can't be read", cutShort(path))
		}
		name := parts[1]
		at := slices.IndexFunc(list, func(h Hook) bool { return h.Account == account && h.Name == name })
		if at < 0 {
			if len(list) == maxConfigured {
				return nil, fmt.Errorf("hooks: more than %d: tell them by API", maxConfigured)
			}
			at = len(list)
			list = append(list, Hook{Account: account, Name: name, Format: FormatJSON, Configured: true})
		}
		if err := list[at].configure(parts[2], value); err != nil {
			return nil, fmt.Errorf("hooks: %s: %w", cutShort(path), err)
		}
	}
	for i := range list {
		h := &list[i]
		sum := sha256.Sum256([]byte("configured\x00" + h.Account + "\x00" + h.Name))
		h.ID = hex.EncodeToString(sum[:idBytes])
		err := h.check(&o, guard{allowed})
		if err == nil && h.configuredSecret == "" {
			err = wrong("secret", "is missing")
		}
		if err != nil {
			return nil, fmt.Errorf("hooks: %s/%s/%w", h.Account, h.Name, err)
		}
	}
	return list, nil
}

// cutShort keeps a secret that stands at the wrong place out of the log.
func cutShort(s string) string {
	s, _, _ = strings.Cut(s, secretPrefix)
	return s[:min(len(s), 80)]
}

// configure sets a field to what the settings say of it.
func (h *Hook) configure(field, value string) (err error) {
	switch field {
	case "url":
		if h.URL != "" {
			return errors.New("is given twice: a comma in it is %2C")
		}
		h.URL = value
	case "kinds":
		h.Kinds = append(h.Kinds, value)
	case "verdicts":
		h.Verdicts = append(h.Verdicts, value)
	case "format":
		h.Format = value
	case "secret":
		h.configuredSecret = value
		_, err = parseSecret(value)
	case "max_events":
		h.MaxEvents, err = number(value)
	case "max_bytes":
		h.MaxBytes, err = number(value)
	case "max_wait":
		d, failed := time.ParseDuration(value)
		if failed != nil {
			err = errors.New("want a duration such as 2s")
		}
		h.MaxWait = &d
	default:
		err = errors.New("is no field of a webhook: want url, kinds, verdicts, secret, format, max_events, max_bytes or max_wait")
	}
	return err
}

// number does not repeat what it can't read: it may be a secret.
func number(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, errors.New("want a number")
	}
	return n, nil
}
