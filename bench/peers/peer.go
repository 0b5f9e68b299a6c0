package main

import (
	"os/exec"
	"slices"
	"strings"
)

// The protocols.
const (
	overHTTP = "http"
	overSMTP = "smtp"
)

// peer is a server that takes part.
type peer struct {
	name     string
	protocol string
	promise  string // what is true once it has answered
	// command makes its settings in the place's folder and returns the command that runs it there in the foreground.
	command func(at *place) (*exec.Cmd, error)
	// kept counts, after the stop, what the server kept of what it answered; nil if it promises nothing of the kind.
	kept func(at *place) (int64, error)
}

// place is where a peer runs for one measurement.
type place struct {
	dir   string // its folder, empty at first
	addr  string // where it must listen: 127.0.0.1 and a port
	cores int    // that load and server share
	tools *tools
}

// tools are the files that more than one peer needs.
type tools struct {
	self   string // this binary
	carom  string
	haraka string // the folder in which npm installed it
	keys   string // with which Carom seals and opens
}

// everyPeer lists all there are, in the order of the tables.
func everyPeer() []peer {
	return []peer{
		caromTrack(),
		fasthttpPeer(),
		rawFilePeer(),
		nginx("nginx-buffered", "buffer=64k flush=1s"),
		nginx("nginx-unbuffered", ""),
		nginx("nginx-off", "off"),

		caromInbound(),
		smtpSink(),
		haraka(),
		goSMTP(),
	}
}

// choose returns the peers with the given names, all if there are none, and the names that no peer has.
func choose(all []peer, names []string) (chosen []peer, unknown []string) {
	if len(names) == 0 {
		return all, nil
	}
	for _, p := range all {
		if slices.Contains(names, p.name) {
			chosen = append(chosen, p)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(p peer) bool { return p.name == name }) {
			unknown = append(unknown, name)
		}
	}
	return chosen, unknown
}

// names joins the names of peers.
func names(peers []peer) string {
	list := make([]string, len(peers))
	for i, p := range peers {
		list[i] = p.name
	}
	return strings.Join(list, ", ")
}
