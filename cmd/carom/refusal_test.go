package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A start that can't succeed says which setting is to blame, and ends with the exit code that scripts rely on.
func TestServeRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	badKeys := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(badKeys, []byte("keys:\n  - {id: 1, state: seal, key: c2hvcnQ=}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a-file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		env  []string
		args []string
		code int
		want []string
	}{
		{"unknown variable", []string{"CAROM_TRACK_LISTN=:1"}, nil, exitUsage, []string{"CAROM_TRACK_LISTN", "CAROM_TRACK_LISTEN"}},
		{"bad duration", []string{"CAROM_REFINE_SETTLE=soon"}, nil, exitUsage, []string{"refine.settle", "soon", "12s"}},
		{"bad address", []string{"CAROM_API_LISTEN=8081"}, nil, exitUsage, []string{"api.listen", "8081"}},
		{"no such config", nil, []string{"--config", file + ".yaml"}, exitUsage, []string{file}},
		{"track port in use", []string{"CAROM_TRACK_LISTEN=" + taken.Addr().String()}, nil, exitFailed, []string{"track.listen", taken.Addr().String()}},
		{"mail port in use", []string{"CAROM_INBOUND_LISTEN=" + taken.Addr().String()}, nil, exitFailed, []string{"inbound.listen", taken.Addr().String()}},
		{"API port in use", []string{"CAROM_API_LISTEN=" + taken.Addr().String()}, nil, exitFailed, []string{"api.listen", taken.Addr().String()}},
		{"unwritable folder", []string{"CAROM_DATA_DIR=" + filepath.Join(file, "data")}, nil, exitFailed, []string{"data.dir", file}},
		{"bad keys", []string{"CAROM_KEYS_FILE=" + badKeys}, nil, exitFailed, []string{"keys.file", badKeys}},
		{"API open to the world without a token", []string{"CAROM_API_LISTEN=0.0.0.0:0"}, nil, exitUsage, []string{"api.", "token"}},
		{"unknown flag", nil, []string{"--prod"}, exitUsage, []string{"--prod"}},
		{"argument", nil, []string{"now"}, exitUsage, []string{"now"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := append([]string{
				"CAROM_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "CAROM_TRACK_LISTEN=127.0.0.1:0",
				"CAROM_INBOUND_LISTEN=127.0.0.1:0", "CAROM_API_LISTEN=127.0.0.1:0",
			}, test.env...)
			stdout, stderr, code := carom(t, env, append([]string{"serve", "--dev"}, test.args...)...)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if stdout != "" {
				t.Errorf("standard output is for machines, but holds %q", stdout)
			}
			for _, want := range test.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("%q does not name %q", stderr, want)
				}
			}
		})
	}
}

// A second node must not open the stores of one that runs, and the commands that read a folder must not either.
func TestDataFolderIsHeld(t *testing.T) {
	s := newServer(t)
	s.start()
	env := []string{"CAROM_DATA_DIR=" + filepath.Join(s.dir, "data"), "CAROM_TRACK_LISTEN=127.0.0.1:0", "CAROM_INBOUND_LISTEN=127.0.0.1:0", "CAROM_API_LISTEN=127.0.0.1:0"}
	for _, args := range [][]string{{"serve", "--dev"}, {"events", "--data", filepath.Join(s.dir, "data")}} {
		if _, stderr, code := carom(t, env, args...); code != exitFailed || !strings.Contains(stderr, "another process") {
			t.Errorf("%v: exit code %d, %q", args, code, stderr)
		}
	}
}

func TestLinkNeedsNoServer(t *testing.T) {
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.yaml")
	if _, stderr, code := carom(t, nil, "keys", "new", "--out", keys); code != exitDone {
		t.Fatalf("keys new: exit code %d, %s", code, stderr)
	}
	if _, stderr, code := carom(t, nil, "keys", "new", "--out", keys); code != exitFailed || !strings.Contains(stderr, "there already") {
		t.Errorf("a second time: exit code %d, %s", code, stderr)
	}
	env := []string{"CAROM_KEYS_FILE=" + keys, "CAROM_TRACK_BASE_URL=https://track.example.com"}
	stdout, stderr, code := carom(t, env, "link", "--dev", "--account", "acme", "--sender", "alice", "--sequence", "q4", "--contact", "c-1",
		"--message", "<m-1@example.com>", "--url", "https://example.com/?a=1&b=2", "--url", "https://example.org/")
	if code != exitDone {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	var m minted
	if err := json.Unmarshal([]byte(stdout), &m); err != nil {
		t.Fatalf("%v: %q", err, stdout)
	}
	if m.Message != "m-1@example.com" || len(m.ClickURLs) != 2 || !strings.HasPrefix(m.OpenURL, "https://track.example.com/o/") ||
		!strings.HasSuffix(m.ReturnPath, "@bounce.localhost") || m.Headers["X-Carom-Ref"] == "" {
		t.Errorf("got %+v", m)
	}
	for _, args := range [][]string{
		{"link", "--dev", "--sender", "alice"},
		{"link", "--dev", "--sender", "alice", "--message", "m", "--url", "javascript:alert(1)"},
		{"link", "--dev", "--sender", "alice", "--message", "m", "--sent-at", "yesterday"},
	} {
		if _, stderr, code := carom(t, env, args...); code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
}

// A help text gets pasted into tickets: no secret of the environment may be in it.
func TestHelpShowsNoSecret(t *testing.T) {
	const secret = "0123456789abcdef"
	for _, args := range [][]string{{"events"}, {"serve"}, {"link"}} {
		stdout, stderr, _ := carom(t, []string{"CAROM_API_TOKEN=" + secret}, append(args, "--help")...)
		if strings.Contains(stdout+stderr, secret) {
			t.Errorf("%v --help shows the token", args)
		}
	}
}

// A server whose pages don't say where the next begins must not be asked for the first one again and again.
func TestEventsWantACursor(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if after := r.URL.Query().Get("after"); after == "" {
			w.Header().Set(headerNext, "a")
		}
		_, _ = io.WriteString(w, "{}\n")
	}))
	defer server.Close()
	if _, stderr, code := carom(t, nil, "events", "--api", server.URL); code != exitFailed || !strings.Contains(stderr, headerNext) {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

// Every command explains itself, with examples.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"serve"}, {"keys"}, {"keys", "new"}, {"link"}, {"report"}, {"events"}, {"demo"}, {"config"}, {"config", "check"}} {
		stdout, _, code := carom(t, nil, append(args, "--help")...)
		if code != exitDone || !strings.Contains(stdout, "Usage:") {
			t.Errorf("%v --help: exit code %d, %q", args, code, stdout)
		}
		if len(args) > 0 && args[0] != "keys" && args[0] != "config" && !strings.Contains(stdout, "Examples:") {
			t.Errorf("%v --help has no examples", args)
		}
	}
	stdout, _, _ := carom(t, nil, "serve", "--help")
	for _, want := range []string{"CAROM_DATA_DIR", "CAROM_ROLLUP_COMPLETE_AFTER", "72h"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("serve --help does not name %s", want)
		}
	}
}
