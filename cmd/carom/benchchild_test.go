package main

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// A measured node must end well, in each of its lives. That it was killed by us is told of none.
func TestChildNodeEnds(t *testing.T) {
	t.Setenv(actAsCarom, "1") // the node is this binary
	die := func(c *childNode) {
		_ = c.process.cmd.Process.Kill()
		<-c.process.exited
	}
	for _, tt := range []struct {
		name    string
		measure func(*childNode) error
		want    string
	}{
		{"restarted, it ends badly", func(c *childNode) error {
			if err := c.killAndRestart(t.Context()); err != nil {
				t.Error(err)
			}
			die(c)
			return nil
		}, "the measured node: it ended: signal: killed: "},
		{"it ends before it is killed", func(c *childNode) error {
			die(c)
			return c.killAndRestart(t.Context())
		}, "before it was killed, it ended: signal: killed: "},
		{"restarted, it ends before it listens", func(c *childNode) error {
			c.set = map[string]string{"log.level": "loud"}
			return c.killAndRestart(t.Context())
		}, "it ended: exit status 2: "},
		{"it can't be restarted", func(c *childNode) error {
			c.set = map[string]string{"loud": "yes"}
			return c.killAndRestart(t.Context())
		}, "there is no setting loud"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := withChildNode(t.Context(), t.TempDir(), []string{roleAPI}, nil, tt.measure)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\nthe measured node") {
				t.Errorf("%v: want %q, and nothing else", err, tt.want)
			}
		})
	}
}

// A start that is ended early leaves no process, and tells nothing of how we ended it.
func TestChildNodeStartIsEnded(t *testing.T) {
	t.Setenv(actAsCarom, "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := &childNode{dir: t.TempDir(), roles: []string{roleAPI}}
	if err := errors.Join(c.start(ctx), c.stop()); err == nil || err.Error() != context.Canceled.Error() {
		t.Errorf("%v, want that it was ended and nothing else", err)
	}
	if c.process != nil {
		t.Error("a process is left")
	}
}
