package ref

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// secretLen is the length of a secret of the keys file and of every key derived from it.
const secretLen = 32

// What the derived keys are for: the info strings of HKDF. Changing one makes every token in circulation forged.
const (
	urlInfo     = "carom url v1"
	addressInfo = "carom address v1"
	clientInfo  = "carom client v1"
	selfInfo    = "carom self v1"
	secretInfo  = "carom secret v1"
	personInfo  = "carom person v1"
)

// derive returns the key for one use of a secret: HKDF-SHA256 (RFC 5869) without a salt, because the secret is
// uniformly random already.
func derive(secret []byte, info string) ([secretLen]byte, error) {
	b, err := hkdf.Key(sha256.New, secret, nil, info, secretLen)
	if err != nil {
		return [secretLen]byte{}, fmt.Errorf("derive the key %q: %w", info, err)
	}
	return [secretLen]byte(b), nil
}

// newKey derives all that seals and opens from the secret of one entry of the keys file.
func newKey(id byte, state state, secret []byte) (*key, error) {
	k := &key{id: id, state: state}
	if state == stateRetired {
		return k, nil
	}
	var err error
	if k.url, err = newAEAD(secret, urlInfo); err != nil {
		return nil, err
	}
	if k.self, err = newAEAD(secret, selfInfo); err != nil {
		return nil, err
	}
	if k.secret, err = newAEAD(secret, secretInfo); err != nil {
		return nil, err
	}
	k.address, err = derive(secret, addressInfo)
	return k, err
}

func newAEAD(secret []byte, info string) (cipher.AEAD, error) {
	key, err := derive(secret, info)
	if err != nil {
		return nil, err
	}
	a, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		return nil, fmt.Errorf("prepare XChaCha20-Poly1305: %w", err)
	}
	return a, nil
}
