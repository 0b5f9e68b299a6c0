package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"carom/pipeline/event"
)

// Secrets are written as Standard Webhooks 1.0 does: whsec_ and the base64 of 24 to 64 bytes.
const (
	secretPrefix = "whsec_"
	leastSecret  = 24
	mostSecret   = 64
	newSecretLen = 32
	// previousFor is how long requests are signed with the secret before, too.
	previousFor = 24 * time.Hour
)

// Sealer seals what nobody but the nodes may read.
type Sealer interface {
	SealSecret(plain, about []byte) []byte
	OpenSecret(sealed, about []byte) ([]byte, error)
}

var errSecret = fmt.Errorf("want %s and the base64 of %d to %d random bytes", secretPrefix, leastSecret, mostSecret)

func parseSecret(text string) ([]byte, error) {
	coded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok || len(coded) > 4*mostSecret {
		return nil, errSecret
	}
	b, err := base64.StdEncoding.Strict().DecodeString(coded)
	if err != nil || len(b) < leastSecret || len(b) > mostSecret {
		return nil, errSecret
	}
	return b, nil
}

func newSecret() string {
	var b [newSecretLen]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return secretPrefix + base64.StdEncoding.EncodeToString(b[:])
}

// secrets are what a webhook signs with.
type secrets struct {
	Secret   string       `json:"secret"`
	Previous string       `json:"previous,omitempty"`
	Until    event.Millis `json:"until,omitempty"` // of Previous
}

// change puts another secret in the place of s, which goes on signing for a while.
func (s secrets) change(secret string, now event.Millis) secrets {
	if secret == s.Secret {
		return s
	}
	return secrets{Secret: secret, Previous: s.Secret, Until: now.Add(previousFor)}
}

func (s secrets) seal(by Sealer, h *Hook) []byte {
	plain, err := json.Marshal(s)
	if err != nil {
		panic("BUG: secrets that JSON can't hold: " + err.Error())
	}
	return by.SealSecret(plain, h.about())
}

func (h *Hook) openSecrets(by Sealer) (s secrets, err error) {
	if h.Configured {
		return secrets{Secret: h.configuredSecret}, nil
	}
	plain, err := by.OpenSecret(h.Sealed, h.about())
	if err == nil {
		err = json.Unmarshal(plain, &s)
	}
	if err != nil {
		return s, fmt.Errorf("the secret can't be opened, its key may be retired: PUT the webhook with a new one: %w", err)
	}
	return s, nil
}

// about is what a sealed secret is bound to.
func (h *Hook) about() []byte {
	return []byte("webhook\x00" + h.Account + "\x00" + h.Name + "\x00" + h.ID)
}

// sign returns the header webhook-signature of Standard Webhooks 1.0.
func (s secrets) sign(id string, at time.Time, body []byte) (string, error) {
	var parts []string
	for _, secret := range []string{s.Secret, s.Previous} {
		if secret == "" || secret == s.Previous && event.FromTime(at) >= s.Until {
			continue
		}
		key, err := parseSecret(secret)
		if err != nil {
			return "", err
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		parts = append(parts, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	if len(parts) == 0 {
		return "", errors.New("there is no secret to sign with")
	}
	return strings.Join(parts, " "), nil
}
