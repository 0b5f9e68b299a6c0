package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// A new user pastes the three commands that the server prints when it is ready.
func TestContractPastedCommands(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl: ", err)
	}
	w := newWorld(t)
	var commands []string
	w.until("the commands are printed", func() bool {
		commands = nil
		for line := range strings.Lines(w.output.String()) {
			if command := strings.TrimSpace(line); strings.HasPrefix(command, "curl ") {
				commands = append(commands, strings.ReplaceAll(command, "/tmp/", w.dir+"/"))
			}
		}
		return len(commands) == 3
	})
	var answers []string
	for _, command := range commands {
		out, err := exec.Command("sh", "-c", command).Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		answers = append(answers, string(out))
	}
	if !strings.Contains(answers[0], `"send":true`) || !strings.Contains(answers[1], "200") {
		t.Errorf("registered and opened: %q", answers)
	}
	w.again(t, func() []string {
		out, err := exec.Command("sh", "-c", commands[2]).Output()
		var score scoreObject
		if err != nil || json.Unmarshal(out, &score) != nil || score.Completed != 1 || score.Opened != 1 {
			return []string{string(out)}
		}
		return nil
	})
}
