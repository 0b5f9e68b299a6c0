package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed carom.yaml
var caromConf string

// The domains of carom.yaml.
const (
	trackHost    = "track.example.com"
	bounceDomain = "bounce.example.com"
	noPort       = "127.0.0.1:0"
)

const caromPromise = "the event is on disk (synced)"

// caromTrack is a node that hears opens and clicks, and nothing else.
func caromTrack() peer {
	return carom("carom", overHTTP, "track", func(at *place) (track, inbound string) { return at.addr, noPort })
}

// caromInbound is a node that takes mail, parses it and journals what it tells.
func caromInbound() peer {
	return carom("carom-inbound", overSMTP, "inbound", func(at *place) (track, inbound string) { return noPort, at.addr })
}

func carom(name, protocol, role string, listens func(at *place) (track, inbound string)) peer {
	return peer{
		name: name, protocol: protocol, promise: caromPromise,
		command: func(at *place) (*exec.Cmd, error) {
			track, inbound := listens(at)
			conf := strings.NewReplacer("KEYS", at.tools.keys, "TRACK", track, "INBOUND", inbound).Replace(caromConf)
			if err := os.WriteFile(filepath.Join(at.dir, "carom.yaml"), []byte(conf), 0o600); err != nil {
				return nil, fmt.Errorf("write Carom's settings: %w", err)
			}
			cmd := exec.Command(at.tools.carom, "serve", "--config", "carom.yaml", "--roles", role)
			// Those of a real node on this machine would stand over the file's.
			cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "CAROM_") })
			return cmd, nil
		},
		kept: func(at *place) (int64, error) {
			return countOutput(exec.Command(at.tools.carom, "events", "--data", filepath.Join(at.dir, "data")))
		},
	}
}
