package main

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"carom/edge/inbound"
)

// Carom takes as many sessions from the load's one address as deploy/BENCH.md offers, and as from all addresses together.
func TestSessionsThatAreTold(t *testing.T) {
	var set struct {
		Inbound struct {
			Most int `yaml:"max_connections_per_client"`
		}
	}
	if err := yaml.Unmarshal([]byte(caromConf), &set); err != nil {
		t.Fatal(err)
	}
	if all := inbound.Default().MaxConnections; set.Inbound.Most != all {
		t.Errorf("carom.yaml has %d sessions from one address, want the %d that are taken together", set.Inbound.Most, all)
	}
	page, err := os.ReadFile("../../deploy/BENCH.md")
	if err != nil {
		t.Fatal(err)
	}
	told := regexp.MustCompile(`SESSIONS=([0-9,]+)`).FindAllStringSubmatch(string(page), -1)
	if len(told) == 0 {
		t.Error("no SESSIONS are told")
	}
	for _, match := range told {
		var sessions counts
		if err := sessions.Set(match[1]); err != nil {
			t.Error(err)
		}
		for _, n := range sessions {
			if n > set.Inbound.Most {
				t.Errorf("%s: Carom takes %d", match[0], set.Inbound.Most)
			}
		}
	}
	if bound := "over SMTP, " + strconv.Itoa(set.Inbound.Most) + " at most"; !strings.Contains(string(page), bound) {
		t.Errorf("%q is not told", bound)
	}
}

// Every target that measures is told in deploy/BENCH.md, and every variable that bench-peers takes there and in make help.
func TestTargetsAreTold(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	makefile, page := read("Makefile"), read("deploy/BENCH.md")
	targets := regexp.MustCompile(`(?m)^(bench[a-z-]*):.*## (.*)\n((?:\t.*\n)*)`).FindAllStringSubmatch(makefile, -1)
	if len(targets) < 5 {
		t.Fatalf("targets %q", targets)
	}
	for _, target := range targets {
		name, help, recipe := target[1], target[2], target[3]
		if !strings.Contains(page, "`make "+name+"`") {
			t.Errorf("make %s is not told", name)
		}
		if name != "bench-peers" {
			continue
		}
		options := regexp.MustCompile(`\$\(if \$\(([A-Z]+)\)`).FindAllStringSubmatch(recipe, -1)
		if len(options) == 0 {
			t.Errorf("no options of %s in %q", name, recipe)
		}
		for _, option := range options {
			if !strings.Contains(page, "| `"+option[1]+"` |") || !strings.Contains(help, " "+option[1]+"=") && !strings.Contains(help, "("+option[1]+"=") {
				t.Errorf("%s of %s is not told", option[1], name)
			}
		}
	}
}
