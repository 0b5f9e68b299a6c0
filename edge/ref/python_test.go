package ref

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carom/pipeline/event"
)

// The script of MINTING.md is held against the vectors and this package, on machines that can run it.

// python runs testdata/mint.py and returns what it prints.
func python(t *testing.T, env []string, args ...string) []byte {
	t.Helper()
	name, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 isn't installed: mint.py is not tested")
	}
	if err := exec.Command(name, "-c", "import nacl.bindings").Run(); err != nil {
		t.Skip("python3 has no PyNaCl (pip install pynacl): mint.py is not tested")
	}
	cmd := exec.Command(name, append([]string{"-B", "testdata/mint.py"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("mint.py: %v\n%s%s", err, out, stderr.Bytes())
	}
	return out
}

func TestPythonMakesTheVectors(t *testing.T) {
	if got := strings.TrimSpace(string(python(t, nil, "--check", vectorsFile))); got != "all vectors agree" {
		t.Error(got)
	}
}

func TestPythonMints(t *testing.T) {
	msg := mintedMessage()
	in, err := json.Marshal(map[string]any{
		"account": msg.Account, "sender": msg.Sender, "sequence": msg.Sequence, "contact": msg.Contact,
		"message": msg.Message, "sent_at": msg.SentAt, "flags": msg.Flags, "links": msg.Links,
		"track_base_url": mintOptions.TrackBaseURL, "bounce_domain": mintOptions.BounceDomain, "reply_domain": mintOptions.ReplyDomain,
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "message.json")
	if err := os.WriteFile(file, in, 0o600); err != nil {
		t.Fatal(err)
	}
	out := python(t, []string{"CAROM_KEY_ID=3", "CAROM_KEY_SECRET=" + secretOf(3)}, file)
	var l Links
	d := json.NewDecoder(bytes.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		t.Fatal(err)
	}
	checkLinks(t, keyring(t, "3 seal"), msg, l)
}

// mintedMessage has every field, and those that Mint must ignore.
func mintedMessage() Message {
	r := typical
	r.Message = "<" + typical.Message + ">"
	r.Flags = event.Transactional | event.Shared
	return Message{Ref: r, Links: []string{"https://example.com/?a=b&c=%20#d", "http://bücher.example/", "https://example.com/?a=b&c=%20#d"}}
}
