package ref

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
)

// state is what a key may still be used for.
type state string

// The states of a key. Every keys file has exactly one in stateSeal.
const (
	stateSeal    state = "seal"    // seals, and opens what it sealed
	stateOpen    state = "open"    // opens only: it sealed once, or other nodes seal with it already
	stateRetired state = "retired" // refused
)

// key is what is derived from one entry of the keys file. A retired one has nothing to open with.
type key struct {
	id      byte
	state   state
	url     cipher.AEAD
	self    cipher.AEAD // of cookies
	secret  cipher.AEAD // of what nodes keep for others
	address [secretLen]byte
	macs    sync.Pool // of *addressMAC
}

// Keyring holds the keys of one keys file. It never changes and is safe for concurrent use.
type Keyring struct {
	keys    [maxKeyID + 1]*key // by id; nil where the file has none
	seal    *key
	client  [secretLen]byte
	person  [secretLen]byte
	warning string
}

// ReadKeyring reads a keys file. A file that others may write is refused: whoever can add a key can forge everything.
// One that others may read is only worth a Warning, because mounted secrets often come that way.
func ReadKeyring(file string) (*Keyring, error) {
	data, mode, err := readKeyFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read keys: %w: make the file with `carom keys new`", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	const othersRead, othersWrite = 0o004, 0o002
	posix := runtime.GOOS != "windows" // where the mode bits say nothing
	if posix && mode&othersWrite != 0 {
		return nil, fmt.Errorf("read keys: %s: everybody may write it (mode %04o): chmod 600 it", file, mode)
	}
	k, err := ParseKeyring(data)
	if err != nil {
		return nil, fmt.Errorf("read keys: %s: %w", file, err)
	}
	if posix && mode&othersRead != 0 {
		k.warning = fmt.Sprintf("%s: everybody may read it (mode %04o): chmod 600 it", file, mode)
	}
	return k, nil
}

func readKeyFile(file string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	// One byte more than allowed, so that ParseKeyring sees that it is too much.
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	return data, info.Mode().Perm(), err
}

// Warning returns what the operator should be told about the file that the keys came from; empty if nothing.
func (k *Keyring) Warning() string { return k.warning }

// ClientKey returns the key for hashing client addresses, which bursts are recognised by. Nodes must agree on it even
// while they change over to a new keys file one by one, and the key that seals is what differs between them then. So it
// comes from the key with the lowest id that isn't retired.
func (k *Keyring) ClientKey() [32]byte { return k.client }

// PersonKey returns the key for the hashes under which addresses are kept that must not stand anywhere. It must stay the same
// for as long as they are to be recognised, so it comes from the key with the lowest id, retired or not, which therefore
// stays in the file.
func (k *Keyring) PersonKey() [32]byte { return k.person }

// forOpening returns the key that a token names, if it may still open.
func (k *Keyring) forOpening(version, id byte) (*key, error) {
	if version != tokenVersion {
		return nil, ErrVersion
	}
	key := k.keys[id]
	switch {
	case key == nil:
		return nil, ErrUnknownKey
	case key.state == stateRetired:
		return nil, ErrRetired
	}
	return key, nil
}
