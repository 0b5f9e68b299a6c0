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
	dir     string
	disk    *result.Disk // under dir
	roles   []string
	set     map[string]string
	process *childProcess // nil: none runs

	// Where it listens, host:port; empty without the role.
	api, track, inbound string
}

// childProcess is one life of a child.
type childProcess struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended; what follows is set by then
	err    error         // of its end
	tail   tailBuffer    // of its log
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
	flags.StringVar(dir, "dir", "", "folder in which the node started here gets a folder of its own, removed at the end; choose the disk to be measured (default: the system's temporary folder)")
}

// checkDir refuses --dir where no node is started because there is one of the reader's own, which a flag or a target names.
func checkDir(dir string, own bool, named string) error {
	if dir == "" || own {
		return nil
	}
	return fmt.Errorf("--dir: want no %s: it is for the node that is started by this command", named)
}

// noteMemory adds a note if the data of a node lay in memory.
func noteMemory(notes []string, disk *result.Disk) []string {
	if !disk.InMemory() {
		return notes
	}
	return append(notes, "the node's data lay on a "+disk.FileSystem+": synced writes cost nothing here, so give --dir a folder on a disk")
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
	c := &childNode{dir: dir, disk: under, roles: roles, set: set}
	defer func() { err = errors.Join(err, c.stop()) }()
	if err := c.start(ctx); err != nil {
		return fmt.Errorf("start a node: %w", err)
	}
	return measure(c)
}

// start starts a process, and returns when it listens.
func (c *childNode) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p := &childProcess{cmd: exec.Command(self, "serve", "--dev", "--roles", strings.Join(c.roles, ",")), exited: make(chan struct{})}
	if p.cmd.Env, err = childEnvironment(c.dir, c.set); err != nil {
		return err
	}
	p.cmd.SysProcAttr = childAttributes()
	logs, err := p.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	listening := make(chan addresses, 1)
	go func() {
		p.listen(logs, listening)
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	c.process = p
	select {
	case at := <-listening:
		c.api, c.track, c.inbound = at.API, at.Track, at.Inbound
		return nil
	case <-p.exited:
		c.process = nil
		return p.ended()
	case <-ctx.Done():
		c.kill()
		return ctx.Err()
	case <-time.After(childStart):
		c.kill()
		return fmt.Errorf("it does not listen after %s: %s", childStart, &p.tail)
	}
}

// kill is kill -9. What ends on our account has not ended badly, so stop tells nothing of it.
func (c *childNode) kill() {
	_ = c.process.cmd.Process.Kill()
	<-c.process.exited
	c.process = nil
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

// addresses are where a node listens, as its log has them.
type addresses struct{ API, Track, Inbound string }

// listen reads the log until it ends, and passes on where the node says that it listens.
func (p *childProcess) listen(logs io.Reader, listening chan<- addresses) {
	var line struct {
		Message string `json:"msg"`
		addresses
	}
	lines := bufio.NewScanner(logs)
	lines.Buffer(nil, 1<<20)
	for known := false; lines.Scan(); {
		p.tail.add(lines.Bytes())
		if !known && json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "listening" {
			known = true
			listening <- line.addresses
		}
	}
	_, _ = io.Copy(io.Discard, logs) // after a line that is too long: it must not wait for us
}

// ended says that the process has ended, though nobody asked it to, and what it said last.
func (p *childProcess) ended() error {
	if p.err == nil {
		return fmt.Errorf("it ended by itself: %s", &p.tail)
	}
	return fmt.Errorf("it ended: %w: %s", p.err, &p.tail)
}

// keysFile is where the node keeps its keys.
func (c *childNode) keysFile() string { return filepath.Join(c.dir, "data", keysName) }

// pid is the process whose CPU time and memory are to be measured: none, 0, but on Linux, which alone tells them.
func (c *childNode) pid() int {
	if runtime.GOOS != "linux" || c.process == nil {
		return 0
	}
	return c.process.cmd.Process.Pid
}

// killAndRestart is kill -9, and a start with the same data and at the same addresses. It returns when the node is ready.
func (c *childNode) killAndRestart(ctx context.Context) error {
	p := c.process
	select {
	case <-p.exited:
		c.process = nil
		return fmt.Errorf("before it was killed, %w", p.ended())
	default:
	}
	c.kill()
	set := make(map[string]string)
	maps.Copy(set, c.set)
	for key, address := range map[string]string{"api.listen": c.api, "track.listen": c.track, "inbound.listen": c.inbound} {
		if address != "" {
			set[key] = address
		}
	}
	c.set = set
	if err := c.start(ctx); err != nil {
		return err
	}
	return c.untilReady(ctx)
}

// untilReady waits until the node says that it is.
func (c *childNode) untilReady(ctx context.Context) error {
	p := c.process
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
			return fmt.Errorf("wait until it is ready: %w", ctx.Err())
		case <-p.exited:
			c.process = nil
			return p.ended()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the node, kindly first.
func (c *childNode) stop() error {
	p := c.process
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.exited:
	case <-time.After(childStop):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	if p.err != nil {
		return fmt.Errorf("the measured node: %w", p.ended())
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
