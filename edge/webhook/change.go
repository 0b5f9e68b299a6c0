package webhook

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"carom/pipeline/control"
	"carom/pipeline/event"
)

// ErrUnknown is returned for a webhook that there is not.
var ErrUnknown = errors.New("webhook: no such webhook")

// ErrConfigured is returned for a change of what the settings say.
var ErrConfigured = errors.New("webhook: the settings have this one, and the API can't change it")

// Info is what all nodes know of a webhook.
type Info struct {
	Hook
	State  string
	Reason string
	Since  event.Millis // of the state; 0: as long as the webhook
}

// Bounds are those of a batch that hold for a webhook.
func (h *Hooks) Bounds(hook *Hook) (events, bytes int, wait time.Duration) {
	return hook.maxEvents(&h.o), hook.maxBytes(&h.o), hook.maxWait(&h.o)
}

// Get returns ErrUnknown if there is none of that name.
func (h *Hooks) Get(account, name string) (Info, error) {
	hook, err := h.hook(account, name)
	if err != nil {
		return Info{}, err
	}
	s, err := h.state(&hook)
	return Info{Hook: hook, State: s.State, Reason: s.Reason, Since: s.At}, err
}

func (h *Hooks) hook(account, name string) (Hook, error) {
	for _, hook := range h.configured {
		if hook.Account == account && hook.Name == name {
			return hook, nil
		}
	}
	c, ok, err := h.controls.Get(control.Webhook, account, name)
	switch {
	case err != nil:
		return Hook{}, err
	case !ok:
		return Hook{}, ErrUnknown
	}
	return hookOf(c)
}

func (h *Hooks) state(hook *Hook) (s state, err error) {
	c, ok, err := h.controls.Get(control.WebhookState, hook.Account, hook.Name)
	if ok && err == nil {
		s, err = stateOf(c)
	}
	return s.of(hook), err
}

// List returns an account's webhooks whose names come after a name, in their order; next is empty after the last.
func (h *Hooks) List(account, after string, limit int) (page []Info, next string, err error) {
	list, next, err := h.controls.List(control.Webhook, account, after, limit)
	if err != nil {
		return nil, "", err
	}
	var names []string
	for i := range list {
		names = append(names, list[i].Name)
	}
	for _, hook := range h.configured {
		if hook.Account == account && hook.Name > after && (next == "" || hook.Name <= next) {
			names = append(names, hook.Name)
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > limit {
		names, next = names[:limit], names[limit-1]
	}
	for _, name := range names {
		info, err := h.Get(account, name)
		if errors.Is(err, ErrUnknown) { // removed meanwhile
			continue
		}
		if err != nil {
			return nil, "", err
		}
		page = append(page, info)
	}
	return page, next, nil
}

// Draft is what a PUT says of a webhook.
type Draft struct {
	URL                 string
	Kinds, Verdicts     []string
	Format              string // empty: an array
	MaxEvents, MaxBytes int
	MaxWait             *time.Duration
	// Secret may be empty: then it is as before, or a new webhook gets one.
	Secret string
}

// Put makes a webhook or changes it, and so makes it active. secret is returned if it was made here.
func (h *Hooks) Put(ctx context.Context, account, name string, d Draft) (info Info, secret string, err error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	before, err := h.hook(account, name)
	known := err == nil
	switch {
	case before.Configured:
		return info, "", ErrConfigured
	case err != nil && !errors.Is(err, ErrUnknown):
		return info, "", err
	}
	now := event.Now()
	hook := Hook{
		Account: account, Name: name, ID: before.ID, URL: d.URL, Kinds: d.Kinds, Verdicts: d.Verdicts, Format: d.Format,
		MaxEvents: d.MaxEvents, MaxBytes: d.MaxBytes, MaxWait: d.MaxWait, Created: before.Created, Updated: max(now, before.Updated+1),
	}
	if hook.Format == "" {
		hook.Format = FormatJSON
	}
	if !known {
		hook.ID, hook.Created = newID(), now
		if err := h.room(account); err != nil {
			return info, "", err
		}
	}
	if err := hook.check(&h.o, h.g); err != nil {
		return info, "", err
	}
	if secret, err = h.secure(&hook, &before, known, d.Secret, now); err != nil {
		return info, "", err
	}
	if err := h.controls.Set(ctx, hook.control()); err != nil {
		return info, "", err
	}
	return Info{Hook: hook, State: Active}, secret, nil
}

// room refuses what would be too many of one account: it must leave some to others.
func (h *Hooks) room(account string) error {
	list, _, err := h.controls.List(control.Webhook, account, "", h.o.PerAccount)
	if err == nil && len(list) >= h.o.PerAccount {
		err = fmt.Errorf("%w: webhooks.per_account allows %d webhooks of an account", control.ErrFull, h.o.PerAccount)
	}
	return err
}

// secure seals the secret of a webhook into it, and returns it if it was made here.
func (h *Hooks) secure(hook, before *Hook, known bool, secret string, now event.Millis) (made string, err error) {
	if secret == "" && known {
		hook.Sealed = before.Sealed
		return "", nil
	}
	if secret == "" {
		secret = newSecret()
		made = secret
	} else if _, err := parseSecret(secret); err != nil {
		return "", wrong("secret", err.Error())
	}
	s := secrets{Secret: secret}
	if known {
		if old, err := before.openSecrets(h.sealer); err == nil { // else nobody can sign with it any more
			s = old.change(secret, now)
		}
	}
	hook.Sealed = s.seal(h.sealer, hook)
	return made, nil
}

func newID() string {
	var b [idBytes]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return hex.EncodeToString(b[:])
}

// Delete removes a webhook, and with it where it stood.
func (h *Hooks) Delete(ctx context.Context, account, name string) error {
	h.changing.Lock()
	defer h.changing.Unlock()
	switch hook, err := h.hook(account, name); {
	case err != nil:
		return err
	case hook.Configured:
		return ErrConfigured
	}
	return h.controls.Remove(ctx,
		control.Control{Kind: control.Webhook, Account: account, Name: name},
		control.Control{Kind: control.WebhookState, Account: account, Name: name})
}

// Resume makes a webhook active: from where each node was, or with offsets, one a partition, from there.
func (h *Hooks) Resume(ctx context.Context, account, name string, from []int64) (Info, error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	hook, err := h.hook(account, name)
	if err != nil {
		return Info{}, err
	}
	s := state{
		ID: hook.ID, Tag: hook.tag(), State: Active, At: event.Now(), Serial: newSerial(), From: appendOffsets(nil, from),
	}
	if err := h.controls.Set(ctx, s.control(&hook)); err != nil {
		return Info{}, err
	}
	return Info{Hook: hook, State: Active, Since: s.At}, nil
}
