package ref

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

const keyFileHead = `# Carom's keys. They seal the links, pixels and return addresses that go out with your mail, and tell yours from
# forged ones when they come back. Keep this file secret (chmod 600), the same on every node, and in your backup:
# without it, nothing that is out there can be understood any more.
#
#   state: seal     seals new mail, and opens what it sealed; exactly one key
#          open     opens only; what the key that sealed before becomes
#          retired  refused: what it sealed is dead, for example because it leaked
#
# A key may be retired, or removed, once nobody opens or answers the mail of its time any more.
version: 1
keys:
`

// NewKeyFile returns the content of a new keys file with one random key that seals.
func NewKeyFile() ([]byte, error) {
	return fmt.Appendf(nil, "%s  - id: 1 # made %s\n    state: seal\n    secret: %s\n", keyFileHead, today(), newSecret()), nil
}

// RotateKeyFile returns the keys file with a new random key that seals from now on; the one that sealed until now goes
// on opening. Remarks in the file stay. A new id is above all others, so that the id of a
// removed key isn't used again; beyond 255 it is refused.
//
// A node that doesn't have the new key yet refuses what others seal with it: see "Keys" in MINTING.md for how to
// change over several nodes.
func RotateKeyFile(old []byte) ([]byte, error) {
	k, err := ParseKeyring(old)
	if err != nil {
		return nil, err
	}
	id := maxKeyID
	for k.keys[id] == nil {
		id--
	}
	if id == maxKeyID {
		return nil, fmt.Errorf("ids go no higher than %d: add a key by hand, under the id of one that was removed long ago", maxKeyID)
	}
	root, err := parseYAML(old)
	if err != nil {
		return nil, err
	}
	// The file was parsed already, so every field is known to be there.
	fields, err := mapping(root, "version", "keys")
	if err != nil {
		return nil, err
	}
	list := fields["keys"]
	if err := demote(list); err != nil {
		return nil, err
	}
	// Written as JSON, the file would have no place for the new key's remark.
	root.Style &^= yaml.FlowStyle
	list.Style &^= yaml.FlowStyle
	list.Content = append(list.Content, entryNode(id+1))
	return encodeYAML(root)
}

// demote lets the key that seals only open.
func demote(list *yaml.Node) error {
	for _, n := range list.Content {
		fields, err := mapping(n, "id", "state", "secret")
		if err != nil {
			return err
		}
		if s := fields["state"]; s.Value == string(stateSeal) {
			s.Value = string(stateOpen)
		}
	}
	return nil
}

// entryNode returns a new random key that seals.
func entryNode(id int) *yaml.Node {
	scalar := func(tag, value, remark string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value, LineComment: remark}
	}
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{
		scalar("!!str", "id", ""), scalar("!!int", strconv.Itoa(id), "# made "+today()),
		scalar("!!str", "state", ""), scalar("!!str", string(stateSeal), ""),
		scalar("!!str", "secret", ""), scalar("!!str", newSecret(), ""),
	}}
}

func encodeYAML(root *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(root); err != nil {
		return nil, fmt.Errorf("write keys: %w", err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("write keys: %w", err)
	}
	return b.Bytes(), nil
}

func newSecret() string {
	var b [secretLen]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return secretText.EncodeToString(b[:])
}

func today() string { return time.Now().UTC().Format(time.DateOnly) }
