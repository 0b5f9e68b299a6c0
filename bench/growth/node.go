package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"carom/bench/machine"
	"carom/edge/ref"
)

// node is a `carom serve` in a process of its own.
type node struct {
	dir              string
	cmd              *exec.Cmd
	exited           chan struct{} // closed when the process has ended
	track, mail, api string
	began            time.Time

	mu    sync.Mutex // guards lines and last
	lines []logLine
	last  string
}

// logLine is a line of the node's log.
type logLine struct {
	after  time.Duration // since the process was started
	Level  string        `json:"level"`
	Msg    string        `json:"msg"`
	Fields map[string]any
}

const (
	startBound = 10 * time.Minute
	// maxLogLines bounds what is kept of a node's log.
	maxLogLines = 10_000
)

// keysName is the file of keys in a folder.
const keysName = "keys.yaml"

// makeFolder makes a data folder with keys.
func makeFolder(dir string) (*ref.Keyring, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, keysName)
	keys, err := ref.NewKeyFile()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, keys, 0o600); err != nil {
		return nil, err
	}
	return ref.ReadKeyring(file)
}

// serve is the command of a node on a folder; no roles are all roles.
func serve(carom, dir, roles string, env ...string) *exec.Cmd {
	args := []string{"serve"}
	if roles != "" {
		args = append(args, "--roles", roles)
	}
	cmd := exec.Command(carom, args...)
	// Those of a real node on this machine would hold where nothing else is said.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "CAROM_") })
	cmd.Env = append(cmd.Env,
		"CAROM_DATA_DIR="+dir, "CAROM_NODE="+nodeName, "CAROM_TRACK_LISTEN=127.0.0.1:0", "CAROM_INBOUND_LISTEN=127.0.0.1:0", "CAROM_API_LISTEN=127.0.0.1:0",
		"CAROM_TRACK_BASE_URL=http://track.example.com", "CAROM_INBOUND_BOUNCE_DOMAIN=bounce.example.com", "CAROM_INBOUND_REPLY_DOMAIN=reply.example.com")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// startNode starts a node on a folder and waits until it listens.
func startNode(ctx context.Context, carom, dir, roles string, env ...string) (*node, error) {
	n := &node{dir: dir, cmd: serve(carom, dir, roles, env...), exited: make(chan struct{})}
	log, err := n.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	n.began = time.Now()
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	listening := make(chan struct{})
	go n.read(log, listening)
	select {
	case <-listening:
		return n, nil
	case <-n.exited:
		return nil, fmt.Errorf("the node ended: %s", n.lastLine())
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(startBound):
		err = fmt.Errorf("the node does not listen after %v", startBound)
	}
	return nil, errors.Join(err, n.kill())
}

// read follows the node's log.
func (n *node) read(log io.Reader, listening chan struct{}) {
	defer close(n.exited)
	scanner := bufio.NewScanner(log)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		after := time.Since(n.began)
		line := logLine{after: after}
		n.mu.Lock()
		n.last = scanner.Text()
		if json.Unmarshal(scanner.Bytes(), &line) == nil && json.Unmarshal(scanner.Bytes(), &line.Fields) == nil && len(n.lines) < maxLogLines {
			n.lines = append(n.lines, line)
		}
		n.mu.Unlock()
		if line.Msg == "listening" {
			n.track, _ = line.Fields["track"].(string)
			n.mail, _ = line.Fields["inbound"].(string)
			n.api, _ = line.Fields["api"].(string)
			close(listening)
		}
	}
	_ = n.cmd.Wait()
}

// log returns the lines so far.
func (n *node) log() []logLine {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lines[:len(n.lines):len(n.lines)]
}

func (n *node) lastLine() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// kill ends the node as a crash does.
func (n *node) kill() error {
	err := n.cmd.Process.Kill()
	<-n.exited
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// stop ends the node in order.
func (n *node) stop() error {
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-n.exited:
		if !n.cmd.ProcessState.Success() {
			return fmt.Errorf("the node stopped with %v: %s", n.cmd.ProcessState, n.lastLine())
		}
		return nil
	case <-time.After(time.Minute):
		return errors.Join(errors.New("the node does not stop"), n.kill())
	}
}

// used returns the processor time that the node has used, and the memory that it has resident, in bytes.
func (n *node) used() (cpu time.Duration, rss int64, err error) {
	return machine.Used(n.cmd.Process.Pid)
}

// handles is how many files and connections the node has open, but for tables: of those a store opens as many as it has,
// up to a bound.
func (n *node) handles() (count int, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", n.cmd.Process.Pid)
	all, err := os.ReadDir(dir)
	for _, one := range all {
		if name, err := os.Readlink(filepath.Join(dir, one.Name())); err == nil && filepath.Ext(name) != ".sst" {
			count++
		}
	}
	return count, err
}

// figures are the node's metrics by name and labels, as they stand in the text.
type figures map[string]float64

// goMapped is what Go's runtime has of the system's memory and has not given back. It is no less than what of
// that is resident: some of it may not have been touched yet.
func (f figures) goMapped() float64 {
	return f["go_memstats_sys_bytes"] - f["go_memstats_heap_released_bytes"]
}

// sum adds up a metric over its labels.
func (f figures) sum(name string) (total float64) {
	for key, value := range f {
		if key == name || strings.HasPrefix(key, name+"{") {
			total += value
		}
	}
	return total
}

var scraper = http.Client{Timeout: 30 * time.Second}

// figures asks the node for its metrics.
func (n *node) figures(ctx context.Context) (figures, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.api+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := scraper.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	f := make(figures)
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if at < 0 || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		if f[lines.Text()[:at]], err = strconv.ParseFloat(lines.Text()[at+1:], 64); err != nil {
			return nil, fmt.Errorf("read metrics: %w", err)
		}
	}
	return f, lines.Err()
}

// ready reports whether /readyz answers 200.
func (n *node) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.api+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := scraper.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// diskBytes is what the files below a folder take, without write-ahead logs: of those a store keeps up to five, each of the
// size of a memtable, to use again, and comes to have them when it has written as much.
func diskBytes(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(name) == ".log" {
			return nil // what is compacted away meanwhile
		}
		if info, err := entry.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
