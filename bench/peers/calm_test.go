package main

import (
	"context"
	"testing"
	"time"
)

func TestCalm(t *testing.T) {
	never := calm{dir: t.TempDir(), cores: 1}
	if came, _, err := never.wait(t.Context()); came || err != nil {
		t.Errorf("nobody asked: %v, %v", came, err)
	}
	soon := calm{dir: t.TempDir(), cores: 1, sync: time.Hour}
	if came, waited, err := soon.wait(t.Context()); !came || waited <= 0 || err != nil {
		t.Errorf("any disk will do: %v after %v, %v", came, waited, err)
	}
	for name, c := range map[string]*calm{
		"the disk":       {dir: t.TempDir(), cores: 1, sync: 1},
		"the processors": {dir: t.TempDir(), cores: 1, sync: time.Hour, fastest: 1e12},
	} {
		if calm, err := c.look(); calm || err != nil {
			t.Errorf("%s should be too slow: %v, %v", name, calm, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if came, _, err := (&calm{sync: 1, fastest: 1}).wait(ended); came || err != nil {
		t.Errorf("it was ended: %v, %v", came, err)
	}
	if _, _, err := (&calm{sync: 1, dir: t.TempDir() + "/missing"}).wait(t.Context()); err == nil {
		t.Error("a folder that is missing is calm")
	}
}
