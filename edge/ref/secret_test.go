package ref

import (
	"bytes"
	"errors"
	"testing"
)

func TestSecrets(t *testing.T) {
	k, err := ParseKeyring([]byte("version: 1\nkeys:\n  - {id: 1, state: seal, secret: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}\n"))
	if err != nil {
		t.Fatal(err)
	}
	plain, about := []byte("a secret"), []byte("acme/crm")
	sealed := k.SealSecret(plain, about)
	if got, err := k.OpenSecret(sealed, about); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%q, %v", got, err)
	}
	if bytes.Contains(sealed, plain) || bytes.Equal(sealed, k.SealSecret(plain, about)) {
		t.Error("it is not sealed")
	}
	if _, err := k.OpenSecret(sealed, []byte("acme/other")); !errors.Is(err, ErrForged) {
		t.Errorf("about another: %v", err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := k.OpenSecret(changed, about); err == nil {
			t.Errorf("with byte %d changed it opens", i)
		}
		if _, err := k.OpenSecret(sealed[:i], about); err == nil {
			t.Errorf("%d bytes of it open", i)
		}
	}
}
