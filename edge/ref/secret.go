package ref

import (
	"crypto/rand"

	"golang.org/x/crypto/chacha20poly1305"
)

// secretPurpose is authenticated with a sealed secret; its key seals nothing else.
const secretPurpose = 'w'

// SealSecret seals what the nodes keep for others, such as the secrets of webhooks, so that whoever finds it where it is
// kept can't read it. It is bound to what it is about:
//
//	 0        1        2                       26            n-16      n
//	+--------+--------+-----------------------+-------------+---------+
//	| version| key id | nonce, 24 random bytes| ciphertext  | tag     |
//	| 1      | 1-255  |                       |             |         |
//	+--------+--------+-----------------------+-------------+---------+
//
// Associated data: version, key id, purpose byte, about.
func (k *Keyring) SealSecret(plain, about []byte) []byte {
	raw := make([]byte, sealedAt, minToken+len(plain))
	raw[0], raw[1] = tokenVersion, k.seal.id
	_, _ = rand.Read(raw[nonceAt:sealedAt]) // never fails: it ends the program instead
	return k.seal.secret.Seal(raw, raw[nonceAt:sealedAt], plain, secretData(raw, about))
}

// OpenSecret opens what SealSecret sealed, with the same about. Its errors are ErrMalformed, ErrVersion, ErrUnknownKey,
// ErrRetired and ErrForged.
func (k *Keyring) OpenSecret(sealed, about []byte) ([]byte, error) {
	if len(sealed) < sealedAt+chacha20poly1305.Overhead {
		return nil, ErrMalformed
	}
	key, err := k.forOpening(sealed[0], sealed[1])
	if err != nil {
		return nil, err
	}
	plain, err := key.secret.Open(nil, sealed[nonceAt:sealedAt], sealed[sealedAt:], secretData(sealed, about))
	if err != nil {
		return nil, ErrForged
	}
	return plain, nil
}

func secretData(sealed, about []byte) []byte {
	return append([]byte{sealed[0], sealed[1], secretPurpose}, about...)
}
