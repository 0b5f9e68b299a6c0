package main

import (
	"path/filepath"
	"testing"
)

// The example that the README names must load.
func TestExampleConfig(t *testing.T) {
	file := filepath.Join("..", "..", "deploy", "carom.yaml")
	if _, stderr, code := carom(t, nil, "config", "check", "--config", file); code != exitDone {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
