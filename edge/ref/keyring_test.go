package ref

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"carom/pipeline/event"
)

func TestParseKeyring(t *testing.T) {
	for name, file := range map[string]string{
		"one key":         string(keyFile("1 seal")),
		"every state":     string(keyFile("255 retired", "1 seal", "2 open")),
		"remarks, quotes": "# ours\nversion: \"1\"\nkeys:\n- secret: \"" + secretOf(1) + "\" # old\n  state: 'seal'\n  id: 1\n",
		"JSON":            `{"version":1,"keys":[{"id":1,"state":"seal","secret":"` + secretOf(1) + `"}]}`,
	} {
		if k, err := ParseKeyring([]byte(file)); err != nil || k.Warning() != "" {
			t.Errorf("%s: %v, warning %q", name, err, k.Warning())
		}
	}
}

func TestParseKeyringRefuses(t *testing.T) {
	one := func(fields string) string { return "version: 1\nkeys:\n  - {" + fields + "}\n" }
	secret := secretOf(1)
	for _, c := range []struct{ name, file, says string }{
		{"empty", "", "carom keys new"},
		{"only remarks", "# keys\n", "carom keys new"},
		{"no YAML", "version: [", "line 1"},
		{"no text", "\x00\x01", "control characters"},
		{"a list", "- 1\n", "want a mapping"},
		{"a word", "keys", "want a mapping"},
		{"no version", "keys: []\n", "version is missing"},
		{"bad version", "version: one\nkeys: []\n", `version: "one": want 1`},
		{"newer version", "version: 2\nkeys: []\n", "newer Carom"},
		{"no keys", "version: 1\n", "want a list under `keys`"},
		{"keys no list", "version: 1\nkeys: 7\n", "want a list under `keys`"},
		{"keys empty", "version: 1\nkeys: []\n", "no key has state seal"},
		{"unknown field", "version: 1\nkeys: []\ncolour: red\n", `line 3: unknown field "colour"`},
		{"field twice", "version: 1\nversion: 1\nkeys: []\n", "line 2: version is there twice"},
		{"unknown field of a key", one("id: 1, state: seal, secret: " + secret + ", name: x"), `unknown field "name"`},
		{"key no mapping", "version: 1\nkeys:\n  - abc\n", "line 3: want a mapping"},
		{"no id", one("state: seal, secret: " + secret), "without id"},
		{"no state", one("id: 1, secret: " + secret), "without state"},
		{"no secret", one("id: 1, state: seal"), "without secret"},
		{"id a list", one("id: [1], state: seal, secret: " + secret), "without id"},
		{"id 0", one("id: 0, state: seal, secret: " + secret), `id: "0": want a number from 1 to 255`},
		{"id 256", one("id: 256, state: seal, secret: " + secret), `id: "256": want a number from 1 to 255`},
		{"id negative", one("id: -1, state: seal, secret: " + secret), `id: "-1"`},
		{"id no number", one("id: a, state: seal, secret: " + secret), `id: "a"`},
		{"unknown state", one("id: 1, state: sealed, secret: " + secret), `state: "sealed": want seal, open or retired`},
		{"no base64", one("id: 1, state: seal, secret: '*'"), "line 3: secret of key 1: not base64"},
		{"no padding", one("id: 1, state: seal, secret: " + strings.TrimRight(secret, "=")), "not base64"},
		{"bits behind the last byte", one("id: 1, state: seal, secret: " + secret[:len(secret)-2] + "B="), "not base64"},
		{"short secret", one("id: 1, state: seal, secret: AAAA"), "secret of key 1: 3 bytes: want 32"},
		{"long secret", one("id: 1, state: seal, secret: " + strings.Repeat("A", 48)), "36 bytes: want 32"},
		{"short retired secret", one("id: 1, state: retired, secret: AAAA"), "3 bytes: want 32"},
		{"id twice", string(keyFile("1 seal", "2 open", "2 retired")), "line 5: key 2 is there twice"},
		{"secret twice", string(keyFile("1 seal")) + "  - {id: 2, state: open, secret: " + secret + "}\n", "key 2 has the secret of key 1"},
		{"no seal", string(keyFile("1 open", "2 retired")), "no key has state seal"},
		{"two seals", string(keyFile("1 seal", "2 seal")), "keys 1 and 2 both have state seal"},
		{"an alias for a secret", "version: 1\nkeys:\n  - {id: &a 1, state: seal, secret: *a}\n", "without secret"},
		{"two documents", string(keyFile("1 seal")) + "---\nversion: 1\n", "more than one YAML document"},
		{"too long", string(keyFile("1 seal")) + strings.Repeat("#", maxKeyFile), "longer than"},
	} {
		k, err := ParseKeyring([]byte(c.file))
		if k != nil || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		} else if strings.Contains(err.Error(), secret[:16]) {
			t.Errorf("%s: the error tells the secret: %v", c.name, err)
		}
	}
}

