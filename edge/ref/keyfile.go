package ref

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

const (
	// keyFileVersion is the form of the keys file that is written, and the only one that is read.
	keyFileVersion = 1
	// maxKeyID bounds ids from above: an id is one byte of every token. 0 is left out, so that a forgotten id shows.
	maxKeyID = 255
	// maxKeyFile bounds a keys file in bytes: 255 keys of some 100 bytes, and plenty of remarks.
	maxKeyFile = 256 << 10
)

// secretText is how a secret is written: base64 with padding, one text per secret.
var secretText = base64.StdEncoding.Strict()

// ParseKeyring reads the content of a keys file:
//
//	version: 1
//	keys:
//	  - id: 1            1 to 255, once each
//	    state: seal      seal (exactly one), open or retired
//	    secret: <base64> 32 random bytes
//
// Its errors name the line.
func ParseKeyring(data []byte) (*Keyring, error) {
	root, err := parseYAML(data)
	if err != nil {
		return nil, err
	}
	fields, err := mapping(root, "version", "keys")
	if err != nil {
		return nil, err
	}
	if err := checkVersion(fields["version"], root); err != nil {
		return nil, err
	}
	list := fields["keys"]
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil, wrong(root, "want a list under `keys`")
	}
	k := new(Keyring)
	secrets := make(map[string]int, len(list.Content))
	lowest, first := maxKeyID+1, maxKeyID+1
	var lowestSecret, firstSecret []byte // of those that are not retired, and of all
	for _, n := range list.Content {
		e, err := parseEntry(n)
		if err != nil {
			return nil, err
		}
		if err := k.add(n, e); err != nil {
			return nil, err
		}
		if other, ok := secrets[string(e.secret)]; ok {
			return nil, wrong(n, "key %d has the secret of key %d: want another", e.id, other)
		}
		secrets[string(e.secret)] = e.id
		if e.state != stateRetired && e.id < lowest {
			lowest, lowestSecret = e.id, e.secret
		}
		if e.id < first {
			first, firstSecret = e.id, e.secret
		}
	}
	if k.seal == nil {
		return nil, wrong(list, "no key has state seal: want exactly one")
	}
	if k.client, err = derive(lowestSecret, clientInfo); err != nil {
		return nil, err
	}
	k.person, err = derive(firstSecret, personInfo)
	return k, err
}

// add puts an entry in its place.
func (k *Keyring) add(n *yaml.Node, e entry) error {
	if k.keys[e.id] != nil {
		return wrong(n, "key %d is there twice: want each id once", e.id)
	}
	key, err := newKey(byte(e.id), e.state, e.secret)
	if err != nil {
		return err
	}
	k.keys[e.id] = key
	if e.state != stateSeal {
		return nil
	}
	if k.seal != nil {
		return wrong(n, "keys %d and %d both have state seal: want exactly one, the others open or retired", k.seal.id, e.id)
	}
	k.seal = key
	return nil
}

// entry is one key as it is written.
type entry struct {
	id     int
	state  state
	secret []byte
}

func parseEntry(n *yaml.Node) (entry, error) {
	fields, err := mapping(n, "id", "state", "secret")
	if err != nil {
		return entry{}, err
	}
	for _, name := range []string{"id", "state", "secret"} {
		if v := fields[name]; v == nil || v.Kind != yaml.ScalarNode {
			return entry{}, wrong(n, "a key without %s: want id, state and secret", name)
		}
	}
	var e entry
	idNode, stateNode, secretNode := fields["id"], fields["state"], fields["secret"]
	if e.id, err = strconv.Atoi(idNode.Value); err != nil || e.id < 1 || e.id > maxKeyID {
		return entry{}, wrong(idNode, "id: %q: want a number from 1 to %d", clip(idNode.Value), maxKeyID)
	}
	switch e.state = state(stateNode.Value); e.state {
	case stateSeal, stateOpen, stateRetired:
	default:
		return entry{}, wrong(stateNode, "state: %q: want seal, open or retired", clip(stateNode.Value))
	}
	// What is wrong with a secret is told without telling the secret.
	if e.secret, err = secretText.DecodeString(secretNode.Value); err != nil {
		return entry{}, wrong(secretNode, "secret of key %d: not base64: want %d bytes in standard base64 with padding", e.id, secretLen)
	}
	if len(e.secret) != secretLen {
		return entry{}, wrong(secretNode, "secret of key %d: %d bytes: want %d", e.id, len(e.secret), secretLen)
	}
	return e, nil
}

func checkVersion(v, root *yaml.Node) error {
	if v == nil {
		return wrong(root, "version is missing: want %d", keyFileVersion)
	}
	n, err := strconv.Atoi(v.Value)
	switch {
	case v.Kind != yaml.ScalarNode || err != nil || n < 1:
		return wrong(v, "version: %q: want %d", clip(v.Value), keyFileVersion)
	case n > keyFileVersion:
		return wrong(v, "version: %d: made for a newer Carom, this one reads %d", n, keyFileVersion)
	}
	return nil
}

// parseYAML returns the root of the only document in data.
func parseYAML(data []byte) (*yaml.Node, error) {
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("longer than %d bytes", maxKeyFile)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, errors.New("empty: make it with `carom keys new`")
	} else if err != nil {
		return nil, err
	}
	var second yaml.Node
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document: want one")
	}
	return doc.Content[0], nil
}

// mapping returns the fields of a YAML mapping, of which only the named ones may occur.
func mapping(n *yaml.Node, names ...string) (map[string]*yaml.Node, error) {
	if n.Kind != yaml.MappingNode {
		return nil, wrong(n, "want a mapping with %q", names)
	}
	fields := make(map[string]*yaml.Node, len(names))
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		if !slices.Contains(names, name) {
			return nil, wrong(n.Content[i], "unknown field %q: want %q", clip(name), names)
		}
		if fields[name] != nil {
			return nil, wrong(n.Content[i], "%s is there twice", name)
		}
		fields[name] = n.Content[i+1]
	}
	return fields, nil
}

// wrong returns an error about the line that n stands in.
func wrong(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", n.Line, fmt.Sprintf(format, args...))
}

// clip shortens a value for an error message, should it be a secret in the wrong place.
func clip(s string) string {
	const most = 12
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
