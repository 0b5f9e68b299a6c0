package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// countLines counts the lines of a file.
func countLines(file string) (int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	n, err := newlines(f)
	return n, errors.Join(err, f.Close())
}

// countOutput counts the lines that a command prints.
func countOutput(cmd *exec.Cmd) (int64, error) {
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	n, err := newlines(out)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return 0, fmt.Errorf("%s: %w: %s", cmd, err, bytes.TrimSpace(said.Bytes()))
	}
	return n, nil
}

func newlines(r io.Reader) (n int64, err error) {
	buffer := make([]byte, 1<<20)
	for {
		read, err := r.Read(buffer)
		n += int64(bytes.Count(buffer[:read], []byte{'\n'}))
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
