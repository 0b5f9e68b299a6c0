package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"carom/bench/machine"
	"carom/bench/result"

	"github.com/spf13/pflag"
)

// childNode is a node in a process of its own, with a temporary folder: what the benches measure where they are given no
// target, because in this process its CPU time could not be told from the harness's.
type childNode struct {
	cmd    *exec.Cmd
	dir    string
	disk   *result.Disk // under dir
	roles  []string
	set    map[string]string
	exited chan struct{} // closed when the process has ended, and then err is set
	err    error

	// Where it listens, host:port; empty without the role.
	api, track, inbound string
}

// rolesWithoutKafka are all that a node may have that speaks to no broker.
func rolesWithoutKafka() []string {
	return slices.DeleteFunc(slices.Clone(allRoles), func(role string) bool { return role == roleRelay })
}

// How long a child may take.
const (
	childStart = 30 * time.Second
	childStop  = 30 * time.Second
)

// addDir adds --dir, which says below which folder withChildNode makes the node's.
func addDir(flags *pflag.FlagSet, dir *string) {
	flags.StringVar(dir, "dir", "", "where the node that is started here gets a fresh folder, which is removed in the end: a folder on the disk that is to be measured; left out, the system's for temporary files")
}

// withChildNode starts a node with some of the roles and some settings, by their keys, over those of --dev, in a fresh
// folder below one, or below the system's for temporary files; has it measured; and stops it again.
func withChildNode(ctx context.Context, below string, roles []string, set map[string]string, measure func(*childNode) error) (err error) {
	dir, err := os.MkdirTemp(below, "carom-bench-")
	switch {
	case err != nil && below != "":
		return fmt.Errorf("--dir: %w", err)
	case err != nil:
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	under, err := machine.LookAtDisk(dir)
	if err != nil {
		return fmt.Errorf("look at the disk under the node's folder: %w", err)
	}
	c, err := startChildNode(ctx, dir, roles, set)
	if err != nil {
		return err
	}
	c.disk = under
	defer func() { err = errors.Join(err, c.stop()) }()
	return measure(c)
}

func startChildNode(ctx context.Context, dir string, roles []string, set map[string]string) (*childNode, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start a node: %w", err)
	}
	c := &childNode{dir: dir, roles: roles, set: set, exited: make(chan struct{})}
	c.cmd = exec.Command(self, "serve", "--dev", "--roles", strings.Join(roles, ","))
	if c.cmd.Env, err = childEnvironment(dir, set); err != nil {
		return nil, fmt.Errorf("start a node: %w", err)
	}
	c.cmd.SysProcAttr = childAttributes()
	logs, err := c.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start a node: %w", err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a node: %w", err)
	}
	listening := make(chan struct{})
	tail := &tailBuffer{}
	go func() {
		c.listen(logs, listening, tail)
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	select {
	case <-listening:
		return c, nil
	case <-c.exited:
		return nil, fmt.Errorf("start a node: it ended: %w: %s", c.err, tail)
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(childStart):
		err = fmt.Errorf("it does not listen after %s", childStart)
	}
	return nil, errors.Join(fmt.Errorf("start a node: %w", err), c.stop())
}

// childEnvironment is this process's without the node's settings, which may be those of a real node on this machine, and
// with those of the child.
func childEnvironment(dir string, set map[string]string) ([]string, error) {
	ours := map[string]string{
		"data.dir": filepath.Join(dir, "data"), "log.format": "json", "log.level": "info",
		"track.listen": "127.0.0.1:0", "inbound.listen": "127.0.0.1:0", "api.listen": "127.0.0.1:0",
		"track.trusted_proxies": "127.0.0.0/8,::1",
	}
	for key, value := range set {
		ours[key] = value
	}
	var base Config
	known := make(map[string]string) // of variables, their keys
	for _, s := range settings(&base) {
		known[s.env()] = s.key
	}
	environ := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return known[name] != ""
	})
	for name, key := range known {
		if value, ok := ours[key]; ok {
			environ = append(environ, name+"="+value)
			delete(ours, key)
		}
	}
	for key := range ours {
		return nil, fmt.Errorf("there is no setting %s", key)
	}
	return environ, nil
}

// listen reads the node's log until it ends. Once it says where it listens, that is in the fields.
func (c *childNode) listen(logs io.Reader, listening chan<- struct{}, tail *tailBuffer) {
	var line struct {
		Message             string `json:"msg"`
		API, Track, Inbound string
	}
	lines := bufio.NewScanner(logs)
	lines.Buffer(nil, 1<<20)
	for known := false; lines.Scan(); {
		tail.add(lines.Bytes())
		if !known && json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "listening" {
			known = true
			c.api, c.track, c.inbound = line.API, line.Track, line.Inbound
			close(listening)
		}
	}
	_, _ = io.Copy(io.Discard, logs) // after a line that is too long: it must not wait for us
}

// keysFile is where the node keeps its keys.
func (c *childNode) keysFile() string { return filepath.Join(c.dir, "data", keysName) }

// pid is the process whose CPU time and memory are to be measured: none, 0, but on Linux, which alone tells them.
func (c *childNode) pid() int {
	if runtime.GOOS != "linux" {
		return 0
	}
	return c.cmd.Process.Pid
}

// killAndRestart is kill -9, and a start with the same data and at the same addresses. It returns when the node is ready.
func (c *childNode) killAndRestart(ctx context.Context) error {
	_ = c.cmd.Process.Kill()
	<-c.exited
	set := maps.Clone(c.set)
	for key, address := range map[string]string{"api.listen": c.api, "track.listen": c.track, "inbound.listen": c.inbound} {
		if address != "" {
			set[key] = address
		}
	}
	again, err := startChildNode(ctx, c.dir, c.roles, set)
	if err != nil {
		return err
	}
	again.disk = c.disk
	*c = *again
	return c.untilReady(ctx)
}

// untilReady waits until the node says that it is.
func (c *childNode) untilReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, childStart)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.api+"/readyz", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until the node is ready: %w", ctx.Err())
		case <-c.exited:
			return fmt.Errorf("the node ended: %w", c.err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the node, kindly first.
func (c *childNode) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-c.exited:
	case <-time.After(childStop):
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
	if c.err != nil {
		return fmt.Errorf("the measured node: %w", c.err)
	}
	return nil
}

// tailBuffer keeps the end of a log. One goroutine adds; it is read when that has ended.
type tailBuffer struct{ b []byte }

const tailBytes = 4 << 10

func (t *tailBuffer) add(line []byte) {
	t.b = append(append(t.b, line...), '\n')
	if over := len(t.b) - tailBytes; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
}

func (t *tailBuffer) String() string { return string(bytes.TrimSpace(t.b)) }
