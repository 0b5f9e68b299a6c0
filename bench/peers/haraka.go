package main

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// harakaConf are Haraka's settings: one worker a core, no plugin but those without which it takes no mail, and its log
// at warnings.
//
//go:embed haraka
var harakaConf embed.FS

// haraka reads the mail into its own form, adds a Received header and discards it.
func haraka() peer {
	return peer{
		name: "haraka", protocol: overSMTP,
		promise: "nothing: queue/discard",
		command: func(at *place) (*exec.Cmd, error) {
			if err := writeHaraka(at); err != nil {
				return nil, fmt.Errorf("write Haraka's settings: %w: is it installed? make bench-peers-install", err)
			}
			script := filepath.Join(harakaPackage(at), "bin", "haraka")
			cmd := exec.Command("node", script, "-c", at.dir)
			cmd.Env = append(os.Environ(), "YES_REALLY_DO_DISCARD=1") // or queue/discard discards only what a plugin marks
			return cmd, nil
		},
	}
}

// writeHaraka lays the settings out as `haraka -i` does, Haraka's own ones first, then ours over them: plugins in
// plugins/, everything else in config/.
func writeHaraka(at *place) error {
	config, plugins := filepath.Join(at.dir, "config"), filepath.Join(at.dir, "plugins")
	if err := os.CopyFS(config, os.DirFS(filepath.Join(harakaPackage(at), "config"))); err != nil {
		return err
	}
	if err := os.Mkdir(plugins, 0o755); err != nil {
		return err
	}
	fill := strings.NewReplacer("LISTEN", at.addr, "CORES", strconv.Itoa(at.cores))
	files, err := harakaConf.ReadDir("haraka")
	if err != nil {
		return err
	}
	for _, f := range files {
		text, err := harakaConf.ReadFile("haraka/" + f.Name())
		if err != nil {
			return err
		}
		dir := config
		if strings.HasSuffix(f.Name(), ".js") {
			dir = plugins
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), []byte(fill.Replace(string(text))), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func harakaPackage(at *place) string { return filepath.Join(at.tools.haraka, "node_modules", "Haraka") }
