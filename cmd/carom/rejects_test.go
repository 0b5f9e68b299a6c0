package main

import (
	"path/filepath"
	"strings"
	"testing"

	"carom/kv"
	"carom/pipeline/kafka"
)

func TestRejectsCommand(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"rejects", "--limit", "-1"}, "--limit -1"},
		{[]string{"rejects", "--api", "x"}, `--api "x"`},
		{[]string{"rejects", "replay"}, "--api: is empty"},
		{[]string{"rejects", "replay", "--api", "http://127.0.0.1:1", "--from", "now"}, `--from "now"`},
		{[]string{"rejects", "replay", "--api", "http://127.0.0.1:1", "--reason", "x", "0/1"}, "not both"},
	} {
		if _, stderr, code := carom(t, nil, c.args...); code != exitUsage || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit %d, %s", c.args, code, stderr)
		}
	}
	s := newServer(t)
	s.start()
	api := "http://" + s.api
	if out, stderr, code := carom(t, nil, "rejects", "list", "--api", api); code != exitDone || out != "" {
		t.Errorf("list: exit %d, %s%s", code, out, stderr)
	}
	out, stderr, code := carom(t, nil, "rejects", "replay", "--api", api, "--dry-run")
	if code != exitDone || out != `{"matched":0,"replayed":0,"unreadable":0}`+"\n" || !strings.Contains(stderr, "0 rejects matched") {
		t.Errorf("replay: exit %d, %s%s", code, out, stderr)
	}
	if _, stderr, code := carom(t, nil, "rejects", "replay", "--api", api, "0/7"); code != exitFailed || !strings.Contains(stderr, "0/7") {
		t.Errorf("a position that is not there: exit %d, %s", code, stderr)
	}
	s.kill()
	if out, stderr, code := carom(t, nil, "rejects", "--data", filepath.Join(s.dir, "data")); code != exitDone || out != "" {
		t.Errorf("folder: exit %d, %s%s", code, out, stderr)
	}
}

// The folder of a node with Kafka holds no rejects: an empty list would say that there are none.
func TestRejectsOfTopics(t *testing.T) {
	dir := t.TempDir()
	store, err := kv.Open(filepath.Join(dir, kv.RoleState), kv.Options{Role: kv.RoleState})
	if err != nil {
		t.Fatal(err)
	}
	if err := kafka.Bind(store, map[string]kafka.Topic{kafka.Raw: {Name: "carom.raw"}}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if out, stderr, code := carom(t, nil, "rejects", "--data", dir); code != exitFailed || out != "" || !strings.Contains(stderr, "--api") {
		t.Errorf("exit %d, %s%s", code, out, stderr)
	}
}
