//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a new terminal: what is written to inside can be read from outside.
func terminal(t *testing.T, columns uint16) (outside, inside *os.File) {
	t.Helper()
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { outside.Close() })
	if err := unix.IoctlSetPointerInt(int(outside.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	number, err := unix.IoctlGetInt(int(outside.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	inside, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { inside.Close() })
	if err := unix.IoctlSetWinsize(int(inside.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: 24}); err != nil {
		t.Fatal(err)
	}
	return outside, inside
}

// readUntil reads from a terminal until it shows text.
func readUntil(t *testing.T, from *os.File, seen *bytes.Buffer, text string) {
	t.Helper()
	part := make([]byte, 1000)
	for !strings.Contains(seen.String(), text) {
		n, err := from.Read(part)
		if seen.Write(part[:n]); err != nil {
			t.Fatalf("%v, %q", err, seen)
		}
	}
}

// TestReportProgress has standard error on a terminal while standard input makes the run wait.
func TestReportProgress(t *testing.T) {
	outside, inside := terminal(t, 100)
	mail := getFile(t, filepath.Join(reportMails, "postfix-dsn.eml"))
	mbox, want := mboxOf(slices.Repeat([][]byte{mail}, jobMails), "-")
	cmd := caromCommand(nil, "report", "-", "none")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out, seen bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, inside
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(mbox); err != nil {
		t.Fatal(err)
	}
	readUntil(t, outside, &seen, " mails, ")
	in.Close()
	_ = cmd.Wait()
	readUntil(t, outside, &seen, "1 could not be read")
	sameLines(t, "standard output", out.String(), want)
	// The line of the error does not stand behind the progress.
	if !strings.Contains(seen.String(), "\r\x1b[Kcarom: ") {
		t.Errorf("%q", &seen)
	}
}

func TestReportTerminalWidth(t *testing.T) {
	outside, inside := terminal(t, 80)
	cmd := caromCommand(nil, "report", "--format", "table", reportMails+"/postfix-dsn.eml")
	cmd.Stdout = inside
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(inside, "the end")
	var seen bytes.Buffer
	readUntil(t, outside, &seen, "the end")
	for line := range strings.Lines(seen.String()) {
		if cellWidth(strings.TrimRight(line, "\r\n")) > 80 {
			t.Errorf("too wide: %q", line)
		}
	}
	if !strings.Contains(seen.String(), "bounce") {
		t.Errorf("%q", &seen)
	}
}
