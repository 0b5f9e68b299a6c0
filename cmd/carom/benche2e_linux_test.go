package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"carom/bench/scenario"
)

// openTerminal opens a terminal, and what shows on its screen.
func openTerminal(t *testing.T) (screen, terminal *os.File) {
	t.Helper()
	open := func(name string) *os.File {
		f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	screen = open("/dev/ptmx")
	fd := int(screen.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err := errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)); err != nil {
		t.Fatal(err)
	}
	return screen, open(fmt.Sprint("/dev/pts/", number))
}

// A play that is interrupted is checked, and says that it was cut short.
func TestEndToEndInterrupted(t *testing.T) {
	t.Parallel()
	cmd := caromCommand(nil, "bench", "e2e", "--json", "-", "--settle", "200ms", "--messages", "3000", "--rate", "300", "--brokers", startFake(t))
	var out bytes.Buffer
	cmd.Stdout = &out
	screen, terminal := openTerminal(t)
	cmd.Stderr = terminal
	err := cmd.Start()
	_ = terminal.Close() // the child has its own, with whose end the screen's comes
	lines := bufio.NewReader(screen)
	for line := ""; err == nil && !strings.HasSuffix(line, " 30 of 3000\r"); { // a percent
		line, err = lines.ReadString('\r')
	}
	if err == nil {
		err = cmd.Process.Signal(os.Interrupt)
	}
	rest, _ := io.ReadAll(lines) // fails when nobody has the terminal any more
	if err := errors.Join(err, cmd.Wait()); err != nil {
		t.Fatalf("%v: %s", err, rest)
	}
	var r scenario.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	checkChecks(t, &r)
	if !r.CutShort || r.Played < 30 || r.Played >= r.Messages || r.Acknowledged < int64(r.Played) {
		t.Errorf("cut short: %t, %d of %d messages played, %d facts acknowledged", r.CutShort, r.Played, r.Messages, r.Acknowledged)
	}
	if r.Behind == nil || r.Behind.Count != int64(r.Played) {
		t.Errorf("behind the rate: %+v, of %d messages", r.Behind, r.Played)
	}
}