func TestReadKeyring(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.yaml")
	if _, err := ReadKeyring(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "carom keys new") || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := ReadKeyring(dir); err == nil {
		t.Error("read a folder")
	}
	file := filepath.Join(dir, "keys.yaml")
	if err := os.WriteFile(file, []byte("version: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKeyring(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("bad file: %v", err)
	}
	if err := os.WriteFile(file, append(keyFile("1 seal"), strings.Repeat("#", 1<<20)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKeyring(file); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("long file: %v", err)
	}
}

func TestReadKeyringMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes say nothing on Windows")
	}
	file := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(file, keyFile("1 seal"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode    fs.FileMode
		warning string
		refused string
	}{
		{0o600, "", ""},
		{0o400, "", ""},
		{0o440, "", ""},
		{0o660, "", ""},
		{0o644, "everybody may read it (mode 0644): chmod 600 it", ""},
		{0o666, "", "everybody may write it (mode 0666): chmod 600 it"},
		{0o602, "", "everybody may write it (mode 0602): chmod 600 it"},
	} {
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		k, err := ReadKeyring(file)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("mode %04o: %v, want %q", c.mode, err, c.refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("mode %04o: %v", c.mode, err)
		} else if w := k.Warning(); (w == "") != (c.warning == "") || !strings.Contains(w, c.warning) {
			t.Errorf("mode %04o: warning %q, want %q", c.mode, w, c.warning)
		}
	}
}

func TestClientKey(t *testing.T) {
	first := keyring(t, "1 open", "2 seal").ClientKey()
	for _, same := range [][]string{{"1 seal"}, {"1 seal", "2 open"}, {"2 open", "3 seal", "1 open"}} {
		if keyring(t, same...).ClientKey() != first {
			t.Errorf("nodes with the keys %q and those before don't agree", same)
		}
	}
	if k := keyring(t, "1 retired", "2 seal").ClientKey(); k == first || k == [32]byte{} {
		t.Errorf("the key of a retired secret, or none: %x", k)
	}
}

func TestNewKeyFile(t *testing.T) {
	a, err := NewKeyFile()
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseKeyring(a)
	if err != nil {
		t.Fatalf("%v in\n%s", err, a)
	}
	if k.seal.id != 1 {
		t.Errorf("key %d seals, want 1", k.seal.id)
	}
	b, err := NewKeyFile()
	if err != nil {
		t.Fatal(err)
	}
	other, err := ParseKeyring(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Open(Click, sealed(t, k, Click, typical), new(Opened)); !errors.Is(err, ErrForged) {
		t.Errorf("the key of one file opens what that of another sealed: %v", err)
	}
}

func TestRotateKeyFile(t *testing.T) {
	file, err := NewKeyFile()
	if err != nil {
		t.Fatal(err)
	}
	first, err := ParseKeyring(file)
	if err != nil {
		t.Fatal(err)
	}
	token := sealed(t, first, Click, typical)
	address := string(first.SealAddress(nil, ReturnPath, event.KeyOf("a", "m")))
	file = append(file, "# until the audit in May\n"...)
	const last = 4
	for id := 2; id <= last; id++ {
		if file, err = RotateKeyFile(file); err != nil {
			t.Fatalf("rotate to %d: %v", id, err)
		}
		k, err := ParseKeyring(file)
		if err != nil {
			t.Fatalf("after rotating to %d: %v", id, err)
		}
		if int(k.seal.id) != id {
			t.Errorf("key %d seals, want %d", k.seal.id, id)
		}
		if err := k.Open(Click, token, new(Opened)); err != nil {
			t.Errorf("with key %d sealing, what key 1 sealed: %v", id, err)
		}
		if _, err := k.OpenAddress(ReturnPath, address); err != nil {
			t.Errorf("with key %d sealing, the address key 1 sealed: %v", id, err)
		}
		if err := first.Open(Click, sealed(t, k, Click, typical), new(Opened)); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("a node that doesn't have key %d: %v", id, err)
		}
	}
	if s := string(file); !strings.HasPrefix(s, "# Carom's keys.") || !strings.Contains(s, "May") || strings.Count(s, "# made ") != last {
		t.Errorf("remarks got lost:\n%s", s)
	}
}

func TestRotateKeyFileEnds(t *testing.T) {
	file, err := RotateKeyFile(keyFile("3 open", "254 seal"))
	if err != nil {
		t.Fatal(err)
	}
	if k, err := ParseKeyring(file); err != nil || k.seal.id != maxKeyID {
		t.Errorf("after 254: %v", err)
	}
	if _, err := RotateKeyFile(file); err == nil || !strings.Contains(err.Error(), "no higher than 255") {
		t.Errorf("after 255: %v", err)
	}
}

func TestRotateKeyFileKeepsStates(t *testing.T) {
	for name, old := range map[string][]byte{
		"block": keyFile("9 retired", "3 open", "5 seal"),
		"flow": []byte(`{"version":1,"keys":[{"id":9,"state":"retired","secret":"` + secretOf(9) + `"},{"id":3,"state":"open","secret":"` +
			secretOf(3) + `"},{"id":5,"state":"seal","secret":"` + secretOf(5) + `"}]}`),
	} {
		file, err := RotateKeyFile(old)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		k, err := ParseKeyring(file)
		if err != nil {
			t.Fatalf("%s: %v in\n%s", name, err, file)
		}
		for id, want := range map[int]state{9: stateRetired, 3: stateOpen, 5: stateOpen, 10: stateSeal} {
			if k.keys[id] == nil || k.keys[id].state != want {
				t.Errorf("%s: key %d: %+v, want %s", name, id, k.keys[id], want)
			}
		}
	}
	if _, err := RotateKeyFile([]byte("version: 1\nkeys: []\n")); err == nil {
		t.Error("rotated a bad file")
	}
}
