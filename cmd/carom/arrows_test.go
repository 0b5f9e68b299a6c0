package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows says which of our packages each package may import; the tests of a package may import more, to drive it
// with real parts. A package that is not listed here has no place in the picture yet: give it one.
var arrows = map[string][]string{
	"kv":                {},
	"pipeline/event":    {},
	"pipeline/provider": {"pipeline/event"},
	"pipeline/bot":      {"pipeline/event"},
	"pipeline/burst":    {"pipeline/event"},
	"pipeline/judge":    {"pipeline/bot", "pipeline/burst", "pipeline/event"},
	"pipeline/score":    {},
	"pipeline/log":      {"kv", "pipeline/event"},
	"pipeline/journal":  {"kv", "pipeline/event", "pipeline/log"},
	"pipeline/control":  {"kv", "pipeline/event", "pipeline/log"},
	"pipeline/backup":   {"kv", "pipeline/journal", "pipeline/log"},
	"pipeline/scrub":    {"kv", "pipeline/event", "pipeline/log"},
	"pipeline/kafka":    {"kv", "pipeline/event", "pipeline/journal", "pipeline/log"},
	"pipeline":          {"pipeline/bot", "pipeline/event", "pipeline/journal"},
	"pipeline/refine":   {"kv", "pipeline/burst", "pipeline/event", "pipeline/log", "pipeline/provider"},
	"pipeline/rollup":   {"kv", "pipeline/event", "pipeline/log", "pipeline/provider", "pipeline/score"},
	"edge/ref":          {"pipeline/event"},
	"edge/report":       {},
	"edge/mailbox":      {},
	"edge/track":        {"edge/ref", "edge/report", "pipeline/event"},
	"edge/inbound":      {"edge/ref", "edge/report", "pipeline/event"},
	"edge/webhook":      {"kv", "pipeline/control", "pipeline/event", "pipeline/log"},
	"edge/api":          {"edge/webhook", "edge/ref", "edge/report", "pipeline/control", "pipeline/event", "pipeline/log", "pipeline/provider", "pipeline/refine", "pipeline/rollup", "pipeline/score", "pipeline/suppress"},
	"pipeline/suppress": {"kv", "pipeline/event", "pipeline/log", "pipeline/provider", "pipeline/score"},
	"bench":             {"edge/ref", "edge/report", "pipeline/event"},
	"bench/demo":        {"bench/mails", "bench/node", "bench/progress", "edge/report"},
	"bench/progress":    {},
	"bench/result":      {},
	"bench/load":        {"bench/machine", "bench/result"},
	"bench/null":        {},
	"bench/machine":     {"bench/result"},
	"bench/wire":        {"bench/load", "bench/targets"},
	"bench/targets":     {"bench/mails", "edge/mailbox", "edge/ref", "pipeline/event"},
	"bench/node":        {},
	"bench/peers":       {"bench/machine", "bench/result", "edge/ref", "pipeline/event"},
	"bench/mails":       {},
	"bench/scenario":    {"bench/machine", "bench/mails", "bench/node", "bench/progress", "bench/result", "pipeline/event"},
	"bench/verdicts":    {"bench/machine", "bench/node", "bench/progress", "bench/result"},
	"bench/growth":      {"bench/load", "bench/machine", "bench/mails", "bench/node", "bench/progress", "bench/result", "bench/targets", "bench/wire", "edge/ref", "kv", "pipeline", "pipeline/bot", "pipeline/event", "pipeline/journal"},
	"cmd/carom":         nil, // wires everything

	"deploy/examples/go": {},
}

// ownLibrary lists the libraries that one package alone may import.
var ownLibrary = map[string]string{
	"github.com/valyala/fasthttp":      "edge/track",
	"github.com/emersion/go-smtp":      "edge/inbound",
	"github.com/segmentio/kafka-go":    "pipeline/kafka",
	"github.com/cockroachdb/pebble/v2": "kv",
}

func TestImportArrows(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		seen++
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		checkArrows(t, path, filepath.ToSlash(filepath.Dir(rel)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < len(arrows) {
		t.Fatalf("only %d files were read", seen)
	}
}

func checkArrows(t *testing.T, file, pkg string) {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	allowed, known := arrows[pkg]
	if !known {
		t.Errorf("%s: package %s has no place in the picture: add it to arrows", file, pkg)
		return
	}
	for _, spec := range parsed.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if own, ok := strings.CutPrefix(path, "carom/"); ok && pkg != "cmd/carom" && !slices.Contains(allowed, own) {
			t.Errorf("%s imports %s: %s may import %v", file, path, pkg, allowed)
		}
		for library, owner := range ownLibrary {
			if (path == library || strings.HasPrefix(path, library+"/")) && pkg != owner && !outside(pkg) && !storePackage(library, pkg) {
				t.Errorf("%s imports %s, which belongs to %s alone", file, path, owner)
			}
		}
	}
}

// storePackage reports whether pkg keeps its state in Pebble and so may name its types.
func storePackage(library, pkg string) bool {
	return library == "github.com/cockroachdb/pebble/v2" &&
		slices.Contains([]string{"pipeline/log", "pipeline/journal", "pipeline/refine", "pipeline/rollup", "pipeline/kafka", "pipeline/control", "pipeline/suppress", "edge/webhook"}, pkg)
}

// outside reports whether pkg is no part of the product: what measures it, and what others may copy.
func outside(pkg string) bool {
	return strings.HasPrefix(pkg, "bench") || strings.HasPrefix(pkg, "deploy/examples/")
}
