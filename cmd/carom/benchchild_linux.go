package main

import "syscall"

// childAttributes keep a signal of the terminal from the child, which must serve until the last answer, and end it with
// this process.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
