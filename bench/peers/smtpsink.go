package main

import (
	"os/exec"
	"os/user"
)

// smtpSink is Postfix's test server: one process, one event loop, C, and every mail is thrown away as it is read.
func smtpSink() peer {
	return peer{
		name: "smtp-sink", protocol: overSMTP,
		promise: "nothing: the mail is thrown away",
		command: func(at *place) (*exec.Cmd, error) {
			args := []string{"-h", "mx.example.com", "-m", "4096"}
			if me, err := user.Current(); err == nil && me.Uid == "0" {
				args = append(args, "-u", "nobody") // it refuses to run as root
			}
			return exec.Command("smtp-sink", append(args, at.addr, "1024")...), nil
		},
	}
}
