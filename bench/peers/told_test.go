package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

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
