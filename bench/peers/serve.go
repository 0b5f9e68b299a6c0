package main

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
)

// The peers that are written in Go run in a process of their own, as all others do: this binary, with these words.
const (
	serveWord     = "serve"
	serveFasthttp = "fasthttp"
	serveRawFile  = "raw-file"
	serveGoSMTP   = "go-smtp"
)

// serve returns the command that runs a Go peer at a place.
func (at *place) serve(word string) (*exec.Cmd, error) {
	return exec.Command(at.tools.self, serveWord, word, at.addr, at.dir), nil
}

// runServe is that command.
func runServe(args []string) error {
	if len(args) != 3 {
		return errors.New("want a peer, an address and a folder")
	}
	ln, err := net.Listen("tcp", args[1])
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	switch args[0] {
	case serveFasthttp:
		return runFasthttp(ln, args[2])
	case serveRawFile:
		return runRawFile(ln, args[2])
	case serveGoSMTP:
		return runGoSMTP(ln, args[2])
	}
	return fmt.Errorf("%q is no peer", args[0])
}
