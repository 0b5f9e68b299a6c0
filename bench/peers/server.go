package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	startTimeout = 60 * time.Second // Haraka needs some 3 s, and much longer on a machine that is busy
	stopTimeout  = 30 * time.Second // Carom flushes what it holds in memory
	pollEvery    = 20 * time.Millisecond
)

// server is a peer that runs.
type server struct {
	cmd  *exec.Cmd
	said string        // the file with what it printed
	done chan struct{} // closed when it has ended
	err  error         // how; set before done is closed
}

// start runs a peer and returns when it takes connections.
func start(ctx context.Context, p *peer, at *place) (*server, error) {
	cmd, err := p.command(at)
	if err != nil {
		return nil, err
	}
	// A group of its own: an interrupt from the terminal must reach the measuring process only, and what a peer leaves
	// behind can be ended with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Dir = at.dir
	s := &server{cmd: cmd, said: filepath.Join(at.dir, "said"), done: make(chan struct{})}
	out, err := os.Create(s.said)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Start()
	_ = out.Close() // the process has its own
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	go func() {
		s.err = cmd.Wait()
		close(s.done)
	}()
	if err := s.ready(ctx, at.addr); err != nil {
		_ = s.stop()
		return nil, fmt.Errorf("%w%s", err, s.lastWords())
	}
	return s, nil
}

func (s *server) ready(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.done:
			return fmt.Errorf("ended before it listened: %w", orEnded(s.err))
		case <-ctx.Done():
			return fmt.Errorf("does not listen on %s: %w", addr, ctx.Err())
		case <-time.After(pollEvery):
		}
	}
}

// stop ends the server and whatever it started. It may be called twice.
func (s *server) stop() error {
	pid := s.cmd.Process.Pid
	select {
	case <-s.done:
		return nil
	default:
	}
	_ = syscall.Kill(pid, syscall.SIGTERM)
	var err error
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
		err = fmt.Errorf("did not end within %v of SIGTERM", stopTimeout)
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	<-s.done
	return err
}

// alive says how the server ended, if it did.
func (s *server) alive() error {
	select {
	case <-s.done:
		return fmt.Errorf("ended while it was measured: %w%s", orEnded(s.err), s.lastWords())
	default:
		return nil
	}
}

// lastWords returns the end of what the server printed.
func (s *server) lastWords() string {
	const most = 500
	said, err := os.ReadFile(s.said)
	said = bytes.TrimSpace(said)
	if err != nil || len(said) == 0 {
		return ""
	}
	return "; it said: " + string(said[max(0, len(said)-most):])
}

func orEnded(err error) error {
	if err == nil {
		return errors.New("exit 0")
	}
	return err
}

// freeAddr returns an address on loopback that nobody listens on just now.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", noPort)
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}
